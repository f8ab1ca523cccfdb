// One limit, checked and turned into the whole numbers its law works on. Everything is checked here, once, at construction.
// Promise: a Limit that exists is sound; no number a law derives from it passes 2^53. Next: limit-set.ts.

import { type Calendar, calendar } from './calendar.ts'
import { ConfigError } from './errors.ts'
import { type Rate, formatPeriod, formatRate } from './rate.ts'

/** The five algorithms; every store runs all of them. */
export const ALGORITHMS = ['sliding_window', 'fixed_window', 'token_bucket', 'leaky_bucket', 'gcra'] as const

/** One of {@link ALGORITHMS}. */
export type AlgorithmName = (typeof ALGORITHMS)[number]

/**
 * Settings of an algorithm. Each belongs to the algorithms named with it; giving it to another is an error.
 */
export interface AlgorithmConfig {
  /** sliding_window: sub-windows per period (1 to 1000, default 60), or `'exact'` for single milliseconds. */
  readonly precision?: number | 'exact'
  /** fixed_window: windows aligned to the clock (default) or starting with a client's first request. */
  readonly align?: 'clock' | 'first'
  /** token_bucket: tokens the bucket holds (default N; fractions such as 10.5 work; 0 denies everything). */
  readonly bucketSize?: number
  /** token_bucket: tokens per second (default N per period; 0 never refills). */
  readonly refillRate?: number
  /** token_bucket: tokens a new client starts with (default `bucketSize`). */
  readonly initialTokens?: number
  /** token_bucket: the cost of a request that names none (default 1). */
  readonly tokensPerRequest?: number
  /** leaky_bucket: what the bucket holds (default N). */
  readonly bucketCapacity?: number
  /** leaky_bucket: what leaks out per second (default N per period; 0 never drains). */
  readonly leakRate?: number
  /** gcra: requests admitted at once after a rest (default 1: even pacing). */
  readonly burst?: number
}

/** Which arithmetic decides: the bucket, the fixed window, or the sliding window. */
export type LawKind = 'bucket' | 'fixed' | 'sliding'

/** A limit ready for its law. The fields a law does not use are 0. */
export interface Limit {
  /** Shown in headers and standings; unique within its policy. */
  readonly name: string
  readonly rate: Rate
  readonly algorithm: AlgorithmName
  readonly kind: LawKind
  /** N of the rate. */
  readonly amount: number
  /** The most one request may cost; for a bucket its size, maybe fractional, otherwise N. */
  readonly burst: number
  readonly periodMs: number
  /** bucket: what one token weighs. */
  readonly unit: number
  /** bucket: weight that drains per millisecond. */
  readonly drain: number
  /** bucket: `burst × unit`. window: N. */
  readonly capacity: number
  /** bucket: the level of a client never seen before. */
  readonly initialLevel: number
  /** bucket with an initial level: a client silent for this long counts as never seen; 0 when that changes nothing. */
  readonly forgetMs: number
  /** sliding: length of a sub-window. */
  readonly widthMs: number
  /** fixed: where windows begin. */
  readonly align: 'clock' | 'first' | 'calendar'
  readonly calendar: Calendar | undefined
  /** What, with the group, makes the counter's identity: algorithm, period and shape, without amount and burst. */
  readonly scope: string
}

const KEYS: Readonly<Record<AlgorithmName, readonly (keyof AlgorithmConfig)[]>> = {
  sliding_window: ['precision'],
  fixed_window: ['align'],
  token_bucket: ['bucketSize', 'refillRate', 'initialTokens', 'tokensPerRequest'],
  leaky_bucket: ['bucketCapacity', 'leakRate'],
  gcra: ['burst'],
}

const DEFAULT_PRECISION = 60
const MAX_PRECISION = 1000
/** Sub-windows of one millisecond are numbered in 31 bits by the memory store. */
const MAX_EXACT_PERIOD_MS = 2 ** 31 - 1
/** Two capacities are added in a decision, and the sum must stay whole. */
const MAX_CAPACITY = 2 ** 52
/** Fractions of a token are kept to a millionth. */
const FRACTION_DIGITS = 6
/** How long past a full refill the state of a bucket with an initial level is remembered. */
const FORGET_MARGIN_MS = 60_000

/**
 * Builds a limit.
 * @param option what errors call it, such as `rateLimits["/api/"]`
 * @throws ConfigError for an algorithm, a setting or a size that cannot be
 */
export function buildLimit(
  rate: Rate,
  algorithm: AlgorithmName | undefined,
  config: AlgorithmConfig,
  timeZone: string | undefined,
  option: string,
  name?: string,
): Limit {
  const chosen = algorithm ?? (rate.calendar === undefined ? 'sliding_window' : 'fixed_window')
  checkAlgorithm(chosen, config, option)
  if (rate.calendar !== undefined && chosen !== 'fixed_window') {
    const plain =
      rate.calendar === 'day' || rate.calendar === 'week' ? `, or a duration such as "${rate.amount}/1${rate.calendar}"` : ''
    throw new ConfigError(`${option}.algorithm`, `fixed_window for the calendar rate ${formatRate(rate)}${plain}`, chosen)
  }
  const common = {
    name: name ?? defaultName(rate),
    rate,
    algorithm: chosen,
    kind: 'fixed' as LawKind,
    amount: rate.amount,
    burst: rate.amount,
    periodMs: rate.periodMs,
    unit: 0,
    drain: 0,
    capacity: rate.amount,
    initialLevel: 0,
    forgetMs: 0,
    widthMs: 0,
    align: 'clock' as Limit['align'],
    calendar: undefined as Calendar | undefined,
    scope: `${chosen}:${formatPeriod(rate)}`,
  }
  if (chosen === 'fixed_window') return fixed(common, config, timeZone, option)
  if (chosen === 'sliding_window') return sliding(common, config, option)
  return bucket(common, config, option)
}

/**
 * Checks an algorithm's name and settings before a rate is known.
 * @throws ConfigError for a name, a setting or a value that no rate could make right
 */
export function checkAlgorithm(algorithm: AlgorithmName = 'sliding_window', config: AlgorithmConfig = {}, option: string): void {
  if (!ALGORITHMS.includes(algorithm)) throw new ConfigError(`${option}.algorithm`, `one of ${ALGORITHMS.join(', ')}`, algorithm)
  checkConfig(algorithm, config, `${option}.algorithmConfig`)
}

type Draft = { -readonly [K in keyof Limit]: Limit[K] }

function fixed(limit: Draft, config: AlgorithmConfig, timeZone: string | undefined, option: string): Limit {
  limit.align = config.align ?? 'clock'
  if (limit.rate.calendar !== undefined) {
    if (config.align !== undefined) {
      throw new ConfigError(`${option}.algorithmConfig.align`, 'to be left out with a calendar rate', config.align)
    }
    limit.align = 'calendar'
    limit.calendar = calendar(limit.rate.calendar, timeZone, `${option}.timeZone`)
    if (limit.calendar.timeZone !== 'UTC') limit.scope += `:${limit.calendar.timeZone}`
  }
  if (limit.align === 'first') limit.scope += ':first'
  return Object.freeze(limit)
}

function sliding(limit: Draft, config: AlgorithmConfig, option: string): Limit {
  const precision = config.precision ?? DEFAULT_PRECISION
  limit.kind = 'sliding'
  if (precision === 'exact') {
    if (limit.periodMs > MAX_EXACT_PERIOD_MS) {
      throw new ConfigError(`${option}.algorithmConfig.precision`, 'a number for periods over 24 days', precision)
    }
    limit.widthMs = 1
  } else {
    limit.widthMs = Math.ceil(limit.periodMs / precision)
  }
  if (precision !== DEFAULT_PRECISION) limit.scope += `:${precision}`
  return Object.freeze(limit)
}

function bucket(limit: Draft, config: AlgorithmConfig, option: string): Limit {
  limit.kind = 'bucket'
  const perSecond = config.refillRate ?? config.leakRate
  limit.burst = config.bucketSize ?? config.bucketCapacity ?? (limit.algorithm === 'gcra' ? (config.burst ?? 1) : limit.amount)
  const perPeriod = perSecond === undefined ? limit.amount : (perSecond * limit.periodMs) / 1000
  const scale = scaleOf(perPeriod)
  limit.unit = limit.periodMs * scale
  limit.drain = Math.round(perPeriod * scale)
  if (limit.drain === 0 && perPeriod > 0) {
    const where = config.refillRate === undefined ? 'leakRate' : 'refillRate'
    throw new ConfigError(`${option}.algorithmConfig.${where}`, 'at least a millionth of a token per period, or 0', perSecond)
  }
  // Rounded down, as a bucket of 10.5 must not hold 11.
  limit.capacity = Math.floor(limit.burst * limit.unit)
  if (!(limit.capacity <= MAX_CAPACITY)) {
    throw new ConfigError(
      option,
      `a size × period below 2^52 ms (fixed_window and sliding_window have no such bound)`,
      formatRate(limit.rate),
    )
  }
  if (!(limit.drain <= MAX_CAPACITY))
    throw new ConfigError(option, 'a refill rate below 2^52 per period', perSecond ?? limit.amount)
  const initial = config.initialTokens ?? limit.burst
  if (initial > limit.burst) {
    throw new ConfigError(`${option}.algorithmConfig.initialTokens`, `at most the bucket's size, ${limit.burst}`, initial)
  }
  limit.initialLevel = limit.capacity - Math.floor(initial * limit.unit)
  if (limit.initialLevel > 0 && limit.drain > 0) limit.forgetMs = Math.ceil(limit.capacity / limit.drain) + FORGET_MARGIN_MS
  if (scale !== 1) limit.scope += `:${scale}`
  return Object.freeze(limit)
}

/** The smallest power of ten that makes this number whole, up to a millionth. */
function scaleOf(value: number): number {
  for (let scale = 1; scale < 10 ** FRACTION_DIGITS; scale *= 10) {
    const scaled = value * scale
    // Tolerates the last bits of a division such as 100 / 3600.
    if (Math.abs(scaled - Math.round(scaled)) <= scaled * 1e-12) return scale
  }
  return 10 ** FRACTION_DIGITS
}

/** `100-per-m`: a valid Structured Field token and a readable label. */
function defaultName(rate: Rate): string {
  return `${rate.amount}-per-${formatPeriod(rate)}`
}

function checkConfig(algorithm: AlgorithmName, config: AlgorithmConfig, option: string): void {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw new ConfigError(option, 'an object', config)
  const known = KEYS[algorithm]
  for (const key of Object.keys(config) as (keyof AlgorithmConfig)[]) {
    if (!known.includes(key)) {
      throw new ConfigError(`${option}.${key}`, `no such setting; ${algorithm} has ${known.join(', ')}`, config[key])
    }
    const value = config[key]
    if (value === undefined) continue
    switch (key) {
      case 'precision':
        if (value !== 'exact' && !wholeBetween(value, 1, MAX_PRECISION)) {
          throw new ConfigError(`${option}.${key}`, `a whole number from 1 to ${MAX_PRECISION}, or "exact"`, value)
        }
        break
      case 'align':
        if (value !== 'clock' && value !== 'first') throw new ConfigError(`${option}.${key}`, '"clock" or "first"', value)
        break
      case 'tokensPerRequest':
      case 'burst':
        if (!wholeBetween(value, 1, Number.MAX_SAFE_INTEGER))
          throw new ConfigError(`${option}.${key}`, 'a whole number ≥ 1', value)
        break
      default:
        if (typeof value !== 'number' || !(value >= 0) || value > Number.MAX_SAFE_INTEGER) {
          throw new ConfigError(`${option}.${key}`, 'a finite number ≥ 0', value)
        }
    }
  }
}

function wholeBetween(value: unknown, low: number, high: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high
}
