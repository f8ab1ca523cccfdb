// Single values out of a query string, a Cookie header and an Authorization header, read by hand.
// Promise: one pass over the text, nothing throws, and the first of several equal names counts. Next: keys.ts.

/**
 * One parameter of a request target's query. `+` is a blank; a component with a malformed percent sequence stays as it was
 * received; a parameter without a value is the empty text. Undefined when there is no such parameter.
 */
export function queryValue(url: string, name: string): string | undefined {
  const fragment = url.indexOf('#')
  const end = fragment < 0 ? url.length : fragment
  let at = url.indexOf('?')
  if (at < 0 || at > end) return undefined
  for (at++; at < end;) {
    const ampersand = url.indexOf('&', at)
    const stop = ampersand < 0 || ampersand > end ? end : ampersand
    const pair = url.slice(at, stop)
    const equals = pair.indexOf('=')
    const found = equals < 0 ? pair : pair.slice(0, equals)
    if (found === name || decoded(found) === name) return equals < 0 ? '' : decoded(pair.slice(equals + 1))
    at = stop + 1
  }
  return undefined
}

function decoded(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

/** One cookie of a Cookie header, without the quotes around it and not decoded. Undefined when there is no such cookie. */
export function cookieValue(header: string, name: string): string | undefined {
  for (let at = 0; at < header.length;) {
    const semicolon = header.indexOf(';', at)
    const stop = semicolon < 0 ? header.length : semicolon
    const pair = header.slice(at, stop)
    const equals = pair.indexOf('=')
    if (equals >= 0 && pair.slice(0, equals).trim() === name) {
      const value = pair.slice(equals + 1).trim()
      return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
    }
    at = stop + 1
  }
  return undefined
}

/** The token of `Authorization: Bearer …`; undefined for another scheme or no token. */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length < 8 || header.charCodeAt(6) !== 32) return undefined
  if (header.slice(0, 6).toLowerCase() !== 'bearer') return undefined
  const token = header.slice(7).trim()
  return token === '' ? undefined : token
}
