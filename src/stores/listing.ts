// What a store holds, for people who look after it. Promise: reading changes nothing and holds nobody up; a counter that is there all the
// time is told of at least once, in no order that means anything. Types. Next: store-key.ts, for the names; record.ts, for the texts.

import type { LimitSet } from '../core/limit-set.ts'

/** A counter that a store holds. */
export interface StoredCounter {
  /** Its name, without the store's prefix. */
  readonly key: string
  /** When it was last changed, epoch ms; undefined where the store does not note it. */
  readonly updatedAt: number | undefined
  /** Its record's text (see record.ts), read as that of a counter with these limits. */
  textFor(set: LimitSet): string
}

/** Some of the counters. */
export interface CounterPage {
  /** The store's time, epoch ms. */
  readonly now: number
  readonly counters: readonly StoredCounter[]
}

/** A store that can tell what it holds. */
export interface ListingStore {
  /**
   * Its counters, page by page, those of other key prefixes left out. It has all the time it needs; end it when you have enough.
   * @param pageSize about how many the store looks at in one go (default 1000)
   * @throws StoreError (from the iteration) when the store fails
   */
  counters(pageSize?: number): AsyncIterable<CounterPage>
}

export const PAGE_SIZE = 1000
