// A refusal in the words of each kind of call. Promise: whatever a framework part is found or missing, a refused call ends in an error that
// says how long to wait, and never in a crash. Next: refusal-filter.ts, which answers over HTTP.

import { HttpException } from '@nestjs/common'
import type { Decision } from '../../core/decision.ts'
import { type Refusal, refusal } from '../../http/refusal.ts'

/** A refused request. Headers are on the response already. Its response (`getResponse()`) is problem details (RFC 9457). */
export class RateLimitException extends HttpException {
  readonly code = 'ERR_RATELIMIT_LIMITED'
  readonly decision: Decision
  /** Ms until the same request passes; undefined when waiting would not help. */
  readonly retryAfterMs: number | undefined
  /** The usual answer, as the client accepts it, for filters that want it. */
  readonly contentType: string
  readonly body: string

  constructor(decision: Decision, answer: Refusal) {
    super(problemOf(decision, answer), answer.status)
    this.message = answer.sentence
    this.decision = decision
    this.retryAfterMs = decision.retryAfterMs
    this.contentType = answer.contentType
    this.body = answer.body
  }
}

function problemOf(decision: Decision, { sentence }: Refusal): Record<string, unknown> {
  return JSON.parse(refusal(decision, 'application/json', { message: sentence }).body) as Record<string, unknown>
}

/** Refusals that Nest's own last filter would write to the log as failures. */
const refusals = new WeakSet<object>()

/** What the filter catches: `exception instanceof Refused`. */
export class Refused {
  static [Symbol.hasInstance](exception: unknown): boolean {
    return typeof exception === 'object' && exception !== null && refusals.has(exception)
  }
}

/** Packages that apps have where they have calls of that kind, and the class of their errors. */
export const ERROR_CLASSES = {
  graphql: ['graphql', 'GraphQLError'],
  ws: ['@nestjs/websockets', 'WsException'],
  rpc: ['@nestjs/microservices', 'RpcException'],
} as const

/** The error for a refused call: of the package that serves calls of its kind, if it can be found. */
export async function refusedCall(kind: string, decision: Decision, answer: Refusal): Promise<Error> {
  const { retryAfterMs } = decision
  const { sentence: message, status } = answer
  if (kind === 'graphql') {
    const extensions = { code: 'RATE_LIMITED', http: { status }, ...(retryAfterMs !== undefined && { retryAfterMs }) }
    const GraphQLError = await classOf<new (message: string, options: object) => Error>('graphql')
    const error =
      GraphQLError === undefined ? Object.assign(new Error(message), { extensions }) : new GraphQLError(message, { extensions })
    refusals.add(error)
    return error
  }
  const content = { status: 'error', message, code: 'RATE_LIMITED', statusCode: status, retryAfterMs }
  const Exception = kind === 'ws' || kind === 'rpc' ? await classOf<new (content: object) => Error>(kind) : undefined
  const error = Exception === undefined ? Object.assign(new Error(message), { getError: () => content }) : new Exception(content)
  return Object.assign(error, { code: 'RATE_LIMITED', decision, retryAfterMs })
}

/** The error for a refused HTTP request. */
export function refusedRequest(decision: Decision, answer: Refusal): RateLimitException {
  const exception = new RateLimitException(decision, answer)
  refusals.add(exception)
  return exception
}

async function classOf<Class>(kind: keyof typeof ERROR_CLASSES): Promise<Class | undefined> {
  const [name, exported] = ERROR_CLASSES[kind]
  try {
    const found = (await import(name)) as Record<string, unknown> & { default?: Record<string, unknown> }
    return (found[exported] ?? found.default?.[exported]) as Class | undefined
  } catch {
    // Not installed: the app serves such calls by something else.
    return undefined
  }
}
