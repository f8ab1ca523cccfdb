// Koa 3 (and 2.16). Promise: one step to the next middleware, with no promise in between where the store is in memory; nothing is written
// once the response has begun, or after `ctx.respond = false`. Next: ../http/gatekeeper.ts.

import type { Context, Middleware, Next } from 'koa'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { type Exchange, ownerId } from '../http/exchange.ts'
import { type GateOptions, warnOnce } from '../http/gate.ts'
import { Gatekeeper, gateOptionsOf } from '../http/gatekeeper.ts'
import type { HeaderTarget } from '../http/headers.ts'
import { type PathMiddlewareOptions, buildPathGates } from '../http/path-gates.ts'
import { RequestRateLimit } from '../http/request-rate-limit.ts'
import { type AnyHandler, type Around, type HandlerDecorator, decoratorOf, wrapHandler } from '../http/wrap.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'

/** Options of {@link rateLimit}. Functions are called with the Koa context. */
export interface KoaOptions<Ctx = Context> extends GateOptions<Ctx> {
  /** Throw refusals as Koa's own errors (`ctx.throw`), headers included, instead of answering them (default false). */
  readonly throw?: boolean
  /** Answers a refusal itself. The headers are set and the status is 429 already. */
  readonly onLimited?: (ctx: Ctx, next: Next, decision: Decision) => unknown
  /** False: the request was not worth counting, and its cost is given back. Called when the response has been sent. */
  readonly countWhen?: (ctx: Ctx) => boolean
}

/** Options of {@link rateLimitMiddleware}. */
export type KoaMiddlewareOptions<Ctx = Context> = PathMiddlewareOptions<KoaOptions<Ctx>>

/**
 * Limits what comes after it: `router.post('/login', rateLimit({ rate: '5/m' }), handler)`. The decision is on `ctx.state.rateLimit`.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimit<Ctx = Context>(options: KoaOptions<Ctx>): Middleware {
  const limiter = new KoaLimiter(options as KoaOptions<never>, 'rateLimit')
  return (ctx, next) => limiter.handle(ctx, next)
}

/**
 * Limits a whole app, with a rate per path: `app.use(rateLimitMiddleware({ defaultRate: '100/m', rateLimits: { '/login': '5/m' } }))`.
 * The longest matching path decides; each entry has one counter per client, whatever the full path.
 * @throws ConfigError for anything that is wrong with the options, naming the entry
 */
export function rateLimitMiddleware<Ctx = Context>(options: KoaMiddlewareOptions<Ctx> = {}): Middleware {
  const limiterFor = buildPathGates<KoaOptions<never>, KoaLimiter>(
    options as KoaMiddlewareOptions<never>,
    'rateLimitMiddleware',
    (own, option) => new KoaLimiter(own, option),
  )
  return (ctx, next) => {
    const limiter = limiterFor(ctx.method, ctx.originalUrl)
    return limiter === undefined ? next() : limiter.handle(ctx, next)
  }
}

/**
 * Wraps one middleware or handler. Name, parameters, `this` and what it returns stay as they were.
 * @throws ConfigError for anything that is wrong with the options, or a handler that is no function
 */
export function withRateLimit<Handler extends AnyHandler, Ctx = Context>(handler: Handler, options: KoaOptions<Ctx>): Handler {
  return wrapHandler(handler, new KoaLimiter(options as KoaOptions<never>, 'withRateLimit').around, 'withRateLimit')
}

/**
 * The same as a standard (TC39) decorator for a method that gets a Koa context.
 * @throws ConfigError for anything that is wrong with the options, or where it decorates no method
 */
export function rateLimited<Ctx = Context>(options: KoaOptions<Ctx>): HandlerDecorator {
  return decoratorOf(new KoaLimiter(options as KoaOptions<never>, 'rateLimited').around, 'rateLimited')
}

class KoaLimiter {
  readonly #keeper: Gatekeeper<KoaExchange>
  /** Whether the app's settings have been looked at. */
  #looked: boolean

  constructor(options: KoaOptions<never>, option: string) {
    const own = gateOptionsOf(options, option, ['onLimited', 'countWhen'], ['throw'])
    const { throw: throws = false, onLimited, countWhen } = options
    if (typeof throws !== 'boolean') throw new ConfigError(`${option}.throw`, 'true or false', throws)
    this.#looked = options.trustedProxies !== undefined
    this.#keeper = new Gatekeeper(own, option, {
      countWhen: countWhen && (({ raw }) => countWhen(raw as never)),
      refuse: ({ raw: ctx, next }, answer, decision) => {
        if (throws) {
          // Koa drops the headers of a response that fails, all but those of the error.
          const headers = { ...textsOf(ctx.response.headers), ...Object.fromEntries(answer.headers) }
          const { retryAfterMs } = decision
          ctx.throw(answer.status, answer.sentence, { headers, expose: true, decision, retryAfterMs })
        }
        ctx.status = answer.status
        for (const [name, value] of answer.headers) ctx.set(name, value)
        if (onLimited !== undefined) return onLimited(ctx as never, next, decision)
        ctx.set('Content-Type', answer.contentType)
        ctx.body = answer.body
        return undefined
      },
    })
  }

  handle(ctx: Context, next: Next): Promise<unknown> {
    if (!this.#looked) this.#look(ctx)
    // What `compose` is given need not be a promise; that it may be is all its type knows.
    return this.#keeper.pass(new KoaExchange(ctx, next), goOn) as Promise<unknown>
  }

  readonly around: Around = (parameters, run) => {
    const at = parameters.findIndex(isContext)
    if (at < 0) throw new ConfigError('the rate limited handler', 'a Koa context among its arguments', parameters[0])
    const ctx = parameters[at] as Context
    if (!this.#looked) this.#look(ctx)
    const next = parameters[at + 1]
    return this.#keeper.pass(new KoaExchange(ctx, typeof next === 'function' ? (next as Next) : nowhere), run)
  }

  #look({ app }: Context): void {
    this.#looked = true
    const { proxy, maxIpsCount } = app as { proxy?: unknown; maxIpsCount?: unknown }
    if (proxy === true && !(Number(maxIpsCount) > 0)) {
      warnOnce(
        'app.proxy is true without app.maxIpsCount, so every client can choose its own address; set it to how many proxies there are',
      )
    }
  }
}

const goOn = ({ next }: KoaExchange): Promise<unknown> => next()
const nowhere: Next = () => Promise.resolve()

function isContext(value: unknown): boolean {
  const { req, res, state } = (value ?? {}) as { req?: unknown; res?: unknown; state?: unknown }
  return typeof req === 'object' && typeof res === 'object' && typeof state === 'object'
}

/** Of the fields so far, those a limiter may have set. */
function textsOf(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string' && /^(x-)?ratelimit/i.test(name)) texts[name] = value
  }
  return texts
}

class KoaExchange implements Exchange, HeaderTarget {
  readonly raw: Context
  readonly next: Next

  constructor(raw: Context, next: Next) {
    this.raw = raw
    this.next = next
  }

  get mark(): RequestRateLimit | undefined {
    const found: unknown = (this.raw.state as { rateLimit?: unknown }).rateLimit
    return found instanceof RequestRateLimit ? found : undefined
  }

  set mark(mark: RequestRateLimit | undefined) {
    ;(this.raw.state as { rateLimit?: unknown }).rateLimit = mark
  }

  get open(): HeaderTarget | undefined {
    const { raw } = this
    return raw.respond === false || raw.headerSent || !raw.writable ? undefined : this
  }

  setHeader(name: string, value: string): void {
    this.raw.set(name, value)
  }

  whenSent(call: (status: number) => void): void {
    const { res } = this.raw
    res.once('finish', () => call(res.statusCode))
  }

  get method(): string {
    return this.raw.method
  }

  get url(): string {
    return this.raw.originalUrl
  }

  get route(): string | undefined {
    const path: unknown = this.raw['_matchedRoute']
    return typeof path === 'string' ? path : undefined
  }

  get ip(): string | undefined {
    // Koa's text for no address, as on a unix socket, is the empty one.
    return this.raw.ip === '' ? undefined : this.raw.ip
  }

  get peer(): string | undefined {
    return this.raw.req.socket.remoteAddress
  }

  get user(): string | undefined {
    return ownerId((this.raw.state as { user?: unknown }).user)
  }

  get session(): string | undefined {
    const { session, sessionId } = this.raw as { session?: unknown; sessionId?: unknown }
    return typeof sessionId === 'string' ? sessionId : ownerId(session)
  }

  header(name: string): string | undefined {
    const value = this.raw.req.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
}
