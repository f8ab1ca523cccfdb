// The limits that Fastify routes carry in `config.rateLimit`. Promise: a route has one limiter, however many plugins and hooks look at it,
// and its HEAD is its GET; a mistake is an error where the route is registered. Next: fastify-limiter.ts.

import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { ConfigError } from '../core/errors.ts'
import { warnOnce } from '../http/gate.ts'
import { noteErrorHandler } from './fastify-errors.ts'
import type { FastifyLimiter } from './fastify-limiter.ts'

/** A route's own limit. */
interface RouteEntry {
  /** What its configuration says. */
  readonly limit: unknown
  /** Undefined for no limit at all. */
  readonly limiter: FastifyLimiter | undefined
  /** The limiter is among the route's own hooks. */
  attached: boolean
}

/** What a request's route says about its limit. */
interface RouteLimits {
  /** For the hook `onRoute`. */
  readonly add: (route: RouteOptions) => void
  /** Whether any route has a limit of its own. */
  any(): boolean
  /** What to ask now: undefined for the app's limit, else the route's limiter, if there is one and it is to be asked here. */
  of(request: FastifyRequest): { readonly limiter: FastifyLimiter | undefined } | undefined
}

type HookName = 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler'

const NOTHING = { limiter: undefined }
const HOOKS: readonly unknown[] = ['onRequest', 'preParsing', 'preValidation', 'preHandler']

/** Entries of each app by method and path; several plugins share them, so that each counts once. */
const entriesOf = new WeakMap<object, Map<string, RouteEntry[]>>()

/**
 * Keeps the limits of an app's routes.
 * @param hook where requests are looked at, unless a route says otherwise
 * @param build makes a route's limiter; undefined for none
 */
export function routeLimits(
  app: FastifyInstance,
  hook: HookName,
  build: (name: string, own: unknown, at: string) => FastifyLimiter | undefined,
): RouteLimits {
  const entries = entriesOf.get(app.server) ?? new Map<string, RouteEntry[]>()
  entriesOf.set(app.server, entries)

  const entryFor = (method: string | readonly string[], url: string, limit: unknown): RouteEntry => {
    const name = routeName(method, url)
    // Routes that differ in their constraints alone have one name.
    const same = entries.get(name) ?? []
    const known = same.find((entry) => entry.limit === limit)
    if (known !== undefined) return known
    const isOptions = typeof limit === 'object' && limit !== null && !Array.isArray(limit)
    const own = isOptions ? withoutHook(limit) : limit
    const limiter = limit === false ? undefined : build(name, own, `config.rateLimit of ${name}`)
    const entry = { limit, limiter, attached: false }
    entries.set(name, [...same, entry])
    return entry
  }

  /** What requests show of their route is one object per route. */
  const known = new WeakMap<object, RouteEntry | null>()
  return {
    any: () => entries.size > 0,
    add(route) {
      noteErrorHandler(app, route)
      const limit: unknown = route.config?.rateLimit
      if (limit === undefined) return
      const entry = entryFor(route.method, route.url, limit)
      const at = hookIn(limit) ?? hook
      if (!HOOKS.includes(at)) {
        throw new ConfigError(`config.rateLimit.hook of ${routeName(route.method, route.url)}`, `one of ${HOOKS.join(', ')}`, at)
      }
      if (entry.limiter === undefined || at === hook) return
      prepend(route, at, entry.limiter)
      entry.attached = true
    },
    of(request) {
      const config = request.routeOptions.config as { rateLimit?: unknown; method?: string; url?: string } | undefined
      if (config?.url === undefined) return undefined
      let entry = known.get(config)
      if (entry === undefined) {
        const { rateLimit: limit, method = 'GET', url } = config
        entry = limit === undefined ? null : entryFor(method, url, limit)
        known.set(config, entry)
      }
      if (entry === null) return undefined
      return entry.attached ? NOTHING : entry
    },
  }
}

function prepend(route: RouteOptions, hook: HookName, limiter: FastifyLimiter): void {
  const others = route[hook] ?? []
  // preParsing has the payload before its callback.
  const limit = (request: never, reply: never, ...rest: never[]): void => limiter.handle(request, reply, rest.at(-1) as never)
  route[hook] = [limit, ...(Array.isArray(others) ? others : [others])] as never
}

function hookIn(limit: unknown): HookName | undefined {
  return typeof limit === 'object' && limit !== null ? (limit as { hook?: HookName }).hook : undefined
}

function withoutHook(limit: object): object {
  const { hook: _hook, ...own } = limit as { hook?: unknown }
  return own
}

/** Fastify answers HEAD by a route of its own, made after that of GET: one route to its clients. */
function routeName(method: string | readonly string[], url: string): string {
  const methods = [method].flat().map((one) => (one === 'HEAD' ? 'GET' : one))
  return `${[...new Set(methods)].toSorted().join('|')} ${url}`
}

/** The routes there are already, as `GET /path`; those of other prefixes are no business of this plugin. */
export function earlierRoutes(app: FastifyInstance): string[] {
  const lines = app.printRoutes({ commonPrefix: false }).split('\n')
  return lines.flatMap((line) => {
    const [, path = '', methods = ''] = /^[│├└─\s]*(\S.*?) \(([A-Z][A-Z, -]*)\)/.exec(line) ?? []
    return path !== '' && path.startsWith(app.prefix) ? [`${methods.replaceAll(', ', '|')} ${path}`] : []
  })
}

/** @throws ConfigError if that is an error */
export function reportEarlier(routes: readonly string[], strict: boolean): void {
  const shown = routes.length > 5 ? `${routes.slice(0, 5).join(', ')} and ${routes.length - 5} more` : routes.join(', ')
  if (strict) throw new ConfigError('rateLimit', 'to be registered before all routes, with `await app.register(…)`', shown)
  warnOnce(
    `routes were registered before the rate limiter: ${shown}. They are limited, but a mistake in their config.rateLimit shows only when they are requested, and its hook is not heeded; register the plugin first, with await`,
  )
}
