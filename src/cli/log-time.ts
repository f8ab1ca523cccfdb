// The time in a log line → epoch ms. Promise: the same text is the same instant on every machine; a text that is no time, or
// that names a day that does not exist, is NaN and never a guess. Next: log-line.ts.

const MONTHS: ReadonlyMap<string, number> = new Map(
  ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'].map((name, month) => [name, month]),
)

/** Length of `10/Oct/2000:13:55:36 -0700`, the time of the common format. */
export const STAMP_LENGTH = 26

const ZONE = /^(?:Z|([+-])(\d\d):?(\d\d))$/
const COMMON = /^(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})$/
/** Also with slashes, a blank for the T and a comma for the point, as several loggers write it. */
const ISO = /^(\d{4})([-/])(\d\d)\2(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))? ?(Z|[+-]\d\d:?\d\d)?$/
const NUMBER = /^\d{1,20}(?:\.\d{1,9})?$/

/** Smaller numbers are durations, not instants: as seconds since 1970 they lie before 1973. */
const EARLIEST_SECONDS = 1e8

/** `10/Oct/2000:13:55:36 -0700` → epoch ms; NaN for anything else. */
export function commonTime(text: string): number {
  const match = COMMON.exec(text)
  if (match === null) return Number.NaN
  const [, day, name = '', year, hour, minute, second, zone = ''] = match
  return instant(Number(year), MONTHS.get(name), Number(day), Number(hour), Number(minute), Number(second), zone)
}

/**
 * A time of a JSON line → epoch ms; NaN for what is none. ISO 8601 (without a zone it is UTC, whatever zone this machine is
 * in), the common format, or a number (as such or as text) of seconds, milliseconds, microseconds or nanoseconds.
 */
export function jsonTime(value: unknown): number {
  if (typeof value === 'number') return epochMs(value)
  if (typeof value !== 'string' || value.length > 40) return Number.NaN
  if (NUMBER.test(value)) return epochMs(Number(value))
  const match = ISO.exec(value)
  if (match === null) return commonTime(value)
  const [, year, , month, day, hour, minute, second, fraction = '', zone = 'Z'] = match
  const whole = instant(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second), zone)
  return whole + Number(fraction.slice(0, 3).padEnd(3, '0'))
}

/** The unit is told by the size: each range below lies between 1973 and the year 5138. */
function epochMs(value: number): number {
  if (!(value >= EARLIEST_SECONDS)) return Number.NaN
  if (value < 1e11) return Math.round(value * 1000)
  if (value < 1e14) return Math.floor(value)
  if (value < 1e17) return Math.floor(value / 1e3)
  return value < 1e20 ? Math.floor(value / 1e6) : Number.NaN
}

function instant(
  year: number,
  month: number | undefined,
  day: number,
  hour: number,
  minute: number,
  second: number,
  zone: string,
): number {
  // A second of 60 is a leap second. Earlier years are typing errors, and a clock starts in 1970.
  if (month === undefined || year < 1970 || hour > 23 || minute > 59 || second > 60) return Number.NaN
  const midnight = new Date(Date.UTC(year, month, day))
  if (midnight.getUTCMonth() !== month || midnight.getUTCDate() !== day) return Number.NaN
  const [, sign, zoneHour = '0', zoneMinute = '0'] = ZONE.exec(zone) ?? [undefined, '?']
  if (sign === '?') return Number.NaN
  const offsetMs = (Number(zoneHour) * 60 + Number(zoneMinute)) * 60_000
  const ms = midnight.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + (sign === '-' ? offsetMs : -offsetMs)
  return ms < 0 ? Number.NaN : ms
}
