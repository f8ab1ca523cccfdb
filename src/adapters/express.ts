// Express 4.18+ and 5, and any connect-style server on node:http. Promise: one synchronous step to the next handler where the
// store is in memory; the handler runs exactly once; a response already sent is left alone. Next: ../http/gate.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { isPromise } from '../core/maybe.ts'
import type { RequestView } from '../core/request.ts'
import { GATE_OPTIONS, type Gate, type GateOptions, type Passage, buildGate, warnOnce } from '../http/gate.ts'
import { type PathMiddlewareOptions, buildPathGates } from '../http/path-gates.ts'
import { refusal } from '../http/refusal.ts'
import { RequestRateLimit } from '../http/request-rate-limit.ts'
import { checkNames } from '../limiter/options.ts'

/** What this adapter needs of a request; Express's own is one. */
export interface RequestLike extends IncomingMessage {
  readonly originalUrl?: string
  readonly baseUrl?: string
  readonly ip?: string | undefined
  readonly app?: unknown
  readonly route?: unknown
  rateLimit?: RequestRateLimit
}

/** Goes on to the next handler; with an error, to the error handlers. */
export type Next = (error?: unknown) => void

/** A middleware that limits. */
export type RateLimitHandler = (request: RequestLike, response: ServerResponse, next: Next) => void

/** Options of {@link rateLimit}. Functions are called with the Express request. */
export interface ExpressOptions<Request = RequestLike> extends GateOptions<Request> {
  /** Answers a refusal itself. The headers are set and the status is 429 already. */
  readonly onLimited?: (request: Request, response: ServerResponse, next: Next, decision: Decision) => void
  /** False: the request was not worth counting, and its cost is given back. Called when the response has been sent. */
  readonly countWhen?: (response: ServerResponse, request: Request) => boolean
}

/** Options of {@link rateLimitMiddleware}. */
export type ExpressMiddlewareOptions<Request = RequestLike> = PathMiddlewareOptions<ExpressOptions<Request>>

const OPTIONS = [...GATE_OPTIONS, 'onLimited', 'countWhen']

/**
 * Limits a route or a router: `app.post('/login', rateLimit({ rate: '5/m' }), handler)`.
 * The decision is on `req.rateLimit`. Without a `store` all limiters of the process share one memory store.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimit<Request = RequestLike>(options: ExpressOptions<Request>): RateLimitHandler {
  const limiter = new ExpressLimiter(options as ExpressOptions, 'rateLimit')
  return (request, response, next) => limiter.handle(request, response, next)
}

/**
 * Limits a whole app, with a rate per path: `app.use(rateLimitMiddleware({ defaultRate: '100/m', rateLimits: { '/login': '5/m' } }))`.
 * The longest matching path decides; each entry has one counter per client, whatever the full path.
 * @throws ConfigError for anything that is wrong with the options, naming the entry
 */
export function rateLimitMiddleware<Request = RequestLike>(options: ExpressMiddlewareOptions<Request> = {}): RateLimitHandler {
  const limiterFor = buildPathGates(
    options as ExpressMiddlewareOptions,
    'rateLimitMiddleware',
    (own, option) => new ExpressLimiter(own, option),
  )
  return (request, response, next) => {
    const limiter = limiterFor(request.method ?? 'GET', request.originalUrl ?? request.url ?? '/')
    if (limiter === undefined) next()
    else limiter.handle(request, response, next)
  }
}

/** A handler of Express: with four parameters it is an error handler. */
// oxlint-disable-next-line typescript/no-explicit-any -- any function is a handler; its own type is kept
type AnyHandler = (this: any, ...parameters: any[]) => unknown

/**
 * Wraps one handler: `app.get('/report', withRateLimit(report, { rate: '10/h' }))`. Name, parameters, `this` and what it
 * returns stay as they were.
 * @throws ConfigError for anything that is wrong with the options, or a handler that is no function
 */
export function withRateLimit<Handler extends AnyHandler>(handler: Handler, options: ExpressOptions): Handler {
  if (typeof handler !== 'function') throw new ConfigError('withRateLimit(handler)', 'a function', handler)
  return limited(handler, new ExpressLimiter(options, 'withRateLimit'))
}

/**
 * The same as a standard (TC39) decorator for a method that is a handler: `@rateLimited({ rate: '10/h' }) report(req, res) {…}`.
 * @throws ConfigError for anything that is wrong with the options, or where it decorates no method
 */
export function rateLimited(
  options: ExpressOptions,
): <Method extends AnyHandler>(method: Method, context: ClassMethodDecoratorContext) => Method {
  const limiter = new ExpressLimiter(options, 'rateLimited')
  return (method, context) => {
    if (typeof method !== 'function' || context?.kind !== 'method')
      throw new ConfigError('@rateLimited', 'a method to decorate', context?.kind)
    return limited(method, limiter)
  }
}

function limited<Handler extends AnyHandler>(handler: Handler, limiter: ExpressLimiter): Handler {
  const wrapped = function (this: unknown, ...parameters: unknown[]): unknown {
    const at = requestAt(parameters)
    if (at < 0)
      throw new ConfigError(
        `rate limited ${handler.name || 'handler'}`,
        'a request and a response among its arguments',
        parameters[0],
      )
    const request = parameters[at] as RequestLike
    const response = parameters[at + 1] as ServerResponse
    const rest = parameters[at + 2]
    const failed: Next = typeof rest === 'function' ? (rest as Next) : rethrow
    return limiter.around(request, response, failed, () => handler.apply(this, parameters))
  }
  Object.defineProperty(wrapped, 'name', { value: handler.name, configurable: true })
  // Express tells error handlers from others by their number of parameters.
  Object.defineProperty(wrapped, 'length', { value: handler.length, configurable: true })
  return wrapped as unknown as Handler
}

function rethrow(error?: unknown): void {
  throw error
}

function requestAt(parameters: readonly unknown[]): number {
  return parameters.findIndex(
    (one, i) =>
      typeof (one as RequestLike | null)?.headers === 'object' &&
      typeof (parameters[i + 1] as ServerResponse | null)?.setHeader === 'function',
  )
}

class ExpressLimiter {
  readonly #gate: Gate
  readonly #options: ExpressOptions
  /** Whether the app's settings have been looked at. */
  #looked = false

  constructor(options: ExpressOptions, option: string) {
    checkNames(options, OPTIONS, option)
    const { onLimited, countWhen, ...own } = options
    for (const [name, value] of Object.entries({ onLimited, countWhen })) {
      if (value !== undefined && typeof value !== 'function') throw new ConfigError(`${option}.${name}`, 'a function', value)
    }
    this.#options = options
    this.#gate = buildGate(own, option)
  }

  handle(request: RequestLike, response: ServerResponse, next: Next): void {
    let passed: unknown
    try {
      passed = this.around(request, response, next, go)
    } catch (error) {
      next(error)
      return
    }
    if (passed === GO) next()
    else if (isPromise(passed)) void passed.then((value) => (value === GO ? next() : undefined), next)
  }

  /** Runs the handler, once, if the request passes; tells what it returns. */
  around(request: RequestLike, response: ServerResponse, next: Next, handler: () => unknown): unknown {
    if (!this.#looked) this.#look(request)
    const before = request.rateLimit
    // A limiter that meets a request twice (app-wide and on the route) counts it once.
    if (before instanceof RequestRateLimit && before.has(this.#gate)) return handler()
    const passage = this.#gate.ask(new ExpressView(request))
    if (!isPromise(passage)) return this.#apply(request, response, next, passage, handler)
    return passage.then((found) => this.#apply(request, response, next, found, handler))
  }

  #look({ app }: RequestLike): void {
    this.#looked = true
    const get = (app as { get?: unknown } | undefined)?.get
    if (typeof get !== 'function' || this.#options.trustedProxies !== undefined) return
    if ((get.call(app, 'trust proxy') as unknown) === true) {
      warnOnce(
        '"trust proxy" is true, so every client can choose its own address; set it to your proxies, or to how many there are',
      )
    }
  }

  #apply(request: RequestLike, response: ServerResponse, next: Next, passage: Passage, handler: () => unknown): unknown {
    const gate = this.#gate
    const { decision } = passage
    if (gate.shadow || decision.kind === 'exempt') {
      if (decision.kind !== 'exempt') this.#settleLater(request, response, passage)
      return handler()
    }
    const mark = this.#mark(request, passage)
    const open = !response.headersSent && !response.writableEnded
    if (open) gate.headers?.write(mark.decision, response)
    if (decision.allowed || !gate.block) {
      this.#settleLater(request, response, passage)
      return handler()
    }
    if (!open) return undefined
    this.#refuse(request, response, next, decision)
    return undefined
  }

  #mark(request: RequestLike, { decision, key }: Passage): RequestRateLimit {
    const before = request.rateLimit
    if (before instanceof RequestRateLimit) {
      before.add(this.#gate, decision, key)
      return before
    }
    return (request.rateLimit = new RequestRateLimit(this.#gate, decision, key))
  }

  #refuse(request: RequestLike, response: ServerResponse, next: Next, decision: Decision): void {
    const answer = refusal(decision, request.headers.accept, this.#options)
    response.statusCode = answer.status
    for (const [name, value] of answer.headers) response.setHeader(name, value)
    if (this.#options.onLimited !== undefined) {
      this.#options.onLimited(request, response, next, decision)
      return
    }
    response.setHeader('Content-Type', answer.contentType)
    response.end(request.method === 'HEAD' ? undefined : answer.body)
  }

  #settleLater(request: RequestLike, response: ServerResponse, passage: Passage): void {
    const { countWhen } = this.#options
    if (!this.#gate.settles && countWhen === undefined) return
    response.once('finish', () => {
      let counts = true
      try {
        counts = countWhen === undefined || countWhen(response, request)
      } catch (error) {
        this.#gate.report(error, 'countWhen')
      }
      this.#gate.settle(passage, response.statusCode, counts)
    })
  }
}

const GO = Symbol('go')
const go = (): typeof GO => GO

/** A request as the gate sees it. */
class ExpressView implements RequestView {
  readonly raw: RequestLike

  constructor(request: RequestLike) {
    this.raw = request
  }

  get method(): string {
    return this.raw.method ?? 'GET'
  }

  get url(): string {
    return this.raw.originalUrl ?? this.raw.url ?? '/'
  }

  get route(): string | undefined {
    const path = (this.raw.route as { path?: unknown } | undefined)?.path
    return typeof path === 'string' ? (this.raw.baseUrl ?? '') + path : undefined
  }

  get ip(): string | undefined {
    // Express computes it by its "trust proxy" setting; a bare server has the socket only.
    return this.raw.app === undefined ? this.peer : (this.raw.ip ?? this.peer)
  }

  get peer(): string | undefined {
    return this.raw.socket?.remoteAddress
  }

  get user(): string | undefined {
    return idOf((this.raw as { user?: unknown }).user)
  }

  get session(): string | undefined {
    const { sessionID, session } = this.raw as { sessionID?: unknown; session?: unknown }
    return typeof sessionID === 'string' ? sessionID : idOf(session)
  }

  header(name: string): string | undefined {
    const value = this.raw.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
}

function idOf(owner: unknown): string | undefined {
  if (typeof owner !== 'object' || owner === null) return undefined
  const { id, _id } = owner as { id?: unknown; _id?: unknown }
  const found = id ?? _id
  return found === undefined || found === null ? undefined : String(found as string | number)
}
