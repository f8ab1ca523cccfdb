import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from './errors.ts'
import { MAX_PERIOD_MS, formatPeriod, formatRate, parseRate, splitRates } from './rate.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

describe('a rate', () => {
  it.each([
    ['10/s', 10, 1000],
    ['100/m', 100, MINUTE],
    ['5/15m', 5, 15 * MINUTE],
    ['1000/h', 1000, HOUR],
    ['10000/d', 10_000, DAY],
    ['10/500ms', 10, 500],
    ['7/w', 7, 7 * DAY],
    ['100/minute', 100, MINUTE],
    ['5/15 minutes', 5, 15 * MINUTE],
    ['1/second', 1, 1000],
    ['1/sec', 1, 1000],
    ['1/min', 1, MINUTE],
    ['1/hr', 1, HOUR],
    ['1/hour', 1, HOUR],
    ['3/2 hours', 3, 2 * HOUR],
    ['3/2day', 3, 2 * DAY],
    ['3/2 weeks', 3, 14 * DAY],
    ['0/m', 0, MINUTE],
    ['  10/m  ', 10, MINUTE],
    ['10 / 2 m', 10, 2 * MINUTE],
    ['00010/m', 10, MINUTE],
    ['9007199254740991/h', Number.MAX_SAFE_INTEGER, HOUR],
    ['1/3660d', 1, MAX_PERIOD_MS],
  ])('%j is %d in %d ms', (text, amount, periodMs) => {
    expect(parseRate(text)).toEqual({ amount, periodMs })
  })

  it.each(['day', 'week', 'month', 'year'] as const)('per %s is of the calendar', (unit) => {
    const rate = parseRate(`10000/${unit}`)
    expect(rate).toMatchObject({ amount: 10_000, calendar: unit })
    const longest = { day: 25, week: 169, month: 745, year: 8785 }[unit]
    expect(rate.periodMs).toBe(longest * HOUR)
  })

  it.each([
    '',
    ' ',
    '/',
    '10',
    '10/',
    '/m',
    '10/x',
    '10/mm',
    '1e3/m',
    '1.5/m',
    '-1/m',
    '+1/m',
    'NaN/m',
    'Infinity/m',
    '0x10/m',
    '10/-1m',
    '10/1.5m',
    '10/0m',
    '10/0',
    '10/5',
    '10//m',
    '10/m/s',
    '10/M',
    '10 m',
    '10/m;',
    '1_000/m',
    '1,000/m',
    '١٠/m',
    '10/2month',
    '10/2 years',
    '10/months',
    '10\n/m',
    '10/m\u0000',
    '9007199254740992/m',
    '10/3661d',
    '10/999999999999w',
    `${'1'.repeat(100_000)}/m`,
    '10/constructor',
    '10/__proto_',
  ])('%j is refused, naming the option and the text', (text) => {
    const parse = (): unknown => parseRate(text, 'rateLimits["/api/"].rate')
    expect(parse).toThrow(ConfigError)
    expect(parse).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_RATE', option: 'rateLimits["/api/"].rate' }))
    const shown = text.length > 80 ? '1'.repeat(80) : JSON.stringify(text)
    expect(parse).toThrow(shown)
  })

  it.each([10, 0, null, undefined, Number.NaN, {}, [], true, 10n, Symbol('10/m')])('%s is not a text and is refused', (value) => {
    expect(() => parseRate(value as never)).toThrow(ConfigError)
  })

  it('is frozen', () => {
    expect(Object.isFrozen(parseRate('1/s'))).toBe(true)
    expect(Object.isFrozen(parseRate('1/month'))).toBe(true)
  })

  it('reads back from its shortest form as the same rate', () => {
    const unit = fc.constantFrom('ms', 's', 'm', 'h', 'd', 'w')
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 400 }), unit, (amount, multiple, name) => {
        const rate = parseRate(`${amount}/${multiple}${name}`)
        const short = formatRate(rate)
        expect(parseRate(short)).toEqual(rate)
        expect(short.length).toBeLessThanOrEqual(`${amount}/${multiple}${name}`.length + 4)
      }),
    )
  })

  it('is written as people write it', () => {
    const written = ['60/60s', '5/900s', '10/500ms', '7/168h', '1/90s', '3/month', '3/24h'].map((text) =>
      formatRate(parseRate(text)),
    )
    expect(written).toEqual(['60/m', '5/15m', '10/500ms', '7/w', '1/90s', '3/month', '3/d'])
    expect(formatPeriod(parseRate('5/15m'))).toBe('15m')
  })

  it('never hangs and throws nothing but ConfigError, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 90 }), (text) => {
        try {
          const { amount, periodMs } = parseRate(text)
          expect(Number.isSafeInteger(amount) && amount >= 0 && periodMs > 0 && periodMs <= MAX_PERIOD_MS + HOUR).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('several rates', () => {
  it('are parted by commas', () => {
    expect(splitRates('10/s, 1000/h,5/m')).toEqual(['10/s', '1000/h', '5/m'])
  })

  it('leave an empty part for the grammar to refuse', () => {
    expect(splitRates('10/s,')).toEqual(['10/s', ''])
    expect(splitRates('')).toEqual([''])
  })
})
