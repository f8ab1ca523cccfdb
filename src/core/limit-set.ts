// The limits that are decided together, and the scope they count under.
// Promise: all limits of a set live under one key and are granted all or none. Next: decision.ts.

import { ConfigError } from './errors.ts'
import { type AlgorithmConfig, type AlgorithmName, type Limit, buildLimit } from './limit.ts'
import { type Rate, type RateText, parseRate, splitRates } from './rate.ts'

/** One limit of several, where they differ in more than the rate. */
export interface LimitInput {
  readonly rate: RateText
  readonly algorithm?: AlgorithmName
  readonly algorithmConfig?: AlgorithmConfig
  /** Shown in headers; letters, digits and `_-.:/` (default: made from the rate, `100-per-m`). */
  readonly name?: string
}

/** What a `rate` option takes: `'100/m'`, `'10/s, 1000/h'`, or a list of texts and {@link LimitInput}s. */
export type RateInput = RateText | readonly (RateText | LimitInput)[]

/** What all limits of a set have in common unless one says otherwise. */
export interface LimitDefaults {
  readonly algorithm?: AlgorithmName | undefined
  readonly algorithmConfig?: AlgorithmConfig | undefined
  readonly timeZone?: string | undefined
}

/** The limits of one decision. */
export interface LimitSet {
  /** Name of the policy these limits are of, for decisions to show. */
  readonly policy: string
  /** Counters with the same scope and identity are the same counter. */
  readonly scope: string
  /** A small number, the same for equal scopes in this process. */
  readonly scopeId: number
  readonly limits: readonly [Limit, ...Limit[]]
  /** The limit, where it is the only one: engines read a frozen list many times slower than a field. */
  readonly only: Limit | undefined
  /** The largest whole cost that could ever be granted; 0 when everything is denied. */
  readonly maxCost: number
}

/** More limits than this in one set is a mistake, and a bound that stores may rely on. */
export const MAX_LIMITS = 16

const scopeIds = new Map<string, number>()

/**
 * Builds the limits of a policy.
 * @param group what the counters belong to; part of their identity
 * @param option what errors call it
 * @param policy what decisions call it
 * @throws ConfigError for a rate, an algorithm or a name that cannot be
 */
export function buildLimitSet(
  group: string,
  input: RateInput,
  defaults: LimitDefaults,
  option = 'rate',
  policy = group,
): LimitSet {
  const limits = inputs(input, option).map(({ at, rate, algorithm, algorithmConfig, name }) =>
    limitOf(parseRate(rate, at), algorithm, algorithmConfig, name, defaults, option, at),
  )
  const [first] = limits
  if (first === undefined || limits.length > MAX_LIMITS) {
    throw new ConfigError(option, `from 1 to ${MAX_LIMITS} rates`, input, 'ERR_RATELIMIT_RATE')
  }
  const names = new Set<string>()
  for (const { name } of limits) {
    if (names.has(name)) throw new ConfigError(option, 'limits of different names', name)
    names.add(name)
  }
  return setOf(policy, `${escape(group)}|${limits.map((limit) => limit.scope).join('|')}`, limits)
}

function setOf(policy: string, scope: string, limits: readonly Limit[]): LimitSet {
  let scopeId = scopeIds.get(scope)
  if (scopeId === undefined) scopeIds.set(scope, (scopeId = scopeIds.size))
  let maxCost = Infinity
  for (const limit of limits) maxCost = Math.min(maxCost, limit.amount === 0 ? 0 : Math.floor(limit.burst))
  const only = limits.length === 1 ? limits[0] : undefined
  return Object.freeze({ policy, scope, scopeId, limits: Object.freeze(limits) as LimitSet['limits'], only, maxCost })
}

/** A limit that is being changed, before it is frozen again. */
export type MutableLimit = { -readonly [K in keyof Limit]: Limit[K] }

/**
 * A set like another with each limit changed, in a scope of its own that is the same for every such change of the scope.
 * @param kind letters that name the kind of change
 */
export function derivedSet(set: LimitSet, kind: string, change: (limit: MutableLimit) => void): LimitSet {
  const limits = set.limits.map((limit) => {
    const changed: MutableLimit = { ...limit }
    change(changed)
    return Object.freeze(changed)
  })
  // No group has a "|" in it, so no other set's scope begins like this.
  return setOf(set.policy, `|${kind}|${set.scope}`, limits)
}

interface Entry extends LimitInput {
  readonly at: string
}

function inputs(input: RateInput, option: string): readonly Entry[] {
  if (typeof input === 'string') return splitRates(input).map((rate) => ({ at: option, rate }))
  if (!Array.isArray(input))
    throw new ConfigError(option, 'a rate such as "100/m", or a list of rates', input, 'ERR_RATELIMIT_RATE')
  return (input as readonly (RateText | LimitInput)[]).flatMap((item, index): readonly Entry[] => {
    const at = `${option}[${index}]`
    if (typeof item === 'string') return splitRates(item).map((rate) => ({ at, rate }))
    if (typeof item !== 'object' || item === null)
      throw new ConfigError(at, 'a rate or { rate, algorithm, … }', item, 'ERR_RATELIMIT_RATE')
    for (const key of Object.keys(item)) {
      if (!['rate', 'algorithm', 'algorithmConfig', 'name'].includes(key)) {
        throw new ConfigError(
          `${at}.${key}`,
          'one of rate, algorithm, algorithmConfig, name',
          (item as unknown as Record<string, unknown>)[key],
        )
      }
    }
    return [{ ...item, at }]
  })
}

function limitOf(
  rate: Rate,
  algorithm: AlgorithmName | undefined,
  config: AlgorithmConfig | undefined,
  name: string | undefined,
  defaults: LimitDefaults,
  option: string,
  at: string,
): Limit {
  if (name !== undefined && (typeof name !== 'string' || !/^[A-Za-z0-9_\-.:/]{1,64}$/.test(name))) {
    throw new ConfigError(`${at}.name`, '1 to 64 letters, digits or _-.:/', name)
  }
  const owner = algorithm === undefined && config === undefined ? option.replace(/\.?rate$/, '') : at
  // A limit with an algorithm of its own does not inherit the settings of another one.
  const inherited = algorithm === undefined || algorithm === defaults.algorithm ? defaults.algorithmConfig : undefined
  return buildLimit(
    rate,
    algorithm ?? defaults.algorithm,
    config ?? inherited ?? {},
    defaults.timeZone,
    owner === '' ? 'options' : owner,
    name,
  )
}

/** Keeps the join of group and limits unambiguous. */
function escape(group: string): string {
  return group.replace(/[%|]/g, (char) => (char === '%' ? '%25' : '%7C'))
}
