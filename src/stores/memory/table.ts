// One table per scope: segments found by the fingerprint, and, past the store's bound, overflow places that keys share.
// Promise: a key is in one place only; a key that finds room again takes its overflow place's consumption along, so that
// no flood gives anyone fresh quota. Next: memory-store.ts.

import { type Budget, type Layout, Segment } from './segment.ts'

/** Places a table's keys share when the store is full. Each is as strict as for one client. */
const OVERFLOW_PLACES = 64
/** Keys per segment at the store's bound: a rebuild touches about this many. */
const KEYS_PER_SEGMENT = 1024

export class Table {
  readonly layout: Layout
  /** Holds an absent state, for questions about keys that are not there. */
  readonly blank: Segment
  readonly #budget: Budget
  readonly #segments: (Segment | undefined)[]
  readonly #mask: number
  #overflow: Segment | undefined
  #cursor = 0

  constructor(layout: Layout, budget: Budget, maxKeys: number) {
    this.layout = layout
    this.#budget = budget
    let segments = 1
    while (segments * KEYS_PER_SEGMENT < maxKeys && segments < 2 ** 20) segments *= 2
    this.#segments = new Array<Segment | undefined>(segments).fill(undefined)
    this.#mask = segments - 1
    this.blank = new Segment(layout, { bytes: 0, maxBytes: Infinity }, 1)
    this.blank.words.fill(-1)
    for (const chain of layout.chains) this.blank.clearChain(chain)
  }

  /** The segment that holds, or would hold, a fingerprint. */
  segment(high: number): Segment {
    const index = high & this.#mask
    return this.#segments[index] ?? (this.#segments[index] = new Segment(this.layout, this.#budget))
  }

  /** The segment if it exists: looking for a key makes none. */
  peekSegment(high: number): Segment | undefined {
    return this.#segments[high & this.#mask]
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

  /** Sweeps the next segment. Tells how many entries it dropped. */
  sweepNext(now: number): number {
    const index = this.#cursor
    this.#cursor = (index + 1) & this.#mask
    if (index === 0) this.#dropOverflow(now)
    const segment = this.#segments[index]
    if (segment === undefined) return 0
    const before = segment.size
    segment.rebuild(now, 0)
    if (segment.size === 0) {
      segment.release()
      this.#segments[index] = undefined
    }
    return before - segment.size
  }

  /** Whether the last sweep was of the last segment. */
  get swept(): boolean {
    return this.#cursor === 0
  }

  get segmentCount(): number {
    return this.#segments.length
  }

  #dropOverflow(now: number): void {
    if (this.#overflow === undefined) return
    for (let n = 0; n < OVERFLOW_PLACES; n++) {
      if (!this.layout.idle(this.#overflow, n * this.layout.stride, now)) return
    }
    this.#overflow = undefined
  }

  /** Gives up all memory. */
  release(): void {
    for (const segment of this.#segments) segment?.release()
    this.#segments.fill(undefined)
    this.#overflow = undefined
  }
}
