// "100/m" → Rate: the grammar of rates and its errors.
// Promise: what is not in the grammar is a ConfigError that names the option and the text. Next: limit.ts.

import { ConfigError } from './errors.ts'

/** A rate as text: `100/m`, `5/15m`, `10/500ms`, `100/minute`, `10000/month`; several joined by commas. */
export type RateText = string

/** A calendar period: it begins and ends with the day, the week (Monday), the month or the year of a time zone. */
export type CalendarUnit = 'day' | 'week' | 'month' | 'year'

/** So many requests in a period of so many milliseconds, or in a calendar period. */
export interface Rate {
  /** Whole number ≥ 0; 0 denies everything. */
  readonly amount: number
  /** Length of the period in ms; for a calendar period, its longest possible length. */
  readonly periodMs: number
  /** Set when the period is one of the calendar rather than a duration. */
  readonly calendar?: CalendarUnit
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const WEEK = 7 * DAY

const DURATIONS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ...['s', 'sec', 'second', 'seconds'].map((unit) => [unit, SECOND] as const),
  ...['m', 'min', 'minute', 'minutes'].map((unit) => [unit, MINUTE] as const),
  ...['h', 'hr', 'hour', 'hours'].map((unit) => [unit, HOUR] as const),
  ...['d', 'days'].map((unit) => [unit, DAY] as const),
  ...['w', 'weeks'].map((unit) => [unit, WEEK] as const),
])

/** With a daylight-saving hour more than the plain length. */
const CALENDAR: ReadonlyMap<string, number> = new Map([
  ['day', DAY + HOUR],
  ['week', WEEK + HOUR],
  ['month', 31 * DAY + HOUR],
  ['year', 366 * DAY + HOUR],
])

/** Ten years. Longer periods are a mistake more often than a wish, and keep every law below 2^53. */
export const MAX_PERIOD_MS = 3660 * DAY

const GRAMMAR = 'a rate such as "100/m", "5/15m", "10/500ms", "1000/hour" or "10000/month"'
const SHAPE = /^(\d{1,16}) *\/ *(?:(\d{1,12}) *)?([a-z]{1,7})$/

/**
 * Reads one rate.
 * @param text `N/unit` or `N/Munit`; blanks around it, around the slash and before the unit are ignored
 * @param option what an error calls the place the text came from
 * @throws ConfigError (`ERR_RATELIMIT_RATE`) for anything outside the grammar
 */
export function parseRate(text: RateText, option = 'rate'): Rate {
  const bad = (expected: string): ConfigError => new ConfigError(option, expected, text, 'ERR_RATELIMIT_RATE')
  if (typeof text !== 'string') throw bad(GRAMMAR)
  const match = text.length <= 64 ? SHAPE.exec(text.trim()) : null
  if (match === null) throw bad(GRAMMAR)
  const amount = Number(match[1])
  if (!Number.isSafeInteger(amount)) throw bad('an amount below 2^53')
  const unit = match[3] ?? ''
  const multiple = match[2] === undefined ? undefined : Number(match[2])
  const calendar = CALENDAR.get(unit)
  if (calendar !== undefined && multiple === undefined) {
    return Object.freeze({ amount, periodMs: calendar, calendar: unit as CalendarUnit })
  }
  // "10/2day" is two times 24 hours; months and years have no fixed length to multiply.
  const unitMs = DURATIONS.get(unit) ?? DURATIONS.get(`${unit}s`)
  if (unitMs === undefined) {
    if (calendar !== undefined) throw bad(`"N/${unit}" without a multiple`)
    throw bad('one of the units ms, s, m, h, d, w, second, minute, hour, day, week, month, year')
  }
  const periodMs = (multiple ?? 1) * unitMs
  if (periodMs === 0) throw bad('a period longer than 0')
  if (periodMs > MAX_PERIOD_MS) throw bad('a period of at most ten years')
  return Object.freeze({ amount, periodMs })
}

/**
 * Splits `'10/s, 1000/h'` into its rates.
 * @throws ConfigError for an empty text or an empty part
 */
export function splitRates(text: RateText): readonly RateText[] {
  return text.split(',').map((part) => part.trim())
}

/** A rate in its shortest form, for names and messages: `100/m`, `5/15m`, `10000/month`. */
export function formatRate(rate: Rate): string {
  return `${rate.amount}/${formatPeriod(rate)}`
}

/** The period alone: `m`, `15m`, `500ms`, `month`. */
export function formatPeriod(rate: Rate): string {
  if (rate.calendar !== undefined) return rate.calendar
  for (const [unit, ms] of [
    ['w', WEEK],
    ['d', DAY],
    ['h', HOUR],
    ['m', MINUTE],
    ['s', SECOND],
  ] as const) {
    if (rate.periodMs % ms === 0) return rate.periodMs === ms ? unit : `${rate.periodMs / ms}${unit}`
  }
  return `${rate.periodMs}ms`
}
