import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { calendar } from './calendar.ts'
import { ConfigError } from './errors.ts'
import type { CalendarUnit } from './rate.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const at = (text: string): number => Date.parse(text)

describe('the periods of UTC', () => {
  it.each<[CalendarUnit, string, string, string]>([
    ['day', '2024-02-29T12:00:00Z', '2024-02-29T00:00:00Z', '2024-03-01T00:00:00Z'],
    ['day', '2024-12-31T23:59:59.999Z', '2024-12-31T00:00:00Z', '2025-01-01T00:00:00Z'],
    ['week', '2024-01-07T23:59:59.999Z', '2024-01-01T00:00:00Z', '2024-01-08T00:00:00Z'],
    ['week', '2024-01-08T00:00:00Z', '2024-01-08T00:00:00Z', '2024-01-15T00:00:00Z'],
    ['week', '2025-01-01T00:00:00Z', '2024-12-30T00:00:00Z', '2025-01-06T00:00:00Z'],
    ['month', '2023-02-28T23:59:59.999Z', '2023-02-01T00:00:00Z', '2023-03-01T00:00:00Z'],
    ['month', '2024-12-31T23:59:59.999Z', '2024-12-01T00:00:00Z', '2025-01-01T00:00:00Z'],
    ['year', '2024-12-31T23:59:59.999Z', '2024-01-01T00:00:00Z', '2025-01-01T00:00:00Z'],
    ['year', '2025-01-01T00:00:00Z', '2025-01-01T00:00:00Z', '2026-01-01T00:00:00Z'],
  ])('%s of %s begins %s and ends %s', (unit, instant, start, end) => {
    const periods = calendar(unit)
    expect(periods.startOf(at(instant))).toBe(at(start))
    expect(periods.endOf(at(instant))).toBe(at(end))
  })

  it('does not depend on the order in which instants are asked', () => {
    const periods = calendar('day')
    const asked = [5, 1, 9, 1, 5, 0].map((day) => periods.startOf(day * DAY + 7))
    expect(asked).toEqual([5, 1, 9, 1, 5, 0].map((day) => day * DAY))
  })
})

describe('the days of zones with odd hours', () => {
  it.each<[string, string, string, string, number]>([
    ['Europe/Madrid', 'summer time begins', '2024-03-31T10:00:00Z', '2024-03-30T23:00:00Z', 23],
    ['Europe/Madrid', 'summer time ends', '2024-10-27T10:00:00Z', '2024-10-26T22:00:00Z', 25],
    ['America/New_York', 'summer time begins', '2024-03-10T12:00:00Z', '2024-03-10T05:00:00Z', 23],
    ['Asia/Kolkata', 'half an hour beside the full', '2024-06-01T00:00:00Z', '2024-05-31T18:30:00Z', 24],
    ['Australia/Lord_Howe', 'summer time is half an hour', '2024-04-06T20:00:00Z', '2024-04-06T13:00:00Z', 24.5],
    ['America/Sao_Paulo', 'midnight is skipped', '2018-11-04T12:00:00Z', '2018-11-04T03:00:00Z', 23],
    ['Asia/Beirut', 'midnight is skipped, east of Greenwich', '2024-03-31T12:00:00Z', '2024-03-30T22:00:00Z', 23],
    ['America/Sao_Paulo', 'an hour before midnight comes twice', '2018-02-17T12:00:00Z', '2018-02-17T02:00:00Z', 25],
    ['America/Havana', 'midnight comes twice', '2024-11-03T12:00:00Z', '2024-11-03T04:00:00Z', 25],
    ['Asia/Amman', 'midnight comes twice, east of Greenwich', '2021-10-29T12:00:00Z', '2021-10-28T21:00:00Z', 25],
    ['Pacific/Apia', 'the last before a day that never was', '2011-12-29T20:00:00Z', '2011-12-29T10:00:00Z', 24],
    ['Pacific/Apia', 'the first after a day that never was', '2011-12-30T12:00:00Z', '2011-12-30T10:00:00Z', 24],
    ['Pacific/Kiritimati', 'fourteen hours ahead', '2024-01-01T00:00:00Z', '2023-12-31T10:00:00Z', 24],
  ])('%s: %s', (zone, _what, instant, start, hours) => {
    const days = calendar('day', zone)
    expect(days.startOf(at(instant))).toBe(at(start))
    expect(days.endOf(at(instant))).toBe(at(start) + hours * HOUR)
  })

  it('a day that has begun does not end again when the clock goes back behind midnight', () => {
    // St. John's left summer time at 00:01: it was 7 November for a minute, then again 6 November for an hour.
    const midnight = at('2010-11-07T02:30:00Z')
    for (const ms of [midnight, midnight + 30_000, midnight + 61_000, midnight + HOUR - 1, midnight + 20 * HOUR]) {
      // Asked anew each time, so that no remembered day answers.
      expect(calendar('day', 'America/St_Johns').startOf(ms)).toBe(midnight)
      expect(calendar('day', 'America/St_Johns').endOf(ms)).toBe(at('2010-11-08T03:30:00Z'))
    }
    expect(calendar('day', 'America/St_Johns').endOf(midnight - 1)).toBe(midnight)
  })

  it('a midnight in the middle of a gap gives way to the first instant after it', () => {
    // Toronto went from 23:30 on 30 March 1919 to 00:30 on the 31st; 1919 is before the epoch, which the arithmetic bears.
    const days = calendar('day', 'America/Toronto')
    expect(days.endOf(at('1919-03-30T12:00:00Z'))).toBe(at('1919-03-31T04:30:00Z'))
  })
})

/** Offset of Europe/Madrid since 1996, by the directive: from the last Sunday of March to that of October, at 01:00 UTC. */
function madridOffset(ms: number): number {
  const year = new Date(ms).getUTCFullYear()
  const lastSunday = (month: number): number => {
    const last = new Date(Date.UTC(year, month + 1, 0))
    return last.getTime() - last.getUTCDay() * DAY + HOUR
  }
  return ms >= lastSunday(2) && ms < lastSunday(9) ? 2 * HOUR : HOUR
}

/** Start of the period by walking back hour by hour until the wall clock shows another period. */
function walkedStart(unit: CalendarUnit, ms: number): number {
  const label = (instant: number): string => {
    const wall = new Date(instant + madridOffset(instant))
    const day = Math.floor(wall.getTime() / DAY)
    if (unit === 'day') return `${day}`
    // Day 4 of the epoch was a Monday.
    if (unit === 'week') return `${Math.floor((day - 4) / 7)}`
    return unit === 'month' ? wall.toISOString().slice(0, 7) : wall.toISOString().slice(0, 4)
  }
  let start = Math.floor(ms / HOUR) * HOUR
  while (label(start - HOUR) === label(ms)) start -= HOUR
  return start
}

const units: readonly CalendarUnit[] = ['day', 'week', 'month', 'year']
const zones = [
  'UTC',
  'Europe/Madrid',
  'America/Sao_Paulo',
  'America/Havana',
  'Asia/Amman',
  'America/St_Johns',
  'Pacific/Apia',
  'Asia/Tehran',
  'Africa/Cairo',
  'Atlantic/Azores',
  'Antarctica/Troll',
]
const anyInstant = fc.integer({ min: 0, max: at('2037-01-01') })

describe('in every zone', () => {
  it('periods hold their instants, meet without a gap and have plausible lengths', () => {
    const longest: Record<CalendarUnit, number> = {
      day: DAY + 2 * HOUR,
      week: 7 * DAY + 2 * HOUR,
      month: 31 * DAY + 2 * HOUR,
      year: 366 * DAY + 2 * HOUR,
    }
    fc.assert(
      fc.property(fc.constantFrom(...units), fc.constantFrom(...zones), anyInstant, (unit, zone, ms) => {
        const periods = calendar(unit, zone)
        const start = periods.startOf(ms)
        const end = periods.endOf(ms)
        expect(start).toBeLessThanOrEqual(ms)
        expect(end).toBeGreaterThan(ms)
        expect(end - start).toBeLessThanOrEqual(longest[unit])
        // Asked anew, so that no remembered period answers.
        for (const inside of [start, end - 1]) {
          expect(calendar(unit, zone).startOf(inside)).toBe(start)
          expect(calendar(unit, zone).endOf(inside)).toBe(end)
        }
        expect(calendar(unit, zone).startOf(end)).toBe(end)
        expect(calendar(unit, zone).endOf(start - 1)).toBe(start)
      }),
      { numRuns: 300 },
    )
  })

  it('hold around every change of the clocks, to the millisecond', () => {
    for (const zone of zones.slice(1)) {
      // Every half hour of the weeks in which clocks change, in years of different rules; each instant asked anew.
      for (const from of ['2010-11-05', '2011-12-28', '2018-02-16', '2018-11-02', '2021-10-27', '2024-03-29', '2024-10-25']) {
        let end: number | undefined
        for (let ms = at(from); ms < at(from) + 5 * DAY; ms += HOUR / 2) {
          const days = calendar('day', zone)
          const [start, next] = [days.startOf(ms), days.endOf(ms)]
          expect(start <= ms && ms < next, `${zone} ${new Date(ms).toISOString()}`).toBe(true)
          if (end !== undefined && next !== end) expect(start).toBe(end)
          end = next
        }
      }
    }
  })

  it('Madrid agrees with a computation from the rules of summer time', () => {
    const instant = fc.integer({ min: at('1997-01-08'), max: at('2036-01-01') })
    fc.assert(
      fc.property(fc.constantFrom<CalendarUnit>('day', 'week', 'month'), instant, (unit, ms) => {
        expect(calendar(unit, 'Europe/Madrid').startOf(ms)).toBe(walkedStart(unit, ms))
      }),
      { numRuns: 150 },
    )
  })
})

describe('a zone that is none', () => {
  it.each(['Nowhere/City', '', 'Europe/Madrid ', '__proto__'])('%j is an error naming the option', (zone) => {
    const make = (): unknown => calendar('day', zone, 'options.timeZone')
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(/^options\.timeZone: expected an IANA time zone/)
  })
})
