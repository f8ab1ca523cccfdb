// Open-addressed slots: a fingerprint and a state each, in one typed array, so that a lookup costs one trip to memory; and a
// pool for the older entries of sliding windows. Deleting shifts back what follows: no tombstones, no list of free slots.
// Promise: a slot is found by its fingerprint, wherever its neighbours have moved. Next: table.ts, which grows and sweeps.

/** How the state behind a fingerprint is laid out, and when it no longer matters. */
export interface Layout {
  /** Words (8 bytes) of a slot: one of fingerprint, the rest state. */
  readonly stride: number
  /** Which words of a slot refer to pool entries; empty where no limit is a sliding window. */
  readonly chains: readonly number[]
  /** Whether the state of the slot that begins at this word may be forgotten. */
  idle(slots: Slots, at: number, now: number): boolean
}

/** What all slots of a store may take together, and take. */
export interface Budget {
  bytes: number
  readonly maxBytes: number
}

/** Above this share of taken slots, looking for one that is not there takes too many steps. */
export const FULLEST = 0.8

/** Numbers of a pool entry: sub-window number (its low 32 bits), count, next. */
const ENTRY = 3
/** Entries of a pool chunk, as a power of two: a pool grows and shrinks by chunks and is never copied. */
const CHUNK_BITS = 10
const CHUNK_MASK = 2 ** CHUNK_BITS - 1

export class Slots {
  readonly words: Float64Array
  /** The same memory as 32-bit halves; a slot's first two are its fingerprint, both 0 when it is empty. */
  readonly halves: Int32Array
  readonly capacity: number
  readonly stride: number
  /** Slots in use. */
  size = 0
  readonly #scale: number
  readonly #end: number
  readonly #layout: Layout
  readonly #budget: Budget
  /** Entry n (from 1) lies in chunk (n − 1) / 1024. */
  readonly #pool: Int32Array[] = []
  #freeEntry = 0
  #usedEntries = 0

  constructor(layout: Layout, budget: Budget, capacity: number) {
    this.#layout = layout
    this.#budget = budget
    this.capacity = capacity
    this.stride = layout.stride
    this.words = new Float64Array(capacity * layout.stride)
    this.halves = new Int32Array(this.words.buffer)
    this.#scale = capacity / 2 ** 32
    this.#end = this.words.length
    budget.bytes += this.words.byteLength
  }

  /** First word of the slot with this fingerprint, or the complement (~) of the empty slot where it would go. */
  find(low: number, high: number): number {
    const { halves, stride } = this
    let at = (((low >>> 0) * this.#scale) | 0) * stride
    for (;;) {
      const foundLow = halves[at * 2] as number
      const foundHigh = halves[at * 2 + 1] as number
      if (foundLow === low && foundHigh === high) return at
      if ((foundLow | foundHigh) === 0) return ~at
      at += stride
      if (at === this.#end) at = 0
    }
  }

  /** Takes the empty slot that `find` told; the state is absent. */
  occupy(at: number, low: number, high: number): void {
    this.halves[at * 2] = low
    this.halves[at * 2 + 1] = high
    this.size++
    this.blank(at)
  }

  /** Makes a state absent. */
  blank(at: number): void {
    this.words.fill(-1, at + 1, at + this.stride)
    for (const chain of this.#layout.chains) this.halves[(at + chain) * 2] = 0
  }

  taken(at: number): boolean {
    return ((this.halves[at * 2] as number) | (this.halves[at * 2 + 1] as number)) !== 0
  }

  /** Empties a slot and shifts back those that were pushed along by it. */
  remove(at: number): void {
    for (const chain of this.#layout.chains) this.removeChain(at + chain)
    const { halves, words, stride } = this
    let hole = at
    let next = at
    for (;;) {
      next += stride
      if (next === this.#end) next = 0
      if (!this.taken(next)) break
      const home = ((((halves[next * 2] as number) >>> 0) * this.#scale) | 0) * stride
      // It may fill the hole unless its home lies behind the hole, on the way to where it is.
      const stays = hole <= next ? hole < home && home <= next : hole < home || home <= next
      if (stays) continue
      words.copyWithin(hole, next, next + stride)
      hole = next
    }
    halves[hole * 2] = 0
    halves[hole * 2 + 1] = 0
    this.size--
  }

  /** Copies a slot of other slots of the same layout into this, which has room and does not hold its fingerprint. */
  admit(from: Slots, at: number): number {
    const low = from.halves[at * 2] as number
    const high = from.halves[at * 2 + 1] as number
    const to = ~this.find(low, high)
    this.occupy(to, low, high)
    this.copyState(from, at, to)
    return to
  }

  /** Copies a state, chains included. */
  copyState(from: Slots, at: number, to: number): void {
    this.words.set(from.words.subarray(at + 1, at + this.stride), to + 1)
    for (const chain of this.#layout.chains) {
      const last = from.halves[(at + chain) * 2] as number
      this.halves[(to + chain) * 2] = 0
      if (last === 0) continue
      let entry = last
      do {
        entry = from.next(entry)
        // The bound on bytes waits here: losing an entry would forget what was consumed.
        this.append(to + chain, from.tickLow(entry), from.count(entry), true)
      } while (entry !== last)
    }
  }

  /** Whether there is a pool: it is given back with the slots, not by its entries. */
  get pooled(): boolean {
    return this.#pool.length > 0
  }

  /** Gives up all memory. */
  release(): void {
    this.#budget.bytes -= this.words.byteLength
    for (const chunk of this.#pool) this.#budget.bytes -= chunk.byteLength
  }

  // The older entries of a sliding window are a ring; the chain word's low half names the youngest, whose next is the oldest.

  tickLow(entry: number): number {
    return this.#chunk(entry)[((entry - 1) & CHUNK_MASK) * ENTRY] as number
  }

  count(entry: number): number {
    return (this.#chunk(entry)[((entry - 1) & CHUNK_MASK) * ENTRY + 1] as number) >>> 0
  }

  setCount(entry: number, count: number): void {
    this.#chunk(entry)[((entry - 1) & CHUNK_MASK) * ENTRY + 1] = count
  }

  next(entry: number): number {
    return this.#chunk(entry)[((entry - 1) & CHUNK_MASK) * ENTRY + 2] as number
  }

  /** Adds the youngest entry to a chain. False when that would pass the bound on bytes. */
  append(word: number, tickLow: number, count: number, unbounded = false): boolean {
    const entry = this.#newEntry(unbounded)
    if (entry === 0) return false
    const chunk = this.#chunk(entry)
    const at = ((entry - 1) & CHUNK_MASK) * ENTRY
    const last = this.halves[word * 2] as number
    chunk[at] = tickLow
    chunk[at + 1] = count
    if (last === 0) {
      chunk[at + 2] = entry
    } else {
      chunk[at + 2] = this.next(last)
      this.#setNext(last, entry)
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
      this.#setNext(before, this.next(entry))
      if (this.halves[word * 2] === entry) this.halves[word * 2] = before
    }
    this.#setNext(entry, this.#freeEntry)
    this.#freeEntry = entry
  }

  /** Removes a whole chain at once. */
  removeChain(word: number): void {
    const last = this.halves[word * 2] as number
    if (last === 0) return
    const oldest = this.next(last)
    this.#setNext(last, this.#freeEntry)
    this.#freeEntry = oldest
    this.halves[word * 2] = 0
  }

  #chunk(entry: number): Int32Array {
    return this.#pool[(entry - 1) >> CHUNK_BITS] as Int32Array
  }

  #setNext(entry: number, next: number): void {
    this.#chunk(entry)[((entry - 1) & CHUNK_MASK) * ENTRY + 2] = next
  }

  #newEntry(unbounded: boolean): number {
    const free = this.#freeEntry
    if (free !== 0) {
      this.#freeEntry = this.next(free)
      return free
    }
    if (this.#usedEntries === this.#pool.length << CHUNK_BITS) {
      const bytes = ENTRY * 4 * (CHUNK_MASK + 1)
      if (!unbounded && this.#budget.bytes + bytes > this.#budget.maxBytes) return 0
      this.#pool.push(new Int32Array(ENTRY * (CHUNK_MASK + 1)))
      this.#budget.bytes += bytes
    }
    return ++this.#usedEntries
  }
}
