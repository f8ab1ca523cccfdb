// Changing a counter by a function of its record: how one store's knowledge is brought to another. Promise: the change is made to what
// is there, atomically, and, where it names an entry, at most once. Types. Next: failover/seeding.ts, which writes such functions.

import type { LimitSet } from '../core/limit-set.ts'
import type { CounterRecord } from './record.ts'
import type { State } from './store.ts'

/** Changes a record in place, at the store's time; false leaves it as it is. It may be called again with what has come in between. */
export type Change = (record: CounterRecord, now: number) => boolean

/** Names a change that must not be made twice: a writer's entries count up, and a store makes no entry that is not above the last. */
export interface Entry {
  /** 1 to 32 letters and digits. */
  readonly writer: string
  /** Whole number ≥ 1. */
  readonly sequence: number
}

/** What became of a change, and what the counter holds now. */
export interface Updated {
  /** Made, not wanted by the function, or made before under the same entry. */
  readonly outcome: 'changed' | 'unchanged' | 'already'
  /** One per limit; empty where nothing is held. */
  readonly states: readonly State[]
  /** The store's time, epoch ms. */
  readonly now: number
}

/** A store that can change a counter by a function. */
export interface UpdatableStore {
  /**
   * @param entry how to tell this change from others; without it the function must be one that may be repeated
   * @throws StoreError when the counter kept changing meanwhile, or the store failed
   */
  update(set: LimitSet, identity: string, change: Change, entry?: Entry): Promise<Updated>
}
