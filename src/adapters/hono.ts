// Hono 4. Promise: nothing of Node.js is needed, and nothing happens before the first request; headers go onto the finished response,
// whatever made it, without touching its body. Next: ../http/gatekeeper.ts.

import type { Context, MiddlewareHandler, Next } from 'hono'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, andThen, isPromise } from '../core/maybe.ts'
import { type Exchange, ownerId } from '../http/exchange.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper, gateOptionsOf } from '../http/gatekeeper.ts'
import type { HeaderTarget } from '../http/headers.ts'
import { type PathMiddlewareOptions, buildPathGates } from '../http/path-gates.ts'
import type { Refusal } from '../http/refusal.ts'
import { RequestRateLimit } from '../http/request-rate-limit.ts'
import { withHeaders } from '../http/response-headers.ts'
import { type AnyHandler, type Around, type HandlerDecorator, decoratorOf, wrapHandler } from '../http/wrap.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'

/** What the middleware leaves for handlers: `c.var.rateLimit`, undefined for requests that no limit applies to. */
export interface RateLimitEnv {
  Variables: { rateLimit: RequestRateLimit | undefined }
}

/** The class `HTTPException` of `hono/http-exception`. */
export type HTTPExceptionClass = new (status: 429 | 503, options: { res: Response; message: string; cause: unknown }) => Error

/** Options of {@link rateLimit}. Functions are called with the Hono context. */
export interface HonoOptions<C = Context> extends GateOptions<C> {
  /** The function of your runtime's adapter that knows the client's address, such as that of `@hono/node-server/conninfo`. */
  readonly getConnInfo?: (c: Context) => { readonly remote: { readonly address?: string | undefined } }
  /** `HTTPException`, if refusals are to be thrown for `app.onError`, instead of being returned. */
  readonly throw?: HTTPExceptionClass
  /** Answers a refusal itself. Status and headers are set on what it returns. */
  readonly onLimited?: (c: C, decision: Decision) => MaybePromise<Response>
  /** False: the request was not worth counting, and its cost is given back. Called with the handlers' response. */
  readonly countWhen?: (response: Response, c: C) => boolean
}

/** Options of {@link rateLimitMiddleware}. */
export type HonoMiddlewareOptions<C = Context> = PathMiddlewareOptions<HonoOptions<C>>

/**
 * Limits what comes after it: `app.post('/login', rateLimit({ rate: '5/m', getConnInfo }), handler)`. The decision is on `c.var.rateLimit`.
 * @throws ConfigError for anything that is wrong with the options; so does the key `'ip'` without `getConnInfo`
 */
export function rateLimit<C = Context>(options: HonoOptions<C>): MiddlewareHandler<RateLimitEnv> {
  const limiter = new HonoLimiter(options as HonoOptions<never>, 'rateLimit')
  return (c, next) => limiter.handle(c, next)
}

/**
 * Limits a whole app, with a rate per path: `app.use(rateLimitMiddleware({ defaultRate: '100/m', rateLimits: { '/login': '5/m' }, getConnInfo }))`.
 * The longest matching path decides; each entry has one counter per client, whatever the full path.
 * @throws ConfigError for anything that is wrong with the options, naming the entry
 */
export function rateLimitMiddleware<C = Context>(options: HonoMiddlewareOptions<C> = {}): MiddlewareHandler<RateLimitEnv> {
  const limiterFor = buildPathGates<HonoOptions<never>, HonoLimiter>(
    options as HonoMiddlewareOptions<never>,
    'rateLimitMiddleware',
    (own, option) => new HonoLimiter(own, option),
  )
  return (c, next) => {
    const limiter = limiterFor(c.req.method, c.req.url)
    return limiter === undefined ? next() : limiter.handle(c, next)
  }
}

/**
 * Wraps one handler. Name, parameters, `this` and what it returns, at once or later, stay as they were.
 * @throws ConfigError for anything that is wrong with the options, or a handler that is no function
 */
export function withRateLimit<Handler extends AnyHandler, C = Context>(handler: Handler, options: HonoOptions<C>): Handler {
  return wrapHandler(handler, new HonoLimiter(options as HonoOptions<never>, 'withRateLimit').around, 'withRateLimit')
}

/**
 * The same as a standard (TC39) decorator for a method that gets a Hono context.
 * @throws ConfigError for anything that is wrong with the options, or where it decorates no method
 */
export function rateLimited<C = Context>(options: HonoOptions<C>): HandlerDecorator {
  return decoratorOf(new HonoLimiter(options as HonoOptions<never>, 'rateLimited').around, 'rateLimited')
}

class HonoLimiter {
  readonly #keeper: Gatekeeper<HonoExchange>
  readonly #getConnInfo: HonoOptions['getConnInfo']

  constructor(options: HonoOptions<never>, option: string) {
    const own = gateOptionsOf(options, option, ['getConnInfo', 'throw', 'onLimited', 'countWhen'])
    const { getConnInfo, throw: Exception, onLimited, countWhen } = options
    checkAddress(options, option)
    this.#getConnInfo = getConnInfo
    this.#keeper = new Gatekeeper(own, option, {
      headersAfter: true,
      countWhen: countWhen && (({ raw, response }) => response === undefined || countWhen(response, raw as never)),
      refuse: (exchange, answer, decision) => {
        const describe = (target: HeaderTarget): void => this.#describe(exchange, answer, target)
        if (onLimited !== undefined) {
          exchange.raw.status(answer.status)
          return andThen(onLimited(exchange.raw as never, decision), (response) => withHeaders(response, describe))
        }
        const headers = new Headers({ 'Content-Type': answer.contentType })
        describe({ setHeader: (name, value) => headers.set(name, value) })
        const res = new Response(exchange.method === 'HEAD' ? null : answer.body, { status: answer.status, headers })
        if (Exception === undefined) return res
        throw new Exception(answer.status, { res, message: answer.sentence, cause: decision })
      },
    })
  }

  handle(c: Context, next: Next): Promise<Response | void> {
    const exchange = new HonoExchange(c, this.#getConnInfo)
    return this.#keeper.pass(exchange, () => next().then(() => this.#finish(exchange))) as Promise<Response | void>
  }

  readonly around: Around = (parameters, run) => {
    const at = parameters.findIndex((one) => typeof (one as Context | null)?.req?.header === 'function')
    if (at < 0) throw new ConfigError('the rate limited handler', 'a Hono context among its arguments', parameters[0])
    const exchange = new HonoExchange(parameters[at] as Context, this.#getConnInfo)
    return this.#keeper.pass(exchange, () => {
      const failed = (error: unknown): never => {
        exchange.sent?.((error as { status?: number } | null)?.status ?? 500)
        throw error
      }
      let made: unknown
      try {
        made = run()
      } catch (error) {
        return failed(error)
      }
      return isPromise(made) ? made.then((response) => this.#dress(exchange, response), failed) : this.#dress(exchange, made)
    })
  }

  /** The response of the handlers after this one, or of `app.onError`, is on the context. */
  #finish(exchange: HonoExchange): void {
    const { raw: c } = exchange
    const before = c.res
    const after = this.#dress(exchange, before) as Response
    if (after === before) return
    // Assigned at once, Hono would merge the old one into it.
    c.res = undefined
    c.res = after
  }

  #dress(exchange: HonoExchange, response: unknown): unknown {
    if (!(typeof response === 'object' && response !== null && 'headers' in response)) return response
    exchange.response = response as Response
    exchange.sent?.((response as Response).status)
    return withHeaders(response as Response, (target) => this.#keeper.write(exchange, target))
  }

  #describe(exchange: HonoExchange, answer: Refusal, target: HeaderTarget): void {
    this.#keeper.write(exchange, target)
    for (const [name, value] of answer.headers) target.setHeader(name, value)
  }
}

/** Without an address the key "ip" would fail on each request: said when it is built. */
function checkAddress({ key = 'ip', getConnInfo, trustedProxies, onMissingKey }: HonoOptions<never>, option: string): void {
  if (key !== 'ip' || getConnInfo !== undefined || typeof trustedProxies === 'number' || onMissingKey !== undefined) return
  throw new ConfigError(
    `${option}.getConnInfo`,
    'the getConnInfo of your runtime (such as that of @hono/node-server/conninfo), or another key, as Hono has no client address of its own',
    getConnInfo,
  )
}

class HonoExchange implements Exchange {
  readonly raw: Context
  readonly #getConnInfo: HonoOptions['getConnInfo']
  /** What is to be told of the response's status. */
  sent: ((status: number) => void) | undefined
  /** The handlers' response, once there is one. */
  response: Response | undefined

  constructor(raw: Context, getConnInfo: HonoOptions['getConnInfo']) {
    this.raw = raw
    this.#getConnInfo = getConnInfo
  }

  get mark(): RequestRateLimit | undefined {
    const found: unknown = this.raw.get('rateLimit')
    return found instanceof RequestRateLimit ? found : undefined
  }

  set mark(mark: RequestRateLimit | undefined) {
    this.raw.set('rateLimit', mark)
  }

  /** There is no response yet. */
  get open(): undefined {
    return undefined
  }

  whenSent(call: (status: number) => void): void {
    this.sent = call
  }

  get method(): string {
    return this.raw.req.method
  }

  get url(): string {
    return this.raw.req.url
  }

  get route(): string | undefined {
    return this.raw.req.routePath
  }

  get ip(): string | undefined {
    return this.#getConnInfo?.(this.raw).remote.address
  }

  get peer(): string | undefined {
    return this.ip
  }

  /** What an authentication has left on the context: `user`, or the claims of Hono's own `jwt`. */
  get user(): string | undefined {
    return ownerId(this.raw.get('user')) ?? ownerId(this.raw.get('jwtPayload'))
  }

  get session(): string | undefined {
    return ownerId(this.raw.get('session'))
  }

  header(name: string): string | undefined {
    return this.raw.req.header(name)
  }
}
