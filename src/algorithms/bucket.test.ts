import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { type Decision } from '../core/decision.ts'
import { buildLimit } from '../core/limit.ts'
import { parseRate } from '../core/rate.ts'
import { type Limiter, buildLimiter } from '../limiter/limiter.ts'
import type { SyncStore } from '../stores/store.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import { bucketLaw } from './bucket.ts'
import { ABSENT, CHARGE, CHARGE_IF_FITS, LOOK } from './law.ts'

/**
 * The generic cell rate algorithm with a theoretical arrival time, in exact fractions: half tokens of size, quarter tokens
 * a second of refill. Times are multiplied by `quarters`, so that an emission interval is 4000.
 */
class ExactCells {
  #arrival = 0n
  readonly #quarters: bigint
  readonly #tolerance: bigint

  constructor(halves: number, quarters: number) {
    this.#quarters = BigInt(quarters)
    this.#tolerance = 2000n * BigInt(halves)
  }

  #ahead(nowMs: number): bigint {
    const ahead = this.#arrival - BigInt(nowMs) * this.#quarters
    return ahead > 0n ? ahead : 0n
  }

  check(
    nowMs: number,
    cost: number,
  ): { allowed: boolean; remaining: number; resetAfterMs: number; retryAfterMs: number | undefined } {
    const need = 4000n * BigInt(cost)
    const over = this.#ahead(nowMs) + need - this.#tolerance
    if (over <= 0n) this.#arrival = BigInt(nowMs) * this.#quarters + this.#ahead(nowMs) + need
    const ahead = this.#ahead(nowMs)
    const up = (value: bigint): number => Number((value + this.#quarters - 1n) / this.#quarters)
    return {
      allowed: over <= 0n,
      remaining: Number((this.#tolerance - ahead) / 4000n),
      resetAfterMs: up(ahead),
      retryAfterMs: over <= 0n ? undefined : up(over),
    }
  }
}

const config = fc.record({
  halves: fc.integer({ min: 2, max: 24 }),
  quarters: fc.integer({ min: 1, max: 40 }),
  periodMs: fc.constantFrom(1000, 10_000, 60_000, 3_600_000, 86_400_000),
})
const calls = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 4000 })),
    cost: fc.integer({ min: 1, max: 3 }),
  }),
  {
    minLength: 1,
    maxLength: 60,
  },
)

function bucketLimiter(halves: number, quarters: number, periodMs: number, algorithm: 'token_bucket' | 'leaky_bucket') {
  const clock = manualClock(1_700_000_000_000)
  const size = halves / 2
  const algorithmConfig =
    algorithm === 'token_bucket'
      ? { bucketSize: size, refillRate: quarters / 4 }
      : { bucketCapacity: size, leakRate: quarters / 4 }
  const limiter: Limiter<SyncStore> = buildLimiter({
    rate: `7/${periodMs}ms`,
    algorithm,
    algorithmConfig,
    store: memoryStore({ clock, sweepIntervalMs: false }),
  })
  return { clock, limiter }
}

describe('a bucket', () => {
  it('decides and explains like an exact cell rate algorithm', () => {
    fc.assert(
      fc.property(
        config,
        calls,
        fc.constantFrom('token_bucket', 'leaky_bucket'),
        ({ halves, quarters, periodMs }, sequence, algorithm) => {
          const { clock, limiter } = bucketLimiter(halves, quarters, periodMs, algorithm)
          const exact = new ExactCells(halves, quarters)
          for (const { afterMs, cost } of sequence) {
            clock.advance(afterMs)
            if (cost > Math.floor(halves / 2)) continue
            const { allowed, remaining, resetAfterMs, retryAfterMs } = limiter.check('k', { cost })
            expect({ allowed, remaining, resetAfterMs, retryAfterMs }).toEqual(exact.check(clock.now(), cost))
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('never admits more than burst + rate × T, between any two grants', () => {
    fc.assert(
      fc.property(config, calls, ({ halves, quarters, periodMs }, sequence) => {
        const { clock, limiter } = bucketLimiter(halves, quarters, periodMs, 'token_bucket')
        const grants: { at: number; cost: number }[] = []
        for (const { afterMs, cost } of sequence) {
          clock.advance(afterMs)
          if (limiter.check('k', { cost: Math.min(cost, Math.floor(halves / 2)) }).allowed) {
            grants.push({ at: clock.now(), cost: Math.min(cost, Math.floor(halves / 2)) })
          }
        }
        for (let from = 0; from < grants.length; from++) {
          let sum = 0
          for (let to = from; to < grants.length; to++) {
            sum += grants[to]!.cost
            // Both sides × 4000, in whole numbers.
            expect(4000 * sum).toBeLessThanOrEqual(2000 * halves + quarters * (grants[to]!.at - grants[from]!.at))
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  it('admits all that the bound allows: after a rest, its size at once, then the refill to the millisecond', () => {
    const { clock, limiter } = bucketLimiter(20, 4, 60_000, 'token_bucket')
    let granted = 0
    for (let ms = 0; ms <= 5000; ms++) {
      if (limiter.check('k').allowed) granted++
      if (ms === 0) while (limiter.check('k').allowed) granted++
      clock.advance(1)
    }
    expect(granted).toBe(15)
  })
})

describe('gcra', () => {
  it('with a burst of 1 spaces grants by period / N, for every N', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 100_000 }), (amount, periodMs) => {
        const clock = manualClock(1_700_000_000_000)
        const limiter = buildLimiter({
          rate: `${amount}/${periodMs}ms`,
          algorithm: 'gcra',
          store: memoryStore({ clock, sweepIntervalMs: false }),
        })
        const waits: number[] = []
        for (let i = 0; i < 20; i++) {
          expect(limiter.check('k').allowed).toBe(true)
          const { allowed, retryAfterMs } = limiter.check('k')
          // Several grants in one ms would be more than even pacing.
          expect(allowed).toBe(false)
          waits.push(retryAfterMs as number)
          clock.advance(retryAfterMs as number)
        }
        expect(waits).toEqual(Array.from({ length: 20 }, () => Math.ceil(periodMs / amount)))
      }),
      { numRuns: 100 },
    )
  })
})

describe('the bucket law', () => {
  const limit = buildLimit(parseRate('60/m'), 'token_bucket', { bucketSize: 3 }, undefined, 'o')
  const starts = buildLimit(parseRate('60/m'), 'token_bucket', { bucketSize: 3, initialTokens: 1 }, undefined, 'o')
  const out = new Float64Array(8)
  const NOW = 1_700_000_000_000

  it('touches its own two numbers and four of the reading, wherever they lie', () => {
    const cells = new Float64Array(8).fill(7)
    cells[3] = ABSENT
    const reading = new Float64Array(12).fill(9)
    expect(bucketLaw.take(cells, 3, limit, 2, NOW, CHARGE_IF_FITS, reading, 4)).toBe(true)
    expect([...cells]).toEqual([7, 7, 7, NOW, 120_000, 7, 7, 7])
    expect([...reading.slice(0, 4), ...reading.slice(8)]).toEqual([9, 9, 9, 9, 9, 9, 9, 9])
    expect([reading[4], reading[5]]).toEqual([NOW, 120_000])
  })

  it('looks without charging, refuses without charging, and charges regardless when told', () => {
    const cells = new Float64Array([NOW - 1000, 180_000])
    expect(bucketLaw.take(cells, 0, limit, 1, NOW, LOOK, out, 0)).toBe(true)
    expect(bucketLaw.take(cells, 0, limit, 2, NOW, CHARGE_IF_FITS, out, 0)).toBe(false)
    expect([...cells]).toEqual([NOW - 1000, 180_000])
    expect(bucketLaw.take(cells, 0, limit, 2, NOW, CHARGE, out, 0)).toBe(false)
    // Full, and not in debt.
    expect([...cells]).toEqual([NOW, 180_000])
  })

  it('heals what lies more than a period ahead and leaves what may be honest', () => {
    const cells = new Float64Array([NOW + 60_000, 5])
    expect(bucketLaw.heal(cells, 0, limit, NOW)).toBe(false)
    expect(bucketLaw.heal(cells, 0, limit, NOW - 1)).toBe(true)
    expect([...cells]).toEqual([NOW - 1, 5])
  })

  it('is idle from the millisecond at which it has drained at the slowest refill', () => {
    const cells = new Float64Array([NOW, 60_000])
    expect(bucketLaw.idle(cells, 0, limit, 60, NOW + 999)).toBe(false)
    expect(bucketLaw.idle(cells, 0, limit, 60, NOW + 1000)).toBe(true)
    expect(bucketLaw.idle(cells, 0, limit, 30, NOW + 1000)).toBe(false)
    expect(bucketLaw.idle(cells, 0, limit, 60, NOW - 1)).toBe(false)
    expect(bucketLaw.idle(new Float64Array([ABSENT, 0]), 0, limit, 60, NOW)).toBe(true)
  })

  it('with an initial level is idle only when it would be forgotten, and gives a stranger nothing back', () => {
    const cells = new Float64Array([NOW, 0])
    expect(starts.forgetMs).toBe(3000 + 60_000)
    expect(bucketLaw.idle(cells, 0, starts, 60, NOW + 62_999)).toBe(false)
    expect(bucketLaw.idle(cells, 0, starts, 60, NOW + 63_000)).toBe(true)
    bucketLaw.refund(cells, 0, starts, 1, NOW + 63_000, undefined)
    expect([...cells]).toEqual([NOW, 0])
    expect(bucketLaw.take(cells, 0, starts, 2, NOW + 63_000, LOOK, out, 0)).toBe(false)
    expect(bucketLaw.take(cells, 0, starts, 1, NOW + 63_000, LOOK, out, 0)).toBe(true)
  })

  it('gives back to nobody', () => {
    const cells = new Float64Array([ABSENT, ABSENT])
    bucketLaw.refund(cells, 0, limit, 1, NOW, undefined)
    expect([...cells]).toEqual([ABSENT, ABSENT])
  })
})

it('explains a decision without figures below zero, whatever the state', () => {
  const stamp = fc.integer({ min: 0, max: 4_000_000_000_000 })
  fc.assert(
    fc.property(stamp, stamp, fc.integer({ min: 1, max: 3 }), (first, second, cost) => {
      const clock = manualClock(first)
      const limiter = buildLimiter({
        rate: '3/s',
        algorithm: 'token_bucket',
        store: memoryStore({ clock, sweepIntervalMs: false }),
      })
      const decisions: Decision[] = [limiter.check('k', { cost: 3 })]
      clock.set(second)
      decisions.push(limiter.peek('k', { cost }), limiter.check('k', { cost }))
      for (const { remaining, resetAfterMs, nextAfterMs, retryAfterMs } of decisions) {
        expect(Math.min(remaining, resetAfterMs, nextAfterMs, retryAfterMs ?? 0)).toBeGreaterThanOrEqual(0)
        // A clock far back waits for a full refill at most; a clock a little back, for as long as it is back besides.
        expect(resetAfterMs).toBeLessThanOrEqual(2000)
      }
    }),
  )
})
