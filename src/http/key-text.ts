// The texts that keys are made of. Promise: joining them is unambiguous, and what is nothing never becomes a text such as "null".
// Next: keys.ts.

import { ConfigError, RateLimitError, show } from '../core/errors.ts'

/**
 * What an app's function returned, as text. Undefined for empty, null and undefined.
 * @param whose what an error calls the function
 * @throws RateLimitError `ERR_RATELIMIT_KEY` for what is neither a text nor a number
 */
export function keyText(value: unknown, whose: string): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  if (value === undefined || value === null) return undefined
  if (typeof value === 'bigint' || Number.isFinite(value)) return String(value as bigint | number)
  throw new RateLimitError('ERR_RATELIMIT_KEY', `${whose}: expected a text or a number, received ${show(value)}`)
}

/** A text without colons, so that a colon after it ends it; different texts stay different. */
export function beforeColon(text: string): string {
  return text.replace(/[%:]/g, (char) => (char === '%' ? '%25' : '%3A'))
}

/** @throws ConfigError for an option that is no function */
export function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') throw new ConfigError(option, 'a function', value)
}

/** @throws ConfigError for an option that is no text, or an empty one */
export function checkText(option: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw new ConfigError(option, 'a text that is not empty', value)
}

/** The word that was probably meant, if one is near. */
export function nearestWord(text: string, words: readonly string[]): string | undefined {
  const plain = text
    .toLowerCase()
    .replace(/[-\s.]/g, '_')
    .slice(0, 32)
  let best: string | undefined
  let least = 3
  for (const word of words) {
    const edits = distance(plain, word)
    // Two edits make "ip" of anything; a short word must be nearly right.
    if (edits < least && edits <= word.length / 2) {
      best = word
      least = edits
    }
  }
  return best
}

/** Insertions, deletions and replacements between two short texts. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
