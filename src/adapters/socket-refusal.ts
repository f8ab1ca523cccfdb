// What a refused connection or message is told, where there is no HTTP response to say it. Promise: the figures of the decision, and
// nothing of who the client is taken for or of what failed inside. Next: socket-io.ts, ws-messages.ts.

import type { Decision } from '../core/decision.ts'
import type { Refusal } from '../http/refusal.ts'
import { RefusalError } from '../http/refusal-error.ts'

/** What a client is told. */
export interface RefusalData {
  /** `UNAVAILABLE` where nobody could be asked: no store answers, or the limiter itself failed. */
  readonly code: 'RATE_LIMITED' | 'UNAVAILABLE'
  /** In one sentence. */
  readonly message: string
  /** Ms until the same is granted; absent where waiting would not help, or nobody knows. */
  readonly retryAfterMs?: number
  /** N of the tightest limit; absent where no limit was met (a deny list). */
  readonly limit?: number
  /** Whole requests left. */
  readonly remaining: number
}

/** What a refused client is told. */
export function refusalData(decision: Decision, sentence: string): RefusalData {
  const { source, retryAfterMs, limit, remaining } = decision
  return {
    code: source === 'closed' ? 'UNAVAILABLE' : 'RATE_LIMITED',
    message: sentence,
    ...(retryAfterMs !== undefined && Number.isFinite(retryAfterMs) && { retryAfterMs }),
    ...(Number.isFinite(limit) && { limit }),
    remaining,
  }
}

/** What a client is told where the limiter itself failed. */
export const UNCHECKED: RefusalData = { code: 'UNAVAILABLE', message: 'The service is short of capacity.', remaining: 0 }

/** A refused connection or message, as Socket.IO passes it on: its `message` and its `data` are what the client gets. */
export class SocketRefusalError extends RefusalError {
  readonly data: RefusalData

  constructor(decision: Decision, answer: Refusal) {
    super(decision, answer)
    this.data = refusalData(decision, answer.sentence)
  }
}
