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
 * several keys because the store is full, the store's refusal of a moment ago (`remembered`), or nobody (`open` lets through,
 * `closed` denies). `none`: no store was asked.
 */
export type Source = 'primary' | `fallback:${string}` | 'local' | 'lease' | 'shared' | 'remembered' | 'open' | 'closed' | 'none'

/** Why a request was refused: a `limit`, a `cost` no limit could ever grant, a `ban`, a deny `list`, or the lack of a `key`. */
export type Reason = 'limit' | 'cost' | 'ban' | 'list' | 'key'

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

/** Who was asked: a policy and its limits. */
export interface Asked {
  readonly policy: string
  readonly limits: readonly Limit[]
  /** The limit, where it is the only one. */
  readonly only?: Limit | undefined
}

/** What a decision by several limits knows beyond its headline. */
export interface Detail {
  readonly tightest: Limit
  readonly standings: readonly Standing[]
  /** See {@link Decision.excess}. */
  readonly excess?: number | undefined
}

/**
 * The answer. The headline figures are those of the tightest limit; `standings` has them all.
 * One is made per request, so it is small: what it shares with others it reads through getters (`toJSON` lists them all).
 */
export class Decision {
  // Declared only: the constructor sets every field once, and nothing is set twice on the hot path.
  /** What to do. True for a refusal that is not enforced (`shadow`). */
  declare readonly allowed: boolean
  /** Whole requests of cost 1 that would pass now, by the tightest limit; Infinity for an exempt request. */
  declare readonly remaining: number
  /** Ms until the tightest limit is whole again if nothing more is spent; Infinity when it never will be. */
  declare readonly resetAfterMs: number
  /** Ms until `remaining` grows; 0 when nothing is spent. */
  declare readonly nextAfterMs: number
  /** Ms until the same request is granted, exactly; undefined when it is granted now, or never can be. */
  declare readonly retryAfterMs: number | undefined
  declare readonly cost: number
  /** The store's time of the decision, epoch ms. */
  declare readonly now: number
  readonly #asked: Asked
  readonly #kind: DecisionKind
  readonly #source: Source
  readonly #reason: Reason | undefined
  readonly #detail: Detail | undefined

  constructor(
    asked: Asked,
    kind: DecisionKind,
    source: Source,
    reason: Reason | undefined,
    allowed: boolean,
    remaining: number,
    resetAfterMs: number,
    nextAfterMs: number,
    retryAfterMs: number | undefined,
    cost: number,
    now: number,
    detail: Detail | undefined,
  ) {
    this.allowed = allowed
    this.remaining = remaining
    this.resetAfterMs = resetAfterMs
    this.nextAfterMs = nextAfterMs
    this.retryAfterMs = retryAfterMs
    this.cost = cost
    this.now = now
    this.#asked = asked
    this.#kind = kind
    this.#source = source
    this.#reason = reason
    this.#detail = detail
  }

  /** The policy and the limits that were asked. */
  get asked(): Asked {
    return this.#asked
  }

  get kind(): DecisionKind {
    return this.#kind
  }

  get source(): Source {
    return this.#source
  }

  get reason(): Reason | undefined {
    return this.#reason
  }

  /**
   * How many whole requests more than its limits this client could be granted now because of who decided: other processes may ask another
   * store. 0 for a store that is asked as it should be, Infinity where nobody decides and all is let through.
   */
  get excess(): number {
    return this.#source === 'open' ? Infinity : (this.#detail?.excess ?? 0)
  }

  /** Name of the policy that decided. */
  get policy(): string {
    return this.#asked.policy
  }

  /** The limits this was decided by; empty for an exempt request. */
  get limits(): readonly Limit[] {
    return this.#asked.limits
  }

  /** The limit the headline figures are of; undefined for an exempt request. */
  get tightest(): Limit | undefined {
    return this.#detail === undefined ? (this.#asked.only ?? this.#asked.limits[0]) : this.#detail.tightest
  }

  /** N of the tightest limit; Infinity for an exempt request. */
  get limit(): number {
    return this.tightest?.amount ?? Infinity
  }

  /** Epoch ms at which the tightest limit is whole again if nothing more is spent. */
  get resetAt(): number {
    return this.now + this.resetAfterMs
  }

  /** Every limit of the policy, in the order it was written; empty for an exempt request. */
  get standings(): readonly Standing[] {
    if (this.#detail !== undefined) return this.#detail.standings
    return this.limits.map((limit) => ({
      name: limit.name,
      limit: limit.amount,
      periodMs: limit.periodMs,
      remaining: this.remaining,
      resetAfterMs: this.resetAfterMs,
      nextAfterMs: this.nextAfterMs,
      retryAfterMs: this.retryAfterMs,
    }))
  }

  /** This decision with a longer wait: what a penalty adds to a refusal. */
  waitingAtLeast(ms: number): Decision {
    const { retryAfterMs: own } = this
    return this.#with(this.#asked, own === undefined ? undefined : Math.max(own, ms), this.#detail)
  }

  /** This decision as one by other limits of the same names: what a share of them found, and what it may be too much by. */
  by(asked: Asked, excess: number): Decision {
    const own = this.#detail
    if (own === undefined) {
      const decision = this.#with(asked, this.retryAfterMs, undefined)
      return excess === 0 ? decision : decision.exceeding(excess)
    }
    const standings = own.standings.map((standing) => ({
      ...standing,
      limit: namedLike(standing.name, asked)?.amount ?? standing.limit,
    }))
    const tightest = namedLike(own.tightest.name, asked) ?? own.tightest
    return this.#with(asked, this.retryAfterMs, { tightest, standings, excess })
  }

  /** This decision with what it may be too much by. */
  exceeding(excess: number): Decision {
    const { tightest, standings } = this
    return tightest === undefined ? this : this.#with(this.#asked, this.retryAfterMs, { tightest, standings, excess })
  }

  #with(asked: Asked, retryAfterMs: number | undefined, detail: Detail | undefined): Decision {
    return new Decision(
      asked,
      this.kind,
      this.source,
      this.reason,
      this.allowed,
      this.remaining,
      this.resetAfterMs,
      this.nextAfterMs,
      retryAfterMs,
      this.cost,
      this.now,
      detail,
    )
  }

  /** Everything, as plain data. */
  toJSON(): Record<string, unknown> {
    const { allowed, kind, policy, limit, remaining, resetAfterMs, resetAt, retryAfterMs, cost, source, reason, now, standings } =
      this
    const { excess } = this
    return {
      allowed,
      kind,
      policy,
      limit,
      remaining,
      resetAfterMs,
      resetAt,
      retryAfterMs,
      cost,
      source,
      excess,
      reason,
      now,
      standings,
    }
  }

  /** What `console.log` shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): Record<string, unknown> {
    return this.toJSON()
  }
}

function namedLike(wanted: string, { limits }: Asked): Limit | undefined {
  return limits.find(({ name }) => name === wanted)
}
