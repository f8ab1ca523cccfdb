// Days, weeks (from Monday), months and years of a time zone, as instants.
// Promise: start ≤ instant < end, to the millisecond, over daylight-saving changes too. Next: limit.ts.

import { ConfigError } from './errors.ts'
import type { CalendarUnit } from './rate.ts'

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
  // The wall clock is kept as if it were UTC; `instant` turns it back.
  const instant = (wall: number): number => {
    const guess = wall - offsetAt(wall)
    const settled = wall - offsetAt(guess)
    // A midnight that daylight saving skips: the first instant after the gap begins the period.
    return settled + offsetAt(settled) < wall ? guess : settled
  }
  let start = 0
  let end = 0
  const find = (ms: number): void => {
    if (ms >= start && ms < end) return
    const wall = new Date(ms + offsetAt(ms))
    const year = wall.getUTCFullYear()
    const month = wall.getUTCMonth()
    const day = wall.getUTCDate()
    switch (unit) {
      case 'day':
        start = instant(Date.UTC(year, month, day))
        end = instant(Date.UTC(year, month, day + 1))
        return
      case 'week': {
        const monday = day - ((wall.getUTCDay() + 6) % 7)
        start = instant(Date.UTC(year, month, monday))
        end = instant(Date.UTC(year, month, monday + 7))
        return
      }
      case 'month':
        start = instant(Date.UTC(year, month, 1))
        end = instant(Date.UTC(year, month + 1, 1))
        return
      case 'year':
        start = instant(Date.UTC(year, 0, 1))
        end = instant(Date.UTC(year + 1, 0, 1))
    }
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
