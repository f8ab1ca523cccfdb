// A refusal as the GraphQL error that servers pass on to clients. Promise: it is of the very class that the schema's own graphql throws,
// without importing one, as a process may have two; and it says no more than code, wait and status. Next: graphql-limiter.ts.

import type { GraphQLSchema } from 'graphql'
import type { Decision } from '../core/decision.ts'
import { RefusalError } from '../http/refusal-error.ts'
import type { Refusal } from '../http/refusal.ts'

/** `extensions` of a refusal's error. */
export interface RefusalExtensions {
  /** `SERVICE_UNAVAILABLE` where requests are denied because no store answers. */
  readonly code: 'RATE_LIMITED' | 'SERVICE_UNAVAILABLE'
  /** Ms until the same is granted, exactly; absent where waiting would not help. */
  readonly retryAfterMs?: number
  /** For the server, which takes it off: the status of the response. */
  readonly http?: { readonly status: number }
}

type ErrorClass = new (message: string, options: { extensions: RefusalExtensions }) => Error

/**
 * The error. Its `cause` is a `RefusalError`, for error handlers on the server.
 * @param status whether the response is to have the refusal's status: of a refused field it has not, as others are answered beside it
 */
export function refusalErrorOf(schema: GraphQLSchema, decision: Decision, answer: Refusal, status: boolean): Error {
  const { retryAfterMs, source } = decision
  const extensions: RefusalExtensions = {
    code: source === 'closed' ? 'SERVICE_UNAVAILABLE' : 'RATE_LIMITED',
    ...(retryAfterMs !== undefined && Number.isFinite(retryAfterMs) && { retryAfterMs }),
    ...(status && { http: { status: answer.status } }),
  }
  const error = new (errorClassOf(schema))(answer.sentence, { extensions })
  // Not enumerable, so that no serialiser finds it.
  Object.defineProperty(error, 'cause', { value: new RefusalError(decision, answer), configurable: true })
  return error
}

/** The status that a response is to have for its errors' sake, if it has no data at all and a limit is why. */
export function statusWithoutData(result: {
  readonly data?: unknown
  readonly errors?: readonly unknown[] | undefined
}): number | undefined {
  const { data, errors = [] } = result
  if (typeof data === 'object' && data !== null && Object.values(data).some((value) => value !== null)) return undefined
  const codes = errors.map((error) => (error as { extensions?: { code?: unknown } } | null)?.extensions?.code)
  if (codes.includes('RATE_LIMITED')) return 429
  return codes.includes('SERVICE_UNAVAILABLE') ? 503 : undefined
}

const classes = new WeakMap<GraphQLSchema, ErrorClass>()

function errorClassOf(schema: GraphQLSchema): ErrorClass {
  const known = classes.get(schema) ?? thrownBy(schema) ?? UnboundGraphQLError
  classes.set(schema, known)
  return known
}

/** Every schema has the type Boolean, which refuses a text by a GraphQLError of its own copy of graphql. */
function thrownBy(schema: GraphQLSchema): ErrorClass | undefined {
  const boolean = schema.getType('Boolean') as
    | { parseValue?(value: unknown): unknown; coerceInputValue?(value: unknown): unknown }
    | undefined
  try {
    if (typeof boolean?.coerceInputValue === 'function') boolean.coerceInputValue('no')
    else boolean?.parseValue?.('no')
  } catch (error) {
    if (error instanceof Error && error.name === 'GraphQLError') return error.constructor as ErrorClass
  }
  return undefined
}

/** For a schema whose Boolean is the app's own: a server makes a GraphQLError of it, extensions included. */
class UnboundGraphQLError extends Error {
  readonly extensions: RefusalExtensions

  constructor(message: string, { extensions }: { extensions: RefusalExtensions }) {
    super(message)
    this.extensions = extensions
  }

  override get name(): string {
    return 'GraphQLError'
  }
}
