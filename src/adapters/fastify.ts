// Fastify 5, as a plugin. Promise: one synchronous hook where the store is in memory; a refusal goes the way of the app's errors; routes
// registered before the plugin are limited too, and reported. Next: fastify-limiter.ts, fastify-routes.ts.

import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import type { RateInput } from '../core/limit-set.ts'
import type { MaybePromise } from '../core/maybe.ts'
import { type PathMiddlewareOptions, buildEntries, buildPathGates } from '../http/path-gates.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { type AnyHandler, type HandlerDecorator, decoratorOf, wrapHandler } from '../http/wrap.ts'
import type { GateOptions } from '../http/gate.ts'
import { FastifyLimiter, type FastifyLimiterOptions } from './fastify-limiter.ts'
import { earlierRoutes, reportEarlier, routeLimits } from './fastify-routes.ts'

export { RefusalError } from '../http/refusal-error.ts'
export type { RequestRateLimit } from '../http/request-rate-limit.ts'

type Store = NonNullable<GateOptions['store']>

/** When a limiter looks at a request. */
export type FastifyHook = 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler'

/** Options of {@link withRateLimit} and of `fastify.rateLimit`. Functions are called with the Fastify request. */
export type FastifyOptions<Request = FastifyRequest> = FastifyLimiterOptions<Request>

/** What `config.rateLimit` of a route takes, over the plugin's own options: a rate, options, or false for no limit at all. */
export type FastifyRouteLimit = RateInput | (Partial<FastifyOptions> & { readonly hook?: FastifyHook }) | false

/** Options of the plugin. */
export type FastifyPluginOptions = Omit<PathMiddlewareOptions<FastifyOptions>, 'store'> & {
  /** Where the counters live. A function makes a store that the plugin closes with the app. */
  readonly store?: Store | (() => Store)
  /** When to look at requests (default `onRequest`); `preHandler` where the identity is known only then. */
  readonly hook?: FastifyHook
  /** Make it an error that routes were registered before the plugin (default false: a warning). */
  readonly strict?: boolean
}

/** A hook that limits, for `onRequest`, `preValidation` or `preHandler`. */
export interface FastifyRateLimitHook {
  (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void
  /** Decides and charges without touching the reply: for code that answers by itself. */
  check(request: FastifyRequest): MaybePromise<Decision>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Makes a hook that limits: `{ preHandler: app.rateLimit({ rate: '5/m', key: 'user' }) }`. It inherits nothing from the plugin but its store. */
    rateLimit(options: FastifyOptions): FastifyRateLimitHook
  }
  interface FastifyRequest {
    /** How the request stands with the limiters it has passed; null before, or where none applies to it. */
    rateLimit: RequestRateLimit | null
  }
  interface FastifyContextConfig {
    /** The limit of this route, instead of the app's. */
    rateLimit?: FastifyRouteLimit
  }
}

const HOOKS: readonly FastifyHook[] = ['onRequest', 'preParsing', 'preValidation', 'preHandler']

/**
 * The plugin: `await app.register(rateLimit, { defaultRate: '100/m' })`. Options are those of an app-wide limiter by path; a route may have
 * its own in `config.rateLimit`. The decision is on `request.rateLimit`.
 * @throws ConfigError, through `register`, for anything that is wrong with the options, naming the entry
 */
export const rateLimit: FastifyPluginCallback<FastifyPluginOptions> = (app, options, done) => {
  try {
    install(app, options)
    done()
  } catch (error) {
    done(error as Error)
  }
}

export default rateLimit

// What fastify-plugin would add: its hooks and decorators are for the whole app.
Object.assign(rateLimit, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'smart-ratelimit',
  [Symbol.for('plugin-meta')]: { name: 'smart-ratelimit', fastify: '5.x' },
})

/**
 * Wraps one handler. Name, parameters, `this` and what it returns stay as they were.
 * @throws ConfigError for anything that is wrong with the options, or a handler that is no function
 */
export function withRateLimit<Handler extends AnyHandler>(handler: Handler, options: FastifyOptions): Handler {
  return wrapHandler(handler, new FastifyLimiter(options, 'withRateLimit').around, 'withRateLimit')
}

/**
 * The same as a standard (TC39) decorator for a method that gets a request and a reply.
 * @throws ConfigError for anything that is wrong with the options, or where it decorates no method
 */
export function rateLimited(options: FastifyOptions): HandlerDecorator {
  return decoratorOf(new FastifyLimiter(options, 'rateLimited').around, 'rateLimited')
}

function install(app: FastifyInstance, options: FastifyPluginOptions): void {
  const { hook = 'onRequest', strict = false, store: given, ...common } = withoutRegisterOptions(options)
  checkHook(hook, 'rateLimit.hook')
  if (typeof strict !== 'boolean') throw new ConfigError('rateLimit.strict', 'true or false', strict)
  const earlier = earlierRoutes(app)
  if (earlier.length > 0) reportEarlier(earlier, strict)
  const store = typeof given === 'function' ? given() : given
  if (store !== undefined && store !== given) app.addHook('onClose', async () => store.close())

  const own = { ...common, ...(store !== undefined && { store }) } as PathMiddlewareOptions<FastifyLimiterOptions<never>>
  const build = (entry: FastifyLimiterOptions<never>, option: string): FastifyLimiter => new FastifyLimiter(entry, option)
  const limiterFor = buildPathGates(own, 'rateLimit', build)
  const routes = routeLimits(app, hook, buildEntries(own, 'rateLimit', build))

  app.addHook('onRoute', routes.add)
  const limiterOf = (request: FastifyRequest): FastifyLimiter | undefined => {
    // Telling its route costs a request more than the decision: asked only where a route may have a limit of its own.
    const entry = routes.any() || earlier.length > 0 ? routes.of(request) : undefined
    return entry === undefined ? limiterFor(request.method, request.url) : entry.limiter
  }
  addLimitingHook(app, hook, limiterOf)

  if (!app.hasRequestDecorator('rateLimit')) app.decorateRequest('rateLimit', null)
  if (!app.hasDecorator('rateLimit')) {
    app.decorate('rateLimit', (limits: FastifyOptions) => {
      const limiter = new FastifyLimiter(store === undefined ? limits : { store, ...limits }, 'fastify.rateLimit')
      return Object.assign(hookOf(limiter), { check: (request: FastifyRequest) => limiter.check(request) })
    })
  }
}

/** What `register` takes beside a plugin's own options. */
function withoutRegisterOptions(options: FastifyPluginOptions): FastifyPluginOptions {
  const { prefix: _prefix, logLevel: _level, logSerializers: _serializers, ...own } = options as Record<string, unknown>
  return own
}

function checkHook(hook: unknown, option: string): void {
  if (!(HOOKS as readonly unknown[]).includes(hook)) throw new ConfigError(option, `one of ${HOOKS.join(', ')}`, hook)
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => void

function hookOf(limiter: FastifyLimiter): Hook {
  return (request, reply, done) => limiter.handle(request, reply, done)
}

function addLimitingHook(
  app: FastifyInstance,
  hook: FastifyHook,
  limiterOf: (request: FastifyRequest) => FastifyLimiter | undefined,
): void {
  const limit: Hook = (request, reply, done) => {
    let limiter: FastifyLimiter | undefined
    try {
      limiter = limiterOf(request)
    } catch (error) {
      done(error as Error)
      return
    }
    if (limiter === undefined) done()
    else limiter.handle(request, reply, done)
  }
  if (hook === 'preParsing') app.addHook('preParsing', (request, reply, _payload, done) => limit(request, reply, done as never))
  else app.addHook(hook as 'onRequest', limit)
}
