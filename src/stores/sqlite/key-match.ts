// Whether a counter's key is one of a clean-up's. Promise: what LIKE finds in other databases is found here, letter by letter; SQLite's
// own LIKE takes `A` for `a`. Next: ../maintenance.ts, which reads patterns.

/**
 * @param key without the prefix
 * @param pattern the texts between the wildcards; one text alone is the whole key
 */
export function matches(key: string, pattern: readonly string[]): boolean {
  const first = pattern[0] ?? ''
  const last = pattern.at(-1) ?? ''
  if (pattern.length === 1) return key === first
  if (!key.startsWith(first) || key.length < first.length + last.length || !key.endsWith(last)) return false
  let at = first.length
  const end = key.length - last.length
  for (const text of pattern.slice(1, -1)) {
    const found = key.indexOf(text, at)
    if (found < 0 || found + text.length > end) return false
    at = found + text.length
  }
  return true
}
