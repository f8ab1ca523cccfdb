// Blocks of addresses, matched by bits. Promise: a lookup is a binary search over merged, disjoint ranges, so a hundred thousand
// blocks cost about as much as ten; IPv4 and IPv6 are two families, and a block of one never covers the other.
// Next: address-list.ts (allow and deny lists), address.ts (trusted proxies).

import { parseBareAddress, readIPv4, parseAddress, type Address } from './parse-address.ts'

/** What a block must look like, as an error says it. */
export const BLOCK_SHAPE = 'an IP address or a block such as "10.0.0.0/8" or "2001:db8::/32"'

/** A set of addresses. */
export interface AddressRanges {
  /** Disjoint ranges left after merging. */
  readonly size: number
  /** Whether it holds every address of a family. */
  readonly everything: boolean
  /** Whether the address is in the set. Text that is no address is in no set. */
  has(address: string | Address): boolean
}

/** Collects blocks and makes a set of them. */
export interface RangesBuilder {
  /** Adds one address or block; returns undefined, or what was expected when the text is neither. Never throws. */
  add(text: string): string | undefined
  build(): AddressRanges
}

/** Starts an empty collection. */
export function rangesBuilder(): RangesBuilder {
  // One number each: the start, and in the low six bits the prefix length. Sorts natively, 2^38 is exact.
  const narrow: number[] = []
  const wide: Wide[] = []
  return {
    add(text) {
      const block = parseBlock(text)
      if (typeof block === 'string') return block
      if (block.words.length === 1) narrow.push((block.words[0] ?? 0) * 64 + block.prefix)
      else wide.push({ start: block.words, end: block.words.map((word, at) => (word | hostMask(block.prefix, at)) >>> 0) })
      return undefined
    },
    build: () => new Ranges(mergeNarrow(narrow), mergeWide(wide)),
  }
}

interface Block {
  readonly words: readonly number[]
  readonly prefix: number
}

interface Wide {
  readonly start: readonly number[]
  readonly end: readonly number[]
}

function parseBlock(input: string): Block | string {
  const text = input.trim()
  const slash = text.indexOf('/')
  const address = parseBareAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === undefined) return BLOCK_SHAPE
  const bits = address.words.length * 32
  if (slash < 0) return { words: address.words, prefix: bits }
  // An IPv4 address in IPv6 spelling counts its prefix from the IPv6 end.
  const lead = address.version === 4 && text.includes(':') ? 96 : 0
  const digits = text.slice(slash + 1)
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > bits + lead) {
    return `${BLOCK_SHAPE} with a prefix length from 0 to ${bits + lead}`
  }
  const prefix = Number(digits) - lead
  const stray = prefix < 0 || address.words.some((word, at) => (word & hostMask(prefix, at)) !== 0)
  if (stray) return `${BLOCK_SHAPE} without bits set beyond its prefix length`
  return { words: address.words, prefix }
}

/** The bits of one word that a prefix leaves free. */
function hostMask(prefix: number, word: number): number {
  const kept = prefix - word * 32
  if (kept <= 0) return 0xffffffff
  return kept >= 32 ? 0 : 0xffffffff >>> kept
}

interface Bounds {
  readonly starts: Uint32Array
  readonly ends: Uint32Array
  readonly count: number
}

function mergeNarrow(packed: readonly number[]): Bounds {
  const sorted = Float64Array.from(packed).toSorted()
  const starts = new Uint32Array(sorted.length)
  const ends = new Uint32Array(sorted.length)
  let count = 0
  for (const entry of sorted) {
    const start = Math.floor(entry / 64)
    const end = start + (hostMask(entry % 64, 0) >>> 0)
    const last = ends[count - 1] ?? -2
    if (count > 0 && start <= last + 1) {
      if (end > last) ends[count - 1] = end
      continue
    }
    starts[count] = start
    ends[count++] = end
  }
  return { starts: starts.slice(0, count), ends: ends.slice(0, count), count }
}

function mergeWide(ranges: readonly Wide[]): Bounds {
  const sorted = ranges.toSorted((a, b) => compare(a.start, 0, b.start))
  const starts = new Uint32Array(sorted.length * 4)
  const ends = new Uint32Array(sorted.length * 4)
  let count = 0
  for (const { start, end } of sorted) {
    const last = (count - 1) * 4
    if (count > 0 && (compare(ends, last, start) >= 0 || follows(ends, last, start))) {
      if (compare(ends, last, end) < 0) ends.set(end, last)
      continue
    }
    starts.set(start, count * 4)
    ends.set(end, count++ * 4)
  }
  return { starts: starts.slice(0, count * 4), ends: ends.slice(0, count * 4), count }
}

function compare(table: ArrayLike<number>, offset: number, words: readonly number[]): number {
  for (let at = 0; at < 4; at++) {
    const difference = (table[offset + at] ?? 0) - (words[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Whether an address is the one right after another. */
function follows(table: ArrayLike<number>, offset: number, words: readonly number[]): boolean {
  let carry = 1
  for (let at = 3; at >= 0; at--) {
    const sum = (table[offset + at] ?? 0) + carry
    carry = sum > 0xffffffff ? 1 : 0
    if (sum >>> 0 !== words[at]) return false
  }
  return carry === 0
}

class Ranges implements AddressRanges {
  readonly size: number
  readonly everything: boolean
  readonly #narrow: Bounds
  readonly #wide: Bounds

  constructor(narrow: Bounds, wide: Bounds) {
    this.#narrow = narrow
    this.#wide = wide
    this.size = narrow.count + wide.count
    const all = (bounds: Bounds): boolean =>
      bounds.count === 1 && bounds.starts.every((word) => word === 0) && bounds.ends.every((word) => word === 0xffffffff)
    this.everything = all(narrow) || all(wide)
  }

  has(address: string | Address): boolean {
    if (this.size === 0) return false
    if (typeof address === 'string') {
      const value = readIPv4(address)
      if (value >= 0) return this.#hasNarrow(value)
      const parsed = parseAddress(address)
      return parsed !== undefined && this.has(parsed)
    }
    return address.version === 4 ? this.#hasNarrow(address.words[0] ?? 0) : this.#hasWide(address.words)
  }

  #hasNarrow(value: number): boolean {
    const { starts, ends, count } = this.#narrow
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((starts[middle] ?? 0) <= value) low = middle + 1
      else high = middle
    }
    return low > 0 && value <= (ends[low - 1] ?? -1)
  }

  #hasWide(words: readonly number[]): boolean {
    const { starts, ends, count } = this.#wide
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compare(starts, middle * 4, words) <= 0) low = middle + 1
      else high = middle
    }
    return low > 0 && compare(ends, (low - 1) * 4, words) >= 0
  }
}
