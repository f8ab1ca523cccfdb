// Next.js 14 and later: route handlers, proxy (middleware), Server Actions and the Pages API. Promise: arguments are passed on as they
// come; nothing of Node.js is needed on the edge. Next: fetch-exchange.ts, node-exchange.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, andThen } from '../core/maybe.ts'
import { type GateOptions, buildGate } from '../http/gate.ts'
import { gateOptionsOf } from '../http/gatekeeper.ts'
import { type PathMiddlewareOptions, buildPathGates } from '../http/path-gates.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { type AnyHandler, checkHandler, wrapHandler } from '../http/wrap.ts'
import { type ActionAddress, type ActionCall, ActionView } from './action-view.ts'
import { FetchLimiter, type FetchLimiterOptions, markOf } from './fetch-exchange.ts'
import { type Next, NodeLimiter, plainExchange } from './node-exchange.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'
export type { ActionCall } from './action-view.ts'

/** Options of {@link withRateLimit}. Functions are called with the Request. */
export type NextOptions<R extends Request = Request> = FetchLimiterOptions<R>

/** Options of {@link rateLimitProxy}. */
export type NextProxyOptions<R extends Request = Request> = PathMiddlewareOptions<NextOptions<R>>

/** Options of {@link withRateLimitApi}. Functions are called with the Pages API's own request. */
export interface NextApiOptions<Request = IncomingMessage> extends GateOptions<Request> {
  /** Answers a refusal itself. The headers are set and the status is 429 already. */
  readonly onLimited?: (request: Request, response: ServerResponse, next: Next, decision: Decision) => void
  /** False: the request was not worth counting, and its cost is given back. Called when the response has been sent. */
  readonly countWhen?: (response: ServerResponse, request: Request) => boolean
}

/** A proxy (middleware) of Next.js; nothing returned means: go on. */
export type NextProxy<R extends Request = Request, Rest extends unknown[] = never[]> = (
  request: R,
  ...rest: Rest
) => MaybePromise<Response | null | undefined | void>

/** Options of {@link rateLimitAction}. */
export interface NextActionOptions extends Omit<
  GateOptions<ActionCall>,
  'block' | 'headers' | 'message' | 'skipFailedRequests' | 'skipSuccessfulRequests'
> {
  /** The function `headers` of `next/headers`. */
  readonly headers: () => MaybePromise<ActionCall['headers']>
  /** The client's address; from a header only if your platform sets that header. */
  readonly ip?: ActionAddress
}

/**
 * Wraps a route handler: `export const GET = withRateLimit(handler, { rate: '10/m', ip })`. All arguments are passed on, `params` among
 * them. Next.js has no client address of its own: give `ip`, `trustedProxies` or another `key`.
 * @throws ConfigError for anything that is wrong with the options, a handler that is no function, or no way to tell clients apart
 */
export function withRateLimit<R extends Request, Rest extends unknown[], Result>(
  handler: (request: R, ...rest: Rest) => Result,
  options: NextOptions<R>,
): (request: R, ...rest: Rest) => Result {
  checkHandler(handler, 'withRateLimit')
  checkIdentity(options, 'withRateLimit')
  return wrapHandler(handler, new FetchLimiter(options, 'withRateLimit').around, 'withRateLimit')
}

/**
 * A proxy (middleware) that limits by path: `export const proxy = rateLimitProxy({ rateLimits: { '/api': '100/m' }, ip })`. With a proxy of
 * your own as the second argument, that one runs for requests that pass, and its response gets the headers.
 * @throws ConfigError for anything that is wrong with the options, naming the entry
 */
export function rateLimitProxy<R extends Request = Request, Rest extends unknown[] = unknown[]>(
  options: NextProxyOptions<R> = {},
  proxy?: NextProxy<R, Rest>,
): (request: R, ...rest: Rest) => MaybePromise<Response> {
  if (proxy !== undefined) checkHandler(proxy, 'rateLimitProxy')
  checkIdentity({ ...options, key: options.key ?? options.keyFunction }, 'rateLimitProxy')
  const limiterFor = buildPathGates<NextOptions<never>, FetchLimiter>(
    options as unknown as NextProxyOptions<never>,
    'rateLimitProxy',
    (own, option) => new FetchLimiter(own, option),
  )
  return (request, ...rest) => {
    const run = (): MaybePromise<Response> => andThen(proxy?.(request, ...rest), (response) => response ?? goOn())
    const limiter = limiterFor(request.method, request.url)
    // The second argument is the event, which knows no address.
    return limiter === undefined ? run() : (limiter.around([request], run) as MaybePromise<Response>)
  }
}

/** What `NextResponse.next()` is. */
function goOn(): Response {
  return new Response(null, { headers: { 'x-middleware-next': '1' } })
}

/**
 * Makes a check for Server Actions: `const limit = rateLimitAction({ name: 'send', rate: '5/m', headers, ip })`, and in the action
 * `const { allowed, retryAfterMs } = await limit(userId)`. What it is called with is the user's id, if it is text.
 * An action has no response of its own, so nothing is sent: the action tells its form.
 * @throws ConfigError for anything that is wrong with the options, or no way to tell clients apart
 */
export function rateLimitAction(options: NextActionOptions): (subject?: unknown) => Promise<Decision> {
  const own = gateOptionsOf(options, 'rateLimitAction', ['ip', 'headers'])
  const { headers, ip } = options
  if (typeof headers !== 'function')
    throw new ConfigError('rateLimitAction.headers', 'the function headers of next/headers', headers)
  checkIdentity(options, 'rateLimitAction')
  const gate = buildGate({ ...own, headers: false }, 'rateLimitAction')
  return async (subject) => {
    const view = new ActionView({ headers: await headers(), subject }, ip)
    return (await gate.ask(view)).decision
  }
}

/**
 * Wraps a handler of the Pages API. Name, parameters and what it returns stay as they were.
 * @throws ConfigError for anything that is wrong with the options, or a handler that is no function
 */
export function withRateLimitApi<Handler extends AnyHandler, Request = IncomingMessage>(
  handler: Handler,
  options: NextApiOptions<Request>,
): Handler {
  checkHandler(handler, 'withRateLimitApi')
  return wrapHandler(handler, new NodeLimiter(options, 'withRateLimitApi', plainExchange).around, 'withRateLimitApi')
}

/** How a request stands with the limiters it has passed; undefined before, or where none applies to it. */
export function rateLimitOf(request: Request): RequestRateLimit | undefined {
  return markOf(request)
}

/** Without an address, the key "ip" would fail on each request: said when it is built. */
function checkIdentity(options: object, option: string): void {
  const {
    key = 'ip',
    ip,
    trustedProxies,
    onMissingKey,
  } = options as {
    key?: unknown
    ip?: unknown
    trustedProxies?: unknown
    onMissingKey?: unknown
  }
  if (ip !== undefined || trustedProxies !== undefined || onMissingKey !== undefined) return
  if (key === 'ip') {
    throw new ConfigError(
      `${option}.ip`,
      'a function that tells the client address, or trustedProxies, or another key, as Next.js has no address of its own',
      ip,
    )
  }
}
