// The counters by which it is found out whether a store is well, still the same, and how many use it. Promise: one is written while the
// store is in use, so that a store that can only be read is no well one; no app has counters of these names. Next: failover/member.ts,
// failover/process-count.ts, who ask.

import { type LimitSet, buildLimitSet } from '../core/limit-set.ts'
import { CANARY_GROUP } from './store-key.ts'

/**
 * What one process has told a store: each probe of it adds one. Its window begins when it is first used, so that neither its beginning nor
 * its count ever goes back while the store keeps what it was told.
 */
export const LIFE = buildLimitSet(CANARY_GROUP, '9007199254740991/1h', {
  algorithm: 'fixed_window',
  algorithmConfig: { align: 'first' },
})

/** How long a window of {@link LIFE} lasts, ms: short, as each process leaves one behind. */
export const LIFE_MS = 3_600_000

/** Counts the processes that were there in a window. */
export const PROCESSES = buildLimitSet(CANARY_GROUP, '1000000/10s', { algorithm: 'fixed_window' })

/** The identity of what all processes count. A store of several servers has one on each: that of the part of this number. */
export function canaryOf(part: number): string {
  return `canary${part}`
}

/** A store that is several servers, of which each may fail by itself. */
export interface PartedStore {
  /**
   * The server that holds a counter: the least number of which the canary's counter of {@link PROCESSES} is there as well. As it was while it
   * cannot be told.
   */
  partOf(set: LimitSet, identity: string): number
  /** Where that server is, `host:port`; undefined while it cannot be told. */
  addressOf(part: number): string | undefined
}
