// Whether a store keeps the contract: the tapes, then random calls compared with the reference after every step.
// Promise: a difference is an AssertionError with the seed that brings it back; no test framework is needed.
// Next: reference-store.ts for what stores are compared with, tapes.ts for the worked answers.

import { explain } from '../algorithms/explain.ts'
import { type ManualClock, manualClock } from '../core/clock.ts'
import { type LimitDefaults, type LimitSet, type RateInput, buildLimitSet } from '../core/limit-set.ts'
import type { MaybePromise } from '../core/maybe.ts'
import { type Mode, READING_WIDTH, type Store, type Taken } from '../stores/store.ts'
import { assertSame } from './assertion-error.ts'
import { playTape } from './play-tape.ts'
import { type ReferenceStore, referenceStore } from './reference-store.ts'
import { type SeededRandom, seededRandom } from './seeded-random.ts'
import { TAPE_START_MS, TAPES } from './tapes.ts'

/** Makes an empty store that reads the time from this clock. It is closed after use. */
export type MakeStore = (clock: ManualClock) => MaybePromise<Store>

/** What {@link storeConformance} plays. */
export interface ConformanceOptions {
  /** Seed of the first random round (default: drawn anew, so that every run tries something else). */
  readonly seed?: number
  /** Random rounds, each on a store of its own (default 40). */
  readonly rounds?: number
  /** Calls per round (default 150). */
  readonly steps?: number
}

/** What was played. */
export interface ConformanceReport {
  readonly tapes: number
  readonly calls: number
  readonly seed: number
}

/** Policies of the random rounds: sets of one entry share their counters, as when a limit is raised or lowered. */
const POLICIES: readonly { readonly rates: readonly RateInput[]; readonly defaults: LimitDefaults }[] = [
  { rates: ['5/10s', '3/10s', '12/10s'], defaults: {} },
  { rates: ['5/1s', '2/1s', '9/1s'], defaults: { algorithm: 'sliding_window', algorithmConfig: { precision: 'exact' } } },
  { rates: ['20/7s'], defaults: { algorithm: 'sliding_window', algorithmConfig: { precision: 3 } } },
  { rates: ['5000000000/1s', '90000000000/1s'], defaults: { algorithm: 'sliding_window', algorithmConfig: { precision: 4 } } },
  { rates: ['5/3s', '2/3s'], defaults: { algorithm: 'fixed_window' } },
  { rates: ['9007199254740991/3s', '9007199254740990/3s'], defaults: { algorithm: 'fixed_window' } },
  { rates: ['5/3s', '8/3s'], defaults: { algorithm: 'fixed_window', algorithmConfig: { align: 'first' } } },
  { rates: ['100/month', '90/month'], defaults: { timeZone: 'America/New_York' } },
  { rates: ['5/3s', '2/3s', '9/3s'], defaults: { algorithm: 'token_bucket' } },
  {
    rates: ['7/3s'],
    defaults: { algorithm: 'token_bucket', algorithmConfig: { bucketSize: 3.5, refillRate: 1.6667, initialTokens: 1 } },
  },
  {
    rates: ['3/s'],
    defaults: { algorithm: 'token_bucket', algorithmConfig: { bucketSize: 4, refillRate: 0, initialTokens: 3 } },
  },
  { rates: ['1000000/365d'], defaults: { algorithm: 'leaky_bucket', algorithmConfig: { bucketCapacity: 5, leakRate: 0.7 } } },
  { rates: ['7/2s'], defaults: { algorithm: 'gcra', algorithmConfig: { burst: 3 } } },
  { rates: ['3/s, 10/10s', '4/s, 8/10s'], defaults: {} },
  {
    rates: [
      [
        { rate: '4/s', algorithm: 'token_bucket' },
        { rate: '6/2s', algorithm: 'fixed_window' },
        { rate: '9/4s', algorithmConfig: { precision: 5 } },
      ],
    ],
    defaults: { algorithm: 'sliding_window' },
  },
]

const YEAR_MS = 365 * 86_400_000

/** Keys a store must not trip over. */
const KEYS: readonly string[] = ['a', 'a b', 'a_b', '__proto__', 'ключ', '\u0000', '\ud800', 'x'.repeat(300)]

/**
 * Plays all tapes and random calls on stores made by `makeStore`, comparing answers and raw states with the reference.
 * The store must be large enough for a few hundred keys.
 * @throws AssertionError at the first difference; its message holds the seed and the step
 */
export async function storeConformance(makeStore: MakeStore, options: ConformanceOptions = {}): Promise<ConformanceReport> {
  const { seed = Math.floor(Math.random() * 2 ** 31), rounds = 40, steps = 150 } = options
  for (const tape of TAPES) {
    const clock = manualClock(TAPE_START_MS)
    const store = await makeStore(clock)
    await playTape(store, clock, tape)
    await store.close()
  }
  for (let round = 0; round < rounds; round++) {
    const random = seededRandom(seed + round)
    const clock = manualClock(TAPE_START_MS + random.whole(0, 100_000))
    const store = await makeStore(clock)
    // Where the clock goes back nothing is swept: what has expired is forgotten, and the past with it.
    await compareAtRandom(store, clock, random, steps, random.seed % 2 === 0)
    await store.close()
  }
  return { tapes: TAPES.length, calls: rounds * steps, seed }
}

interface Charge {
  readonly set: LimitSet
  readonly key: string
  readonly cost: number
  readonly now: number
}

async function compareAtRandom(
  store: Store,
  clock: ManualClock,
  random: SeededRandom,
  steps: number,
  sweeps: boolean,
): Promise<void> {
  const reference = referenceStore(clock)
  const policies = POLICIES.map(({ rates, defaults }, i) =>
    rates.map((rate) => buildLimitSet(`conformance ${i}`, rate, defaults)),
  )
  // Few policies and keys per round, so that their counters fill.
  const few = [random.pick(policies), random.pick(policies)]
  // A bucket that has run full may be forgotten; a slower refill asked for later would tell that it was.
  if (sweeps) for (const sets of few) if (sets.some(({ limits }) => limits.some(({ kind }) => kind === 'bucket'))) sets.length = 1
  const keys = [random.pick(KEYS), random.pick(KEYS), random.pick(KEYS)]
  const charges: Charge[] = []
  for (let step = 0; step < steps; step++) {
    const set = random.pick(random.pick(few))
    const key = random.pick(keys)
    move(clock, set, random, !sweeps)
    const where = `seed ${random.seed}, step ${step}, ${set.scope}, key ${JSON.stringify(key).slice(0, 20)}`
    await act(store, reference, set, key, random, charges, where)
    if (sweeps && random.whole(0, 9) === 0) await store.sweep()
    assertSame(`${where}: state`, await store.read(set, key), reference.read(set, key))
  }
}

/** Mostly a little forward; sometimes to a boundary, back, or far away. */
function move(clock: ManualClock, { limits }: LimitSet, random: SeededRandom, back: boolean): void {
  const period = random.pick(limits).periodMs
  // What never refills is kept for ten years after its last use, and may be forgotten then.
  const kind = clock.now() + 3 * period > TAPE_START_MS + 9 * YEAR_MS ? 0 : random.whole(0, 99)
  const now = clock.now()
  if (kind < 40) return
  if (kind < 85) clock.advance(random.whole(0, Math.ceil(period / 4)))
  else if (kind < 90) clock.set(Math.ceil((now + 1) / period) * period - random.whole(0, 1))
  else if (back && kind < 95) clock.set(Math.max(0, now - random.whole(0, period)))
  else if (back && kind < 97) clock.set(Math.max(0, now - random.whole(period, period * 5)))
  else clock.advance(random.whole(period, period * 3))
}

async function act(
  store: Store,
  reference: ReferenceStore,
  set: LimitSet,
  key: string,
  random: SeededRandom,
  charges: Charge[],
  where: string,
): Promise<void> {
  const kind = random.whole(0, 99)
  if (kind < 3) {
    await store.reset(set, key)
    reference.reset(set, key)
  } else if (kind < 5) {
    const terms = { durationMs: random.whole(1, 3000), factor: random.whole(1, 3), maxMs: 9000, forgetAfterMs: 5000 }
    assertSame(`${where}: ban`, await store.ban(set, key, terms), reference.ban(set, key, terms))
  } else if (kind < 7) {
    await store.unban(set, key)
    reference.unban(set, key)
  } else if (kind < 20) {
    const charge = charges.splice(random.whole(0, Math.max(0, charges.length - 1)), 1)[0]
    // Of a decision where there is one, else of this key without one.
    if (charge !== undefined && random.whole(0, 2) > 0) await both(charge.set, charge.key, charge.cost, 'refund', charge.now)
    else await both(set, key, random.whole(1, 3), 'refund')
  } else {
    const mode: Mode = kind < 35 ? 'peek' : kind < 40 ? 'charge' : 'take'
    const cost = random.whole(1, Math.max(1, Math.min(set.maxCost, random.pick([1, 1, 1, 2, 5, set.maxCost]))))
    const granted = await both(set, key, cost, mode)
    if (granted && mode === 'take') charges.push({ set, key, cost, now: reference.clock.now() })
  }

  async function both(asked: LimitSet, of: string, cost: number, mode: Mode, takenAt?: number): Promise<boolean> {
    const expected = told(reference.take(asked, of, cost, mode, takenAt), asked, cost)
    // What a store answers may be overwritten by its next call, so it is read at once.
    const actual = told(await store.take(asked, of, cost, mode, takenAt), asked, cost)
    assertSame(`${where}: ${mode} ${cost}${takenAt === undefined ? '' : ` of ${takenAt}`}`, actual, expected)
    return expected.granted
  }
}

/** An answer as plain data, with the figures people read. */
function told({ granted, now, bannedForMs, readings }: Taken, { limits }: LimitSet, cost: number): { granted: boolean } {
  const standings = limits.map((limit, i) => explain(limit, readings, i * READING_WIDTH, cost, now, granted))
  return { granted, now, bannedForMs, standings } as { granted: boolean }
}
