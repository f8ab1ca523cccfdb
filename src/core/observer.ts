// Who watches decisions. Promise: a watcher that throws never reaches the request. Next: ../limiter/limiter.ts.

import type { Decision } from './decision.ts'

/** Watches a limiter. Called after the decision, outside its control flow; what it throws is dropped. */
export interface Observer {
  /** Every decision, with the key it was for. Keys made from secrets arrive hashed. */
  onDecision?(decision: Decision, key: string): void
  /** Something an app's function (`skipIf`, `cost`, …) or a penalty threw while limiting went on. `where` names it. */
  onError?(error: unknown, where: string): void
}
