import { describe, expect, expectTypeOf, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import type { AsyncStore, SyncStore } from '../stores/store.ts'
import { type ManyDecision, checkMany } from './check-many.ts'
import { createLimiter } from './create-limiter.ts'
import type { Limiter } from './limiter.ts'

const START = 1_700_000_040_000
const ALGORITHMS = ['sliding_window', 'fixed_window', 'token_bucket', 'leaky_bucket', 'gcra'] as const

function promised(store: SyncStore): AsyncStore {
  return {
    name: 'promised',
    sync: false,
    take: async (...call) => {
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

function stage() {
  const clock = manualClock(START)
  const store = memoryStore({ clock, sweepIntervalMs: false })
  const wide = createLimiter({ rate: '9/m', algorithm: 'fixed_window', algorithmConfig: { align: 'first' }, name: 'wide', store })
  const narrow = createLimiter({ rate: '1/m', name: 'narrow', store })
  const read = (limiter: Limiter<typeof store>, key: string): unknown => store.read(limiter.limitsFor(key)!, key)
  return { clock, store, wide, narrow, read }
}

describe('checking several limiters', () => {
  it('charges all when all grant', () => {
    const { wide, narrow } = stage()
    const many = checkMany([
      { limiter: wide, key: 'user', cost: 3 },
      { limiter: narrow, key: 'ip' },
    ])
    expectTypeOf(many).toEqualTypeOf<ManyDecision>()
    expect(many.allowed).toBe(true)
    expect(many.decisions.map(({ remaining }) => remaining)).toEqual([6, 0])
  })

  it('charges none when one refuses, by the raw states, in whatever order', () => {
    const { wide, narrow, read } = stage()
    narrow.check('ip')
    wide.check('other')
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
    ]) {
      const before = [read(wide, 'user'), read(narrow, 'ip'), read(wide, 'other')]
      const questions = [
        { limiter: wide, key: 'user' },
        { limiter: narrow, key: 'ip' },
        { limiter: wide, key: 'other', cost: 2 },
      ]
      const { allowed, decisions } = checkMany(order.map((i) => questions[i]!))
      expect(allowed).toBe(false)
      expect(order.map((i) => decisions[order.indexOf(i)]?.allowed)).toEqual(order.map((i) => i !== 1))
      expect([read(wide, 'user'), read(narrow, 'ip'), read(wide, 'other')]).toEqual(before)
    }
    // What the others tell is how they stand uncharged.
    const { decisions } = checkMany([
      { limiter: wide, key: 'user' },
      { limiter: narrow, key: 'ip' },
    ])
    expect(decisions[0]).toMatchObject({ kind: 'granted', remaining: 9 })
    expect(decisions[1]).toMatchObject({ kind: 'refused', retryAfterMs: 60_999 })
  })

  it.each(ALGORITHMS)('%s: the same key twice counts twice, or not at all', (algorithm) => {
    const clock = manualClock(START)
    const config = algorithm === 'gcra' ? { algorithmConfig: { burst: 3 } } : {}
    const limiter = createLimiter({ rate: '3/m', algorithm, ...config, store: memoryStore({ clock, sweepIntervalMs: false }) })
    const twice = (cost: number) =>
      checkMany([
        { limiter, key: 'k', cost },
        { limiter, key: 'k', cost },
      ])
    expect(twice(2).allowed).toBe(false)
    expect(limiter.peek('k')).toMatchObject({ remaining: 3, resetAfterMs: 0 })
    expect(twice(1).allowed).toBe(true)
    expect(limiter.peek('k').remaining).toBe(1)
    expect(twice(1).allowed).toBe(false)
    expect(limiter.peek('k').remaining).toBe(1)
  })

  it('gives back what was charged when a later question cannot be asked', () => {
    const { wide, narrow, read } = stage()
    expect(() =>
      checkMany([
        { limiter: wide, key: 'user' },
        { limiter: narrow, key: '' },
      ]),
    ).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_KEY' }))
    expect(() =>
      checkMany([
        { limiter: wide, key: 'user' },
        { limiter: narrow, key: 'k', cost: 0 },
      ]),
    ).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_COST' }))
    expect(read(wide, 'user')).toBeUndefined()
  })

  it('counts limiters that exempt or only watch as allowing', () => {
    const { narrow, store } = stage()
    const off = createLimiter({ rate: '1/m', enabled: false, store })
    const shadow = createLimiter({ rate: '1/m', shadow: true, store })
    shadow.check('k')
    const { allowed, decisions } = checkMany([
      { limiter: off, key: 'k' },
      { limiter: shadow, key: 'k' },
      { limiter: narrow, key: 'k' },
    ])
    expect([allowed, ...decisions.map(({ kind }) => kind)]).toEqual([true, 'exempt', 'refused', 'granted'])
    expect(
      checkMany([
        { limiter: off, key: 'k' },
        { limiter: narrow, key: 'k' },
      ]).allowed,
    ).toBe(false)
  })

  it.each([[], null, undefined, 'x', [null], [{}], [{ limiter: {}, key: 'k' }]])('of %j is an error', (checks) => {
    expect(() => checkMany(checks as never)).toThrow(ConfigError)
  })
})

describe('on stores that answer later', () => {
  it('gives a promise of the same, all or nothing', async () => {
    const { store, wide } = stage()
    const remote = createLimiter({ rate: '1/m', name: 'remote', store: promised(store) })
    const questions = [
      { limiter: wide as Limiter<SyncStore | AsyncStore>, key: 'k' },
      { limiter: remote as Limiter<SyncStore | AsyncStore>, key: 'k' },
    ]
    const first = checkMany(questions)
    expect(first).toBeInstanceOf(Promise)
    expect((await first).allowed).toBe(true)
    const before = store.read(wide.limitsFor('k')!, 'k')
    const second = await checkMany(questions)
    expect([second.allowed, ...second.decisions.map(({ kind }) => kind)]).toEqual([false, 'granted', 'refused'])
    expect(store.read(wide.limitsFor('k')!, 'k')).toEqual(before)
  })

  it('gives back what was charged when a store fails', async () => {
    const { store, wide } = stage()
    const down = createLimiter({
      rate: '1/m',
      onStoreError: 'throw',
      store: { ...promised(store), take: async () => Promise.reject(new Error('gone')) } as AsyncStore,
    })
    const questions = [
      { limiter: wide as Limiter<SyncStore | AsyncStore>, key: 'k' },
      { limiter: down as Limiter<SyncStore | AsyncStore>, key: 'k' },
    ]
    await expect(checkMany(questions)).rejects.toThrow('gone')
    expect(store.read(wide.limitsFor('k')!, 'k')).toBeUndefined()
  })
})
