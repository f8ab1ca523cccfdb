import { describe, expect, expectTypeOf, it, vi } from 'vitest'
import { type ManualClock, manualClock } from '../core/clock.ts'
import { Decision } from '../core/decision.ts'
import { ConfigError, RateLimitError, StoreError } from '../core/errors.ts'
import type { Observer } from '../core/observer.ts'
import { type MemoryStore, memoryStore } from '../stores/memory/memory-store.ts'
import { multiStore } from '../stores/failover/multi-store.ts'
import type { AsyncStore, SyncStore } from '../stores/store.ts'
import { createLimiter, defaultStore } from './create-limiter.ts'
import type { Limiter } from './limiter.ts'
import type { LimiterOptions } from './options.ts'
import { tiered } from './tiered.ts'

const START = 1_700_000_040_000

function onClock<Subject = string>(
  options: LimiterOptions<MemoryStore, Subject>,
): { clock: ManualClock; store: MemoryStore; limiter: Limiter<MemoryStore, Subject> } {
  const clock = manualClock(START)
  const store = memoryStore({ clock, sweepIntervalMs: false })
  return { clock, store, limiter: createLimiter<MemoryStore, Subject>({ ...options, store, clock }) }
}

/** The same store behind promises, each answer copied before another call can overwrite it. */
function later(store: SyncStore): AsyncStore {
  const wait = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  return {
    name: 'later',
    sync: false,
    async take(...call) {
      await wait()
      const taken = store.take(...call)
      return { ...taken, readings: Array.from(taken.readings) }
    },
    reset: async (...call) => store.reset(...call),
    ban: async (...call) => store.ban(...call),
    unban: async (...call) => store.unban(...call),
    read: async (...call) => store.read(...call),
    ping: async () => store.ping(),
    sweep: async () => store.sweep(),
    close: async () => store.close(),
  }
}

describe('the call people learn first', () => {
  it('answers at once on a memory store', () => {
    const clock = manualClock(1_700_000_000_000)
    const limiter = createLimiter({ rate: '5/m', algorithm: 'sliding_window', store: memoryStore({ clock }), clock })
    const decision = limiter.check('user:42', { cost: 1 })
    expectTypeOf(decision).toEqualTypeOf<Decision>()
    expect(decision).toBeInstanceOf(Decision)
    expect(decision).toMatchObject({
      allowed: true,
      kind: 'granted',
      source: 'primary',
      limit: 5,
      remaining: 4,
      retryAfterMs: undefined,
      cost: 1,
      now: 1_700_000_000_000,
    })
    expect(decision.resetAt).toBe(decision.now + decision.resetAfterMs)
  })

  it('answers at once, by type, for every verb of a store that does', () => {
    const limiter = createLimiter({ rate: '5/m' })
    expectTypeOf(limiter.check('k')).toEqualTypeOf<Decision>()
    expectTypeOf(limiter.peek('k')).toEqualTypeOf<Decision>()
    expectTypeOf(limiter.refund('k')).toEqualTypeOf<void>()
    expectTypeOf(limiter.reset('k')).toEqualTypeOf<void>()
    expectTypeOf(limiter.ban('k', 5)).toEqualTypeOf<void>()
    expectTypeOf(limiter.store).toEqualTypeOf<MemoryStore>()
    const remote = createLimiter({ rate: '5/m', store: later(memoryStore()) })
    expectTypeOf<ReturnType<typeof remote.check>>().toEqualTypeOf<Promise<Decision>>()
    expectTypeOf<ReturnType<typeof remote.refund>>().toEqualTypeOf<Promise<void>>()
  })

  it('needs nothing but a rate, and then has a store of its own', () => {
    const [one, other] = [createLimiter({ rate: '1/h' }), createLimiter({ rate: '1/h' })]
    expect([one.check('k').allowed, one.check('k').allowed, other.check('k').allowed]).toEqual([true, false, true])
    expect(defaultStore()).toBe(defaultStore())
    expect(one.store).not.toBe(defaultStore())
  })

  it('shows everything as plain data', () => {
    const { limiter } = onClock({ rate: '2/s, 9/m', algorithm: 'fixed_window', name: 'api' })
    const decision = limiter.check('k')
    expect(JSON.parse(JSON.stringify(decision))).toEqual({
      allowed: true,
      kind: 'granted',
      policy: 'api',
      limit: 2,
      remaining: 1,
      resetAfterMs: 1000,
      resetAt: START + 1000,
      cost: 1,
      source: 'primary',
      excess: 0,
      now: START,
      standings: [
        { name: '2-per-s', limit: 2, periodMs: 1000, remaining: 1, resetAfterMs: 1000, nextAfterMs: 1000 },
        { name: '9-per-m', limit: 9, periodMs: 60_000, remaining: 8, resetAfterMs: 60_000, nextAfterMs: 60_000 },
      ],
    })
  })
})

describe('an option', () => {
  const wrong: [keyof LimiterOptions, readonly unknown[]][] = [
    ['rate', [undefined, null, 5, '', '5', '5/x', [], {}, true]],
    ['name', ['', 5, null, 'a\nb', 'é', 'x'.repeat(129), {}]],
    ['group', ['', 5, null, {}]],
    ['algorithm', ['sliding', '', null, 5, 'constructor']],
    ['algorithmConfig', [null, 5, 'exact', [], true]],
    ['timeZone', ['Nowhere', '', 5, null]],
    ['store', [null, 5, 'memory', {}, memoryStore]],
    ['clock', [null, 5, {}, () => 5, { now: 5 }]],
    ['cost', [0, -1, 1.5, Number.NaN, '1', null, {}, 1n]],
    ['skipIf', [true, null, 'x', {}]],
    ['shadow', [1, 'true', null, {}]],
    ['chargeRefused', [1, 'true', null]],
    [
      'penalty',
      [
        true,
        null,
        5,
        [],
        {},
        { durationMs: 0 },
        { durationMs: 1.5 },
        { durationMs: '5' },
        { durationMs: 5, factor: 0.5 },
        { durationMs: 5, maxMs: 4 },
        { durationMs: 5, forgetAfterMs: -1 },
        { duration: 5 },
        { durationMs: Infinity },
      ],
    ],
    ['enabled', [1, 'false', null, {}]],
    ['observers', [null, {}, 5, [5], [null]]],
  ]
  it.each(wrong)('%s that is wrong is an error naming it', (option, values) => {
    for (const value of values) {
      const make = (): unknown => createLimiter({ rate: '5/m', [option]: value } as never)
      expect(make, String(value)).toThrow(ConfigError)
      expect(make, String(value)).toThrow(new RegExp(`^createLimiter\\.${option}`))
    }
  })

  it('that is wrong beside another one is still a clear error', () => {
    expect(() => createLimiter({ rate: '5/m', clock: manualClock(), store: 'memory' } as never)).toThrow(/^createLimiter\.store/)
    expect(() => createLimiter({ rate: '5/m', clock: manualClock(), store: null } as never)).toThrow(/^createLimiter\.store/)
  })

  it.each(['Rate', 'key', 'skip_if', 'backend', '__proto__x', ''])('%j that is none is an error naming it', (option) => {
    expect(() => createLimiter({ rate: '5/m', [option]: 1 } as never)).toThrow(
      `createLimiter.${option}: expected one of rate, name, group`,
    )
  })

  it.each([null, undefined, 5, '5/m', []])('%j instead of options is an error', (options) => {
    expect(() => createLimiter(options as never)).toThrow(/^createLimiter: expected an object/)
  })

  it('that names a second clock is an error: two clocks cannot both be right', () => {
    expect(() => createLimiter({ rate: '5/m', store: memoryStore({ clock: manualClock() }), clock: manualClock() })).toThrow(
      /^createLimiter\.clock/,
    )
  })

  it('of settings that no rate could make right fails at once, also where the rate is a function', () => {
    expect(() => createLimiter({ rate: () => '5/m', algorithm: 'x' as never })).toThrow(/^createLimiter\.algorithm/)
    expect(() => createLimiter({ rate: () => '5/m', algorithm: 'gcra', algorithmConfig: { burst: 0 } })).toThrow(
      /algorithmConfig\.burst/,
    )
    expect(() => createLimiter({ rate: () => '5/m', algorithmConfig: { bucketSize: 5 } })).toThrow(/algorithmConfig\.bucketSize/)
  })

  it('cost that could never be granted fails at once', () => {
    expect(() => createLimiter({ rate: '5/m', cost: 6 })).toThrow(
      /^createLimiter\.cost: expected at most what the limit can ever grant, 5, received 6/,
    )
    expect(() => createLimiter({ rate: '9/m', algorithm: 'gcra', cost: 2 })).toThrow(ConfigError)
    expect(() => createLimiter({ rate: '5/m', algorithm: 'token_bucket', algorithmConfig: { tokensPerRequest: 6 } })).toThrow(
      ConfigError,
    )
    expect(() => createLimiter({ rate: '0/m', cost: 6 })).not.toThrow()
  })
})

describe('a key', () => {
  it.each(['', null, undefined, 5, {}, ['a']])('%j is an error, not a shared counter', (key) => {
    const { limiter } = onClock({ rate: '5/m' })
    for (const call of ['check', 'peek', 'refund', 'reset', 'unban'] as const) {
      expect(() => limiter[call](key as never)).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_KEY' }))
    }
    expect(() => limiter.ban(key as never, 5)).toThrow(RateLimitError)
  })

  it.each([
    ['a b', 'a_b'],
    ['a:b', 'a', 'b'],
    ['__proto__', 'constructor', 'toString'],
    ['x'.repeat(300), `${'x'.repeat(300)}y`],
    ['\u00e9', 'e\u0301'],
    ['\ud800', '\udfff', '\ufffd'],
    ['a', 'a\u0000', '\u0000a'],
    ['A', 'a', 'a '],
  ])('counts apart from its neighbours: %j', (...keys) => {
    const { limiter } = onClock({ rate: '1/m' })
    expect(keys.map((key) => limiter.check(key).allowed)).toEqual(keys.map(() => true))
    expect(keys.map((key) => limiter.check(key).allowed)).toEqual(keys.map(() => false))
  })
})

describe('cost', () => {
  it.each([0, -1, 1.5, Number.NaN, Infinity, 2 ** 53, '2', null])('%s is an error and charges nothing', (cost) => {
    const { limiter } = onClock({ rate: '5/m' })
    for (const call of ['check', 'peek', 'refund'] as const) {
      expect(() => limiter[call]('k', { cost: cost as number })).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_COST' }))
    }
    expect(limiter.peek('k').remaining).toBe(5)
  })

  it('over the capacity is refused as never satisfiable, by every algorithm, without asking the store', () => {
    for (const algorithm of ['sliding_window', 'fixed_window', 'token_bucket', 'leaky_bucket'] as const) {
      const { limiter, store } = onClock({ rate: '5/m', algorithm })
      expect(limiter.check('k', { cost: 6 })).toMatchObject({
        allowed: false,
        kind: 'refused',
        reason: 'cost',
        source: 'none',
        retryAfterMs: undefined,
        now: START,
      })
      expect(store.size).toBe(0)
    }
  })

  it('of a bucket is its tokensPerRequest unless a call names another', () => {
    const { limiter } = onClock({ rate: '10/m', algorithm: 'token_bucket', algorithmConfig: { tokensPerRequest: 3 } })
    expect([limiter.check('k'), limiter.check('k', { cost: 1 }), limiter.check('k')].map(({ remaining }) => remaining)).toEqual([
      7, 6, 3,
    ])
  })

  it('may be a function of the subject', () => {
    const { limiter } = onClock<{ size: number }>({ rate: '10/m', cost: ({ size }) => size })
    expect(limiter.check('k', { subject: { size: 4 } }).remaining).toBe(6)
    expect(limiter.check('k', { subject: { size: 7 } }).allowed).toBe(false)
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no size')
      },
    ],
    ['is not a number', () => Number.NaN],
    ['is 0', () => 0],
    ['is a text', () => '5'],
    ['is nothing', () => undefined],
  ])('whose function %s is reported and counts as 1', (_what, cost) => {
    const onError = vi.fn()
    const { limiter } = onClock({ rate: '10/m', cost: cost as () => number, observers: [{ onError }] })
    expect(limiter.check('k')).toMatchObject({ allowed: true, remaining: 9, cost: 1 })
    expect(onError).toHaveBeenCalledExactlyOnceWith(expect.any(Error), 'cost')
  })
})

describe('a rate of 0', () => {
  it('denies all without asking the store', () => {
    const { limiter, store } = onClock({ rate: '0/m' })
    expect(limiter.check('k')).toMatchObject({
      allowed: false,
      reason: 'limit',
      source: 'none',
      limit: 0,
      remaining: 0,
      retryAfterMs: undefined,
    })
    expect(store.size).toBe(0)
  })
})

describe('a rate that is a function', () => {
  it('is asked for each call, with the subject, and may say: no limit', () => {
    const { limiter } = onClock<{ plan: string | null }>({
      rate: ({ plan }) => (plan === null ? null : plan === 'pro' ? '100/m' : '2/m'),
    })
    expect(limiter.check('a', { subject: { plan: 'free' } }).limit).toBe(2)
    // The counter is the same, as algorithm and period are.
    expect(limiter.check('a', { subject: { plan: 'pro' } })).toMatchObject({ limit: 100, remaining: 98 })
    expect(limiter.check('a', { subject: { plan: null } })).toMatchObject({
      allowed: true,
      kind: 'exempt',
      source: 'none',
      limit: Infinity,
      remaining: Infinity,
      standings: [],
    })
    expect(limiter.limitsFor('a', { subject: { plan: null } })).toBeUndefined()
  })

  it('gets the key where there is no subject', () => {
    const rate = vi.fn(() => '5/m')
    onClock({ rate }).limiter.check('k')
    expect(rate).toHaveBeenCalledExactlyOnceWith('k')
  })

  it('that throws, or returns what is no rate, throws to the caller', () => {
    const thrown = new Error('no database')
    expect(() =>
      onClock({
        rate: () => {
          throw thrown
        },
      }).limiter.check('k'),
    ).toThrow(thrown)
    for (const rate of [undefined, 5, '5', '', {}, []]) {
      expect(() => onClock({ rate: () => rate as string }).limiter.check('k')).toThrow(ConfigError)
    }
  })

  it('that is async is a clear error, and its rejection is not left unhandled', async () => {
    const { limiter } = onClock({ rate: (async () => Promise.reject(new Error('late'))) as never })
    expect(() => limiter.check('k')).toThrow(/^createLimiter\.rate: expected a function that is not async/)
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('bears more distinct rates than it remembers', () => {
    const { limiter } = onClock<number>({ rate: (n) => `${n}/m` })
    for (let n = 1; n <= 2500; n++) expect(limiter.check('k', { subject: n + 5000 }).limit).toBe(n + 5000)
    expect(limiter.peek('k', { subject: 2500 }).remaining).toBe(0)
  })

  it('needs the rate for a refund without a decision', () => {
    const { limiter } = onClock({ rate: () => '5/m' })
    const decision = limiter.check('k')
    expect(() => limiter.refund('k')).toThrow(/^refund\.rate/)
    limiter.refund('k', { of: decision })
    limiter.check('k')
    limiter.refund('k', { rate: '9/m' })
    expect(limiter.peek('k').remaining).toBe(5)
  })

  it('can be given by the call', () => {
    const { limiter } = onClock({ rate: '2/m' })
    limiter.check('k', { cost: 2 })
    expect(limiter.check('k', { rate: '9/m' })).toMatchObject({ allowed: true, remaining: 6 })
    expect(limiter.check('k', { rate: null }).kind).toBe('exempt')
    expect(() => limiter.check('k', { rate: '9' })).toThrow(ConfigError)
  })
})

describe('tiers', () => {
  const by = ({ plan }: { plan?: string }): string | undefined => plan

  it('choose the rate: by name, by *, by default', () => {
    const rate = tiered({ free: '5/m', pro: '50/m', staff: null, '*': '1/m' }, { by, default: 'free' })
    const rates = ['free', 'pro', 'staff', 'unheard-of', '__proto__', 'toString', undefined].map((plan) =>
      rate(plan === undefined ? {} : { plan }),
    )
    expect(rates).toEqual(['5/m', '50/m', null, '1/m', '1/m', '1/m', '5/m'])
    expect(tiered({ '*': '1/m' }, { by })({})).toBe('1/m')
  })

  it('that nobody foresaw do not mean: no limit', () => {
    expect(() => tiered({ free: '5/m' }, { by })({ plan: 'gold' })).toThrow(
      /expected a tier among free, or a rate for "\*", received "gold"/,
    )
    expect(() => tiered({ free: '5/m' }, { by })({})).toThrow(ConfigError)
  })

  it('limit through the limiter, apart by key', () => {
    const { limiter } = onClock<{ plan?: string }>({ rate: tiered({ free: '1/m', pro: '3/m' }, { by, default: 'free' }) })
    expect([limiter.check('a', { subject: {} }), limiter.check('a', { subject: {} })].map(({ allowed }) => allowed)).toEqual([
      true,
      false,
    ])
    expect(limiter.check('a', { subject: { plan: 'pro' } })).toMatchObject({ allowed: true, remaining: 1 })
  })

  it('may be found later, for adapters', async () => {
    const rate = tiered({ free: '5/m' }, { by: async ({ plan }: { plan: string }) => plan })
    const promise = rate({ plan: 'free' })
    expectTypeOf(promise).toExtend<Promise<unknown>>()
    await expect(promise).resolves.toBe('5/m')
  })

  it.each<[string, () => unknown]>([
    ['no tiers', () => tiered({}, { by })],
    ['a list of rates', () => tiered(['5/m'] as never, { by })],
    ['null', () => tiered(null as never, { by })],
    ['a bad rate', () => tiered({ free: '5' }, { by })],
    ['no function', () => tiered({ free: '5/m' }, {} as never)],
    ['no options', () => tiered({ free: '5/m' }, undefined as never)],
    ['a default that is no tier', () => tiered({ free: '5/m' }, { by, default: 'fre' })],
    ['a misspelt option', () => tiered({ free: '5/m' }, { by, defualt: 'free' } as never)],
  ])('made of %s are an error', (_what, make) => {
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(/^tiered/)
  })
})

describe('skipIf', () => {
  it('exempts: nothing is counted', () => {
    const { limiter, store } = onClock<{ staff: boolean }>({ rate: '1/m', skipIf: ({ staff }) => staff })
    for (let i = 0; i < 5; i++) expect(limiter.check('k', { subject: { staff: true } }).kind).toBe('exempt')
    expect(store.size).toBe(0)
    expect(limiter.check('k', { subject: { staff: false } }).kind).toBe('granted')
  })

  it('that throws is reported, and limiting goes on', () => {
    const onError = vi.fn()
    const failure = new Error('no session')
    const { limiter } = onClock({
      rate: '1/m',
      skipIf: () => {
        throw failure
      },
      observers: [{ onError }],
    })
    expect([limiter.check('k').allowed, limiter.check('k').allowed]).toEqual([true, false])
    expect(onError.mock.calls).toEqual([
      [failure, 'skipIf'],
      [failure, 'skipIf'],
    ])
  })
})

describe('a function that is async', () => {
  it.each(['skipIf', 'cost', 'enabled', 'rate'])(
    'is a clear error as %s: a promise is neither a yes nor a number',
    async (option) => {
      const { limiter } = onClock({ rate: '5/m', [option]: async () => Promise.reject(new Error('late')) } as never)
      expect(() => limiter.check('k')).toThrow(`createLimiter.${option}: expected a function that is not async`)
      await new Promise((resolve) => setImmediate(resolve))
    },
  )
})

describe('the kill switch', () => {
  it('exempts everything, and a function is asked for each call', () => {
    let enabled = true
    const { limiter, store } = onClock({ rate: '1/m', enabled: () => enabled })
    expect([limiter.check('k').allowed, limiter.check('k').allowed]).toEqual([true, false])
    enabled = false
    expect([limiter.check('k').kind, limiter.peek('k').kind]).toEqual(['exempt', 'exempt'])
    enabled = true
    expect(limiter.check('k').allowed).toBe(false)
    expect(store.size).toBe(1)
    expect(onClock({ rate: '0/m', enabled: false }).limiter.check('k')).toMatchObject({
      allowed: true,
      kind: 'exempt',
      now: START,
    })
  })

  it('that throws is reported and leaves limiting on', () => {
    const onError = vi.fn()
    const { limiter } = onClock({
      rate: '1/m',
      enabled: () => {
        throw new Error('flags')
      },
      observers: [{ onError }],
    })
    expect([limiter.check('k').allowed, limiter.check('k').allowed]).toEqual([true, false])
    expect(onError).toHaveBeenCalledWith(expect.any(Error), 'enabled')
  })
})

describe('observers', () => {
  it('see every decision with its key, once, and no peek', () => {
    const seen: [string, string | undefined][] = []
    const { limiter } = onClock({ rate: '1/m', observers: [{ onDecision: ({ kind }, key) => void seen.push([kind, key]) }] })
    limiter.check('a')
    limiter.peek('a')
    limiter.check('a')
    limiter.check('b', { cost: 5 })
    limiter.check('c', { rate: null })
    expect(seen).toEqual([
      ['granted', 'a'],
      ['refused', 'a'],
      ['refused', 'b'],
      ['exempt', 'c'],
    ])
  })

  it('that throw, in either call, never reach the request nor each other', () => {
    const reached = vi.fn()
    const broken: Observer = {
      onDecision() {
        throw new Error('metrics')
      },
      onError() {
        throw new Error('even so')
      },
    }
    const { limiter } = onClock({
      rate: '1/m',
      observers: [broken, { onDecision: reached, onError: reached }, { onDecision: 5 } as never, {}],
    })
    expect(limiter.check('k')).toMatchObject({ allowed: true })
    expect(reached).toHaveBeenCalledWith(expect.any(Decision), 'k', expect.anything())
    expect(reached).toHaveBeenCalledWith(expect.objectContaining({ message: 'metrics' }), 'observer')
    expect(limiter.check('k').allowed).toBe(false)
  })
})

describe('shadow', () => {
  it('evaluates, counts and reports, and never refuses', () => {
    const seen: string[] = []
    const { limiter } = onClock({
      rate: '1/m',
      algorithm: 'fixed_window',
      shadow: true,
      penalty: { durationMs: 5000 },
      observers: [{ onDecision: ({ kind }) => void seen.push(kind) }],
    })
    const decisions = [limiter.check('k'), limiter.check('k'), limiter.check('k', { cost: 7 })]
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true])
    expect(seen).toEqual(['granted', 'refused', 'refused'])
    // No penalty follows from what was not enforced.
    expect(limiter.peek('k')).toMatchObject({ kind: 'refused', reason: 'limit', allowed: true, retryAfterMs: 60_000 })
  })
})

describe('chargeRefused', () => {
  it('keeps an eager client out for as long as it keeps calling', () => {
    const { clock, limiter } = onClock({ rate: '2/s', algorithmConfig: { precision: 'exact' }, chargeRefused: true })
    const allowed: boolean[] = []
    for (let i = 0; i < 20; i++) {
      allowed.push(limiter.check('k').allowed)
      clock.advance(400)
    }
    expect(allowed).toEqual([true, true, ...Array.from({ length: 18 }, () => false)])
    clock.advance(1000)
    expect(limiter.check('k').allowed).toBe(true)
  })

  it.each(['sliding_window', 'fixed_window', 'token_bucket', 'leaky_bucket'] as const)(
    '%s: a refused request refunded frees nothing',
    (algorithm) => {
      const { limiter } = onClock({ rate: '3/m', algorithm, chargeRefused: true })
      limiter.check('k', { cost: 3 })
      for (let i = 0; i < 5; i++) limiter.refund('k', { of: limiter.check('k') })
      expect(limiter.peek('k')).toMatchObject({ allowed: false, remaining: 0 })
    },
  )

  it('of a million calls holds no more than the limit', () => {
    const { clock, limiter, store } = onClock({ rate: '10/h', algorithmConfig: { precision: 'exact' }, chargeRefused: true })
    limiter.check('k')
    const { bytes } = store
    for (let i = 0; i < 1_000_000; i++) {
      if (i % 10 === 0) clock.advance(1)
      limiter.check('k')
    }
    expect(store.bytes).toBeLessThan(bytes + 20_000)
    expect(store.read(limiter.limitsFor('k')!, 'k')?.[0]?.length).toBeLessThanOrEqual(20)
  }, 10_000)
})

describe('a refund', () => {
  it('of what was not charged does nothing, and is no error', () => {
    const { limiter } = onClock({ rate: '2/m' })
    limiter.check('k', { cost: 2 })
    for (const of of [limiter.check('k'), limiter.check('k', { cost: 9 }), limiter.check('k', { rate: null })])
      limiter.refund('k', { of })
    expect(limiter.peek('k').remaining).toBe(0)
  })

  it('of a decision goes to the limits that decision was made by', () => {
    const { limiter } = onClock({ rate: '2/m' })
    const hourly = limiter.check('k', { rate: '9/h' })
    limiter.check('k')
    limiter.refund('k', { of: hourly })
    expect([limiter.peek('k').remaining, limiter.peek('k', { rate: '9/h' }).remaining]).toEqual([1, 9])
  })

  it('in part leaves the rest to be refunded, and no more', () => {
    const { limiter } = onClock({ rate: '9/m' })
    limiter.check('k', { cost: 2 })
    const of = limiter.check('k', { cost: 4 })
    limiter.refund('k', { of, cost: 1 })
    expect(limiter.peek('k').remaining).toBe(4)
    limiter.refund('k', { of, cost: 2 })
    limiter.refund('k', { of, cost: 2 })
    expect(limiter.peek('k').remaining).toBe(7)
  })
})

describe('identity', () => {
  const limiters = (store: SyncStore, ...options: Partial<LimiterOptions<SyncStore>>[]) =>
    options.map((one) => createLimiter({ rate: '1/m', store, ...one }))
  const alone = (made: Limiter<SyncStore>[]): boolean[] => made.map((limiter) => limiter.check('k').allowed)

  it('of two limiters without a name on one store is never the same', () => {
    expect(alone(limiters(memoryStore(), {}, {}, {}))).toEqual([true, true, true])
  })

  it('of two routes is never the same by accident', () => {
    expect(
      alone(limiters(memoryStore(), { name: 'a' }, { name: 'b' }, { name: 'a', rate: '1/h' }, { name: 'a', algorithm: 'gcra' })),
    ).toEqual([true, true, true, true])
  })

  it('is the same on purpose: by group, whatever the names and amounts', () => {
    const made = limiters(memoryStore(), { name: 'a', group: 'g' }, { name: 'b', group: 'g' }, { group: 'g', rate: '3/m' })
    expect(alone(made)).toEqual([true, false, true])
    expect(made.map(({ name }) => name)).toEqual(['a', 'b', 'policy-1'])
  })

  it('belongs to the store: the same name elsewhere counts apart', () => {
    expect([...alone(limiters(memoryStore(), { name: 'a' })), ...alone(limiters(memoryStore(), { name: 'a' }))]).toEqual([
      true,
      true,
    ])
  })

  it('of one limit does not touch another of a different period on the same key', () => {
    const clock = manualClock(START)
    const made = limiters(memoryStore({ clock }), { name: 'a', rate: '5/s' }, { name: 'a', rate: '5/h' })
    for (let i = 0; i < 5; i++) for (const limiter of made) limiter.check('k')
    clock.advance(5000)
    expect(made.map((limiter) => limiter.peek('k').remaining)).toEqual([5, 0])
  })
})

describe('reset', () => {
  it('forgets counters and bans, of this key only', () => {
    const { limiter, store } = onClock({ rate: '1/s, 2/m', algorithm: 'token_bucket' })
    for (const key of ['a', 'b']) limiter.check(key)
    limiter.ban('a', 60_000)
    limiter.reset('a')
    expect(limiter.peek('a')).toMatchObject({ allowed: true, remaining: 1, resetAfterMs: 0 })
    expect(limiter.peek('b').allowed).toBe(false)
    expect(store.size).toBe(1)
    limiter.reset('never seen')
  })
})

describe('bans and penalties', () => {
  it('refuse with the reason, are not charged, and are told to the millisecond', () => {
    const { clock, limiter } = onClock({ rate: '5/m', algorithm: 'fixed_window' })
    limiter.ban('k', 5000)
    expect(limiter.check('k')).toMatchObject({ allowed: false, reason: 'ban', remaining: 0, retryAfterMs: 5000 })
    expect(limiter.peek('k').retryAfterMs).toBe(5000)
    expect(limiter.check('other').allowed).toBe(true)
    clock.advance(4999)
    expect(limiter.check('k').retryAfterMs).toBe(1)
    clock.advance(1)
    expect(limiter.check('k')).toMatchObject({ allowed: true, remaining: 4 })
  })

  it('of a duration that is none are an error', () => {
    const { limiter } = onClock({ rate: '5/m' })
    for (const durationMs of [0, -1, 1.5, Number.NaN, Infinity, '5', null, undefined]) {
      expect(() => limiter.ban('k', durationMs as number)).toThrow(/^ban\.durationMs/)
    }
    expect(limiter.check('k').allowed).toBe(true)
  })

  it('punish each refusal by a limit, not those of a ban or a cost', () => {
    const { clock, limiter } = onClock({ rate: '1/s', algorithm: 'fixed_window', penalty: { durationMs: 10_000, factor: 2 } })
    limiter.check('k')
    expect(limiter.check('k', { cost: 2 })).toMatchObject({ reason: 'cost' })
    expect(limiter.check('k')).toMatchObject({ reason: 'limit', retryAfterMs: 10_000 })
    for (let i = 0; i < 50; i++) expect(limiter.check('k')).toMatchObject({ reason: 'ban', retryAfterMs: 10_000 })
    clock.advance(10_000)
    expect(limiter.check('k').allowed).toBe(true)
    expect(limiter.check('k').retryAfterMs).toBe(20_000)
  })

  it('that the store cannot hold are reported, and the refusal stands', () => {
    const onError = vi.fn()
    const store = memoryStore({ clock: manualClock(START), sweepIntervalMs: false, memoryMaxKeys: 1 })
    const limiter = createLimiter({ rate: '1/s', store, penalty: { durationMs: 1000 }, observers: [{ onError }] })
    limiter.ban('someone', 60_000)
    limiter.check('k')
    expect(limiter.check('k')).toMatchObject({ allowed: false, reason: 'limit' })
    expect(onError).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'ERR_RATELIMIT_STORE' }), 'penalty')
  })

  it('given by hand do not make the store forget earlier ones sooner', () => {
    const { clock, limiter, store } = onClock({
      rate: '1/s',
      algorithm: 'fixed_window',
      penalty: { durationMs: 10_000, factor: 2, forgetAfterMs: 3_600_000 },
    })
    limiter.check('k')
    limiter.check('k')
    limiter.ban('k', 1)
    clock.advance(10_001)
    store.sweep()
    limiter.check('k')
    expect(limiter.check('k').retryAfterMs).toBeGreaterThan(10_000)
  })
})

describe('on a store that answers later', () => {
  it('the answers are the same, as promises, also for calls made at once', async () => {
    const clock = manualClock(START)
    const options = { rate: '3/s, 5/m', algorithm: 'fixed_window', name: 'n', penalty: { durationMs: 2000 } } as const
    const sync = createLimiter({ ...options, store: memoryStore({ clock }) })
    const remote = createLimiter({ ...options, store: later(memoryStore({ clock })) })
    const calls = ['a', 'a', 'b', 'a', 'a', 'b', 'b', 'b']
    const answers = await Promise.all(calls.map(async (key) => remote.check(key)))
    expect(answers.map((answer) => answer.toJSON())).toEqual(calls.map((key) => sync.check(key).toJSON()))
    expect((await remote.peek('a')).toJSON()).toEqual(sync.peek('a').toJSON())
  })

  it('every verb gives a promise, also where the store is not asked', async () => {
    const limiter = createLimiter<AsyncStore, string>({
      rate: (key) => (key === 'free' ? null : key === 'zero' ? '0/m' : '5/m'),
      store: later(memoryStore()),
    })
    const exempt = limiter.check('free')
    const zero = limiter.check('zero')
    const given = [
      exempt,
      zero,
      limiter.peek('free'),
      limiter.refund('k', { of: await exempt }),
      limiter.reset('free'),
      limiter.ban('free', 5),
      limiter.unban('free'),
      limiter.ban('k', 5),
      limiter.unban('k'),
      limiter.reset('k'),
    ]
    for (const promise of given) expect(promise).toBeInstanceOf(Promise)
    await Promise.all(given)
    expect([(await exempt).kind, (await zero).kind]).toEqual(['exempt', 'refused'])
  })

  describe('that fails', () => {
    const down = (): AsyncStore => ({
      ...later(memoryStore()),
      take: async () => Promise.reject(new StoreError('later', 'connection refused')),
    })

    it.each([{}, { skipIf: () => false }])('its error reaches the caller who asks for that (%j)', async (own) => {
      const limiter = createLimiter({ rate: '5/m', store: down(), onStoreError: 'throw', ...own })
      await expect(limiter.check('k')).rejects.toThrow('connection refused')
      await expect(limiter.peek('k')).rejects.toThrow(StoreError)
    })

    it('this process decides alone, and says so; a refund goes there too', async () => {
      const onError = vi.fn()
      const limiter = createLimiter({ rate: '2/h', store: down(), observers: [{ onError }] })
      const first = await limiter.check('k')
      expect(first).toMatchObject({ allowed: true, kind: 'granted', source: 'local', limit: 2, remaining: 1 })
      expect((await limiter.check('k')).allowed).toBe(true)
      expect(await limiter.check('k')).toMatchObject({ allowed: false, kind: 'refused', source: 'local', reason: 'limit' })
      await limiter.refund('k', { of: first })
      expect((await limiter.peek('k')).remaining).toBe(1)
      expect((await limiter.check('k')).allowed).toBe(true)
      expect((await limiter.check('k')).allowed).toBe(false)
      expect(onError).toHaveBeenCalledWith(expect.any(StoreError), 'store')
    })

    it('nobody asks it any more once it is known to be away, and observers hear why all the same', async () => {
      const take = vi.fn(down().take)
      const onError = vi.fn()
      const limiter = createLimiter({ rate: '100/h', store: { ...down(), take }, observers: [{ onError }] })
      for (let i = 0; i < 5; i++) expect((await limiter.check(`k${i}`)).source).toBe('local')
      const asked = take.mock.calls.filter(([, identity]) => identity.startsWith('k')).length
      onError.mockClear()
      for (let i = 0; i < 20; i++) expect(await limiter.check(`k${i}`)).toMatchObject({ allowed: true, source: 'local' })
      expect(take.mock.calls.filter(([, identity]) => identity.startsWith('k'))).toHaveLength(asked)
      expect(onError).toHaveBeenCalledTimes(20)
      expect(onError.mock.lastCall?.[0]).toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('connection refused'),
      })
      const other = createLimiter({ rate: '100/h', store: limiter.store, onStoreError: 'throw' })
      await expect(other.check('k')).rejects.toThrow('no store can decide now')
    })

    it('a share is told of by the limits it is a share of', async () => {
      const limiter = createLimiter({
        rate: '10/m, 100/h',
        store: multiStore([{ name: 'a', store: down() }], { expectedInstances: 2 }),
      })
      const decision = await limiter.check('k')
      expect([decision.source, decision.limit, decision.remaining]).toEqual(['local', 10, 4])
      expect(decision.standings.map(({ limit }) => limit)).toEqual([10, 100])
    })

    it('lets pass or denies where it is told to', async () => {
      const open = createLimiter({ rate: '1/h', store: down(), onStoreError: 'allow' })
      for (let i = 0; i < 3; i++) expect(await open.check('k')).toMatchObject({ allowed: true, kind: 'degraded', source: 'open' })
      const closed = createLimiter({ rate: '1/h', store: down(), onStoreError: 'deny' })
      expect(await closed.check('k')).toMatchObject({ allowed: false, kind: 'degraded', source: 'closed' })
      const shadow = createLimiter({ rate: '1/h', store: down(), onStoreError: 'deny', shadow: true })
      expect((await shadow.check('k')).allowed).toBe(true)
    })

    it('a store that was closed is an error whatever it is told', async () => {
      const closed = new StoreError('later', 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
      const store: AsyncStore = { ...later(memoryStore()), take: async () => Promise.reject(closed) }
      await expect(createLimiter({ rate: '1/h', store, onStoreError: 'allow' }).check('k')).rejects.toThrow('is closed')
    })

    it('an outcome that is none is a configuration error', () => {
      expect(() => createLimiter({ rate: '1/h', onStoreError: 'open' as never })).toThrow(
        /onStoreError: expected one of local, allow/,
      )
    })
  })

  it('a penalty that fails is reported, and the refusal stands', async () => {
    const onError = vi.fn()
    const store: AsyncStore = { ...later(memoryStore()), ban: async () => Promise.reject(new Error('gone')) }
    const limiter = createLimiter({ rate: '1/h', store, penalty: { durationMs: 1000 }, observers: [{ onError }] })
    await limiter.check('k')
    expect(await limiter.check('k')).toMatchObject({ allowed: false, reason: 'limit' })
    expect(onError).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ cause: new Error('gone') }), 'penalty')
  })
})
