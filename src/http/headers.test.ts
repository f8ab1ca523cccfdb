import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { Decision, type Reason, type Source } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { type LimitDefaults, type RateInput, buildLimitSet } from '../core/limit-set.ts'
import { ALGORITHMS, type Limit } from '../core/limit.ts'
import { createLimiter } from '../limiter/create-limiter.ts'
import { exempt } from '../limiter/headline.ts'
import { type HeaderSet, buildHeaders, retryAfterSeconds, tightest } from './headers.ts'

const NOW = 1_767_225_600_500

type Fields = Record<string, string>

function fields(shown: Decision, sets?: HeaderSet | readonly HeaderSet[]): Fields {
  const pairs = buildHeaders(sets)?.pairs(shown) ?? []
  const found: Fields = {}
  for (let at = 0; at < pairs.length; at += 2) found[pairs[at] as string] = pairs[at + 1] as string
  expect(pairs.length, 'no name twice').toBe(Object.keys(found).length * 2)
  return found
}

function checks(rate: RateInput, count: number, options: LimitDefaults & { cost?: number } = {}): Decision {
  const { cost = 1, ...rest } = options
  const limiter = createLimiter({ rate, clock: manualClock(NOW), ...(rest as object) })
  let last = limiter.check('client', { cost })
  for (let i = 1; i < count; i++) last = limiter.check('client', { cost })
  return last
}

interface Figures {
  readonly limits?: readonly Limit[]
  readonly kind?: Decision['kind']
  readonly source?: Source
  readonly reason?: Reason
  readonly allowed?: boolean
  readonly remaining?: number
  readonly resetMs?: number
  readonly nextMs?: number
  readonly retryMs?: number
}

const HUNDRED = buildLimitSet('api', '100/m', {}).limits

function decision(figures: Figures = {}): Decision {
  const { limits = HUNDRED, kind = 'granted', source = 'primary', reason, allowed = kind !== 'refused' } = figures
  const { remaining = 50, resetMs = 60_000, nextMs = 30_000, retryMs } = figures
  return new Decision(
    { policy: 'api', limits },
    kind,
    source,
    reason,
    allowed,
    remaining,
    resetMs,
    nextMs,
    retryMs,
    1,
    NOW,
    undefined,
  )
}

describe('the X-RateLimit fields', () => {
  it('are the limit, what is left, and the second at which all is back', () => {
    expect(fields(decision(), 'x-ratelimit')).toEqual({
      'X-RateLimit-Limit': '100',
      'X-RateLimit-Remaining': '50',
      'X-RateLimit-Reset': '1767225661',
    })
  })

  it('have the same reset on all requests of one fixed window', () => {
    const clock = manualClock(NOW)
    const limiter = createLimiter({ rate: '100/m', algorithm: 'fixed_window', clock })
    const resets = [0, 1, 9_999, 20_000, 25_000].map((ms) => {
      clock.advance(ms)
      return fields(limiter.check('client'), 'x-ratelimit')['X-RateLimit-Reset']
    })
    expect(new Set(resets)).toEqual(new Set(['1767225660']))
  })

  it('describe the tightest of several limits', () => {
    expect(fields(checks('10/s, 1000/h', 4), 'x-ratelimit')).toMatchObject({
      'X-RateLimit-Limit': '10',
      'X-RateLimit-Remaining': '6',
    })
    expect(fields(checks('10/s, 5/h', 4), 'x-ratelimit')).toMatchObject({
      'X-RateLimit-Limit': '5',
      'X-RateLimit-Remaining': '1',
    })
  })

  it('leave out a reset that never comes', () => {
    const bucket = checks('10/m', 1, { algorithm: 'token_bucket', algorithmConfig: { refillRate: 0 } })
    expect(bucket.resetAt).toBe(Infinity)
    expect(fields(bucket, 'x-ratelimit')).not.toHaveProperty('X-RateLimit-Reset')
  })

  it('do not promise the limit back before a ban ends', () => {
    const banned = decision({ kind: 'refused', reason: 'ban', remaining: 0, resetMs: 1000, nextMs: 500, retryMs: 3_600_000 })
    expect(fields(banned, 'x-ratelimit')['X-RateLimit-Reset']).toBe('1767229201')
  })

  it('tell more of a token bucket', () => {
    const options = { algorithm: 'token_bucket' as const }
    expect(fields(checks('100/m', 1, options), 'x-ratelimit')).toMatchObject({
      'X-RateLimit-Limit': '100',
      'X-RateLimit-Bucket-Size': '100',
      'X-RateLimit-Bucket-Remaining': '99',
      'X-RateLimit-Refill-Rate': '1.67',
    })
    const config = { bucketSize: 10.5, refillRate: 0.5 }
    expect(fields(checks('100/m', 1, { ...options, algorithmConfig: config }), 'x-ratelimit')).toMatchObject({
      'X-RateLimit-Limit': '100',
      'X-RateLimit-Bucket-Size': '10.5',
      'X-RateLimit-Bucket-Remaining': '9',
      'X-RateLimit-Refill-Rate': '0.50',
    })
    expect(
      fields(checks('100/m', 1, { ...options, algorithmConfig: { bucketSize: 20 } }), 'x-ratelimit')['X-RateLimit-Bucket-Size'],
    ).toBe('20')
    expect(Object.keys(fields(checks('100/m', 1, { algorithm: 'leaky_bucket' }), 'x-ratelimit'))).toHaveLength(3)
  })

  it('tell of the emptier of two token buckets, beside any window', () => {
    const rate = [
      { rate: '1000/h' },
      { rate: '50/m', algorithm: 'token_bucket' as const },
      { rate: '20/s', algorithm: 'token_bucket' as const },
    ]
    expect(fields(checks(rate, 1), 'x-ratelimit')).toMatchObject({
      'X-RateLimit-Bucket-Size': '20',
      'X-RateLimit-Bucket-Remaining': '19',
    })
  })

  it('are the same set on a refusal as on a grant', () => {
    for (const algorithm of ALGORITHMS) {
      const names = (count: number): string[] => Object.keys(fields(checks('3/m', count, { algorithm })))
      expect(names(5), algorithm).toEqual(names(1))
      expect(checks('3/m', 5, { algorithm }).allowed).toBe(false)
    }
  })
})

describe('the IETF fields', () => {
  it('name each limit with its quota and window, what is left, and when there will be more', () => {
    const set = [
      { rate: '100/m', name: 'burst' },
      { rate: '1000/h', name: 'hour' },
    ]
    expect(fields(checks(set, 3, { algorithm: 'fixed_window' }), 'ietf')).toEqual({
      'RateLimit-Policy': '"burst";q=100;w=60, "hour";q=1000;w=3600',
      RateLimit: '"burst";r=97;t=60, "hour";r=997;t=3600',
    })
    expect(fields(decision(), 'ietf')).toEqual({
      'RateLimit-Policy': '"100-per-m";q=100;w=60',
      RateLimit: '"100-per-m";r=50;t=30',
    })
  })

  it('round windows up, so that who keeps to what they say keeps to the limit', () => {
    const policy = (rate: string, timeZone?: string): string | undefined =>
      fields(checks(rate, 1, { timeZone }), 'ietf')['RateLimit-Policy']
    expect(policy('10/500ms')).toBe('"10-per-500ms";q=10;w=1')
    expect(policy('10/1500ms')).toBe('"10-per-1500ms";q=10;w=2')
    expect(policy('10/1ms')).toBe('"10-per-1ms";q=10;w=1')
    expect(policy('10/day')).toBe('"10-per-day";q=10;w=86400')
    expect(policy('10/month')).toBe('"10-per-month";q=10;w=2678400')
    expect(policy('10/day', 'Europe/Madrid')).toBe('"10-per-day";q=10;w=90000')
  })

  it('leave out t where there will never be more, and where nothing is missing', () => {
    expect(fields(decision({ nextMs: Infinity }), 'ietf')['RateLimit']).toBe('"100-per-m";r=50')
    expect(fields(decision({ nextMs: 0, remaining: 100 }), 'ietf')['RateLimit']).toBe('"100-per-m";r=100')
    expect(fields(decision({ nextMs: 1 }), 'ietf')['RateLimit']).toBe('"100-per-m";r=50;t=1')
  })

  it('say that nothing is left until a ban ends', () => {
    const limiter = createLimiter({ rate: '10/s, 1000/h', clock: manualClock(NOW) })
    limiter.check('client')
    limiter.ban('client', 3_600_000)
    expect(fields(limiter.check('client'), 'ietf')['RateLimit']).toBe('"10-per-s";r=0;t=3600, "1000-per-h";r=0;t=3600')
    const single = createLimiter({ rate: '10/s', clock: manualClock(NOW) })
    single.ban('client', 90_000)
    expect(fields(single.check('client'), 'ietf')['RateLimit']).toBe('"10-per-s";r=0;t=90')
  })

  it('hold no number of more than 15 digits', () => {
    const huge = fields(checks('9007199254740991/h', 1, { algorithm: 'fixed_window' }))
    expect(huge['RateLimit-Policy']).toContain('q=999999999999999;')
    expect(huge['RateLimit']).toMatch(/;r=999999999999999;/)
    expect(huge['X-RateLimit-Limit']).toBe('9007199254740991')
  })

  it('are valid Structured Fields for every set of limits and moment', () => {
    const rate = fc
      .tuple(fc.integer({ min: 0, max: 2000 }), fc.constantFrom('1ms', '500ms', 's', 'm', '15m', 'h', 'd'))
      .map(([n, unit]) => `${n}/${unit}`)
    const limits = fc.uniqueArray(fc.record({ rate, algorithm: fc.constantFrom(...ALGORITHMS) }), {
      selector: (one) => one.rate,
      minLength: 1,
      maxLength: 3,
    })
    const steps = fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 20 })), { minLength: 1, maxLength: 12 })
    const name = String.raw`"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"`
    const policy = new RegExp(String.raw`^${name};q=\d{1,15};w=[1-9]\d{0,14}(?:, ${name};q=\d{1,15};w=[1-9]\d{0,14})*$`)
    const state = new RegExp(String.raw`^${name};r=\d{1,15}(?:;t=\d{1,15})?(?:, ${name};r=\d{1,15}(?:;t=\d{1,15})?)*$`)
    fc.assert(
      fc.property(limits, steps, (input, moves) => {
        const clock = manualClock(NOW)
        const limiter = createLimiter({ rate: input, clock })
        for (const [ms, cost] of moves) {
          clock.advance(ms)
          const one = limiter.check('client', { cost })
          const found = fields(one)
          expect(found['RateLimit-Policy']).toMatch(policy)
          expect(found['RateLimit']).toMatch(state)
          expect(found['X-RateLimit-Remaining']).toMatch(/^\d+$/)
          expect(Number(found['X-RateLimit-Reset'] ?? Infinity) * 1000).toBeGreaterThanOrEqual(clock.now())
          const seconds = retryAfterSeconds(one)
          if (seconds === undefined) continue
          expect(seconds).toBeGreaterThanOrEqual(1)
          // Waiting as told is never shorter than what the refusing limits say of their own.
          one.standings.forEach(({ remaining }, at) => {
            const t = /;t=(\d+)/.exec((found['RateLimit'] as string).split(', ')[at] as string)?.[1]
            if (remaining < cost && t !== undefined) expect(seconds).toBeGreaterThanOrEqual(Number(t))
          })
        }
      }),
      { numRuns: 300 },
    )
  })

  it('let nothing but printable ASCII into a name', () => {
    const [limit] = HUNDRED
    const named = (name: string): string =>
      fields(decision({ limits: [{ ...limit, name }] }), 'ietf')['RateLimit-Policy'] as string
    expect(named('a"b\\c')).toBe(String.raw`"a\"b\\c";q=100;w=60`)
    expect(named('a\r\nSet-Cookie: x=é')).toBe('"a??Set-Cookie: x=?";q=100;w=60')
  })
})

describe('the fields of older drafts', () => {
  it('of draft 6 are four', () => {
    expect(fields(decision(), 'draft-6')).toEqual({
      'RateLimit-Policy': '100;w=60',
      'RateLimit-Limit': '100',
      'RateLimit-Remaining': '50',
      'RateLimit-Reset': '60',
    })
  })

  it('of draft 7 are two', () => {
    expect(fields(decision(), 'draft-7')).toEqual({
      'RateLimit-Policy': '100;w=60',
      RateLimit: 'limit=100, remaining=50, reset=60',
    })
    expect(fields(checks('10/s, 1000/h', 1), 'draft-7')).toMatchObject({
      'RateLimit-Policy': '10;w=1, 1000;w=3600',
      RateLimit: expect.stringMatching(/^limit=10, remaining=9, reset=\d+$/),
    })
  })

  it('leave out a reset that never comes', () => {
    expect(fields(decision({ resetMs: Infinity }), 'draft-7')['RateLimit']).toBe('limit=100, remaining=50')
    expect(fields(decision({ resetMs: Infinity }), 'draft-6')).not.toHaveProperty('RateLimit-Reset')
  })
})

describe('the sets', () => {
  it('are X-RateLimit and IETF where none is chosen', () => {
    expect(fields(decision())).toEqual({ ...fields(decision(), 'x-ratelimit'), ...fields(decision(), 'ietf') })
    expect(fields(decision(), ['draft-7', 'x-ratelimit'])).toEqual({
      ...fields(decision(), 'x-ratelimit'),
      ...fields(decision(), 'draft-7'),
    })
  })

  it('may be none at all', () => {
    expect(buildHeaders(false)).toBeUndefined()
  })

  it.each([
    [true],
    [null],
    [[]],
    ['X-RateLimit'],
    ['draft-8'],
    [['x-ratelimit', 'ratelimit']],
    [{}],
    [['ietf', 'draft-7']],
    [['draft-6', 'draft-7']],
    [['__proto__']],
  ])('are not %j', (sets) => {
    expect(() => buildHeaders(sets as unknown as HeaderSet)).toThrow(ConfigError)
    expect(() => buildHeaders(sets as unknown as HeaderSet, 'rateLimit.headers')).toThrow('rateLimit.headers: expected')
  })

  it('say nothing of an exempt request', () => {
    expect(fields(exempt({ policy: 'api', limits: [] }, NOW))).toEqual({})
  })

  it('write no number that is not finite and at least 0', () => {
    for (const remaining of [Number.NaN, -1, Infinity, -Infinity]) {
      for (const sets of [['x-ratelimit', 'ietf'], ['draft-6'], ['draft-7']] as const) {
        const values = Object.values(
          fields(decision({ remaining, resetMs: remaining, nextMs: remaining, kind: 'degraded', source: 'open' }), sets),
        )
        expect(values.join(' ')).not.toMatch(/NaN|Infinity|[=\s]-\d|^-/)
      }
    }
  })

  it('stay right when one writer serves decisions of several policies in turn', () => {
    const writer = buildHeaders('ietf')
    const hours = buildLimitSet('other', '7/h', {}).limits
    for (let i = 0; i < 3; i++) {
      expect(writer?.pairs(decision())[1]).toBe('"100-per-m";q=100;w=60')
      expect(writer?.pairs(decision({ limits: hours }))[1]).toBe('"7-per-h";q=7;w=3600')
    }
  })

  it('arrive over HTTP as they were written', async () => {
    const server = createServer((_request, response) => {
      buildHeaders(undefined)?.write(decision(), response)
      response.end()
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    try {
      const { headers } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      for (const [name, value] of Object.entries(fields(decision()))) expect(headers.get(name)).toBe(value)
    } finally {
      server.close()
    }
  })
})

describe('Retry-After', () => {
  it.each([
    [1, 1],
    [0, 1],
    [1000, 1],
    [1001, 2],
    [59_999, 60],
    [Infinity, undefined],
    [undefined, undefined],
  ])('of %s ms is %s', (retryMs, seconds) => {
    expect(retryAfterSeconds(decision({ kind: 'refused', reason: 'limit', ...(retryMs === undefined ? {} : { retryMs }) }))).toBe(
      seconds,
    )
  })
})

describe('of two decisions about a request', () => {
  const refused = (retryMs?: number): Decision =>
    decision({ kind: 'refused', reason: 'limit', remaining: 0, ...(retryMs === undefined ? {} : { retryMs }) })

  it('a refusal stays, whichever came first', () => {
    const no = refused(1000)
    const yes = decision({ remaining: 0 })
    expect(tightest(no, yes)).toBe(no)
    expect(tightest(yes, no)).toBe(no)
  })

  it('the refusal to wait for longest is described, and the one that never ends before all', () => {
    const [short, long, never] = [refused(1000), refused(5000), refused()]
    expect(tightest(short, long)).toBe(long)
    expect(tightest(long, short)).toBe(long)
    expect(tightest(long, never)).toBe(never)
    expect(tightest(never, long)).toBe(never)
  })

  it('the grant with less left is described, then the later reset, then the earlier decision', () => {
    const [few, many, late] = [
      decision({ remaining: 3 }),
      decision({ remaining: 4 }),
      decision({ remaining: 3, resetMs: 70_000 }),
    ]
    expect(tightest(few, many)).toBe(few)
    expect(tightest(many, few)).toBe(few)
    expect(tightest(few, late)).toBe(late)
    expect(tightest(late, few)).toBe(late)
    const again = decision({ remaining: 3 })
    expect(tightest(few, again)).toBe(few)
  })

  it('an exempt one says nothing', () => {
    const nothing = exempt({ policy: 'api', limits: [] }, NOW)
    expect(tightest(nothing, decision())).toEqual(decision())
    expect(tightest(decision(), nothing).kind).toBe('granted')
  })
})
