// Text → address, by its bits. Promise: one address has one canonical text, whatever its spelling; what is not plainly an
// address is nothing, so garbage never becomes a key. Strictness is ours; ipaddr.js is asked only about text already proven
// well formed, because on its own it reads `127.1`, `0x7f.1` and `::1.2.3.4` as other addresses than their bits say.
// Next: address-ranges.ts (blocks of addresses), address.ts (whose address a request has).

import ipaddr from 'ipaddr.js'
import { Recent } from './recent.ts'

/** An IPv4 or IPv6 address. An IPv4-mapped IPv6 address is the IPv4 address. */
export interface Address {
  readonly version: 4 | 6
  /** The canonical text: dotted for IPv4, RFC 5952 for IPv6. Equal bits, equal text. */
  readonly text: string
  /** The bits in unsigned 32-bit words, most significant first: one word for IPv4, four for IPv6. */
  readonly words: readonly number[]
}

/** The longest text worth looking at: an IPv6 address with a dotted tail, zone, brackets, port, quotes and some blanks. */
const LONGEST = 100

const spellings = new Recent<Address>(256)

/**
 * Reads an address as it occurs in headers and sockets. Blanks and double quotes around it, brackets, a port and a zone id are
 * dropped. Never throws; everything else (`01.2.3.4`, `0x1.2.3.4`, `16909060`, `unknown`, `_hidden`, full-width digits) is undefined.
 * @param nat64 whether `64:ff9b::/96` is read as the IPv4 address inside (default false)
 */
export function parseAddress(text: string, nat64 = false): Address | undefined {
  if (typeof text !== 'string') return undefined
  const plain = readIPv4(text)
  if (plain >= 0) return { version: 4, text, words: [plain] }
  if (text.length > LONGEST) return undefined
  let address = spellings.get(text)
  if (address === undefined) {
    address = undress(text)
    if (address === undefined) return undefined
    spellings.set(text, address)
  }
  return nat64 && address.version === 6 ? withoutNat64(address) : address
}

/** Reads an address written by hand in a list: no brackets, port, zone id or quotes. Undefined when it is anything else. */
export function parseBareAddress(text: string): Address | undefined {
  const plain = readIPv4(text)
  return plain >= 0 ? { version: 4, text, words: [plain] } : parseIPv6(text)
}

/**
 * The IPv4 address between two positions as an unsigned 32-bit number; -1 when the text is anything but four decimal octets
 * without leading zeros. Allocates nothing.
 */
export function readIPv4(text: string, start = 0, end = text.length): number {
  if (end - start < 7 || end - start > 15) return -1
  let value = 0
  let octet = -1
  let dots = 0
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code === DOT) {
      if (octet < 0 || dots === 3) return -1
      value = value * 256 + octet
      octet = -1
      dots++
      continue
    }
    // A digit after a leading zero: some read it as octal, so nobody may.
    if (code < ZERO || code > NINE || octet === 0) return -1
    octet = octet < 0 ? code - ZERO : octet * 10 + code - ZERO
    if (octet > 255) return -1
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1
}

/** The canonical text of four 32-bit words. */
export function formatIPv6(words: readonly number[]): string {
  const parts: number[] = []
  for (const word of words) parts.push(word >>> 16, word & 0xffff)
  return new ipaddr.IPv6(parts).toRFC5952String()
}

const TAB = 9
const SPACE = 32
const QUOTE = 34
const PERCENT = 37
const DOT = 46
const ZERO = 48
const NINE = 57
const COLON = 58
const BRACKET = 91
const UNDERSCORE = 95

function undress(text: string): Address | undefined {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  if (text.charCodeAt(start) === QUOTE) {
    if (end - start < 2 || text.charCodeAt(end - 1) !== QUOTE) return undefined
    start++
    end--
  }
  if (text.charCodeAt(start) === BRACKET) {
    const close = text.indexOf(']', start)
    if (close < 0 || close >= end || !(close + 1 === end || isPort(text, close + 1, end))) return undefined
    return parseIPv6(withoutZone(text.slice(start + 1, close)))
  }
  const colon = text.indexOf(':', start)
  if (colon < 0 || colon >= end) return fromIPv4(readIPv4(text, start, end))
  const second = text.indexOf(':', colon + 1)
  if (second >= 0 && second < end) return parseIPv6(withoutZone(text.slice(start, end)))
  return isPort(text, colon, end) ? fromIPv4(readIPv4(text, start, colon)) : undefined
}

function fromIPv4(value: number): Address | undefined {
  if (value < 0) return undefined
  return { version: 4, text: `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`, words: [value] }
}

function parseIPv6(text: string): Address | undefined {
  const hex = hexForm(text)
  if (hex === undefined) return undefined
  const parts = ipaddr.IPv6.parse(hex).parts
  const words: number[] = []
  for (let at = 0; at < 8; at += 2) words.push((((parts[at] ?? 0) << 16) | (parts[at + 1] ?? 0)) >>> 0)
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) return fromIPv4(words[3] ?? 0)
  return { version: 6, text: formatIPv6(words), words }
}

function withoutNat64(address: Address): Address {
  const [first, second, third, last = 0] = address.words
  return first === 0x64ff9b && second === 0 && third === 0 ? (fromIPv4(last) ?? address) : address
}

/** Well-formed IPv6 text with its dotted tail, if any, rewritten as two hex groups; undefined for any other text. */
function hexForm(text: string): string | undefined {
  const { length } = text
  if (length < 2 || length > 45) return undefined
  if (text.charCodeAt(0) === COLON && text.charCodeAt(1) !== COLON) return undefined
  let groups = 0
  let digits = 0
  let gap = false
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at)
    if (code === COLON) {
      if (digits > 0) groups++
      else if (at > 0) {
        if (gap) return undefined
        gap = true
      }
      digits = 0
    } else if (code === DOT) {
      const head = text.lastIndexOf(':', at) + 1
      const tail = readIPv4(text, head)
      if (tail < 0 || (gap ? groups > 5 : groups !== 6)) return undefined
      return `${text.slice(0, head)}${(tail >>> 16).toString(16)}:${(tail & 0xffff).toString(16)}`
    } else if (!isHex(code) || ++digits > 4) return undefined
  }
  if (digits > 0) groups++
  else if (text.charCodeAt(length - 2) !== COLON) return undefined
  return (gap ? groups < 8 : groups === 8) ? text : undefined
}

/** The text before `%zone`; an empty text, which is no address, when the zone id is malformed. */
function withoutZone(text: string): string {
  const percent = text.indexOf('%')
  if (percent < 0) return text
  if (percent + 1 === text.length) return ''
  for (let at = percent + 1; at < text.length; at++) {
    if (!isToken(text.charCodeAt(at))) return ''
  }
  return text.slice(0, percent)
}

/** `:80`, or the obfuscated `:_name` that RFC 7239 allows. */
function isPort(text: string, colon: number, end: number): boolean {
  const first = colon + 1
  if (text.charCodeAt(colon) !== COLON || first >= end) return false
  const obfuscated = text.charCodeAt(first) === UNDERSCORE
  if (!obfuscated && end - first > 5) return false
  for (let at = first; at < end; at++) {
    const code = text.charCodeAt(at)
    if (obfuscated ? !isToken(code) : code < ZERO || code > NINE) return false
  }
  return true
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB
const isHex = (code: number): boolean => (code >= ZERO && code <= NINE) || ((code | 32) >= 97 && (code | 32) <= 102)
const isToken = (code: number): boolean =>
  (code >= ZERO && code <= NINE) ||
  ((code | 32) >= 97 && (code | 32) <= 122) ||
  code === DOT ||
  code === UNDERSCORE ||
  code === PERCENT ||
  code === 45 ||
  code === 126
