import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { explain } from '../algorithms/explain.ts'
import { manualClock } from '../core/clock.ts'
import { type LimitDefaults, type LimitSet, buildLimitSet } from '../core/limit-set.ts'
import { referenceStore } from '../testing/reference-store.ts'
import { RefusalMemory } from './refusal-memory.ts'
import { READING_WIDTH, type Taken } from './store.ts'

const START = 1_700_000_000_000

const KINDS: Readonly<Record<string, readonly [string, LimitDefaults]>> = {
  'a sliding window': ['6/3s', {}],
  'an exact sliding window': ['6/3s', { algorithm: 'sliding_window', algorithmConfig: { precision: 'exact' } }],
  'a fixed window': ['6/3s', { algorithm: 'fixed_window' }],
  'a token bucket': ['6/3s', { algorithm: 'token_bucket' }],
  gcra: ['6/3s', { algorithm: 'gcra', algorithmConfig: { burst: 2 } }],
  'several limits': ['3/s, 6/3s', {}],
}

/** A store with a memory in front, and the time both share. */
function remembering(maxMs: number) {
  const clock = manualClock(START)
  const store = referenceStore(clock)
  const memory = new RefusalMemory(maxMs)
  return {
    clock,
    store,
    memory,
    recall: (set: LimitSet, key: string, cost: number): Taken | undefined => memory.recall(set, key, cost, () => clock.now()),
    take: (set: LimitSet, key: string, cost: number): Taken => {
      const taken = store.take(set, key, cost, 'take')
      if (taken.granted) memory.forget(set, key)
      else memory.keep(set, key, cost, taken, clock.now())
      return taken
    },
  }
}

function figures(set: LimitSet, { granted, now, bannedForMs, readings }: Taken, cost: number): unknown {
  const standings = set.limits.map((limit, i) => explain(limit, readings, i * READING_WIDTH, cost, now, granted))
  return { granted, now, bannedForMs, standings }
}

describe('a remembered refusal', () => {
  it.each(Object.entries(KINDS))('of %s is what the store would answer, figure by figure', (_, [rate, defaults]) => {
    const set = buildLimitSet('refusals', rate, defaults)
    const step = fc.record({
      cost: fc.integer({ min: 1, max: set.maxCost }),
      afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 900 })),
    })
    let recalled = 0
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (list) => {
        const { clock, store, recall, take } = remembering(60_000)
        for (const { cost, afterMs } of list) {
          clock.advance(afterMs)
          const remembered = recall(set, 'k', cost)
          if (remembered === undefined) {
            take(set, 'k', cost)
            continue
          }
          recalled++
          expect(remembered.source).toBe('remembered')
          expect(figures(set, remembered, cost)).toEqual(figures(set, store.take(set, 'k', cost, 'peek'), cost))
        }
      }),
      { numRuns: 300 },
    )
    expect(recalled).toBeGreaterThan(50)
  })

  it('serves the same or a greater cost of the same limits and key, and nobody else', () => {
    const set = buildLimitSet('refusals', '6/m', { algorithm: 'fixed_window' })
    const raised = buildLimitSet('refusals', '9/m', { algorithm: 'fixed_window' })
    const { recall, take } = remembering(1000)
    take(set, 'k', 5)
    expect(take(set, 'k', 2).granted).toBe(false)
    expect(recall(set, 'k', 2)?.granted).toBe(false)
    expect(recall(set, 'k', 3)?.granted).toBe(false)
    expect(recall(set, 'k', 1)).toBeUndefined()
    expect(recall(set, 'j', 2)).toBeUndefined()
    expect(recall(raised, 'k', 2)).toBeUndefined()
  })

  it('of a sliding window serves a greater cost if it knows which entry has to leave for that', () => {
    const set = buildLimitSet('refusals', '4/m', {})
    const { clock, recall, take } = remembering(1000)
    take(set, 'one entry', 3)
    take(set, 'one entry', 2)
    expect(recall(set, 'one entry', 4)).toBeDefined()
    take(set, 'two', 1)
    clock.advance(2000)
    take(set, 'two', 3)
    take(set, 'two', 1)
    expect(recall(set, 'two', 1)).toBeDefined()
    expect(recall(set, 'two', 2)).toBeUndefined()
    take(set, 'two', 2)
    expect(recall(set, 'two', 3)).toBeDefined()
    expect(recall(set, 'two', 1)).toBeUndefined()
  })

  it('is held so long, and not longer than it is true', () => {
    const set = buildLimitSet('refusals', '1/2s', { algorithm: 'fixed_window' })
    const short = remembering(1000)
    short.take(set, 'k', 1)
    short.take(set, 'k', 1)
    short.clock.advance(999)
    expect(short.recall(set, 'k', 1)).toBeDefined()
    short.clock.advance(1)
    expect(short.recall(set, 'k', 1)).toBeUndefined()
    expect(short.memory.size).toBe(0)
    const long = remembering(60_000)
    long.take(set, 'k', 1)
    long.take(set, 'k', 1)
    long.clock.advance(1999)
    expect(long.recall(set, 'k', 1)).toBeDefined()
    long.clock.advance(1)
    expect(long.recall(set, 'k', 1)).toBeUndefined()
  })

  it('of a ban lasts as long as the ban', () => {
    const set = buildLimitSet('refusals', '5/m', {})
    const { clock, store, recall, take } = remembering(60_000)
    store.ban(set, 'k', { durationMs: 500, factor: 1, maxMs: 500, forgetAfterMs: 0 })
    take(set, 'k', 1)
    clock.advance(499)
    expect(recall(set, 'k', 5)).toMatchObject({ granted: false, bannedForMs: 1 })
    expect(recall(set, 'k', 1)).toMatchObject({ granted: false, bannedForMs: 1 })
    clock.advance(1)
    expect(recall(set, 'k', 1)).toBeUndefined()
  })

  it('is forgotten when it is told to be', () => {
    const set = buildLimitSet('refusals', '1/m', {})
    const { memory, recall, take } = remembering(1000)
    for (const key of ['a', 'b']) {
      take(set, key, 1)
      take(set, key, 1)
    }
    expect(memory.size).toBe(2)
    memory.forget(set, 'a')
    memory.forget(set, 'a')
    memory.forget(set, 'never there')
    expect([recall(set, 'a', 1), memory.size]).toEqual([undefined, 1])
    memory.clear()
    expect([recall(set, 'b', 1), memory.size]).toEqual([undefined, 0])
  })

  it('is one of ten thousand at most: the oldest go', () => {
    const set = buildLimitSet('refusals', '0/m', {})
    const other = buildLimitSet('refusals of others', '1/m', {})
    const { memory } = remembering(1000)
    const refused: Taken = { granted: false, now: START, bannedForMs: 1000, readings: new Float64Array(4), source: 'primary' }
    for (let i = 0; i < 50_000; i++) {
      memory.keep(i % 2 === 0 ? set : other, `k${i}`, 1, refused, 0)
      expect(memory.size).toBeLessThanOrEqual(10_000)
    }
    expect(memory.size).toBeGreaterThan(8000)
    expect(memory.recall(other, 'k49999', 1, () => 0)).toBeDefined()
    expect(memory.recall(set, 'k0', 1, () => 0)).toBeUndefined()
  })
})
