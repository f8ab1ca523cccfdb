import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from './errors.ts'
import { ALGORITHMS, type AlgorithmConfig, type AlgorithmName, type Limit, buildLimit } from './limit.ts'
import { parseRate } from './rate.ts'

function limit(rate: string, algorithm?: AlgorithmName, config: AlgorithmConfig = {}, timeZone?: string): Limit {
  return buildLimit(parseRate(rate), algorithm, config, timeZone, 'options')
}

/** Size and refill in tokens and tokens per second, as the whole numbers have them. */
function bucketOf(built: Limit): { size: number; perSecond: number; initial: number } {
  const { capacity, unit, drain, initialLevel } = built
  return { size: capacity / unit, perSecond: (drain / unit) * 1000, initial: (capacity - initialLevel) / unit }
}

describe('the algorithm', () => {
  it('is a sliding window unless told otherwise, and a fixed one for the calendar', () => {
    expect(limit('5/m').algorithm).toBe('sliding_window')
    expect(limit('5/month').algorithm).toBe('fixed_window')
    expect(limit('5/month').align).toBe('calendar')
  })

  it.each(['sliding', 'SLIDING_WINDOW', '', '__proto__', 'constructor', 5, {}, []])('%j is unknown', (algorithm) => {
    expect(() => limit('5/m', algorithm as never)).toThrow(/^options\.algorithm: expected one of sliding_window, fixed_window/)
  })

  it.each(['sliding_window', 'token_bucket', 'leaky_bucket', 'gcra'] as const)('%s has no calendar', (algorithm) => {
    expect(() => limit('5/month', algorithm)).toThrow(
      /^options\.algorithm: expected fixed_window for the calendar rate 5\/month, /,
    )
    expect(() => limit('5/day', algorithm)).toThrow('"5/1day"')
  })
})

describe('settings', () => {
  const all = {
    precision: 60,
    align: 'clock',
    bucketSize: 10,
    refillRate: 1,
    initialTokens: 1,
    tokensPerRequest: 1,
    bucketCapacity: 10,
    leakRate: 1,
    burst: 2,
  } as const
  const own: Record<AlgorithmName, readonly string[]> = {
    sliding_window: ['precision'],
    fixed_window: ['align'],
    token_bucket: ['bucketSize', 'refillRate', 'initialTokens', 'tokensPerRequest'],
    leaky_bucket: ['bucketCapacity', 'leakRate'],
    gcra: ['burst'],
  }

  it.each(ALGORITHMS)('of %s are its own and no others', (algorithm) => {
    for (const [key, value] of Object.entries(all)) {
      const build = (): Limit => limit('10/m', algorithm, { [key]: value })
      if (own[algorithm].includes(key)) expect(build).not.toThrow()
      else
        expect(build).toThrow(
          `options.algorithmConfig.${key}: expected no such setting; ${algorithm} has ${own[algorithm].join(', ')}`,
        )
    }
  })

  it.each(['bucket_size', 'bucketsize', 'Burst', '__proto__x', ''])('a name %j that is none is an error', (key) => {
    expect(() => limit('10/m', 'token_bucket', { [key]: 1 })).toThrow(ConfigError)
  })

  it.each([null, 5, 'precision', [], true])('%j instead of settings is an error', (config) => {
    expect(() => limit('10/m', 'sliding_window', config as never)).toThrow(/^options\.algorithmConfig: expected an object/)
  })

  it('left undefined are as if left out', () => {
    expect(limit('10/m', 'token_bucket', { bucketSize: undefined } as never)).toEqual(limit('10/m', 'token_bucket'))
  })

  const wrong: [AlgorithmName, string, readonly unknown[]][] = [
    ['sliding_window', 'precision', [0, -1, 1.5, 1001, Number.NaN, Infinity, '60', 'Exact', '', null, true, {}]],
    ['fixed_window', 'align', ['CLOCK', '', 'last', null, true, 0, {}]],
    ['token_bucket', 'bucketSize', [-1, -0.1, Number.NaN, Infinity, 2 ** 53, '10', null, true, {}, 10n]],
    ['token_bucket', 'refillRate', [-1, Number.NaN, Infinity, 2 ** 53, '1', null, {}]],
    ['token_bucket', 'initialTokens', [-1, Number.NaN, Infinity, 11, 10.1, '1', null]],
    ['token_bucket', 'tokensPerRequest', [0, -1, 1.5, Number.NaN, Infinity, 2 ** 53, '1', null]],
    ['leaky_bucket', 'bucketCapacity', [-1, Number.NaN, Infinity, '10', null]],
    ['leaky_bucket', 'leakRate', [-1, Number.NaN, Infinity, '1', null]],
    ['gcra', 'burst', [0, -1, 1.5, Number.NaN, Infinity, 2 ** 53, '1', null]],
  ]
  it.each(wrong)('%s: a wrong %s is an error naming it', (algorithm, key, values) => {
    for (const value of values) {
      const build = (): Limit => limit('10/m', algorithm, { [key]: value })
      expect(build, String(value)).toThrow(ConfigError)
      expect(build, String(value)).toThrow(expect.objectContaining({ option: `options.algorithmConfig.${key}` }))
    }
  })
})

describe('windows', () => {
  it.each([
    ['1/s', undefined, 17],
    ['1/m', undefined, 1000],
    ['1/m', 1, 60_000],
    ['1/m', 1000, 60],
    ['1/10ms', 60, 1],
    ['1/1ms', 1, 1],
    ['1/m', 'exact', 1],
  ] as const)('%s with precision %s has sub-windows of %d ms', (rate, precision, widthMs) => {
    expect(limit(rate, 'sliding_window', precision === undefined ? {} : { precision }).widthMs).toBe(widthMs)
  })

  it('never have more sub-windows in a period than asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 10_000_000 }), (precision, periodMs) => {
        const { widthMs } = limit(`1/${periodMs}ms`, 'sliding_window', { precision })
        expect(Math.ceil(periodMs / widthMs)).toBeLessThanOrEqual(precision)
      }),
    )
  })

  it('of single milliseconds end at 24 days, where others go on', () => {
    expect(() => limit('1/25d', 'sliding_window', { precision: 'exact' })).toThrow(
      /algorithmConfig\.precision: expected a number for periods over 24 days/,
    )
    expect(limit('1/24d', 'sliding_window', { precision: 'exact' }).widthMs).toBe(1)
    expect(limit('1/3660d').periodMs).toBe(3660 * 86_400_000)
  })

  it('may hold anything below 2^53', () => {
    expect(limit('9007199254740991/s').capacity).toBe(Number.MAX_SAFE_INTEGER)
    expect(limit('9007199254740991/365d', 'fixed_window').capacity).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('of the calendar are not aligned otherwise, and need a zone that exists', () => {
    expect(() => limit('5/month', 'fixed_window', { align: 'first' })).toThrow(
      /algorithmConfig\.align: expected to be left out with a calendar rate/,
    )
    expect(() => limit('5/month', 'fixed_window', {}, 'Nowhere')).toThrow(/^options\.timeZone: expected an IANA time zone/)
  })
})

describe('buckets', () => {
  it.each([
    ['a token bucket holds and refills N', '100/m', 'token_bucket', {}, { size: 100, perSecond: 100 / 60, initial: 100 }],
    [
      'with a size and a refill',
      '100/m',
      'token_bucket',
      { bucketSize: 200, refillRate: 2 },
      { size: 200, perSecond: 2, initial: 200 },
    ],
    [
      'with fractions',
      '100/m',
      'token_bucket',
      { bucketSize: 10.5, refillRate: 1.6667 },
      { size: 10.5, perSecond: 1.6667, initial: 10.5 },
    ],
    [
      'with a refill that is a quotient',
      '50/h',
      'token_bucket',
      { bucketSize: 200, refillRate: 100 / 3600 },
      { size: 200, perSecond: 100 / 3600, initial: 200 },
    ],
    ['explicit 0 initial tokens are 0', '5/s', 'token_bucket', { initialTokens: 0 }, { size: 5, perSecond: 5, initial: 0 }],
    ['an explicit refill of 0 is 0', '5/s', 'token_bucket', { refillRate: 0 }, { size: 5, perSecond: 0, initial: 5 }],
    ['an explicit size of 0 is 0', '5/s', 'token_bucket', { bucketSize: 0 }, { size: 0, perSecond: 5, initial: 0 }],
    [
      'a leaky bucket is the same',
      '100/m',
      'leaky_bucket',
      { bucketCapacity: 10.5, leakRate: 0.5 },
      { size: 10.5, perSecond: 0.5, initial: 10.5 },
    ],
    ['an explicit leak of 0 is 0', '5/s', 'leaky_bucket', { leakRate: 0 }, { size: 5, perSecond: 0, initial: 5 }],
    ['gcra holds one', '60/m', 'gcra', {}, { size: 1, perSecond: 1, initial: 1 }],
    ['gcra holds its burst', '60/m', 'gcra', { burst: 7 }, { size: 7, perSecond: 1, initial: 7 }],
  ] as const)('%s', (_name, rate, algorithm, config, expected) => {
    const built = limit(rate, algorithm, config)
    const { size, perSecond, initial } = bucketOf(built)
    expect({ size, initial }).toEqual({ size: expected.size, initial: expected.initial })
    expect(perSecond).toBeCloseTo(expected.perSecond, 12)
  })

  it('keep 100 / 3600 a second exact: a hundred an hour, to the token', () => {
    const { unit, drain, periodMs } = limit('50/h', 'token_bucket', { refillRate: 100 / 3600 })
    expect(drain * periodMs).toBe(100 * unit)
  })

  it('never hold more than their size, however short the period', () => {
    const built = limit('5/1ms', 'token_bucket', { bucketSize: 10.5 })
    expect(built.capacity / built.unit).toBeLessThanOrEqual(10.5)
    expect(Math.floor(built.capacity / built.unit)).toBe(10)
  })

  it('whose numbers could pass 2^53 are refused', () => {
    expect(() => limit('9007199254740991/s', 'token_bucket')).toThrow(/^options: expected a size × period below 2\^52 ms/)
    expect(() => limit('10000000/365d', 'token_bucket')).toThrow(ConfigError)
    expect(() => limit('1/s', 'token_bucket', { refillRate: Number.MAX_SAFE_INTEGER })).toThrow(/refill rate below 2\^52/)
    expect(() => limit('4503599627370496/1ms', 'token_bucket')).not.toThrow()
    expect(() => limit('4503599627370497/1ms', 'token_bucket')).toThrow(ConfigError)
  })

  it('that would refill less than a millionth of a token in a period are refused', () => {
    expect(() => limit('1/s', 'token_bucket', { refillRate: 1e-9 })).toThrow(
      /algorithmConfig\.refillRate: expected at least a millionth/,
    )
    expect(() => limit('1/s', 'leaky_bucket', { leakRate: 1e-9 })).toThrow(
      /algorithmConfig\.leakRate: expected at least a millionth/,
    )
  })

  it('have whole numbers below 2^53, whatever the settings', () => {
    const fraction = fc.double({ min: 0, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.integer({ min: 1, max: 1e9 }),
        fraction,
        fraction,
        (amount, periodMs, bucketSize, refillRate) => {
          let built: Limit
          try {
            built = limit(`${amount}/${periodMs}ms`, 'token_bucket', { bucketSize, refillRate, initialTokens: bucketSize / 2 })
          } catch (error) {
            expect(error).toBeInstanceOf(ConfigError)
            return
          }
          for (const number of [built.capacity, built.drain, built.initialLevel, built.forgetMs]) {
            expect(Number.isSafeInteger(number) && number >= 0).toBe(true)
          }
          expect(built.capacity + Math.floor(bucketSize) * built.unit).toBeLessThanOrEqual(2 ** 53)
          // Within a millionth of a token a period.
          expect(Math.abs(built.drain / (built.unit / periodMs) - (refillRate * periodMs) / 1000)).toBeLessThanOrEqual(
            1e-6 * Math.max(1, refillRate * periodMs),
          )
        },
      ),
    )
  })
})

describe('the scope of a counter', () => {
  const scope = (...parameters: Parameters<typeof limit>): string => limit(...parameters).scope

  it('does not change with amount or burst, so that raising a limit loses nothing', () => {
    expect(scope('5/m')).toBe(scope('500/60s'))
    expect(scope('5/m', 'token_bucket', { bucketSize: 10 })).toBe(scope('7/m', 'token_bucket', { bucketSize: 3 }))
    expect(scope('5/m', 'gcra', { burst: 1 })).toBe(scope('5/m', 'gcra', { burst: 9 }))
  })

  it('differs in all that gives the numbers another meaning', () => {
    const scopes = [
      scope('5/m'),
      scope('5/h'),
      scope('5/m', 'sliding_window', { precision: 'exact' }),
      scope('5/m', 'sliding_window', { precision: 6 }),
      scope('5/m', 'fixed_window'),
      scope('5/m', 'fixed_window', { align: 'first' }),
      scope('5/day'),
      scope('5/1day', 'fixed_window'),
      scope('5/day', 'fixed_window', {}, 'Europe/Madrid'),
      scope('5/day', 'fixed_window', {}, 'Asia/Tokyo'),
      scope('5/m', 'token_bucket'),
      scope('5/m', 'token_bucket', { refillRate: 0.012345 }),
      scope('5/m', 'leaky_bucket'),
      scope('5/m', 'gcra'),
    ]
    expect(new Set(scopes).size).toBe(scopes.length)
  })
})

it('a limit is frozen and named after its rate', () => {
  for (const algorithm of ALGORITHMS) expect(Object.isFrozen(limit('5/m', algorithm))).toBe(true)
  expect(limit('100/60s').name).toBe('100-per-m')
  expect(limit('5/month').name).toBe('5-per-month')
})
