// One table per scope: segments found by the fingerprint, and, past the store's bound, overflow places that keys share.
// Promise: a key is in one place only; a key that finds room again takes its overflow place's consumption along, so that
// no flood gives anyone fresh quota. Next: memory-store.ts.

import { type Budget, type Layout, Segment } from './segment.ts'

/** Places a table's keys share when the store is full. Each is as strict as for one client. */
const OVERFLOW_PLACES = 64
/** A segment with more keys is split in two instead of growing: a rebuild never touches more than about this many. */
const SPLIT_ABOVE = 768

export class Table {
  readonly layout: Layout
  /** Keys held, idle ones included. */
  keys = 0
  /** First word of the place that `occupy` took. */
  placed = 0
  /** Holds an absent state, for questions about keys that are not there. */
  readonly blank: Segment
  readonly #budget: Budget
  /** Extendible hashing (Fagin and others, 1979): the low bits of the fingerprint's high half name the segment. */
  #directory: Segment[]
  #overflow: Segment | undefined
  #cursor = 0

  constructor(layout: Layout, budget: Budget) {
    this.layout = layout
    this.#budget = budget
    this.#directory = [new Segment(layout, budget)]
    this.blank = new Segment(layout, { bytes: 0, maxBytes: Infinity }, 1)
    this.blank.words.fill(-1)
    for (const chain of layout.chains) this.blank.clearChain(chain)
  }

  /** The segment that holds, or would hold, a fingerprint. */
  segment(high: number): Segment {
    return this.#directory[high & (this.#directory.length - 1)] as Segment
  }

  /**
   * Takes a place with an absent state for a fingerprint that has none, dropping what is idle around it. The place is left
   * in `placed`; undefined when it would pass the bound on bytes.
   */
  occupy(low: number, high: number, now: number): Segment | undefined {
    const segment = this.#roomFor(high, now)
    if (segment === undefined) return undefined
    this.placed = ~segment.find(low, high)
    segment.occupy(this.placed, low, high)
    this.keys++
    return segment
  }

  #roomFor(high: number, now: number): Segment | undefined {
    const segment = this.segment(high)
    if (segment.roomy) return segment
    if (segment.size <= SPLIT_ABOVE) {
      const dropped = segment.rebuild(now, 1 + (segment.capacity >> 3))
      if (dropped < 0) return undefined
      this.keys -= dropped
      return segment
    }
    this.#split(high, now)
    return this.#roomFor(high, now)
  }

  #split(high: number, now: number): void {
    const segment = this.segment(high)
    const bit = 2 ** segment.depth
    if (bit === this.#directory.length) this.#directory = [...this.#directory, ...this.#directory]
    // Half of the keys each, and room for half as many more.
    const capacity = Math.ceil(segment.size * 0.75)
    const zero = new Segment(this.layout, this.#budget, capacity)
    const one = new Segment(this.layout, this.#budget, capacity)
    zero.depth = one.depth = segment.depth + 1
    segment.deal(zero, one, bit, now)
    for (let i = high & (bit - 1); i < this.#directory.length; i += bit) this.#directory[i] = (i & bit) === 0 ? zero : one
    this.keys += zero.size + one.size - segment.size
    segment.release()
  }

  /** Whether this index is the first of those that name its segment. */
  #owns(index: number): boolean {
    return index < 2 ** (this.#directory[index] as Segment).depth
  }

  /** The overflow places; place `n` is at `n × stride`. */
  overflow(): Segment {
    if (this.#overflow === undefined) {
      this.#overflow = new Segment(this.layout, { bytes: 0, maxBytes: Infinity }, OVERFLOW_PLACES)
      for (let n = 0; n < OVERFLOW_PLACES; n++) this.#overflow.occupy(n * this.layout.stride, 1, 1)
    }
    return this.#overflow
  }

  /** First word of the overflow place of a fingerprint. */
  overflowPlace(low: number): number {
    return ((low >>> 8) % OVERFLOW_PLACES) * this.layout.stride
  }

  /** Whether any overflow place exists. */
  get overflowing(): boolean {
    return this.#overflow !== undefined
  }

  /** Sweeps the next segment. */
  sweepNext(now: number): void {
    const index = this.#cursor
    this.#cursor = (index + 1) & (this.#directory.length - 1)
    if (index === 0) this.#dropOverflow(now)
    if (!this.#owns(index)) return
    this.keys -= (this.#directory[index] as Segment).rebuild(now, 0)
    // An empty table starts anew, small.
    if (this.#cursor === 0 && this.#directory.length > 1 && this.keys === 0) {
      this.#releaseSegments()
      this.#directory = [new Segment(this.layout, this.#budget)]
    }
  }

  /** Whether the last sweep was of the last segment. */
  get swept(): boolean {
    return this.#cursor === 0
  }

  get segmentCount(): number {
    return this.#directory.length
  }

  #releaseSegments(): void {
    for (let i = 0; i < this.#directory.length; i++) if (this.#owns(i)) (this.#directory[i] as Segment).release()
  }

  #dropOverflow(now: number): void {
    if (this.#overflow === undefined) return
    for (let n = 0; n < OVERFLOW_PLACES; n++) {
      if (!this.layout.idle(this.#overflow, n * this.layout.stride, now)) return
    }
    this.#overflow = undefined
  }

  /** Gives up all memory. The table is not used again. */
  release(): void {
    this.#releaseSegments()
    this.#overflow = undefined
  }
}
