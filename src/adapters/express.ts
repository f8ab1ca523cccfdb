// Express 4.18+ and 5, and any connect-style server on node:http. Promise: one synchronous step to the next handler where the
// store is in memory; the handler runs exactly once; a response already sent is left alone. Next: node-exchange.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Decision } from '../core/decision.ts'
import type { GateOptions } from '../http/gate.ts'
import { type PathMiddlewareOptions, buildPathGates } from '../http/path-gates.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { type AnyHandler, type HandlerDecorator, decoratorOf, wrapHandler } from '../http/wrap.ts'
import { type Next, NodeExchange, NodeLimiter, type NodeRequest } from './node-exchange.ts'
import { lookAtExpress } from './proxy-trust.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'
export type { Next } from './node-exchange.ts'

/** What this adapter needs of a request; Express's own is one. */
export interface RequestLike extends IncomingMessage {
  readonly originalUrl?: string
  readonly baseUrl?: string
  readonly ip?: string | undefined
  readonly app?: unknown
  readonly route?: unknown
  rateLimit?: RequestRateLimit
}

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

/**
 * Limits a route or a router: `app.post('/login', rateLimit({ rate: '5/m' }), handler)`.
 * The decision is on `req.rateLimit`. Without a `store` all limiters of the process share one memory store.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimit<Request = RequestLike>(options: ExpressOptions<Request>): RateLimitHandler {
  const limiter = expressLimiter(options as ExpressOptions, 'rateLimit')
  return (request, response, next) => limiter.handle(request, response, next)
}

/**
 * Limits a whole app, with a rate per path: `app.use(rateLimitMiddleware({ defaultRate: '100/m', rateLimits: { '/login': '5/m' } }))`.
 * The longest matching path decides; each entry has one counter per client, whatever the full path.
 * @throws ConfigError for anything that is wrong with the options, naming the entry
 */
export function rateLimitMiddleware<Request = RequestLike>(options: ExpressMiddlewareOptions<Request> = {}): RateLimitHandler {
  const limiterFor = buildPathGates(options as ExpressMiddlewareOptions, 'rateLimitMiddleware', expressLimiter)
  return (request, response, next) => {
    const limiter = limiterFor(request.method ?? 'GET', request.originalUrl ?? request.url ?? '/')
    if (limiter === undefined) next()
    else limiter.handle(request, response, next)
  }
}

/**
 * Wraps one handler: `app.get('/report', withRateLimit(report, { rate: '10/h' }))`. Name, parameters, `this` and what it
 * returns stay as they were.
 * @throws ConfigError for anything that is wrong with the options, or a handler that is no function
 */
export function withRateLimit<Handler extends AnyHandler>(handler: Handler, options: ExpressOptions): Handler {
  return wrapHandler(handler, expressLimiter(options, 'withRateLimit').around, 'withRateLimit')
}

/**
 * The same as a standard (TC39) decorator for a method that is a handler: `@rateLimited({ rate: '10/h' }) report(req, res) {…}`.
 * @throws ConfigError for anything that is wrong with the options, or where it decorates no method
 */
export function rateLimited(options: ExpressOptions): HandlerDecorator {
  return decoratorOf(expressLimiter(options, 'rateLimited').around, 'rateLimited')
}

function expressLimiter(options: ExpressOptions, option: string): NodeLimiter {
  // Whose proxies are trusted is this app's business; its settings are looked at when the first request shows them.
  let looked = options?.trustedProxies !== undefined
  return new NodeLimiter(options as ExpressOptions<never>, option, (request, response, next) => {
    if (!looked) {
      looked = true
      lookAtExpress((request as RequestLike).app)
    }
    return new ExpressExchange(request as RequestLike, response, next)
  })
}

class ExpressExchange extends NodeExchange<RequestLike & NodeRequest> {
  override get route(): string | undefined {
    const path = (this.raw.route as { path?: unknown } | undefined)?.path
    return typeof path === 'string' ? (this.raw.baseUrl ?? '') + path : undefined
  }

  override get ip(): string | undefined {
    // Express computes it by its "trust proxy" setting; a bare server has the socket only.
    return this.raw.app === undefined ? this.peer : (this.raw.ip ?? this.peer)
  }
}
