// A refusal for frameworks that speak in exceptions. Promise: everything an error handler needs to answer as the adapter would.
// Next: refusal.ts, which words it.

import type { Decision } from '../core/decision.ts'
import { RateLimitError } from '../core/errors.ts'
import type { Refusal } from './refusal.ts'

/** A refused request. Its message is safe to show to the client. */
export class RefusalError extends RateLimitError {
  /** 429; 503 where the request is denied because no store answers. */
  readonly status: 429 | 503
  readonly statusCode: 429 | 503
  /** Retry-After and the like; what describes the quota is on the response already. */
  readonly headers: Readonly<Record<string, string>>
  /** The usual answer, as the client accepts it, for handlers that want it. */
  readonly contentType: string
  readonly body: string
  /** Whether the message may be sent: true. */
  readonly expose = true
  readonly decision: Decision
  /** Ms until the same request passes; undefined when waiting would not help. */
  readonly retryAfterMs: number | undefined

  constructor(decision: Decision, answer: Refusal) {
    super('ERR_RATELIMIT_LIMITED', answer.sentence)
    this.status = answer.status
    this.statusCode = answer.status
    this.headers = Object.fromEntries(answer.headers)
    this.contentType = answer.contentType
    this.body = answer.body
    this.decision = decision
    this.retryAfterMs = decision.retryAfterMs
  }
}
