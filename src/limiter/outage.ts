// What is answered when no store can decide. Promise: this is the only place that turns a store's failure into an outcome; what is not a
// store's failure is thrown on, and so is the use of a store that was closed. Next: ../stores/failover/failover-store.ts.

import { Decision } from '../core/decision.ts'
import { StoreError, mayBeDone } from '../core/errors.ts'
import type { LimitSet } from '../core/limit-set.ts'
import type { LocalDecider, Mode, Store } from '../stores/store.ts'
import { decide } from './headline.ts'

/** The outcomes of {@link OnStoreError}. */
export const ON_STORE_ERROR = ['local', 'allow', 'deny', 'throw'] as const

/**
 * What happens to a request when no store answers: `local` this process decides by its share of the limit, starting from what was last
 * known · `allow` it passes · `deny` it is refused with 503 · `throw` the error is thrown
 */
export type OnStoreError = (typeof ON_STORE_ERROR)[number]

/** A question that no store has answered. */
export interface Unanswered {
  readonly set: LimitSet
  readonly key: string
  readonly cost: number
  readonly mode: Mode
  /** The limiter's time, epoch ms. */
  readonly now: number
}

/**
 * The decision without a store.
 * @throws the error itself where that is asked for, where it is not a store's, and where nobody here can decide
 */
export function decideWithoutStore(
  error: unknown,
  how: OnStoreError,
  decider: Store,
  asked: Unanswered,
  shadow: boolean,
): Decision {
  if (!isOutage(error) || how === 'throw') throw error
  const { set, key, cost, mode, now } = asked
  if (how === 'local') {
    if ((decider as Partial<LocalDecider>).takeLocally === undefined) throw error
    return decideAlone(decider as Store & LocalDecider, set, key, cost, mode, shadow)
  }
  const open = how === 'allow'
  const source = open ? 'open' : 'closed'
  return new Decision(set, 'degraded', source, undefined, open || shadow, 0, 0, 0, undefined, cost, now, undefined)
}

/** A refund that no store has taken. */
export interface Refund {
  readonly set: LimitSet
  readonly key: string
  readonly cost: number
  readonly takenAt: number | undefined
}

/**
 * Gives back without a store: what the stores will be told of the key is so much less. Where nobody decides locally it is lost, and so is one
 * that a store may have taken: given twice it would be more than was charged.
 * @throws the error itself as {@link decideWithoutStore} does
 */
export function giveBackWithoutStore(error: unknown, how: OnStoreError, decider: Store, refund: Refund): void {
  if (!isOutage(error) || how === 'throw') throw error
  if (how !== 'local' || mayBeDone(error)) return
  const { set, key, cost, takenAt } = refund
  ;(decider as Partial<LocalDecider>).takeLocally?.(set, key, cost, 'refund', takenAt)
}

/** Whether a store's failure, and not the use of one that was closed. */
function isOutage(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code !== 'ERR_RATELIMIT_STORE_CLOSED'
}

/** This process's own decision, by its share of the limits. */
export function decideAlone(
  decider: LocalDecider,
  set: LimitSet,
  key: string,
  cost: number,
  mode: Mode,
  shadow: boolean,
): Decision {
  const local = decider.takeLocally(set, key, cost, mode)
  return decide(local.set, local.taken, cost, shadow).by(set, local.taken.excess ?? 0)
}
