// The hops a request says it came through, nearest first. Promise: read from the right, so nothing a client puts in front of what
// a proxy appended can change it; at most 4 KB are looked at; nothing throws.
// Next: address.ts, which decides which hop to believe.

import type { RequestView } from '../core/request.ts'

/** Gives the hops one by one, from the nearest outwards. */
export interface Hops {
  /** The next hop's text, still with its port, brackets or quotes; empty when it names none; undefined after the last. */
  next(): string | undefined
  /** Whether the end was not reached because the header is too long. */
  readonly cut: boolean
}

/** Characters of a header that are looked at, counted from its end. */
const MAX_CHARS = 4096

/**
 * The hops of `X-Forwarded-For` or, when that is absent, of the `for=` of `Forwarded` (RFC 7239). Undefined when there is neither.
 */
export function forwardedHops(view: RequestView): Hops | undefined {
  const list = view.header('x-forwarded-for')
  if (typeof list === 'string' && list !== '') return new Chain(list, false)
  const pairs = view.header('forwarded')
  return typeof pairs === 'string' && pairs !== '' ? new Chain(pairs, true) : undefined
}

class Chain implements Hops {
  cut = false
  #end: number
  readonly #text: string
  readonly #pairs: boolean
  readonly #floor: number

  constructor(text: string, pairs: boolean) {
    this.#text = text
    this.#pairs = pairs
    this.#end = text.length
    this.#floor = Math.max(0, text.length - MAX_CHARS)
  }

  next(): string | undefined {
    const end = this.#end
    if (end < 0 || this.cut) return undefined
    const text = this.#text
    let quoted = false
    let at = end - 1
    for (; at >= this.#floor; at--) {
      const code = text.charCodeAt(at)
      if (code === QUOTE && this.#pairs) quoted = !quoted
      else if (code === COMMA && !quoted) break
    }
    if (at < this.#floor && this.#floor > 0) {
      this.cut = true
      return undefined
    }
    this.#end = at
    const item = text.slice(at + 1, end)
    if (!this.#pairs) return item
    return quoted ? '' : forOf(item)
  }
}

const QUOTE = 34
const COMMA = 44

/** The value of the one `for` of a forwarded element; empty when there is none, or more than one. */
function forOf(element: string): string {
  // Read from the right, an escaped quote cannot be told from a closing one, and no address needs a backslash.
  if (element.includes('\\')) return ''
  let found: string | undefined
  let start = 0
  while (start <= element.length) {
    let end = start
    let quoted = false
    for (; end < element.length; end++) {
      const char = element[end]
      if (char === '"') quoted = !quoted
      else if (char === ';' && !quoted) break
    }
    const equals = element.indexOf('=', start)
    if (equals >= 0 && equals < end && element.slice(start, equals).trim().toLowerCase() === 'for') {
      if (found !== undefined) return ''
      found = element.slice(equals + 1, end)
    }
    start = end + 1
  }
  return found ?? ''
}
