// The fetch standard: Bun, Deno, Workers, SvelteKit, Remix, Astro, and whatever else turns a Request into a Response.
// Promise: nothing of Node.js is needed; a response's body is never touched; what is at hand is answered at once.
// Next: fetch-exchange.ts, ../http/gatekeeper.ts.

import { type MaybePromise, andThen } from '../core/maybe.ts'
import { type PathMiddlewareOptions, buildPathGates } from '../http/path-gates.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { type Around, type HandlerDecorator, decoratorOf, wrapHandler } from '../http/wrap.ts'
import { type ConnectionInfo, FetchLimiter, type FetchLimiterOptions, markOf } from './fetch-exchange.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'
export type { ConnectionInfo } from './fetch-exchange.ts'

/** Options of {@link rateLimit}. Functions are called with the Request. */
export type FetchOptions<R extends Request = Request> = FetchLimiterOptions<R>

/** Options of {@link rateLimitMiddleware}. */
export type FetchMiddlewareOptions<R extends Request = Request> = PathMiddlewareOptions<FetchOptions<R>>

/** A handler of the fetch standard. What comes after the request is the platform's, and passed on. */
export type FetchHandler<R extends Request = Request, Rest extends unknown[] = never[]> = (
  request: R,
  ...rest: Rest
) => Response | Promise<Response>

/** Asks whether a request may pass. */
export interface RateLimitGuard {
  /** The refusal, or undefined for a request that may go on. A promise only if something has to be waited for. */
  (request: Request, info?: ConnectionInfo): MaybePromise<Response | undefined>
  /**
   * What is left to do with the response of a request that went on: its headers, and giving back what does not count.
   * The same Response, unless its headers cannot be changed.
   */
  finish(request: Request, response: Response): Response
}

/**
 * Makes a guard: `const refused = await guard(request, info); if (refused) return refused`, and at the end `guard.finish(request, response)`.
 * @throws ConfigError for anything that is wrong with the options; called, it throws or rejects with what a key function or the store throws
 */
export function rateLimit<R extends Request = Request>(options: FetchOptions<R>): RateLimitGuard {
  const limiter = new FetchLimiter(options, 'rateLimit')
  return guardOf(() => limiter)
}

/**
 * A guard for a whole app, with a rate per path. The longest matching path decides; each entry has one counter per client, whatever the
 * full path.
 * @throws ConfigError for anything that is wrong with the options, naming the entry
 */
export function rateLimitMiddleware<R extends Request = Request>(options: FetchMiddlewareOptions<R> = {}): RateLimitGuard {
  const limiterFor = buildPathGates<FetchOptions<never>, FetchLimiter>(
    options as unknown as FetchMiddlewareOptions<never>,
    'rateLimitMiddleware',
    (own, option) => new FetchLimiter(own, option),
  )
  return guardOf((request) => limiterFor(request.method, request.url))
}

function guardOf(limiterFor: (request: Request) => FetchLimiter | undefined): RateLimitGuard {
  const guard = (request: Request, info?: ConnectionInfo): MaybePromise<Response | undefined> =>
    limiterFor(request)?.refusalOf(request, info)
  return Object.assign(guard, {
    finish: (request: Request, response: Response): Response => limiterFor(request)?.finish(request, response) ?? response,
  })
}

/**
 * Wraps a handler, or a whole app: `export default { fetch: withRateLimit(handler, { rate: '100/m' }) }`. All arguments are passed on; the
 * second tells the client's address where it is a {@link ConnectionInfo}.
 * @param options a limiter's options, or a guard
 * @throws ConfigError for anything that is wrong with the options, or a handler that is no function
 */
export function withRateLimit<R extends Request, Rest extends unknown[]>(
  handler: FetchHandler<R, Rest>,
  options: FetchOptions<R> | RateLimitGuard,
): FetchHandler<R, Rest> {
  const around = typeof options === 'function' ? aroundGuard(options) : new FetchLimiter(options, 'withRateLimit').around
  return wrapHandler(handler, around, 'withRateLimit')
}

function aroundGuard(guard: RateLimitGuard): Around {
  return ([request, info], run) =>
    andThen(guard(request as Request, info as ConnectionInfo), (refused) => {
      if (refused !== undefined) return refused
      return andThen(run(), (response) => guard.finish(request as Request, response as Response))
    })
}

/**
 * The same as a standard (TC39) decorator for a method that gets a Request and returns a Response.
 * @throws ConfigError for anything that is wrong with the options, or where it decorates no method
 */
export function rateLimited<R extends Request = Request>(options: FetchOptions<R>): HandlerDecorator {
  return decoratorOf(new FetchLimiter(options, 'rateLimited').around, 'rateLimited')
}

/** How a request stands with the limiters it has passed; undefined before, or where none applies to it. */
export function rateLimitOf(request: Request): RequestRateLimit | undefined {
  return markOf(request)
}
