// Plain node:http and node:http2 servers, and connect-style middleware on them. Promise: one synchronous step where the store is in
// memory; the handler runs exactly once; a response already sent is left alone. Next: node-exchange.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Decision } from '../core/decision.ts'
import type { MaybePromise } from '../core/maybe.ts'
import type { GateOptions } from '../http/gate.ts'
import { type PathMiddlewareOptions, buildPathGates } from '../http/path-gates.ts'
import { type AnyHandler, type HandlerDecorator, decoratorOf, wrapHandler } from '../http/wrap.ts'
import { type Next, NodeLimiter, type NodeRequest, type NodeResponse } from './node-exchange.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'
export type { Next, NodeRequest, NodeResponse } from './node-exchange.ts'

/** A connect-style middleware that limits. */
export type RateLimitHandler = (request: NodeRequest, response: NodeResponse, next: Next) => void

/** Whether the request may go on; false when it has been answered. */
export type RateLimitGuard = (request: NodeRequest, response: NodeResponse) => MaybePromise<boolean>

/** Options of {@link rateLimit}. Functions are called with the server's own request. */
export interface NodeOptions<Request = IncomingMessage, Response = ServerResponse> extends GateOptions<Request> {
  /** Answers a refusal itself. The headers are set and the status is 429 already. `next` is for errors where there is a middleware. */
  readonly onLimited?: (request: Request, response: Response, next: Next, decision: Decision) => void
  /** False: the request was not worth counting, and its cost is given back. Called when the response has been sent. */
  readonly countWhen?: (response: Response, request: Request) => boolean
}

/** Options of {@link rateLimitMiddleware}. */
export type NodeMiddlewareOptions<Request = IncomingMessage, Response = ServerResponse> = PathMiddlewareOptions<
  NodeOptions<Request, Response>
>

/**
 * A connect-style middleware: `app.use(rateLimit({ rate: '100/m' }))`. The decision is on `request.rateLimit`.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimit<Request = IncomingMessage, Response = ServerResponse>(
  options: NodeOptions<Request, Response>,
): RateLimitHandler {
  const limiter = new NodeLimiter(options, 'rateLimit')
  return (request, response, next) => limiter.handle(request, response, next)
}

/**
 * For a server without middleware: `if (!(await guard(request, response))) return`. True or false at once where the store is in memory.
 * @throws ConfigError for anything that is wrong with the options; called, it throws or rejects with what a key function or the store
 * throws
 */
export function rateLimitGuard<Request = IncomingMessage, Response = ServerResponse>(
  options: NodeOptions<Request, Response>,
): RateLimitGuard {
  const limiter = new NodeLimiter(options, 'rateLimitGuard')
  return (request, response) => limiter.admits(request, response)
}

/**
 * Limits a whole server by path, as connect-style middleware. The longest matching path decides; each entry has one counter per client,
 * whatever the full path.
 * @throws ConfigError for anything that is wrong with the options, naming the entry
 */
export function rateLimitMiddleware<Request = IncomingMessage, Response = ServerResponse>(
  options: NodeMiddlewareOptions<Request, Response> = {},
): RateLimitHandler {
  const limiterFor = buildPathGates<NodeOptions<never, never>, NodeLimiter>(
    options as NodeMiddlewareOptions<never, never>,
    'rateLimitMiddleware',
    (own, option) => new NodeLimiter(own, option),
  )
  return (request, response, next) => {
    const limiter = limiterFor(request.method ?? 'GET', request.originalUrl ?? request.url ?? '/')
    if (limiter === undefined) next()
    else limiter.handle(request, response, next)
  }
}

/**
 * Wraps a request listener: `createServer(withRateLimit(listener, { rate: '100/m' }))`. Name, parameters, `this` and what it returns
 * stay as they were. Nobody hears what a listener throws: should the limiter itself fail (its store, a key function), the answer is a bare
 * 500, the listener does not run, and the observers' `onError` is told.
 * @throws ConfigError for anything that is wrong with the options, or a handler that is no function
 */
export function withRateLimit<Handler extends AnyHandler, Request = IncomingMessage, Response = ServerResponse>(
  handler: Handler,
  options: NodeOptions<Request, Response>,
): Handler {
  return wrapHandler(handler, new NodeLimiter(options, 'withRateLimit').around, 'withRateLimit')
}

/**
 * The same as a standard (TC39) decorator for a method that gets a request and a response.
 * @throws ConfigError for anything that is wrong with the options, or where it decorates no method
 */
export function rateLimited<Request = IncomingMessage, Response = ServerResponse>(
  options: NodeOptions<Request, Response>,
): HandlerDecorator {
  return decoratorOf(new NodeLimiter(options, 'rateLimited').around, 'rateLimited')
}
