// What every store does that several processes share, as one suite: played by each against a real server.
// Promise: a case knows no server; what is particular to one stands in its own file. Next: race-worker.ts, the other processes.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Clock, manualClock } from '../../src/core/clock.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import type { AlgorithmName } from '../../src/core/limit.ts'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import { storeKey } from '../../src/stores/store-key.ts'
import type { AsyncStore, Mode } from '../../src/stores/store.ts'
import { playTape } from '../../src/testing/play-tape.ts'
import { referenceStore } from '../../src/testing/reference-store.ts'
import { storeConformance } from '../../src/testing/store-conformance.ts'
import { TAPE_START_MS, TAPES } from '../../src/testing/tapes.ts'
import { type WorkerPair, startWorkers } from './race.ts'

/** What a store is made with. */
export interface SharedStoreOptions {
  /** Time instead of the server's. */
  readonly clock?: Clock
  readonly keyPrefix: string
  /** Default: the store's. */
  readonly batchSize?: number
}

/** One kind of server. Counters of different prefixes are strangers. */
export interface SharedStoreHarness {
  /** Makes a store, ready for decisions, that remembers no refusals and has seconds for each decision. */
  make(options: SharedStoreOptions): Promise<AsyncStore>
  /** For the other processes: a file that exports `makeStore(argument, options: SharedStoreOptions): Promise<AsyncStore>`. */
  readonly worker: { readonly module: string; readonly argument: unknown }
  /** Puts damage in the place of a counter: each of these writes something that is no state of it. */
  readonly poisons?: Readonly<Record<string, (keyPrefix: string, key: string) => Promise<void>>>
}

const ALGORITHMS: readonly (readonly [AlgorithmName, object])[] = [
  ['sliding_window', {}],
  ['fixed_window', {}],
  ['token_bucket', {}],
  ['leaky_bucket', {}],
  ['gcra', { algorithmConfig: { burst: 50 } }],
]

/** Keys that something between here and a table may cut, fold, group or take for its own. */
const HOSTILE = [
  'a',
  'A',
  'a ',
  ' a',
  'á',
  'a\u0301',
  'a b',
  'a_b',
  'a:b',
  'a|b',
  'a%7cb',
  'a%b',
  'a*',
  '{a}',
  '{a}b',
  '}a',
  '{}a',
  'a\u0000',
  'a\u0000b',
  'a\r\nb',
  '\ud800',
  '\udc00',
  '\ufffd',
  '__proto__',
  'constructor',
  "a'; DROP TABLE smart_ratelimit; --",
  'x'.repeat(199),
  'x'.repeat(200),
  `${'x'.repeat(250)}1`,
  `${'x'.repeat(250)}2`,
  `${'я'.repeat(250)}1`,
  `${'я'.repeat(250)}2`,
  'y'.repeat(1_000_000),
  `${'y'.repeat(1_000_000)}.`,
]

let suites = 0

/** Plays the suite. `prefix` begins the names of all its counters. */
export function sharedStoreSuite(title: string, prefix: string, harness: SharedStoreHarness): void {
  let made = 0
  const fresh = (): string => `${prefix}${suites++}.${made++}:`
  const onClock = async (): Promise<{ clock: ReturnType<typeof manualClock>; store: AsyncStore; keyPrefix: string }> => {
    const clock = manualClock(TAPE_START_MS)
    const keyPrefix = fresh()
    return { clock, keyPrefix, store: await harness.make({ clock, keyPrefix }) }
  }

  describe(`${title} keeps the contract`, () => {
    it('plays every tape', async () => {
      const { clock, store } = await onClock()
      for (const tape of TAPES) await playTape(store, clock, tape)
      await store.close()
    })

    it('answers like the reference at random, states included', { timeout: 120_000 }, async () => {
      const report = await storeConformance(async (clock) => harness.make({ clock, keyPrefix: fresh() }), {
        rounds: 30,
        steps: 120,
      })
      expect(report.calls).toBe(30 * 120)
    })

    it('answers one turn’s questions as if they came one after the other', { timeout: 120_000 }, async () => {
      const sets = ['3/10s', '5/10s', '4/s, 6/10s'].map((rate) => buildLimitSet('turn', rate, {}))
      const buckets = ['3/10s', '5/10s'].map((rate) => buildLimitSet('turn', rate, { algorithm: 'token_bucket' }))
      const question = fc.record({
        set: fc.constantFrom(...sets, ...buckets),
        key: fc.constantFrom('a', 'b', 'c'),
        cost: fc.constantFrom(1, 1, 1, 2),
        mode: fc.constantFrom<Mode>('take', 'take', 'take', 'take', 'peek', 'charge', 'refund'),
      })
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.array(question, { maxLength: 40 }), fc.nat(4000)), { maxLength: 4 }),
          async (turns) => {
            const { clock, store } = await onClock()
            const reference = referenceStore(clock)
            for (const [questions, ms] of turns) {
              const answers = await Promise.all(
                questions.map(async ({ set, key, cost, mode }) => {
                  const { granted, now, readings } = await store.take(set, key, cost, mode)
                  return { granted, now, used: set.limits.map((_, i) => readings[i * 4 + 1]) }
                }),
              )
              const expected = questions.map(({ set, key, cost, mode }) => {
                const { granted, now, readings } = reference.take(set, key, cost, mode)
                return { granted, now, used: set.limits.map((_, i) => readings[i * 4 + 1]) }
              })
              expect(answers).toEqual(expected)
              clock.advance(ms)
            }
            await store.close()
          },
        ),
        { numRuns: 25 },
      )
    })

    it('grants all limits of a policy or none: a refusal leaves every state as it was', async () => {
      const { clock, store } = await onClock()
      for (const [algorithm, options] of ALGORITHMS) {
        const set = buildLimitSet(`all or nothing ${algorithm}`, '50/h, 3/10s', {
          algorithm,
          ...(algorithm === 'gcra' ? { algorithmConfig: { burst: 3 } } : options),
        })
        for (let i = 0; i < 3; i++) expect((await store.take(set, 'k', 1, 'take')).granted, algorithm).toBe(true)
        clock.advance(7)
        const before = await store.read(set, 'k')
        expect((await store.take(set, 'k', 1, 'take')).granted, algorithm).toBe(false)
        expect((await store.take(set, 'k', 2, 'take')).granted, algorithm).toBe(false)
        expect(await store.read(set, 'k'), algorithm).toEqual(before)
      }
      await store.close()
    })

    it('keeps counters of different keys apart, whatever they are made of', async () => {
      const { store } = await onClock()
      const set = buildLimitSet('hostile', '1/h', {})
      const first = await Promise.all(HOSTILE.map(async (key) => (await store.take(set, key, 1, 'take')).granted))
      expect(HOSTILE.filter((_, i) => first[i] === false)).toEqual([])
      const second = await Promise.all(HOSTILE.map(async (key) => (await store.take(set, key, 1, 'take')).granted))
      expect(second.some(Boolean)).toBe(false)
      await store.close()
    })

    it('reads the server’s own clock, and shows what another store on the same server did', async () => {
      const keyPrefix = fresh()
      const [one, other] = [await harness.make({ keyPrefix }), await harness.make({ keyPrefix })]
      const set = buildLimitSet('shared', '2/h', {})
      const { now } = await one.take(set, 'k', 2, 'take')
      expect(Math.abs(now - Date.now())).toBeLessThan(60_000)
      expect((await other.take(set, 'k', 1, 'take')).granted).toBe(false)
      await other.reset(set, 'k')
      expect((await one.take(set, 'k', 1, 'take')).granted).toBe(true)
      const terms = { durationMs: 60_000, factor: 1, maxMs: 60_000, forgetAfterMs: 0 }
      await one.ban(set, 'k', terms)
      expect((await other.take(set, 'k', 1, 'take')).bannedForMs).toBeGreaterThan(50_000)
      await other.unban(set, 'k')
      expect((await one.take(set, 'k', 1, 'take')).granted).toBe(true)
      await one.close()
      await other.close()
    })
  })

  describe(`${title} under two processes`, () => {
    it.each([1, undefined])(
      'admits exactly 50 of 200 takes at once, by every algorithm (batchSize %s)',
      { timeout: 120_000 },
      async (batchSize) => {
        const pair: WorkerPair = await startWorkers(harness.worker)
        try {
          for (const [algorithm, options] of ALGORITHMS) {
            const keyPrefix = fresh()
            const granted = await pair.race({
              store: { keyPrefix, ...(batchSize !== undefined && { batchSize }) },
              limiter: { rate: '50/h', name: 'race', algorithm, ...options },
              key: 'contended',
              takes: 100,
            })
            expect(granted[0] + granted[1], algorithm).toBe(50)
          }
        } finally {
          await pair.stop()
        }
      },
    )

    it('finds no deadlock between policies of several limits over the same keys', { timeout: 120_000 }, async () => {
      const pair: WorkerPair = await startWorkers(harness.worker)
      try {
        const keyPrefix = fresh()
        const granted = await pair.race({
          store: { keyPrefix },
          limiter: { rate: '40/h, 30/2h', name: 'cross' },
          key: Array.from({ length: 20 }, (_, i) => `k${i}`),
          takes: 50,
        })
        expect(granted[0] + granted[1]).toBe(20 * 30)
      } finally {
        await pair.stop()
      }
    })
  })

  const { poisons } = harness
  if (poisons !== undefined) {
    describe(`${title} heals damage conservatively`, () => {
      const cases = Object.entries(poisons).flatMap(([name, plant]) =>
        ALGORITHMS.map(([algorithm, options]) => ({ name, plant, algorithm, options })),
      )
      it.each(cases)(
        '$name under $algorithm: spent, not free, and whole again after a period',
        async ({ plant, algorithm, options }) => {
          const { clock, store, keyPrefix } = await onClock()
          const set = buildLimitSet('poison', '50/m', { algorithm, ...options })
          await plant(keyPrefix, storeKey(set, 'k'))
          const limiter = createLimiter({ rate: '50/m', name: 'poison', algorithm, ...options, store })
          const refused = await limiter.check('k')
          expect(refused.allowed).toBe(false)
          expect(refused.retryAfterMs).toBeLessThanOrEqual(2 * 61_000)
          clock.advance(refused.retryAfterMs ?? Number.NaN)
          expect((await limiter.check('k')).allowed).toBe(true)
          clock.advance(2 * 61_000)
          expect((await limiter.check('k', { cost: 50 })).allowed).toBe(true)
          expect((await limiter.check('k')).allowed).toBe(false)
          await store.close()
        },
      )
    })
  }
}
