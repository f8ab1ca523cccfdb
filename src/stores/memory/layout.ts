// How the limits of a set lie in a slot, and the law each of them runs.
// Next: memory-store.ts, which walks it.

import { bucketLaw } from '../../algorithms/bucket.ts'
import type { CellLaw } from '../../algorithms/law.ts'
import { fixedLaw } from '../../algorithms/window.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import type { Layout, Slots } from './slots.ts'
import { SLIDING_CHAIN, SLIDING_WORDS, idle } from './sliding-chain.ts'

const CELL_WORDS = 2

/** The laws whose state is two numbers; sliding windows have more and go through sliding-chain.ts. */
export function cellLaw(limit: Limit): CellLaw {
  return limit.kind === 'bucket' ? bucketLaw : fixedLaw
}

/** The layout of a scope. Limits of one scope differ in amount and burst only, so any of its sets describes it. */
export class LimitLayout implements Layout {
  readonly stride: number
  readonly chains: readonly number[]
  /** First word of each limit's state, counted from the slot's. */
  readonly offsets: readonly number[]
  #set: LimitSet
  /** The slowest refill each limit has been asked with: what is idle must be so under all of them. */
  readonly #drains: number[]

  constructor(set: LimitSet) {
    let stride = 1
    const chains: number[] = []
    const offsets: number[] = []
    for (const limit of set.limits) {
      offsets.push(stride)
      if (limit.kind === 'sliding') chains.push(stride + SLIDING_CHAIN)
      stride += limit.kind === 'sliding' ? SLIDING_WORDS : CELL_WORDS
    }
    this.stride = stride
    this.chains = chains
    this.offsets = offsets
    this.#set = set
    this.#drains = set.limits.map((limit) => limit.drain)
  }

  /** Notes that decisions now come with this set. */
  use(set: LimitSet): void {
    if (this.#set === set) return
    this.#set = set
    for (let i = 0; i < set.limits.length; i++) {
      this.#drains[i] = Math.min(this.#drains[i] as number, (set.limits[i] as Limit).drain)
    }
  }

  idle(slots: Slots, slot: number, now: number): boolean {
    const { limits } = this.#set
    for (let i = 0; i < limits.length; i++) {
      const limit = limits[i] as Limit
      const at = slot + (this.offsets[i] as number)
      const done =
        limit.kind === 'sliding'
          ? idle(slots, at, limit, now)
          : cellLaw(limit).idle(slots.words, at, limit, this.#drains[i] as number, now)
      if (!done) return false
    }
    return true
  }
}
