// A part of a table: open-addressed places of a fingerprint and a state each, in one typed array, and the older entries of
// sliding windows in another. It is rebuilt when it grows, shrinks or is swept: no tombstones, no holes, memory given back.
// Promise: what is idle is dropped before anything grows; no rebuild touches more than one segment. Next: table.ts.

/** How the state behind a fingerprint is laid out, and when it no longer matters. */
export interface Layout {
  /** Words (8 bytes) of a place: one of fingerprint, the rest state. */
  readonly stride: number
  /** Which words of a place refer to pool entries; empty where no limit is a sliding window. */
  readonly chains: readonly number[]
  /** Whether the state of the place that begins at this word may be forgotten. */
  idle(segment: Segment, place: number, now: number): boolean
}

/** What all segments of a store may take together, and take. */
export interface Budget {
  bytes: number
  readonly maxBytes: number
}

/** Numbers of a pool entry: sub-window number (its low 32 bits), count, next. */
const ENTRY = 3
const FULLEST = 0.8
const SMALLEST = 8
const DOUBLING_BELOW = 256
const NOTHING = new Int32Array(0)

export class Segment {
  /** How many low bits of the fingerprint's high half all keys of this segment share (see table.ts). */
  depth = 0
  words: Float64Array
  /** The same memory as 32-bit halves. */
  halves: Int32Array
  /** Places in use, idle ones included. */
  size = 0
  /** Older entries of sliding windows; entry n (from 1) lies at (n − 1) × 3. */
  pool: Int32Array = NOTHING
  #capacity: number
  #scale: number
  #freeEntry = 0
  #usedEntries = 0
  /** While states are copied the bound on bytes waits: losing an entry would forget what was consumed. */
  #copying = false
  readonly #layout: Layout
  readonly #budget: Budget

  constructor(layout: Layout, budget: Budget, capacity = SMALLEST) {
    this.#layout = layout
    this.#budget = budget
    this.#capacity = capacity
    this.#scale = capacity / 2 ** 32
    this.words = new Float64Array(capacity * layout.stride)
    this.halves = new Int32Array(this.words.buffer)
    budget.bytes += this.words.byteLength
  }

  get capacity(): number {
    return this.#capacity
  }

  /** First word of the place with this fingerprint, or the complement (~) of the empty place where it would go. */
  find(low: number, high: number): number {
    const { stride } = this.#layout
    const halves = this.halves
    const end = this.#capacity * stride
    let at = (((low >>> 0) * this.#scale) | 0) * stride
    for (;;) {
      const foundLow = halves[at * 2] as number
      const foundHigh = halves[at * 2 + 1] as number
      if (foundLow === low && foundHigh === high) return at
      if ((foundLow | foundHigh) === 0) return ~at
      at += stride
      if (at === end) at = 0
    }
  }

  /** Whether one more place fits without a rebuild. */
  get roomy(): boolean {
    return this.size + 1 <= this.#capacity * FULLEST
  }

  /** Takes the empty place that `find` told; the state is absent. */
  occupy(at: number, low: number, high: number): void {
    this.halves[at * 2] = low
    this.halves[at * 2 + 1] = high
    this.words.fill(-1, at + 1, at + this.#layout.stride)
    for (const chain of this.#layout.chains) this.clearChain(at + chain)
    this.size++
  }

  /** Makes the state of a place absent. The place stays taken until a rebuild drops it. */
  vacate(at: number): void {
    for (const chain of this.#layout.chains) this.removeChain(at + chain)
    this.words.fill(-1, at + 1, at + this.#layout.stride)
    for (const chain of this.#layout.chains) this.clearChain(at + chain)
  }

  /**
   * Drops what is idle and makes room for `more` places; with 0 more, gives memory back where much of it is unused.
   * Tells how many were dropped, or −1 when growing would pass the bound on bytes (nothing was done then).
   */
  rebuild(now: number, more: number): number {
    const { stride } = this.#layout
    const live: number[] = []
    for (let at = 0; at < this.words.length; at += stride) {
      if (this.#taken(at) && !this.#layout.idle(this, at, now)) live.push(at)
    }
    const dropped = this.size - live.length
    const capacity = more > 0 ? this.#roomFor(live.length + more) : this.#fitting(live.length)
    if (dropped === 0 && capacity === this.#capacity) return 0
    const growth = (capacity - this.#capacity) * stride * 8
    if (growth > 0 && this.#budget.bytes + growth > this.#budget.maxBytes) return -1
    this.#resize(capacity, live)
    return dropped
  }

  /** Moves the places of a list, or all, into new arrays of this capacity. */
  #resize(capacity: number, places?: readonly number[]): void {
    const { stride } = this.#layout
    const old = new Segment(this.#layout, this.#budget, 0)
    old.words = this.words
    old.halves = this.halves
    old.pool = this.pool
    this.#capacity = capacity
    this.#scale = capacity / 2 ** 32
    this.words = new Float64Array(capacity * stride)
    this.halves = new Int32Array(this.words.buffer)
    this.pool = NOTHING
    this.size = 0
    this.#freeEntry = 0
    this.#usedEntries = 0
    this.#budget.bytes += this.words.byteLength - old.words.byteLength - old.pool.byteLength
    if (places === undefined) {
      for (let at = 0; at < old.words.length; at += stride) if (old.#taken(at)) this.#admit(old, at)
    } else {
      for (const at of places) this.#admit(old, at)
    }
  }

  /** Takes a place of another segment into this one, which has room. */
  #admit(from: Segment, at: number): void {
    const low = from.halves[at * 2] as number
    const high = from.halves[at * 2 + 1] as number
    const to = ~this.find(low, high)
    this.occupy(to, low, high)
    this.copyState(from, at, to)
  }

  /** Copies every place that is not idle into the one of two segments that this bit of its fingerprint's high half names. */
  deal(zero: Segment, one: Segment, bit: number, now: number): void {
    const { stride } = this.#layout
    for (let at = 0; at < this.words.length; at += stride) {
      if (!this.#taken(at) || this.#layout.idle(this, at, now)) continue
      const high = this.halves[at * 2 + 1] as number
      const target = (high & bit) === 0 ? zero : one
      if (!target.roomy) target.#resize(target.#roomFor(target.size + 1))
      target.#admit(this, at)
    }
  }

  /** Copies a place's state, chains included, from another segment of the same layout. */
  copyState(from: Segment, at: number, to: number): void {
    this.words.set(from.words.subarray(at + 1, at + this.#layout.stride), to + 1)
    this.#copying = true
    for (const chain of this.#layout.chains) {
      const last = from.halves[(at + chain) * 2] as number
      this.clearChain(to + chain)
      if (last === 0) continue
      let entry = last
      do {
        entry = from.next(entry)
        this.append(to + chain, from.tickLow(entry), from.count(entry))
      } while (entry !== last)
    }
    this.#copying = false
  }

  /** Gives up all memory. */
  release(): void {
    this.#budget.bytes -= this.words.byteLength + this.pool.byteLength
  }

  // The older entries of a sliding window are a ring; the chain word's low half names the youngest, whose next is the oldest.

  clearChain(word: number): void {
    this.halves[word * 2] = 0
  }

  tickLow(entry: number): number {
    return this.pool[(entry - 1) * ENTRY] as number
  }

  count(entry: number): number {
    return (this.pool[(entry - 1) * ENTRY + 1] as number) >>> 0
  }

  setCount(entry: number, count: number): void {
    this.pool[(entry - 1) * ENTRY + 1] = count
  }

  next(entry: number): number {
    return this.pool[(entry - 1) * ENTRY + 2] as number
  }

  /** Adds the youngest entry to a chain. False when that would pass the bound on bytes. */
  append(word: number, tickLow: number, count: number): boolean {
    const entry = this.#newEntry()
    if (entry === 0) return false
    const at = (entry - 1) * ENTRY
    const last = this.halves[word * 2] as number
    this.pool[at] = tickLow
    this.pool[at + 1] = count
    if (last === 0) {
      this.pool[at + 2] = entry
    } else {
      this.pool[at + 2] = this.next(last)
      this.pool[(last - 1) * ENTRY + 2] = entry
    }
    this.halves[word * 2] = entry
    return true
  }

  /** Removes the entry that follows `before` in a chain; `before` may be the entry itself when it is alone. */
  removeNext(word: number, before: number): void {
    const entry = this.next(before)
    if (entry === before) {
      this.halves[word * 2] = 0
    } else {
      this.pool[(before - 1) * ENTRY + 2] = this.next(entry)
      if (this.halves[word * 2] === entry) this.halves[word * 2] = before
    }
    this.pool[(entry - 1) * ENTRY + 2] = this.#freeEntry
    this.#freeEntry = entry
  }

  /** Removes a whole chain at once. */
  removeChain(word: number): void {
    const last = this.halves[word * 2] as number
    if (last === 0) return
    const oldest = this.next(last)
    this.pool[(last - 1) * ENTRY + 2] = this.#freeEntry
    this.#freeEntry = oldest
    this.halves[word * 2] = 0
  }

  #newEntry(): number {
    const free = this.#freeEntry
    if (free !== 0) {
      this.#freeEntry = this.next(free)
      return free
    }
    const held = this.pool.length / ENTRY
    if (this.#usedEntries === held) {
      const more = Math.max(4, held >> 2)
      const bytes = more * ENTRY * 4
      if (!this.#copying && this.#budget.bytes + bytes > this.#budget.maxBytes) return 0
      const grown = new Int32Array((held + more) * ENTRY)
      grown.set(this.pool)
      this.pool = grown
      this.#budget.bytes += bytes
    }
    return ++this.#usedEntries
  }

  #taken(at: number): boolean {
    return ((this.halves[at * 2] as number) | (this.halves[at * 2 + 1] as number)) !== 0
  }

  /** A capacity for so many places: this one, or the next steps up. */
  #roomFor(places: number): number {
    let capacity = Math.max(SMALLEST, this.#capacity)
    while (places > capacity * FULLEST) capacity = capacity < DOUBLING_BELOW ? capacity * 2 : Math.floor(capacity * 1.25)
    return capacity
  }

  /** A capacity for so many places and some to come: this one unless most of it is unused. */
  #fitting(places: number): number {
    if (places > this.#capacity * (FULLEST / 4)) return this.#capacity
    let capacity = SMALLEST
    while (places + (places >> 2) > capacity * FULLEST) capacity = capacity < DOUBLING_BELOW ? capacity * 2 : Math.floor(capacity * 1.25)
    return Math.min(capacity, this.#capacity)
  }
}
