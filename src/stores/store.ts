// The contract of every store: types and written promises. A store keeps numbers; it explains nothing.
// Next: memory/memory-store.ts, the shortest way to see it kept.

import type { LimitSet } from '../core/limit-set.ts'
import type { MaybePromise } from '../core/maybe.ts'
import type { BanTerms } from '../core/ban-terms.ts'
import type { Source } from '../core/decision.ts'

/**
 * What a take does:
 * `take` charges the cost if every limit grants it, else changes nothing ·
 * `peek` changes nothing, ever ·
 * `charge` charges the cost whether it is granted or not ·
 * `refund` gives the cost back
 */
export type Mode = 'take' | 'peek' | 'charge' | 'refund'

/** Numbers a reading has per limit; their meaning is the law's (see algorithms/explain.ts). */
export const READING_WIDTH = 4

/**
 * What a store answers. The object and its `readings` may be used again by the store's next call: read them at once.
 */
export interface Taken {
  /** Whether every limit grants (or, for a peek, would grant) the cost. */
  granted: boolean
  /** The store's time, epoch ms. */
  now: number
  /** {@link READING_WIDTH} numbers per limit, in the order of the set: after the charge if granted, else as it stands. */
  readings: ArrayLike<number>
  /** Ms for which the key is banned; 0 when it is not. A banned key is refused and not charged. */
  bannedForMs: number
  source: Source
  /**
   * How many whole requests more than the limits could be admitted now because of who decided. Undefined for a store that is asked as it
   * should be: none.
   */
  excess?: number
}

/** One law's raw state: whole numbers, meaning given by the law. */
export type State = readonly number[]

interface Verbs {
  /**
   * Decides a cost against all limits of a set, atomically, at one instant.
   * @param cost whole number ≥ 1 and at most `set.maxCost` (0 is allowed for a peek)
   * @param takenAt refund only: the instant (`now`) of the decision that is given back
   */
  take(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): MaybePromise<Taken>
  /** Forgets the counter in all its forms, bans included. */
  reset(set: LimitSet, identity: string): MaybePromise<void>
  /** Bans a key; a running ban is prolonged, never shortened. Resolves to the ms the ban will last from now. */
  ban(set: LimitSet, identity: string, terms: BanTerms): MaybePromise<number>
  /** Lifts a ban. */
  unban(set: LimitSet, identity: string): MaybePromise<void>
  /** The raw states, one per limit, without what has expired; undefined when the key holds nothing. For conformance and seeding. */
  read(set: LimitSet, identity: string): MaybePromise<readonly State[] | undefined>
  /** Resolves if the store can decide now; throws a StoreError if not. */
  ping(): MaybePromise<void>
  /** Removes some expired entries and tells how many; housekeeping, never meaning. */
  sweep(): MaybePromise<number>
  /** Releases timers and connections the store made itself. */
  close(): MaybePromise<void>
}

type Synchronous<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Exclude<R, PromiseLike<unknown>> : T[K]
}
type Asynchronous<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => PromiseLike<Awaited<R>> : T[K]
}

/** A store that answers at once. */
export interface SyncStore extends Synchronous<Verbs> {
  readonly name: string
  readonly sync: true
}

/** A store that answers later. */
export interface AsyncStore extends Asynchronous<Verbs> {
  readonly name: string
  readonly sync: false
}

/** A store that knows how to go on alone: by this process's share of the limits, starting from what was last known. */
export interface LocalDecider {
  takeLocally(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): LocalAnswer
}

/** One that tells beforehand that it has to: then nobody needs to ask it in vain. */
export interface LoneDecider extends LocalDecider {
  /** Whether a store may be asked about a key now. */
  mayAsk(set: LimitSet, identity: string): boolean
  /** Why none may. */
  whyAlone(): Error
}

/** A local decision, and the share of the limits that it was made by. */
export interface LocalAnswer {
  readonly set: LimitSet
  readonly taken: Taken
}

/** Where the numbers live. */
export type Store = SyncStore | AsyncStore
