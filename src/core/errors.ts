// Every error this package throws, and the closed list of their codes.
// Promise: a message says what was expected, what came and where; it never contains a secret.
// Next: rate.ts, the first thing that can be written wrongly.

/** The closed list of error codes. Each has a heading in `docs/errors.md`. */
export const ERROR_CODES = [
  'ERR_RATELIMIT_CONFIG',
  'ERR_RATELIMIT_RATE',
  'ERR_RATELIMIT_COST',
  'ERR_RATELIMIT_KEY',
  'ERR_RATELIMIT_KEY_MISSING',
  'ERR_RATELIMIT_LIST',
  'ERR_RATELIMIT_STORE',
  'ERR_RATELIMIT_STORE_CLOSED',
  'ERR_RATELIMIT_STORE_TIMEOUT',
  'ERR_RATELIMIT_STORE_SETUP',
  'ERR_RATELIMIT_LOG',
  'ERR_RATELIMIT_PORT',
  'ERR_RATELIMIT_LIMITED',
] as const

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** Where `error.docs` points: one heading per code. */
const DOCS = 'https://github.com/smart-ratelimit/smart-ratelimit/blob/main/docs/errors.md'

/** The base of every error thrown by this package: it carries a stable `code` and a link. */
export class RateLimitError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }

  /** The page that explains this code and what to do about it. */
  get docs(): string {
    return `${DOCS}#${this.code.toLowerCase()}`
  }

  override get name(): string {
    return this.constructor.name
  }
}

/** An option or a setting is wrong. Thrown while something is built, never while a request is served. */
export class ConfigError extends RateLimitError {
  /** The path of the offending option, for example `rateLimits["/api/"].rate`. */
  readonly option: string

  constructor(option: string, expected: string, received: unknown, code: ErrorCode = 'ERR_RATELIMIT_CONFIG') {
    super(code, `${option}: expected ${expected}, received ${show(received)}`)
    this.option = option
  }
}

/** The codes of a {@link StoreError}. */
export type StoreErrorCode = Extract<ErrorCode, `ERR_RATELIMIT_STORE${string}`>

/**
 * What a store's failure means for the decision that met it:
 * `not_executed` nothing was charged, and the same question may succeed at once (lost script, deadlock, busy file) ·
 * `wrong_node` nothing was charged, as this server is not the one that may answer (replica, moved slot) ·
 * `unavailable` nothing was charged, as the server cannot serve now (refused connection, loading) ·
 * `no_room` nothing was charged, as the server takes no new counters; those it has go on (full memory) ·
 * `ambiguous` the question was sent and no answer came: it may have been charged ·
 * `misconfigured` nothing was charged, and nothing will be until somebody changes a setting (password, right, missing table)
 */
export type StoreErrorKind = 'not_executed' | 'wrong_node' | 'unavailable' | 'no_room' | 'ambiguous' | 'misconfigured'

/** A store could not do what it was asked. `store` names it; the driver's own error is the `cause`. */
export class StoreError extends RateLimitError {
  readonly store: string
  /** What the failure means; undefined where the store cannot tell. */
  readonly kind: StoreErrorKind | undefined

  constructor(store: string, message: string, options?: { cause?: unknown; code?: StoreErrorCode; kind?: StoreErrorKind }) {
    super(options?.code ?? 'ERR_RATELIMIT_STORE', `store ${store}: ${message}`, options)
    this.store = store
    this.kind = options?.kind
  }
}

/** Whether what a store was asked may have been carried out, if only by the first of several that were asked. */
export function mayBeDone(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false
  return error.kind === undefined || error.kind === 'ambiguous' || mayBeDone(error.cause)
}

/**
 * Makes an error without its stack, which takes longer than all the rest: for those that come by the thousand when a store is down, and
 * whose stack tells nothing.
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Thrown by function wrappers and decorators that have no response to answer with. */
export class RateLimitedError extends RateLimitError {
  /** HTTP status for frameworks that read it from an error: always 429. */
  readonly status = 429
  readonly statusCode = 429
  /** Milliseconds until the same call is admitted; undefined when it never can be. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, retryAfterMs: number | undefined) {
    super('ERR_RATELIMIT_LIMITED', message)
    this.retryAfterMs = retryAfterMs
  }
}

const SHOWN = 80

/** A value as an error message shows it: short, quoted, and without what an object may hide in it. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string': {
      const text = value.length > SHOWN ? `${value.slice(0, SHOWN)}…` : value
      return JSON.stringify(text)
    }
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'bigint':
      return `${value}n`
    case 'boolean':
    case 'undefined':
      return String(value)
    case 'symbol':
      return 'a symbol'
    case 'function':
      return 'a function'
    default:
      if (value === null) return 'null'
      if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`
      return 'an object'
  }
}
