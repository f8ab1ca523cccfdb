// The limits of an app: which apply to a call, and whether it passes them all. Promise: everything decorators say is built when the app
// starts, so that a mistake is an error before the first request; a store that the module made is closed with the app.
// Next: limit-builder.ts; routes.ts for what decorators say; guard.ts, which asks here.

import type { ExecutionContext, OnApplicationBootstrap, OnApplicationShutdown, Type } from '@nestjs/common'
import type { ApplicationConfig, DiscoveryService, HttpAdapterHost } from '@nestjs/core'
import { ConfigError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/maybe.ts'
import type { GateOptions } from '../../http/gate.ts'
import { Gatekeeper } from '../../http/gatekeeper.ts'
import { lookAtExpress, lookAtFastify } from '../proxy-trust.ts'
import { findMisuse, handlersOf } from './misuse.ts'
import { type Keeper, LimitBuilder } from './limit-builder.ts'
import { NestExchange } from './nest-exchange.ts'
import { DEFAULT_NAME, type RateLimitModuleOptions } from './options.ts'
import { RefusalFilter } from './refusal-filter.ts'
import { type Handler, RouteNames, wordsAbout } from './routes.ts'

type Store = NonNullable<GateOptions['store']>

/** What applies to a handler. */
interface Route {
  /** Whether its requests have the module's default limit, by their path. */
  readonly byPath: boolean
  /** Further limits of the module. */
  readonly everywhere: readonly Keeper[]
  /** What decorators say. */
  readonly own: readonly Keeper[]
}

/** The token of the module's options. */
export const OPTIONS = Symbol('RateLimitModuleOptions')

const pass = (): true => true

export class NestLimits implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #builder: LimitBuilder
  readonly #routes = new WeakMap<Type, WeakMap<Handler, Route>>()
  readonly #names = new RouteNames()
  /** The routes of handlers that nothing is said about. */
  readonly #plain: Route
  /** To be closed with the app. */
  readonly #made: Store | undefined
  readonly #host: HttpAdapterHost
  readonly #config: ApplicationConfig
  readonly #discovery: DiscoveryService
  /** Whether the app's proxies have been looked at. */
  #looked: boolean

  /** @throws ConfigError for anything that is wrong with the options, naming the entry */
  constructor(
    options: RateLimitModuleOptions<never>,
    host: HttpAdapterHost,
    config: ApplicationConfig,
    discovery: DiscoveryService,
  ) {
    if (typeof options !== 'object' || options === null) throw new ConfigError('RateLimitModule', 'an object', options)
    const { store: given, ...own } = options
    const store = typeof given === 'function' ? given() : given
    this.#made = store === given ? undefined : store
    this.#builder = new LimitBuilder(store === undefined ? own : { ...own, store })
    this.#plain = { byPath: true, everywhere: [...this.#builder.everywhere.values()], own: [] }
    this.#host = host
    this.#config = config
    this.#discovery = discovery
    this.#looked = options.trustedProxies !== undefined
    // Before those of the app, which are therefore asked first.
    config.addGlobalFilter(new RefusalFilter(host))
  }

  /**
   * Whether a call passes all limits that apply to it: true, at once where the stores answer at once.
   * @throws the exception of a refused call, and what key functions, rate functions and stores throw
   */
  pass(context: ExecutionContext): MaybePromise<true> {
    const exchange = new NestExchange(context, this.#host.httpAdapter)
    if (!this.#looked) this.#look(exchange)
    const { byPath, everywhere, own } = this.#route(context.getClass(), context.getHandler() as Handler)
    if (!byPath && everywhere.length === 0) return Gatekeeper.passAll(own, exchange, pass) as MaybePromise<true>
    const { method, url } = exchange
    const first = byPath ? this.#builder.byPath(method, url) : undefined
    const applies = this.#builder.applies === undefined || this.#builder.applies(method, url) === true
    const keepers = [...(first === undefined ? [] : [first]), ...(applies ? everywhere : []), ...own]
    return Gatekeeper.passAll(keepers, exchange, pass) as MaybePromise<true>
  }

  onApplicationBootstrap(): void {
    const modules = this.#discovery.getProviders().filter(({ token }) => token === OPTIONS)
    if (modules.length > 1) throw new ConfigError('RateLimitModule', 'one forRoot() or forRootAsync() in an app', modules.length)
    const adapter = this.#host.httpAdapter
    if (!this.#looked && adapter?.getType() === 'express') lookAtExpress(adapter.getInstance(), ' of the Nest app')
    const handlers = handlersOf(this.#discovery)
    // In the order of the modules, as names depend on it.
    for (const { type, handler, words } of handlers) if (words !== undefined) this.#route(type, handler)
    findMisuse(handlers, this.#config, this.#names)
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#made?.close()
  }

  #route(type: Type, handler: Handler): Route {
    let routes = this.#routes.get(type)
    if (routes === undefined) this.#routes.set(type, (routes = new WeakMap()))
    let route = routes.get(handler)
    if (route === undefined) routes.set(handler, (route = this.#build(type, handler)))
    return route
  }

  #build(type: Type, handler: Handler): Route {
    const words = wordsAbout(type, handler)
    if (words === undefined) return this.#plain
    const builder = this.#builder
    const name = this.#names.of(type, handler)
    const asked = words.names.flatMap((one) => {
      const found = words.about(one)
      if (found !== null && found !== undefined) return [{ one, found }]
      // Skipping what is nowhere is a misspelt name, and a limit that stays.
      if (!builder.knows(one) && !words.asks(one)) throw new ConfigError(`@SkipRateLimit of ${name}`, 'the name of a limit', one)
      return []
    })
    return {
      byPath: words.about(DEFAULT_NAME) === undefined,
      everywhere: [...builder.everywhere].flatMap(([one, keeper]) => (words.about(one) === undefined ? [keeper] : [])),
      own: asked.map(({ one, found }) => builder.ask(one, found, name)),
    }
  }

  #look(exchange: NestExchange): void {
    this.#looked = true
    if (exchange.kind === 'http' && this.#host.httpAdapter?.getType() === 'fastify')
      lookAtFastify(exchange.raw as never, ' of the Nest app')
  }
}
