import { describe, expect, expectTypeOf, it } from 'vitest'
import { createLimiter } from '../limiter/create-limiter.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import type { AsyncStore } from '../stores/store.ts'
import { AssertionError, assertAllowed, assertRefused, assertRemaining, exhaust, manualClock, seededRandom } from './index.ts'
import { assertSame } from './assertion-error.ts'

const clock = manualClock(1_700_000_040_000)
const limiterOf = (rate: string, more: object = {}) =>
  createLimiter({ rate, algorithm: 'fixed_window', name: 'api', clock, ...more })

describe('exhaust', () => {
  it('spends all that is left and says how much that was', () => {
    const limiter = limiterOf('5/m')
    limiter.check('k')
    const spent = exhaust(limiter, 'k')
    expectTypeOf(spent).toEqualTypeOf<number>()
    expect([spent, exhaust(limiter, 'k'), exhaust(limiter, 'other', { cost: 2 })]).toEqual([4, 0, 2])
    assertRefused(limiter.check('k'), 60_000)
  })

  it('waits for a store that answers later', async () => {
    const store = memoryStore({ clock })
    const later: AsyncStore = {
      name: 'later',
      sync: false,
      take: async (...call) => ({ ...store.take(...call) }),
      reset: async () => undefined,
      ban: async () => 0,
      unban: async () => undefined,
      read: async () => undefined,
      ping: async () => undefined,
      sweep: async () => 0,
      close: async () => undefined,
    }
    const spent = exhaust(createLimiter({ rate: '5/m', store: later }), 'k')
    expectTypeOf(spent).toEqualTypeOf<Promise<number>>()
    expect(await spent).toBe(5)
  })

  it('does not go on for ever where nothing can be exhausted', () => {
    expect(() => exhaust(limiterOf('5/m', { enabled: false }), 'k')).toThrow(
      /exhaust\("k"\): nothing to exhaust, received exempt/,
    )
    expect(() => exhaust(limiterOf('5/m', { shadow: true }), 'k')).toThrow(AssertionError)
    expect(() => exhaust(limiterOf('100001/m'), 'k')).toThrow('still granted after 100000 calls')
  })
})

describe('assertions', () => {
  it('pass what is as expected', () => {
    const limiter = limiterOf('1/m')
    const granted = limiter.check('k')
    assertAllowed(granted)
    assertRemaining(granted, 0)
    assertRefused(limiter.check('k'))
    assertRefused(limiter.check('k'), 60_000)
  })

  it('say what came instead', () => {
    const limiter = limiterOf('1/m')
    const granted = limiter.check('k')
    const refused = limiter.check('k')
    expect(() => assertRefused(granted)).toThrow(
      'expected a refused request, received granted by "api": limit 1, remaining 0, retryAfterMs undefined',
    )
    expect(() => assertAllowed(refused)).toThrow(
      'expected an allowed request, received refused (limit) by "api": limit 1, remaining 0, retryAfterMs 60000',
    )
    expect(() => assertRefused(refused, 59_999)).toThrow(expect.objectContaining({ actual: 60_000, expected: 59_999 }))
    expect(() => assertRemaining(granted, 1)).toThrow(expect.objectContaining({ name: 'AssertionError', actual: 0, expected: 1 }))
  })

  it('compare data bit for bit, and show what JSON would lose', () => {
    for (const value of [0, Number.NaN, undefined, null, [], {}, [1, [2, { a: 'x' }]], Infinity])
      assertSame('v', structuredClone(value), value)
    const different: [unknown, unknown][] = [
      [0, -0],
      [1, '1'],
      [null, undefined],
      [[], {}],
      [[1], [1, 2]],
      [{ a: undefined }, {}],
      [{ a: 1 }, { b: 1 }],
      [[undefined], [null]],
      [{}, null],
    ]
    for (const [a, b] of different) expect(() => assertSame('v', a, b)).toThrow(AssertionError)
    expect(() => assertSame('step 3', [Infinity], [undefined])).toThrow('step 3: expected ["undefined"], received ["Infinity"]')
  })
})

describe('seeded random numbers', () => {
  it('are the same for the same seed, and stay in their bounds', () => {
    const draw = (seed: number): number[] =>
      Array.from(
        { length: 1000 },
        (
          (random) => () =>
            random.whole(-3, 3)
        )(seededRandom(seed)),
      )
    expect(draw(5)).toEqual(draw(5))
    expect(draw(5)).not.toEqual(draw(6))
    expect([...new Set(draw(5))].toSorted((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2, 3])
    const random = seededRandom(1)
    for (let i = 0; i < 1000; i++) expect(random.fraction()).toBeLessThan(1)
    expect(['a', 'b']).toContain(random.pick(['a', 'b']))
  })
})
