// The limiters behind the module's options and the decorators. Promise: what the module says counts a client's requests together, what a
// decorator says counts handler by handler, and `group` changes either; a mistake names the place it was written at.
// Next: limits.ts, which asks them.

import { ConfigError } from '../../core/errors.ts'
import { type MaybePromise, andThen } from '../../core/maybe.ts'
import { Gatekeeper, gateOptionsOf } from '../../http/gatekeeper.ts'
import { type PathMiddlewareOptions, buildEntries, buildPathGates } from '../../http/path-gates.ts'
import type { AskedLimit } from './decorators.ts'
import { refusedCall, refusedRequest } from './exceptions.ts'
import type { NestExchange } from './nest-exchange.ts'
import { DEFAULT_NAME, type LimitParts, type NestOptions, type RateLimitModuleOptions, checkedName, partsOf } from './options.ts'

/** One limiter. */
export type Keeper = Gatekeeper<NestExchange>

/** Tells the limiter of a request by its path. */
type ByPath<Limiter> = (method: string, target: string) => Limiter | undefined

type Build = (name: string, own: unknown, at: string) => Keeper | undefined

/** A limit or scope that the module knows by name. */
interface Named {
  readonly scoped: boolean
  readonly build: Build
  readonly hasRate: boolean
}

type PathOptions = PathMiddlewareOptions<NestOptions<never>>

let unnamed = 0

/** All limiters of one module. */
export class LimitBuilder {
  /** The default limiter of a request. */
  readonly byPath: ByPath<Keeper>
  /** Whether the module's other limits are for a request; undefined: always. */
  readonly applies: ByPath<true> | undefined
  /** The module's other limits. */
  readonly everywhere: ReadonlyMap<string, Keeper>
  readonly #named = new Map<string, Named>()
  readonly #base: string
  readonly #common: LimitParts

  /** @throws ConfigError for anything that is wrong with the options, naming the entry */
  constructor(options: Omit<RateLimitModuleOptions<never>, 'store'> & { readonly store?: NestOptions['store'] }) {
    const option = 'RateLimitModule'
    const {
      limits = {},
      scopes = {},
      name,
      group,
      defaultRate,
      ...own
    } = options as LimitParts & { [Name in 'limits' | 'scopes']?: LimitParts }
    this.#base = (group ?? name ?? `nest-${++unnamed}`) as string
    const rate = defaultRate === undefined && Object.keys(limits).length > 0 ? null : defaultRate
    const paths = { ...own, group: this.#base, ...(rate !== undefined && { defaultRate: rate }) } as PathOptions
    this.byPath = buildPathGates<NestOptions<never>, Keeper>(paths, option, buildKeeper)
    const { skipPaths, methods, caseSensitive, rateLimits: _rules, keyFunction, ...common } = own
    this.#common = keyFunction === undefined ? common : { ...common, key: keyFunction }
    const restricts = { ...(skipPaths !== undefined && { skipPaths }), ...(methods !== undefined && { methods }) }
    if (Object.keys(restricts).length > 0) {
      const where = { ...restricts, ...(caseSensitive !== undefined && { caseSensitive }) } as object
      this.applies = buildPathGates<{ rate: never }, true>(where, option, () => true)
    }
    this.#named.set(DEFAULT_NAME, { scoped: false, hasRate: rate !== null, build: this.#entries({ rate: rate ?? undefined }) })
    const everywhere = new Map<string, Keeper>()
    for (const [limit, input] of Object.entries(entriesOf(limits, `${option}.limits`))) {
      const at = `${option}.limits.${checkedName(limit, `${option}.limits`)}`
      everywhere.set(limit, this.#add(limit, partsOf(input, at), false, at))
    }
    this.everywhere = everywhere
    for (const [scope, input] of Object.entries(entriesOf(scopes, `${option}.scopes`))) {
      const at = `${option}.scopes.${checkedName(scope, `${option}.scopes`)}`
      this.#add(scope, partsOf(input, at), true, at)
    }
  }

  /** Whether the module has a limit or a scope of this name. */
  knows(name: string): boolean {
    return this.#named.has(name)
  }

  /**
   * The limiter that a decorator asks for.
   * @param route what the handler is called
   * @throws ConfigError naming the route
   */
  ask(name: string, { parts, scoped }: AskedLimit, route: string): Keeper {
    const at = `@RateLimit of ${route}`
    const known = this.#named.get(name)
    if (scoped && known?.scoped !== true) throw new ConfigError(`${at}.scope`, this.#scopes(), name)
    if (!scoped && known?.scoped === true)
      throw new ConfigError(`${at}.name`, `{ scope: "${name}" }, as it is no limit of all routes`, name)
    if (parts['rate'] === undefined && known?.hasRate !== true)
      throw new ConfigError(`${at}.rate`, 'a rate, as the module has none for it', undefined)
    const full = scoped ? name : name === DEFAULT_NAME ? route : `${route}:${name}`
    const build = known?.build ?? this.#entries({})
    return build(full, { name: shown(full), group: `${this.#base}:${full}`, ...parts }, at) as Keeper
  }

  #scopes(): string {
    const names = [...this.#named].filter(([, { scoped }]) => scoped).map(([name]) => name)
    return names.length === 0 ? 'a scope that the module has in its scopes' : `one of the module's scopes: ${names.join(', ')}`
  }

  #add(name: string, parts: LimitParts, scoped: boolean, at: string): Keeper {
    if (this.#named.has(name)) throw new ConfigError(at, 'a name that no other limit or scope has', name)
    if (parts['rate'] === undefined || parts['rate'] === null)
      throw new ConfigError(`${at}.rate`, 'a rate such as "100/m"', parts['rate'])
    const { name: own = name, group = `${this.#base}:${name}`, ...inherited } = parts
    const build = this.#entries(inherited)
    this.#named.set(name, { scoped, build, hasRate: true })
    return build(name, { name: own, group }, at) as Keeper
  }

  /** What builds a limit's own limiter, and those of handlers that inherit from it. */
  #entries({ rate, ...parts }: LimitParts): Build {
    // An algorithm of its own does not inherit the settings of another.
    const common = parts['algorithm'] === undefined ? this.#common : { ...this.#common, algorithmConfig: undefined }
    const options = { ...common, ...parts, group: this.#base, ...(rate !== undefined && { defaultRate: rate }) }
    return buildEntries<NestOptions<never>, Keeper>(options as PathOptions, 'RateLimitModule', buildKeeper)
  }
}

function entriesOf(value: unknown, option: string): LimitParts {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(option, 'an object of limits by name', value)
  return value as LimitParts
}

/** Names are shown in headers and logs, groups are not: there a route keeps its full name. */
function shown(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '?').slice(0, 128)
}

function buildKeeper(options: NestOptions<never>, option: string): Keeper {
  const own = gateOptionsOf(options, option, ['onLimited', 'countWhen'])
  const { onLimited, countWhen } = options
  return new Gatekeeper<NestExchange>(own, option, {
    countWhen: countWhen && (({ response, raw }) => response === undefined || countWhen(response, raw as never)),
    refuse: (exchange, answer, decision): MaybePromise<never> => {
      for (const [name, value] of answer.headers) exchange.setHeader(name, value)
      return andThen(onLimited?.(exchange.context, decision), (error) => {
        if (error instanceof Error) throw error
        if (exchange.kind === 'http') throw refusedRequest(decision, answer)
        return refusedCall(exchange.kind, decision, answer).then((refused) => {
          throw refused
        })
      })
    },
  })
}
