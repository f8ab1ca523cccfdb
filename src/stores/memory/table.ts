// One table per scope: slots that grow and shrink by moving to other slots a few at a time, and, past the store's bound,
// overflow slots that keys share. Promise: no step touches more than a bounded number of slots; a key is in one place only; a
// key that finds room again takes its overflow slot's consumption along, so that no flood gives anyone fresh quota.
// Next: memory-store.ts.

import { type Budget, FULLEST, type Layout, Slots } from './slots.ts'

/** Slots a table's keys share when the store is full. Each is as strict as for one client. */
const OVERFLOW_SLOTS = 64
const SMALLEST = 8
/** Tables below this many slots double; larger ones grow by a quarter, to stay well filled. */
const DOUBLING_BELOW = 4096
/** Slots moved per new key while a table moves: enough to be done long before the new slots are full in their turn. */
const MOVED_PER_KEY = 24
/** Slots looked at to learn whether growing is needed. Fingerprints are random, so any will do. */
const SAMPLED = 256
/** While there is room, what became idle less than this ago is kept: a busy key is not taken out and put back all the time. */
const KEPT_IDLE_MS = 1000

export class Table {
  readonly layout: Layout
  slots: Slots
  /** Holds an absent state, for questions about keys that are not there. */
  readonly nothing: Slots
  /** First word of the slot that `occupy` took. */
  placed = 0
  readonly #budget: Budget
  /** Slots that are being left; what is below the cursor has moved. */
  #old: Slots | undefined
  #moved = 0
  #overflow: Slots | undefined
  #swept = 0

  constructor(layout: Layout, budget: Budget) {
    this.layout = layout
    this.#budget = budget
    this.slots = new Slots(layout, budget, SMALLEST)
    this.nothing = new Slots(layout, { bytes: 0, maxBytes: Infinity }, 1)
    this.nothing.blank(0)
  }

  /** Keys held, idle ones included. */
  get keys(): number {
    return this.slots.size + (this.#old?.size ?? 0)
  }

  /** First word of a fingerprint's slot, or a negative number where it has none. */
  find(low: number, high: number): number {
    const at = this.slots.find(low, high)
    return at >= 0 || this.#old === undefined ? at : this.#fetch(this.#old, low, high, at)
  }

  /** A key that is asked for while the table moves, moves at once. */
  #fetch(old: Slots, low: number, high: number, otherwise: number): number {
    const at = old.find(low, high)
    if (at < 0) return otherwise
    const to = this.slots.admit(old, at)
    old.remove(at)
    return to
  }

  /**
   * Takes a slot with an absent state for a fingerprint that has none, and leaves it in `placed`. False when the table would
   * have to grow past the bound on bytes.
   */
  occupy(low: number, high: number, now: number): boolean {
    if (this.#old !== undefined) this.#move(MOVED_PER_KEY, now - KEPT_IDLE_MS)
    const { slots } = this
    if (slots.size + (this.#old?.size ?? 0) + 1 > slots.capacity * FULLEST && !this.#grow(now)) return false
    this.placed = ~this.slots.find(low, high)
    this.slots.occupy(this.placed, low, high)
    return true
  }

  /** Looks at some slots and empties those that are idle; a table that has become sparse moves to fewer slots. */
  sweep(count: number, now: number): void {
    if (this.#old !== undefined) {
      this.#move(count, now)
      if (count < Infinity) return
    }
    if (count === Infinity) this.#swept = 0
    const { slots, layout } = this
    const end = slots.words.length
    for (let n = 0; n < count; n++) {
      if (this.#swept >= end || slots.size === 0) {
        this.#swept = 0
        this.#dropOverflow(now)
        const sparse = slots.capacity > SMALLEST && slots.size < slots.capacity * (FULLEST / 4)
        if (sparse || (slots.size === 0 && slots.pooled)) this.#moveTo(fitting(slots.size))
        if (this.#old !== undefined && count === Infinity) this.#move(count, now)
        return
      }
      // What shifts back into an emptied slot is looked at next.
      if (slots.taken(this.#swept) && layout.idle(slots, this.#swept, now)) slots.remove(this.#swept)
      else this.#swept += layout.stride
    }
  }

  /** Whether the last sweep ended a pass over the table. */
  get swept(): boolean {
    return this.#swept === 0
  }

  /** The overflow slots; slot `n` is at `n × stride`. */
  overflow(): Slots {
    if (this.#overflow === undefined) {
      this.#overflow = new Slots(this.layout, this.#budget, OVERFLOW_SLOTS)
      for (let n = 0; n < OVERFLOW_SLOTS; n++) this.#overflow.blank(n * this.layout.stride)
    }
    return this.#overflow
  }

  /** First word of the overflow slot of a fingerprint. */
  overflowSlot(low: number): number {
    return ((low >>> 8) % OVERFLOW_SLOTS) * this.layout.stride
  }

  /** Whether there are overflow slots. */
  get overflowing(): boolean {
    return this.#overflow !== undefined
  }

  /** Gives up all memory. The table is not used again. */
  release(): void {
    this.slots.release()
    this.#old?.release()
    this.#overflow?.release()
    this.#old = undefined
    this.#overflow = undefined
  }

  #grow(now: number): boolean {
    // Never more than two generations: what is still on its way goes first.
    if (this.#old !== undefined) this.#move(Infinity, now - KEPT_IDLE_MS)
    const { slots } = this
    if (slots.size + 1 <= slots.capacity * FULLEST) return true
    const capacity = this.#mostlyIdle(now - KEPT_IDLE_MS) ? slots.capacity : larger(slots.capacity)
    if (this.#budget.bytes + capacity * this.layout.stride * 8 > this.#budget.maxBytes) return false
    this.#moveTo(capacity)
    this.#move(MOVED_PER_KEY, now - KEPT_IDLE_MS)
    return true
  }

  /** Whether a sample says that moving would leave enough room even without growing. */
  #mostlyIdle(now: number): boolean {
    const { slots, layout } = this
    let taken = 0
    let idle = 0
    for (let at = 0; at < slots.words.length && taken < SAMPLED; at += layout.stride) {
      if (!slots.taken(at)) continue
      taken++
      if (layout.idle(slots, at, now)) idle++
    }
    return idle > taken / 4
  }

  #moveTo(capacity: number): void {
    const left = this.slots
    this.#moved = 0
    this.#swept = 0
    this.slots = new Slots(this.layout, this.#budget, capacity)
    if (left.size > 0) this.#old = left
    else left.release()
  }

  /** Moves what lies in the next slots of the old ones, if it is not idle. */
  #move(count: number, now: number): void {
    const old = this.#old as Slots
    const { stride } = this.layout
    const end = old.words.length
    for (let n = 0; n < count && this.#moved < end && old.size > 0; n++) {
      const at = this.#moved
      if (!old.taken(at)) {
        this.#moved += stride
        continue
      }
      if (!this.layout.idle(old, at, now)) this.slots.admit(old, at)
      // Shifting back keeps what has not moved within reach of its home; the slot is looked at again.
      old.remove(at)
    }
    if (old.size > 0 && this.#moved < end) return
    // What wrapped around the end lies at the beginning.
    if (old.size > 0) {
      this.#moved = 0
      return
    }
    old.release()
    this.#old = undefined
  }

  #dropOverflow(now: number): void {
    if (this.#overflow === undefined) return
    for (let n = 0; n < OVERFLOW_SLOTS; n++) {
      if (!this.layout.idle(this.#overflow, n * this.layout.stride, now)) return
    }
    this.#overflow.release()
    this.#overflow = undefined
  }
}

function larger(capacity: number): number {
  return capacity < DOUBLING_BELOW ? capacity * 2 : Math.floor(capacity * 1.25)
}

/** Slots for so many keys and some to come. */
function fitting(keys: number): number {
  let capacity = SMALLEST
  while (keys * 1.25 > capacity * FULLEST) capacity = larger(capacity)
  return capacity
}
