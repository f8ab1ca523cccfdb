import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ManualClock, manualClock } from '../../core/clock.ts'
import { type LimitSet, buildLimitSet } from '../../core/limit-set.ts'
import type { AlgorithmConfig, AlgorithmName } from '../../core/limit.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { LocalShare } from './local-share.ts'
import type { States } from './seeding.ts'

const START = 1_700_000_040_000

/** So many processes that decide alone, by one clock. */
function processes(count: number): { clock: ManualClock; shares: LocalShare[] } {
  const clock = manualClock(START)
  const shares = Array.from(
    { length: count },
    () => new LocalShare((own) => memoryStore({ clock: own, sweepIntervalMs: false }), clock),
  )
  return { clock, shares }
}

function setOf(rate: string, algorithm: AlgorithmName, algorithmConfig: AlgorithmConfig = {}): LimitSet {
  return buildLimitSet('local', rate, { algorithm, algorithmConfig })
}

/** How many requests of cost 1 all of them grant before all refuse. */
function grantedNow(shares: readonly LocalShare[], set: LimitSet, identity = 'k'): number {
  let granted = 0
  for (const share of shares) {
    const own = share.shareOf(set, shares.length)
    for (let i = 0; i < 1000 && share.take(own, identity, 1, 'take').granted; i++) granted++
  }
  return granted
}

const LAWS: readonly (readonly [name: AlgorithmName, config: AlgorithmConfig])[] = [
  ['sliding_window', {}],
  ['sliding_window', { precision: 'exact' }],
  ['fixed_window', {}],
  ['fixed_window', { align: 'first' }],
  ['token_bucket', {}],
  ['token_bucket', { bucketSize: 40 }],
  ['leaky_bucket', {}],
  ['gcra', { burst: 20 }],
]

describe('shares of a limit', () => {
  it.each(LAWS)('are together what the limit is, by %s %j', (algorithm, config) => {
    const set = setOf('24/m', algorithm, config)
    const { shares } = processes(4)
    expect(grantedNow(shares, set)).toBe(set.maxCost)
  })

  it.each(LAWS)('are never more together, over any time, by %s %j', (algorithm, config) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 9, max: 30 }),
        fc.array(fc.tuple(fc.nat({ max: 8 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 9000 })), {
          maxLength: 200,
        }),
        (count, amount, calls) => {
          const set = setOf(`${amount}/20s`, algorithm, config)
          const [limit] = set.limits
          const { clock, shares } = processes(count)
          const grants: { readonly at: number; readonly cost: number }[] = []
          for (const [who, cost, afterMs] of calls) {
            const share = shares[who % count] as LocalShare
            if (share.take(share.shareOf(set, count), 'k', cost, 'take').granted) grants.push({ at: clock.now(), cost })
            clock.advance(afterMs)
          }
          // The bound of the law, over every interval from one grant to another.
          for (const [i, from] of grants.entries()) {
            let sum = 0
            for (const { at, cost } of grants.slice(i)) {
              sum += cost
              const lastsMs = at - from.at
              if (limit.kind === 'bucket')
                expect(sum).toBeLessThanOrEqual(limit.burst + (limit.amount * lastsMs) / limit.periodMs + 1e-9)
              else if (limit.kind === 'sliding' && lastsMs < limit.periodMs) expect(sum).toBeLessThanOrEqual(limit.amount)
              else if (
                limit.kind === 'fixed' &&
                limit.align === 'clock' &&
                Math.floor(at / 20_000) === Math.floor(from.at / 20_000)
              )
                expect(sum).toBeLessThanOrEqual(limit.amount)
              else if (limit.align === 'first' && lastsMs < limit.periodMs) expect(sum).toBeLessThanOrEqual(2 * limit.amount)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('of a limit smaller than their number are 1 each', () => {
    const { shares } = processes(8)
    for (const [i, [algorithm, config]] of LAWS.entries()) {
      const small: AlgorithmConfig = { ...config, ...(config.bucketSize && { bucketSize: 3 }), ...(config.burst && { burst: 3 }) }
      expect([algorithm, config, grantedNow(shares, setOf('3/m', algorithm, small), `k${i}`)]).toEqual([algorithm, config, 8])
    }
  })

  it.each<[AlgorithmName, AlgorithmConfig]>([
    ['gcra', {}],
    ['gcra', { burst: 3 }],
    ['token_bucket', { bucketSize: 1 }],
    ['token_bucket', { bucketSize: 2, initialTokens: 0 }],
    ['token_bucket', { bucketSize: 2.5, initialTokens: 1 }],
    ['leaky_bucket', { bucketCapacity: 3 }],
  ])('of a burst smaller than their number refill no faster together than it does, by %s %j', (algorithm, config) => {
    const set = setOf('60/m', algorithm, config)
    const { clock, shares } = processes(8)
    grantedNow(shares, set)
    let granted = 0
    for (let i = 0; i < 600; i++) {
      clock.advance(1000)
      granted += grantedNow(shares, set)
    }
    expect(granted).toBeLessThanOrEqual(600)
    // And hardly slower.
    expect(granted).toBeGreaterThanOrEqual(590)
  })

  it('of a bucket that weighs as much as numbers can are no larger than they should be', () => {
    const set = setOf('10/30d', 'token_bucket', { bucketSize: 1, refillRate: 0.000003 })
    const { clock, shares } = processes(50)
    expect(grantedNow(shares, set)).toBe(50)
    clock.advance(30 * 86_400_000)
    expect(grantedNow(shares, set)).toBeLessThanOrEqual(0.000003 * 30 * 86_400 + 1)
  })

  it('of no limit at all grant nothing', () => {
    const { shares } = processes(2)
    expect(grantedNow(shares, setOf('0/m', 'sliding_window'))).toBe(0)
    expect(grantedNow(shares, setOf('9/m', 'token_bucket', { bucketSize: 0 }))).toBe(0)
  })

  it('of several limits are each their part of all of them', () => {
    const set = buildLimitSet('local', '6/s, 12/h', {})
    const { clock, shares } = processes(3)
    expect(grantedNow(shares, set)).toBe(6)
    clock.advance(2000)
    expect(grantedNow(shares, set)).toBe(6)
    clock.advance(2000)
    expect(grantedNow(shares, set)).toBe(0)
  })

  it('are made once for each number of processes, under a scope that no policy has', () => {
    const [share] = processes(1).shares as [LocalShare]
    const set = setOf('10/m', 'fixed_window')
    const own = share.shareOf(set, 3)
    expect(share.shareOf(set, 3)).toBe(own)
    expect(share.shareOf(set, 2)).not.toBe(own)
    expect([own.scope, own.policy, own.maxCost]).toEqual([`|local|${set.scope}`, 'local', 3])
    expect(share.shareOf(set, 2).scopeId).toBe(own.scopeId)
  })
})

describe('a cost that is more than the share', () => {
  const set = setOf('10/m', 'sliding_window')

  it('is refused, and charges nothing', () => {
    const [share] = processes(1).shares as [LocalShare]
    const own = share.shareOf(set, 4)
    for (const mode of ['take', 'charge', 'peek'] as const) {
      expect(share.take(own, 'k', 3, mode)).toMatchObject({ granted: false, source: 'local' })
    }
    expect(share.take(own, 'k', 2, 'take')).toMatchObject({ granted: true, source: 'local' })
  })

  it('is given back as far as the share goes', () => {
    const [share] = processes(1).shares as [LocalShare]
    const own = share.shareOf(set, 4)
    share.take(own, 'k', 2, 'take')
    expect(share.take(own, 'k', 1, 'take').granted).toBe(false)
    share.take(own, 'k', 9, 'refund')
    expect(share.take(own, 'k', 2, 'take').granted).toBe(true)
    expect(share.take(own, 'k', 1, 'take').granted).toBe(false)
  })
})

describe('a key that something is known of', () => {
  /** What a store held after so many requests, and the set. */
  function knownAfter(set: LimitSet, used: number, clock: ManualClock): States {
    const store = memoryStore({ clock, sweepIntervalMs: false })
    for (let i = 0; i < used; i++) store.take(set, 'k', 1, 'take')
    return store.read(set, 'k') ?? set.limits.map(() => [])
  }

  it.each(LAWS)('has only what was left of it, all shares together, by %s %j', (algorithm, config) => {
    const set = setOf('24/m', algorithm, config)
    for (const used of [0, 1, 5, set.maxCost - 1, set.maxCost]) {
      const { clock, shares } = processes(4)
      const states = knownAfter(set, used, clock)
      for (const share of shares) share.seed(share.shareOf(set, 4), 'k', set, states)
      const left = set.maxCost - used
      const granted = grantedNow(shares, set)
      expect(granted).toBeLessThanOrEqual(left)
      // Each share rounds up what is used.
      expect(granted).toBeGreaterThanOrEqual(left - 4)
    }
  })

  it('is seeded twice and no further', () => {
    const set = setOf('20/m', 'sliding_window')
    const { clock, shares } = processes(2)
    const states = knownAfter(set, 10, clock)
    for (let i = 0; i < 3; i++) for (const share of shares) share.seed(share.shareOf(set, 2), 'k', set, states)
    expect(grantedNow(shares, set)).toBe(10)
  })

  it('has its room back when what was used leaves its window, not later', () => {
    const set = setOf('10/m', 'sliding_window')
    const { clock, shares } = processes(1)
    const [share] = shares as [LocalShare]
    const store = memoryStore({ clock, sweepIntervalMs: false })
    for (let i = 0; i < 10; i++) {
      store.take(set, 'k', 1, 'take')
      clock.advance(3000)
    }
    share.seed(share.shareOf(set, 1), 'k', set, store.read(set, 'k') ?? [])
    for (let second = 0; second < 70; second++) {
      const [whole, own] = [store.take(set, 'k', 1, 'take'), share.take(share.shareOf(set, 1), 'k', 1, 'take')]
      expect([second, own.granted]).toEqual([second, whole.granted])
      clock.advance(1000)
    }
  })

  it('is not lowered by what is known: what it used here counts', () => {
    const set = setOf('8/m', 'token_bucket')
    const { clock, shares } = processes(2)
    const [share] = shares as [LocalShare]
    const own = share.shareOf(set, 2)
    expect(grantedNow(shares, set)).toBe(8)
    share.seed(own, 'k', set, knownAfter(set, 1, clock))
    expect(share.take(own, 'k', 1, 'take').granted).toBe(false)
  })

  it('keeps a ban, and loses it when it is lifted or reset', () => {
    const set = setOf('10/m', 'sliding_window')
    const { clock, shares } = processes(1)
    const [share] = shares as [LocalShare]
    const own = share.shareOf(set, 1)
    share.ban(own, 'k', 5000)
    expect(share.take(own, 'k', 1, 'take')).toMatchObject({ granted: false, bannedForMs: 5000 })
    clock.advance(5000)
    expect(share.take(own, 'k', 1, 'take').granted).toBe(true)
    for (const lift of ['unban', 'reset'] as const) {
      share.ban(own, 'k', 5000)
      share[lift](own, 'k')
      expect(share.take(own, 'k', 1, 'take').granted).toBe(true)
    }
  })
})

describe('the store of this process', () => {
  it('is made when it is needed, not before, and closed with the share', () => {
    let made = 0
    let closed = 0
    const clock = manualClock(START)
    const share = new LocalShare((own) => {
      const store = memoryStore({ clock: own, sweepIntervalMs: false })
      made++
      const { close } = store
      return Object.assign(Object.create(store) as typeof store, {
        take: store.take.bind(store),
        close: () => {
          closed++
          close.call(store)
        },
      })
    }, clock)
    const set = setOf('10/m', 'fixed_window')
    const own = share.shareOf(set, 2)
    share.reset(own, 'k')
    share.unban(own, 'k')
    share.close()
    expect([made, closed]).toEqual([0, 0])
    share.take(own, 'k', 1, 'take')
    share.take(own, 'k', 1, 'take')
    share.close()
    share.close()
    expect([made, closed]).toEqual([1, 1])
  })
})
