// Answers that come after the deadline. Promise: a store that has charged a request which was given up tells of it, so that it is not
// charged a second time. Types. Next: remote.ts, which tells; failover/asking.ts, which listens.

import type { LimitSet } from '../core/limit-set.ts'
import type { Mode, Taken } from './store.ts'

/** A cost that was granted too late for whoever asked. */
export interface LateGrant {
  readonly set: LimitSet
  readonly identity: string
  readonly cost: number
  readonly mode: Mode
  readonly takenAt: number | undefined
  readonly taken: Taken
}

/** A store that tells of late grants. */
export interface LateTeller {
  /** Calls for each. Returns what ends it. */
  onLateGrant(listener: (late: LateGrant) => void): () => void
}
