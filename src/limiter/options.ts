// What createLimiter takes, and its check. Promise: a misspelt or impossible option fails here, naming it.
// Next: limiter.ts.

import type { BanTerms } from '../core/ban-terms.ts'
import { calendar } from '../core/calendar.ts'
import { checkNames } from '../core/check-names.ts'
import type { Clock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import type { RateInput } from '../core/limit-set.ts'
import { ALGORITHMS, type AlgorithmConfig, type AlgorithmName } from '../core/limit.ts'
import type { Observer } from '../core/observer.ts'
import type { Store } from '../stores/store.ts'
import { ON_STORE_ERROR, type OnStoreError } from './outage.ts'

/** A ban that follows each refusal. Times in whole ms. */
export interface PenaltyOptions {
  /** How long the first ban lasts. */
  readonly durationMs: number
  /** Each further ban lasts so many times longer: a whole number ≥ 1 (default 1). */
  readonly factor?: number
  /** No ban lasts longer (default: a day, or `durationMs` if that is more). */
  readonly maxMs?: number
  /** So long after a ban's end the growth starts anew (default: `maxMs`). */
  readonly forgetAfterMs?: number
}

/** Options of `createLimiter`. */
export interface LimiterOptions<S extends Store = Store, Subject = unknown> {
  /** The limit or limits; or a function of the call's subject, returning them or null for no limit. It must not be async. */
  readonly rate: RateInput | ((subject: Subject) => RateInput | null)
  /** Shown in decisions, headers and metrics, and the default `group` (default: numbered per store in order of creation). */
  readonly name?: string
  /** What the counters belong to: limiters of one group, algorithm and period share them (default: the name). */
  readonly group?: string
  /** Default `sliding_window`; for calendar rates `fixed_window`. */
  readonly algorithm?: AlgorithmName
  readonly algorithmConfig?: AlgorithmConfig
  /** Time zone of calendar rates (default `UTC`). */
  readonly timeZone?: string
  /** Where the counters live (default: a memory store of its own). */
  readonly store?: S
  /** Clock of the default store (default: the system's). With `store`, it must be that store's clock. */
  readonly clock?: Clock
  /** Cost of a call that names none: a whole number ≥ 1, or a function of the subject (default 1, or `tokensPerRequest`). */
  readonly cost?: number | ((subject: Subject) => number)
  /** True exempts a call: it is not counted. If it throws, that is reported and limiting goes on. */
  readonly skipIf?: (subject: Subject) => boolean
  /** Evaluate, count and report, but never refuse (default false). */
  readonly shadow?: boolean
  /** Charge refused requests too, which keeps a full counter full (default false). Such a charge cannot be refunded. */
  readonly chargeRefused?: boolean
  /** Ban a key after a refusal (default: no). */
  readonly penalty?: PenaltyOptions
  /**
   * What happens when no store answers: `'local'` this process decides by its share of the limit (default), `'allow'`, `'deny'` (503
   * over HTTP) or `'throw'`. Nothing to decide on the memory store, which always answers.
   */
  readonly onStoreError?: OnStoreError
  /** The kill switch: false, or a function returning it, exempts everything (default true). Read on every call. */
  readonly enabled?: boolean | (() => boolean)
  /** Who watches (default: nobody). */
  readonly observers?: readonly Observer[]
}

/** The names of {@link LimiterOptions}, for callers that pass options through. */
export const LIMITER_OPTIONS: readonly string[] = [
  'rate',
  'name',
  'group',
  'algorithm',
  'algorithmConfig',
  'timeZone',
  'store',
  'clock',
  'cost',
  'skipIf',
  'shadow',
  'chargeRefused',
  'penalty',
  'onStoreError',
  'enabled',
  'observers',
] satisfies readonly (keyof LimiterOptions)[]

const DAY_MS = 86_400_000

/** Checks what the types cannot, for callers without them. The rates are checked by `buildLimitSet`. */
export function checkOptions(options: LimiterOptions<Store, never>, option: string): void {
  checkNames(options, LIMITER_OPTIONS, option)
  const of = (key: keyof LimiterOptions, expected: string, good: (value: unknown) => boolean): void => {
    const value: unknown = options[key]
    if (value === undefined || good(value)) return
    // Where a store belongs, a text is an address, and may hold a password.
    throw new ConfigError(`${option}.${key}`, expected, key === 'store' && typeof value === 'string' ? '(a text)' : value)
  }
  const isFunction = (value: unknown): boolean => typeof value === 'function'
  const isBoolean = (value: unknown): boolean => typeof value === 'boolean'
  of('name', '1 to 128 printable ASCII characters', (value) => typeof value === 'string' && /^[\x20-\x7e]{1,128}$/.test(value))
  of('group', 'a text that is not empty', (value) => typeof value === 'string' && value !== '')
  of('cost', 'a whole number ≥ 1, or a function', (value) => isCost(value) || isFunction(value))
  of('skipIf', 'a function', isFunction)
  of('shadow', 'true or false', isBoolean)
  of('onStoreError', `one of ${ON_STORE_ERROR.join(', ')}`, (value) => (ON_STORE_ERROR as readonly unknown[]).includes(value))
  of('chargeRefused', 'true or false', isBoolean)
  of('enabled', 'true, false or a function', (value) => isBoolean(value) || isFunction(value))
  of('clock', 'a clock { now() }', (value) => typeof (value as Clock | null)?.now === 'function')
  of('store', 'a store, such as memoryStore()', (value) => typeof (value as Store | null)?.take === 'function')
  of('algorithm', `one of ${ALGORITHMS.join(', ')}`, (value) => (ALGORITHMS as readonly unknown[]).includes(value))
  of('algorithmConfig', 'an object', (value) => typeof value === 'object' && value !== null && !Array.isArray(value))
  of('timeZone', 'an IANA time zone such as "Europe/Madrid"', (value) => typeof value === 'string' && value !== '')
  if (options.timeZone !== undefined) calendar('day', options.timeZone, `${option}.timeZone`)
  of(
    'observers',
    'a list of observers',
    (value) => Array.isArray(value) && value.every((one) => typeof one === 'object' && one !== null),
  )
}

/** A cost is a whole number of at least 1. */
export function isCost(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1
}

/** @throws ConfigError for a time that is no whole number of ms */
export function banTerms(penalty: PenaltyOptions, option: string): BanTerms {
  checkNames(penalty, ['durationMs', 'factor', 'maxMs', 'forgetAfterMs'], option)
  const whole = (key: keyof PenaltyOptions, least: number, fallback: number): number => {
    const value = penalty[key] ?? fallback
    if (!Number.isSafeInteger(value) || value < least || value > 3660 * DAY_MS) {
      throw new ConfigError(`${option}.${key}`, `a whole number from ${least} (times in ms, up to ten years)`, value)
    }
    return value
  }
  const durationMs = whole('durationMs', 1, Number.NaN)
  const maxMs = whole('maxMs', durationMs, Math.max(durationMs, DAY_MS))
  return { durationMs, factor: whole('factor', 1, 1), maxMs, forgetAfterMs: whole('forgetAfterMs', 0, maxMs) }
}
