// Days, weeks (from Monday), months and years of a time zone, as instants.
// Promise: start ≤ instant < end, to the millisecond, over daylight-saving changes too. Next: limit.ts.

import { ConfigError } from './errors.ts'
import type { CalendarUnit } from './rate.ts'

const DAY_MS = 86_400_000

/** The calendar periods of one unit in one time zone. */
export interface Calendar {
  readonly unit: CalendarUnit
  readonly timeZone: string
  /** First millisecond of the period that holds this instant. */
  startOf(ms: number): number
  /** First millisecond after the period that holds this instant. */
  endOf(ms: number): number
}

/**
 * @param timeZone an IANA name such as `Europe/Madrid`, or `UTC`
 * @throws ConfigError for a zone this runtime does not know
 */
export function calendar(unit: CalendarUnit, timeZone = 'UTC', option = 'timeZone'): Calendar {
  const offsetAt = timeZone === 'UTC' ? () => 0 : zoneOffset(timeZone, option)
  // The wall clock is kept as if it were UTC; `firstAt` turns it back.
  const firstAt = (wall: number): number => firstInstant(wall, offsetAt)
  let start = 0
  let end = 0
  const find = (ms: number): void => {
    if (ms >= start && ms < end) return
    let wall = periodStart(unit, new Date(ms + offsetAt(ms)), 0)
    let next = periodStart(unit, new Date(wall), 1)
    // Where the clock goes back behind a midnight, the period that began there goes on.
    while (ms >= firstAt(next)) {
      wall = next
      next = periodStart(unit, new Date(wall), 1)
    }
    start = firstAt(wall)
    end = firstAt(next)
  }
  return Object.freeze({
    unit,
    timeZone,
    startOf(ms: number) {
      find(ms)
      return start
    },
    endOf(ms: number) {
      find(ms)
      return end
    },
  })
}

/** Midnight at the start of the wall clock's period, or of one that many periods later. */
function periodStart(unit: CalendarUnit, wall: Date, later: number): number {
  const year = wall.getUTCFullYear()
  const month = wall.getUTCMonth()
  const day = wall.getUTCDate()
  switch (unit) {
    case 'day':
      return Date.UTC(year, month, day + later)
    case 'week':
      return Date.UTC(year, month, day - ((wall.getUTCDay() + 6) % 7) + 7 * later)
    case 'month':
      return Date.UTC(year, month + later, 1)
    case 'year':
      return Date.UTC(year + later, 0, 1)
  }
}

/** The first instant at which the wall clock shows this or more: a midnight may come twice, or be skipped. */
function firstInstant(wall: number, offsetAt: (ms: number) => number): number {
  // No zone is a day from UTC, so these two offsets are those before and after.
  const before = offsetAt(wall - DAY_MS)
  const after = offsetAt(wall + DAY_MS)
  const early = wall - before
  if (offsetAt(early) === before) return early
  let reached = wall - after
  if (offsetAt(reached) === after) return reached
  // Skipped: the gap ends somewhere between the two.
  let passed = early
  while (passed - reached > 1) {
    const middle = Math.floor((reached + passed) / 2)
    if (middle + offsetAt(middle) < wall) reached = middle
    else passed = middle
  }
  return passed
}

function zoneOffset(timeZone: string, option: string): (ms: number) => number {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch {
    throw new ConfigError(option, 'an IANA time zone such as "Europe/Madrid"', timeZone)
  }
  return (ms) => {
    const second = Math.floor(ms / 1000) * 1000
    const part: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(second)) part[type] = Number(value)
    const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second: s = 0 } = part
    return Date.UTC(year, month - 1, day, hour, minute, s) - second
  }
}
