// What an app finds on its request: `req.rateLimit`, `ctx.state.rateLimit`, … One object per request, however many limiters
// it passes. Promise: an earlier refusal stays, and the figures are those of the tightest limiter. Next: gate.ts.

import type { Decision } from '../core/decision.ts'
import { tightest } from './headers.ts'

/** How a request stands with all limiters it has passed so far. */
export class RequestRateLimit {
  #decision: Decision
  #key: string | undefined
  readonly #first: object
  /** Limiters after the first, which is usually the only one. */
  #others: object[] | undefined

  constructor(by: object, decision: Decision, key: string | undefined) {
    this.#decision = decision
    this.#key = key
    this.#first = by
  }

  /** Whether every limiter so far lets the request through. */
  get allowed(): boolean {
    return this.#decision.allowed
  }

  /** N of the tightest limit. */
  get limit(): number {
    return this.#decision.limit
  }

  /** Whole requests left by the tightest limit. */
  get remaining(): number {
    return this.#decision.remaining
  }

  /** What of the tightest limit is spent: `limit − remaining`, at least 0. */
  get used(): number {
    return Math.max(0, this.limit - this.remaining)
  }

  /** When the tightest limit is whole again; undefined when it never will be. */
  get resetTime(): Date | undefined {
    return Number.isFinite(this.#decision.resetAt) ? new Date(this.#decision.resetAt) : undefined
  }

  /** Ms to wait, when refused; undefined when allowed or never satisfiable. */
  get retryAfterMs(): number | undefined {
    return this.#decision.retryAfterMs
  }

  /** The decision these figures are from. */
  get decision(): Decision {
    return this.#decision
  }

  /** The identity that was counted; undefined when none was needed. Keys made from secrets are hashed. */
  get key(): string | undefined {
    return this.#key
  }

  /** Notes the decision of a further limiter. */
  add(by: object, decision: Decision, key: string | undefined): void {
    ;(this.#others ??= []).push(by)
    if (tightest(this.#decision, decision) !== decision) return
    this.#decision = decision
    this.#key = key
  }

  /** Whether this limiter has already decided about the request. */
  has(by: object): boolean {
    return this.#first === by || this.#others?.includes(by) === true
  }

  toJSON(): Record<string, unknown> {
    const { allowed, limit, remaining, used, resetTime, retryAfterMs } = this
    return { allowed, limit, remaining, used, resetTime, retryAfterMs }
  }
}
