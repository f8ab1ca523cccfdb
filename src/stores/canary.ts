// The counters by which it is found out whether a store is well, still the same, and how many use it. Promise: one is written with each
// probe, so that a store that can only be read is no well one; no app has counters of these names. Next: failover/member.ts, which asks.

import { type LimitSet, buildLimitSet } from '../core/limit-set.ts'
import { CANARY_GROUP } from './store-key.ts'

/**
 * Its window begins when it is first used and lasts for ten years: its beginning names the store's life, and its count, to which each probe
 * adds, never falls while the store keeps what it was told.
 */
export const LIFE = buildLimitSet(CANARY_GROUP, '9007199254740991/3650d', {
  algorithm: 'fixed_window',
  algorithmConfig: { align: 'first' },
})

/** Counts the processes that were there in a window. */
export const PROCESSES = buildLimitSet(CANARY_GROUP, '1000000/10s', { algorithm: 'fixed_window' })

/** A canary's identity. A store of several servers has one on each: that of the part of this number. */
export function canaryOf(part: number): string {
  return `canary${part}`
}

/** A store that is several servers, of which each may fail by itself. */
export interface PartedStore {
  /** The server that holds a counter: the number of a canary that is there as well. Unchanged while it cannot be told. */
  partOf(set: LimitSet, identity: string): number
  /** Where that server is, `host:port`; undefined while it cannot be told. */
  addressOf(part: number): string | undefined
}
