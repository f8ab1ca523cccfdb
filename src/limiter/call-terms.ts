// What is asked for by one call: by which limits, for how much, or not at all; as the options say, which may be functions of the app's.
// Promise: a function that throws is reported and counts the call as usual; one whose result must be waited for is an error at once.
// Next: limiter.ts, which asks.

import { ConfigError, RateLimitError, show } from '../core/errors.ts'
import { type LimitSet, type RateInput, buildLimitSet } from '../core/limit-set.ts'
import { type MaybePromise, isPromise } from '../core/maybe.ts'
import type { Store } from '../stores/store.ts'
import { type LimiterOptions, isCost } from './options.ts'

/** Sets of dynamic rates kept ready; more distinct rates than this are built again when they come again. */
const REMEMBERED_SETS = 1000

/** What the calls of one limiter ask for. */
export class CallTerms<Subject> {
  /** The limits, where they are the same for all calls. */
  readonly fixed: LimitSet | undefined
  /** The cost of a call that says none; where it is a function, 1. */
  readonly cost: number
  readonly #options: LimiterOptions<Store, Subject>
  readonly #option: string
  readonly #name: string
  readonly #report: (error: unknown, where: string) => void
  readonly #sets = new Map<string, LimitSet>()

  /**
   * @param name the limiter's
   * @param report hears of what the app's functions throw
   */
  constructor(
    options: LimiterOptions<Store, Subject>,
    option: string,
    name: string,
    report: (error: unknown, where: string) => void,
  ) {
    this.#options = options
    this.#option = option
    this.#name = name
    this.#report = report
    this.cost = typeof options.cost === 'number' ? options.cost : (options.algorithmConfig?.tokensPerRequest ?? 1)
    this.fixed = typeof options.rate === 'function' ? undefined : this.#build(options.rate, `${option}.rate`)
  }

  enabled(): boolean {
    const { enabled } = this.#options
    if (typeof enabled !== 'function') return enabled !== false
    let on: boolean
    try {
      on = enabled()
    } catch (error) {
      this.#report(error, 'enabled')
      return true
    }
    return settled(on, `${this.#option}.enabled`)
  }

  skips(subject: Subject): boolean {
    const { skipIf } = this.#options
    if (skipIf === undefined) return false
    let skip: boolean
    try {
      skip = skipIf(subject)
    } catch (error) {
      this.#report(error, 'skipIf')
      return false
    }
    return settled(skip, `${this.#option}.skipIf`)
  }

  costOf(subject: Subject): number {
    const { cost } = this.#options
    if (typeof cost !== 'function') return this.cost
    let value: number
    try {
      value = cost(subject)
      if (!isPromise(value as MaybePromise<number>)) return checkedCost(value)
    } catch (error) {
      this.#report(error, 'cost')
      return this.cost
    }
    return settled(value, `${this.#option}.cost`)
  }

  /**
   * The limits of a call; undefined for none.
   * @param rate the call's own
   */
  limitsFor(rate: RateInput | null | undefined, subject: Subject): LimitSet | undefined {
    if (rate !== undefined) return rate === null ? undefined : this.byRate(rate)
    if (this.fixed !== undefined) return this.fixed
    const own = settled((this.#options.rate as (subject: Subject) => RateInput | null)(subject), `${this.#option}.rate`)
    return own === null ? undefined : this.byRate(own)
  }

  /** The limits of a rate that is not known beforehand. */
  byRate(rate: RateInput): LimitSet {
    const text = typeof rate === 'string' ? rate : JSON.stringify(rate)
    const known = this.#sets.get(text)
    if (known !== undefined) return known
    const set = this.#build(rate, `${this.#option}.rate()`)
    if (this.#sets.size >= REMEMBERED_SETS) this.#sets.delete(this.#sets.keys().next().value as string)
    this.#sets.set(text, set)
    return set
  }

  #build(rate: RateInput, option: string): LimitSet {
    return buildLimitSet(this.#options.group ?? this.#name, rate, this.#options, option, this.#name)
  }
}

/** @throws RateLimitError for what is no whole number ≥ 1 */
export function checkedCost(cost: number): number {
  if (!isCost(cost)) throw new RateLimitError('ERR_RATELIMIT_COST', `cost: expected a whole number ≥ 1, received ${show(cost)}`)
  return cost
}

/** @throws RateLimitError for what is no text, or an empty one */
export function checkKey(key: string): void {
  if (typeof key !== 'string' || key === '') {
    throw new RateLimitError('ERR_RATELIMIT_KEY', `key: expected a text that is not empty, received ${show(key)}`)
  }
}

/** What a function of the app returned, which must be there: waiting is the adapters' part. */
function settled<T>(value: T, option: string): T {
  if (!isPromise(value as MaybePromise<unknown>)) return value
  // Nobody will look at the promise any more; its failure must not end the process.
  void Promise.resolve(value).catch(() => undefined)
  throw new ConfigError(option, 'a function that is not async (adapters take async ones)', value)
}
