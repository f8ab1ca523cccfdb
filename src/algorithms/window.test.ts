import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { type AlgorithmConfig, type AlgorithmName, type Limit, buildLimit } from '../core/limit.ts'
import { parseRate } from '../core/rate.ts'
import { buildLimiter } from '../limiter/limiter.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import { ABSENT, CHARGE, CHARGE_IF_FITS, LOOK } from './law.ts'
import {
  type Entries,
  fixedLaw,
  leavesAt,
  slidingPour,
  slidingRead,
  slidingRefund,
  slidingSettle,
  slidingTotal,
  subWindowStart,
} from './window.ts'

const NOW = 1_700_000_040_000

interface Grant {
  readonly at: number
  readonly cost: number
  readonly amount: number
}

/** Plays calls and returns what was granted, under limits that may change from call to call. */
function grantsOf(
  periodMs: number,
  algorithm: AlgorithmName,
  algorithmConfig: AlgorithmConfig,
  calls: readonly { readonly afterMs: number; readonly cost: number; readonly amount: number }[],
): Grant[] {
  const clock = manualClock(NOW)
  const limiter = buildLimiter({
    rate: `1/${periodMs}ms`,
    algorithm,
    algorithmConfig,
    store: memoryStore({ clock, sweepIntervalMs: false }),
  })
  return calls.flatMap(({ afterMs, cost, amount }) => {
    clock.advance(afterMs)
    const { allowed } = limiter.check('k', { cost: Math.min(cost, amount), rate: `${amount}/${periodMs}ms` })
    return allowed ? [{ at: clock.now(), cost: Math.min(cost, amount), amount }] : []
  })
}

function callsOf(amounts: fc.Arbitrary<number>, periodMs: number) {
  // Mostly crowds, sometimes rests, often right at the edge of a period.
  const afterMs = fc.oneof(
    fc.integer({ min: 0, max: 2 }),
    fc.integer({ min: 0, max: Math.ceil(periodMs / 3) }),
    fc.integer({ min: Math.max(0, periodMs - 2), max: periodMs + 2 }),
  )
  return fc.array(fc.record({ afterMs, cost: fc.integer({ min: 1, max: 3 }), amount: amounts }), { minLength: 1, maxLength: 70 })
}

const periods = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 200, max: 20_000 }))
const sameAmount = fc.integer({ min: 1, max: 9 }).chain((amount) => fc.constant(fc.constant(amount)))
const changing = fc.constant(fc.integer({ min: 1, max: 9 }))
const scenario = (amounts: fc.Arbitrary<fc.Arbitrary<number>>) =>
  fc.tuple(periods, amounts).chain(([periodMs, amount]) => fc.tuple(fc.constant(periodMs), callsOf(amount, periodMs)))
const precision = fc.oneof(fc.constant('exact' as const), fc.integer({ min: 1, max: 100 }))

const sum = (grants: readonly Grant[]): number => grants.reduce((total, { cost }) => total + cost, 0)

describe('a sliding window', () => {
  it('never admits more than N in any interval of the period', () => {
    fc.assert(
      fc.property(scenario(sameAmount), precision, ([periodMs, calls], chosen) => {
        const grants = grantsOf(periodMs, 'sliding_window', { precision: chosen }, calls)
        // Every interval that could hold too many begins with a grant.
        for (const { at, amount } of grants) {
          expect(sum(grants.filter((other) => other.at >= at && other.at < at + periodMs))).toBeLessThanOrEqual(amount)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('holds each grant to the limit in force, also when it is raised and lowered in between', () => {
    fc.assert(
      fc.property(scenario(changing), precision, ([periodMs, calls], chosen) => {
        const grants = grantsOf(periodMs, 'sliding_window', { precision: chosen }, calls)
        for (const [i, { at, amount }] of grants.entries()) {
          expect(sum(grants.slice(0, i + 1).filter((other) => other.at > at - periodMs))).toBeLessThanOrEqual(amount)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('exact, admits exactly what a log of requests would', () => {
    fc.assert(
      fc.property(scenario(sameAmount), ([periodMs, calls]) => {
        const grants = grantsOf(periodMs, 'sliding_window', { precision: 'exact' }, calls)
        const log: Grant[] = []
        let at = NOW
        for (const { afterMs, cost: asked, amount } of calls) {
          at += afterMs
          const cost = Math.min(asked, amount)
          if (sum(log.filter((entry) => at - entry.at < periodMs)) + cost <= amount) log.push({ at, cost, amount })
        }
        expect(grants).toEqual(log)
      }),
      { numRuns: 200 },
    )
  })

  it('frees an entry no later than a sub-window after the period', () => {
    fc.assert(
      fc.property(periods, fc.integer({ min: 1, max: 100 }), fc.nat(100_000), (periodMs, chosen, offset) => {
        const clock = manualClock(NOW + offset)
        const limiter = buildLimiter({
          rate: `1/${periodMs}ms`,
          algorithmConfig: { precision: chosen },
          store: memoryStore({ clock, sweepIntervalMs: false }),
        })
        limiter.check('k')
        const { retryAfterMs } = limiter.check('k')
        expect(retryAfterMs).toBeGreaterThanOrEqual(periodMs)
        expect(retryAfterMs).toBeLessThanOrEqual(periodMs + Math.ceil(periodMs / chosen) - 1)
      }),
    )
  })
})

describe('a fixed window', () => {
  it('never admits more than N in a window of the clock, nor 2N in any period', () => {
    fc.assert(
      fc.property(scenario(sameAmount), ([periodMs, calls]) => {
        const grants = grantsOf(periodMs, 'fixed_window', {}, calls)
        for (const { at, amount } of grants) {
          const window = Math.floor(at / periodMs)
          expect(sum(grants.filter((other) => Math.floor(other.at / periodMs) === window))).toBeLessThanOrEqual(amount)
          expect(sum(grants.filter((other) => other.at >= at && other.at < at + periodMs))).toBeLessThanOrEqual(2 * amount)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('of its own alignment never admits more than N from its first request on, nor 2N in any period', () => {
    fc.assert(
      fc.property(scenario(sameAmount), ([periodMs, calls]) => {
        const grants = grantsOf(periodMs, 'fixed_window', { align: 'first' }, calls)
        let start = -Infinity
        let held = 0
        for (const { at, cost, amount } of grants) {
          if (at >= start + periodMs) [start, held] = [at, 0]
          held += cost
          expect(held).toBeLessThanOrEqual(amount)
          expect(sum(grants.filter((other) => other.at >= at && other.at < at + periodMs))).toBeLessThanOrEqual(2 * amount)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('holds each grant to the limit in force', () => {
    fc.assert(
      fc.property(scenario(changing), ([periodMs, calls]) => {
        const grants = grantsOf(periodMs, 'fixed_window', {}, calls)
        for (const [i, { at, amount }] of grants.entries()) {
          const window = Math.floor(at / periodMs)
          expect(sum(grants.slice(0, i + 1).filter((other) => Math.floor(other.at / periodMs) === window))).toBeLessThanOrEqual(
            amount,
          )
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('while the clock is up to a period back, time stands still', () => {
  const steps = fc.array(fc.record({ afterMs: fc.integer({ min: -900, max: 1100 }), cost: fc.integer({ min: 1, max: 2 }) }), {
    minLength: 2,
    maxLength: 60,
  })

  it.each<[AlgorithmName, AlgorithmConfig]>([
    ['sliding_window', {}],
    ['sliding_window', { precision: 'exact' }],
    ['fixed_window', {}],
    ['fixed_window', { align: 'first' }],
    ['token_bucket', {}],
  ])('%s %o: no quota comes of it', (algorithm, algorithmConfig) => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const clock = manualClock(NOW)
        const limiter = buildLimiter({
          rate: '5/1s',
          algorithm,
          algorithmConfig,
          store: memoryStore({ clock, sweepIntervalMs: false }),
        })
        const grants: (Grant & { readonly seen: number })[] = []
        let latest = 0
        // The latest time at which anything was asked: what had left by then stays gone.
        let seen = 0
        for (const { afterMs, cost } of sequence) {
          // Never more than a period behind the last grant: further back a state counts as impossible and heals.
          clock.set(Math.max(clock.now() + afterMs, latest - 1000))
          seen = Math.max(seen, clock.now())
          if (!limiter.check('k', { cost }).allowed) continue
          latest = Math.max(latest, clock.now())
          grants.push({ at: latest, cost, amount: 5, seen })
        }
        for (const [i, { at, seen: then }] of grants.entries()) {
          if (algorithm === 'sliding_window') {
            expect(sum(grants.slice(0, i + 1).filter((other) => other.at > then - 1000))).toBeLessThanOrEqual(5)
          }
          expect(sum(grants.filter((other) => other.at >= at && other.at < at + 1000))).toBeLessThanOrEqual(10)
          if (algorithm !== 'fixed_window' || algorithmConfig.align === 'first') continue
          expect(sum(grants.filter((other) => Math.floor(other.at / 1000) === Math.floor(at / 1000)))).toBeLessThanOrEqual(5)
        }
      }),
      { numRuns: 150 },
    )
  })
})

describe('the fixed law', () => {
  const limit = buildLimit(parseRate('3/m'), 'fixed_window', {}, undefined, 'o')
  const out = new Float64Array(4)

  it('looks without charging, refuses without charging, and charges regardless when told', () => {
    const cells = new Float64Array([NOW, 2])
    expect(fixedLaw.take(cells, 0, limit, 1, NOW + 5, LOOK, out, 0)).toBe(true)
    expect(fixedLaw.take(cells, 0, limit, 2, NOW + 5, CHARGE_IF_FITS, out, 0)).toBe(false)
    expect([...cells]).toEqual([NOW, 2])
    expect(fixedLaw.take(cells, 0, limit, 2, NOW + 5, CHARGE, out, 0)).toBe(false)
    expect([...cells]).toEqual([NOW, 3])
  })

  it('does not re-open an earlier window when the clock steps back', () => {
    const cells = new Float64Array([NOW, 3])
    expect(fixedLaw.take(cells, 0, limit, 1, NOW - 1, LOOK, out, 0)).toBe(false)
  })

  it('never counts past 2^53, however often it is charged', () => {
    const huge = buildLimit(parseRate('9007199254740991/m'), 'fixed_window', {}, undefined, 'o')
    const cells = new Float64Array([ABSENT, 0])
    for (let i = 0; i < 5; i++) fixedLaw.take(cells, 0, huge, Number.MAX_SAFE_INTEGER, NOW, CHARGE, out, 0)
    expect(cells[1]).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('forgets a window from which all was given back', () => {
    const cells = new Float64Array([NOW, 2])
    fixedLaw.refund(cells, 0, limit, 5, NOW + 1, undefined)
    expect(cells[0]).toBe(ABSENT)
  })

  it('gives nothing back that was charged before its window, or after it has ended', () => {
    const cells = new Float64Array([NOW, 2])
    fixedLaw.refund(cells, 0, limit, 1, NOW + 1, NOW - 1)
    fixedLaw.refund(cells, 0, limit, 1, NOW + 60_000, NOW)
    expect([...cells]).toEqual([NOW, 2])
  })
})

describe('the sliding law', () => {
  const limit = (rate: string, chosen: number | 'exact' = 'exact'): Limit =>
    buildLimit(parseRate(rate), 'sliding_window', { precision: chosen }, undefined, 'o')

  it('keeps at most precision + 1 entries, and at most N of single milliseconds', () => {
    const cases: readonly [Limit, number][] = [
      [limit('100000/1s', 20), 21],
      [limit('7/1s'), 7],
      [limit('50/10ms', 60), 11],
    ]
    for (const [built, most] of cases) {
      const entries: Entries = []
      for (let now = NOW; now < NOW + 3 * built.periodMs; now++) {
        slidingSettle(entries, built, now)
        if (slidingTotal(entries) + 1 <= built.amount) slidingPour(entries, built, 1, now)
        expect(entries.length / 2).toBeLessThanOrEqual(most)
      }
    }
  })

  it('keeps no more entries when refusals are charged, and still refuses for a period after the last', () => {
    const built = limit('5/1s')
    const entries: Entries = []
    for (let now = NOW; now < NOW + 3000; now++) {
      slidingSettle(entries, built, now)
      slidingPour(entries, built, 1, now)
      expect(slidingTotal(entries)).toBeLessThanOrEqual(5)
    }
    expect(entries).toEqual([2995, 2996, 2997, 2998, 2999].flatMap((ms) => [NOW + ms, 1]))
  })

  it('counts an entry until its whole sub-window is a period old', () => {
    const built = limit('1/m', 60)
    expect(leavesAt(built, subWindowStart(built, NOW + 1500))).toBe(NOW + 1999 + 60_000)
  })

  it('names the entry whose leaving makes room', () => {
    const built = limit('5/m')
    const entries: Entries = [NOW, 2, NOW + 10, 2, NOW + 20, 1]
    const out = new Float64Array(4)
    const room = (cost: number): number => {
      slidingRead(entries, built, cost, NOW + 30, out, 0)
      return out[3] as number
    }
    expect([room(1), room(2), room(3), room(4), room(5)]).toEqual([NOW, NOW, NOW + 10, NOW + 10, NOW + 20])
    expect([out[0], out[1], out[2]]).toEqual([NOW + 20, 5, NOW])
  })

  it('gives back from the time of the charge, else from the oldest', () => {
    const built = limit('9/m')
    const entries: Entries = [NOW, 2, NOW + 10, 2]
    slidingRefund(entries, built, 1, NOW + 10)
    expect(entries).toEqual([NOW, 2, NOW + 10, 1])
    slidingRefund(entries, built, 5, NOW + 10)
    expect(entries).toEqual([NOW, 2])
    slidingRefund(entries, built, 1, NOW + 11)
    expect(entries).toEqual([NOW, 2])
    entries.push(NOW + 20, 4)
    slidingRefund(entries, built, 3, undefined)
    expect(entries).toEqual([NOW + 20, 3])
  })
})
