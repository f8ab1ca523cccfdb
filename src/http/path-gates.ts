// App-wide limiting: which limiter a request's path belongs to. Promise: the longest rule decides, on whole segments of the
// normalised path; each entry is one counter per client; nothing is exempt unless configured. Next: path-rules.ts.

import { ConfigError } from '../core/errors.ts'
import type { RateInput } from '../core/limit-set.ts'
import { buildPathRules, buildPathSet } from './path-rules.ts'

/** Options of an app-wide middleware, over those (`Own`) of one limiter, which entries inherit. */
export type PathMiddlewareOptions<Own extends { readonly rate: unknown; readonly key?: unknown }> = Omit<Own, 'rate'> & {
  /** The limit of requests that no entry matches, together (default `'100/m'`); null for none. */
  readonly defaultRate?: Own['rate'] | null
  /** Path → rate, or options of its own; null exempts. `/api/` and `/api` match the path and all below, not `/apiary`; `*` is one segment. */
  readonly rateLimits?: Readonly<Record<string, RateInput | Partial<Own> | null>>
  /** Paths that are not limited, with all below them. */
  readonly skipPaths?: readonly string[]
  /** HTTP methods to limit (default all). HEAD counts as GET. */
  readonly methods?: readonly string[]
  /** Whether `/API` is another path than `/api` (default false). */
  readonly caseSensitive?: boolean
  /** Another name for `key`. */
  readonly keyFunction?: Own['key']
}

const OWN = ['defaultRate', 'rateLimits', 'skipPaths', 'methods', 'caseSensitive', 'keyFunction']
const DEFAULT_RATE = '100/m'
let unnamed = 0

/** What a request falls under. */
export interface PathFinding<Limiter> {
  /** The option that decided: it is not limited by `methods` or `skipPaths`, it has an entry, or it belongs to the rest. */
  readonly by: 'methods' | 'skipPaths' | 'rateLimits' | 'defaultRate'
  /** The path of the entry, as it was written. */
  readonly pattern: string | undefined
  /** Undefined where nothing is limited. */
  readonly limiter: Limiter | undefined
}

/** The limiters of an app's paths. Called, it answers with that of a request; undefined for none. */
export interface PathGates<Limiter> {
  (method: string, target: string): Limiter | undefined
  /** The same, and why. */
  find(method: string, target: string): PathFinding<Limiter>
}

/**
 * Builds the limiters of all entries.
 * @param build makes one limiter, of options and what errors call them
 * @throws ConfigError naming the entry
 */
export function buildPathGates<Own extends { readonly rate: unknown; readonly key?: unknown }, Limiter>(
  options: PathMiddlewareOptions<Own>,
  option: string,
  build: (own: Own, option: string) => Limiter,
): PathGates<Limiter> {
  type Finding = PathFinding<Limiter>
  const entry = buildEntries(options, option, build)
  const { defaultRate, rateLimits = {}, skipPaths = [], methods, caseSensitive = false } = options
  if (typeof caseSensitive !== 'boolean') throw new ConfigError(`${option}.caseSensitive`, 'true or false', caseSensitive)
  const built = Object.entries(rateLimits).map(([path, own]): readonly [string, Finding] => {
    const limiter = entry(path, own, `${option}.rateLimits[${JSON.stringify(path)}]`)
    return [path, { by: 'rateLimits', pattern: path, limiter }]
  })
  const rules = buildPathRules(Object.fromEntries(built), { caseSensitive }, `${option}.rateLimits`)
  const rest: Finding = {
    by: 'defaultRate',
    pattern: undefined,
    limiter: entry('default', defaultRate === undefined ? DEFAULT_RATE : defaultRate, `${option}.defaultRate`),
  }
  const skipped = skipPaths.length === 0 ? undefined : buildPathSet(skipPaths, { caseSensitive }, `${option}.skipPaths`)
  const only = methods === undefined ? undefined : methodSet(methods, `${option}.methods`)
  const find = (method: string, target: string): Finding => {
    if (only !== undefined && !only.has(method)) return NOT_OF_METHODS
    if (skipped?.has(target) === true) return SKIPPED
    const rule = rules.match(target)
    return rule === undefined ? rest : rule.value
  }
  return Object.assign((method: string, target: string) => find(method, target).limiter, { find })
}

const NOT_OF_METHODS = { by: 'methods', pattern: undefined, limiter: undefined } as const
const SKIPPED = { by: 'skipPaths', pattern: undefined, limiter: undefined } as const

function methodSet(methods: readonly string[], option: string): ReadonlySet<string> {
  if (!Array.isArray(methods) || methods.length === 0) throw new ConfigError(option, 'a list of methods', methods)
  const set = new Set<string>()
  for (const method of methods) {
    if (typeof method !== 'string' || !/^[A-Za-z-]{1,32}$/.test(method)) throw new ConfigError(option, 'names of methods', method)
    set.add(method.toUpperCase())
  }
  // HEAD is answered by the GET handler, so it must not be a way around.
  if (set.has('GET')) set.add('HEAD')
  return set
}

/**
 * Builds the limiters of single entries, which inherit the common options. For frameworks whose routes carry options of their own.
 * @returns a function of an entry's name, its rate or options (null for none) and what errors call it
 * @throws ConfigError for options that are none
 */
export function buildEntries<Own extends { readonly rate: unknown; readonly key?: unknown }, Limiter>(
  options: PathMiddlewareOptions<Own>,
  option: string,
  build: (own: Own, option: string) => Limiter,
): (name: string, own: unknown, at: string) => Limiter | undefined {
  if (typeof options !== 'object' || options === null) throw new ConfigError(option, 'an object', options)
  const { defaultRate, keyFunction } = options
  if ('rate' in options) throw new ConfigError(`${option}.rate`, 'defaultRate, or rates per path in rateLimits', options.rate)
  if (keyFunction !== undefined && options.key !== undefined)
    throw new ConfigError(`${option}.keyFunction`, 'either key or keyFunction', keyFunction)
  const common: Record<string, unknown> = Object.fromEntries(Object.entries(options).filter(([name]) => !OWN.includes(name)))
  if (keyFunction !== undefined) common['key'] = keyFunction
  const base = (common['group'] ?? common['name'] ?? `middleware-${++unnamed}`) as string

  return (name, own, at) => {
    if (own === null) return undefined
    const isOptions = typeof own === 'object' && !Array.isArray(own)
    const given = isOptions ? (own as Record<string, unknown>) : { rate: own }
    // An algorithm of its own does not inherit the settings of another.
    const inherited = given['algorithm'] === undefined ? common : { ...common, algorithmConfig: undefined }
    const merged: Record<string, unknown> = {
      ...inherited,
      rate: defaultRate ?? DEFAULT_RATE,
      name,
      group: `${base}:${name}`,
      ...given,
    }
    if (merged['algorithmConfig'] === undefined) delete merged['algorithmConfig']
    return build(merged as unknown as Own, at)
  }
}
