// The answer to one question: may this request pass, and what is left?
// Promise: `allowed` is what to do, `kind` is what was found; figures are exact, in ms and whole requests. Next: ../algorithms/law.ts.

import type { Limit } from './limit.ts'

/**
 * What was found:
 * `granted` within every limit · `refused` over one · `exempt` no limit applies · `degraded` the store did not answer
 */
export type DecisionKind = 'granted' | 'refused' | 'exempt' | 'degraded'

/**
 * Who decided: the `primary` store, a `fallback:<name>`, this process alone (`local`), a `lease`, a counter `shared` by
 * several keys because the store is full, or nobody (`open` lets through, `closed` denies). `none`: no store was asked.
 */
export type Source = 'primary' | `fallback:${string}` | 'local' | 'lease' | 'shared' | 'open' | 'closed' | 'none'

/** Why a request was refused: a `limit`, a `cost` no limit could ever grant, a `ban`, or a deny `list`. */
export type Reason = 'limit' | 'cost' | 'ban' | 'list'

/** How one limit stands after a decision. */
export interface Standing {
  readonly name: string
  /** N of the rate. */
  readonly limit: number
  /** Length of the period in ms. */
  readonly periodMs: number
  /** Whole requests of cost 1 that would pass now. */
  readonly remaining: number
  /** Ms until the full limit is back if nothing more is spent; Infinity when it never comes back. */
  readonly resetAfterMs: number
  /** Ms until `remaining` grows; 0 when nothing is spent. */
  readonly nextAfterMs: number
  /** Refused by this limit: ms until the same request would be granted. Undefined when it was not, or never will be. */
  readonly retryAfterMs: number | undefined
}

/** The answer. The headline figures are those of the tightest limit; `standings` has them all. */
export class Decision {
  /** What to do. True for a refusal that is not enforced (`shadow`). */
  readonly allowed: boolean
  readonly kind: DecisionKind
  /** Name of the policy that decided. */
  readonly policy: string
  /** N of the tightest limit; Infinity for an exempt request. */
  readonly limit: number
  /** Whole requests of cost 1 that would pass now, by the tightest limit; Infinity for an exempt request. */
  readonly remaining: number
  /** Ms until the tightest limit is whole again if nothing more is spent. */
  readonly resetAfterMs: number
  /** Ms until the same request is granted, exactly; undefined when it is granted now, or never can be. */
  readonly retryAfterMs: number | undefined
  readonly cost: number
  readonly source: Source
  /** The store's time of the decision, epoch ms. */
  readonly now: number
  readonly reason: Reason | undefined
  /** The limits this was decided by; empty when none was asked. */
  readonly limits: readonly Limit[]
  readonly #tightest: Limit | undefined
  readonly #nextAfterMs: number
  readonly #standings: readonly Standing[] | undefined

  constructor(
    allowed: boolean,
    kind: DecisionKind,
    policy: string,
    limits: readonly Limit[],
    tightest: Limit | undefined,
    remaining: number,
    resetAfterMs: number,
    nextAfterMs: number,
    retryAfterMs: number | undefined,
    cost: number,
    source: Source,
    now: number,
    reason: Reason | undefined,
    standings: readonly Standing[] | undefined,
  ) {
    this.allowed = allowed
    this.kind = kind
    this.policy = policy
    this.limit = tightest === undefined ? Infinity : tightest.amount
    this.remaining = remaining
    this.resetAfterMs = resetAfterMs
    this.retryAfterMs = retryAfterMs
    this.cost = cost
    this.source = source
    this.now = now
    this.reason = reason
    this.limits = limits
    this.#tightest = tightest
    this.#nextAfterMs = nextAfterMs
    this.#standings = standings
  }

  /** Epoch ms at which the tightest limit is whole again if nothing more is spent. */
  get resetAt(): number {
    return this.now + this.resetAfterMs
  }

  /** Every limit of the policy, in the order it was written; empty for an exempt request. */
  get standings(): readonly Standing[] {
    if (this.#standings !== undefined) return this.#standings
    const limit = this.#tightest
    if (limit === undefined) return []
    return [
      {
        name: limit.name,
        limit: limit.amount,
        periodMs: limit.periodMs,
        remaining: this.remaining,
        resetAfterMs: this.resetAfterMs,
        nextAfterMs: this.#nextAfterMs,
        retryAfterMs: this.retryAfterMs,
      },
    ]
  }

  /** This decision with a longer wait: what a penalty adds to a refusal. */
  waitingAtLeast(ms: number): Decision {
    const { retryAfterMs: own } = this
    return new Decision(
      this.allowed,
      this.kind,
      this.policy,
      this.limits,
      this.#tightest,
      this.remaining,
      this.resetAfterMs,
      this.#nextAfterMs,
      own === undefined ? undefined : Math.max(own, ms),
      this.cost,
      this.source,
      this.now,
      this.reason,
      this.#standings,
    )
  }

  toJSON(): Record<string, unknown> {
    const { limits: _, ...own } = this
    return { ...own, resetAt: this.resetAt, standings: this.standings }
  }
}
