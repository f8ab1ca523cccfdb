import { describe, expect, it } from 'vitest'
import type { ManualClock } from '../core/clock.ts'
import type { SyncStore } from '../stores/store.ts'
import { AssertionError } from './assertion-error.ts'
import { referenceStore } from './reference-store.ts'
import { storeConformance } from './store-conformance.ts'
import { TAPES } from './tapes.ts'

type Fault = (store: SyncStore, clock: ManualClock) => Partial<SyncStore>

const faults: Record<string, Fault> = {
  'charges what it refuses': (store) => ({
    take: (set, key, cost, mode, takenAt) => store.take(set, key, cost, mode === 'take' ? 'charge' : mode, takenAt),
  }),
  'charges when it is only asked to look': (store) => ({
    take: (set, key, cost, mode, takenAt) => store.take(set, key, cost, mode === 'peek' ? 'take' : mode, takenAt),
  }),
  'takes only 1 of any cost': (store) => ({
    take: (set, key, cost, mode, takenAt) => store.take(set, key, Math.min(cost, 1), mode, takenAt),
  }),
  'forgets when a refunded cost was charged': (store) => ({ take: (set, key, cost, mode) => store.take(set, key, cost, mode) }),
  'gives nothing back': (store) => ({
    take: (set, key, cost, mode, takenAt) => store.take(set, key, cost, mode === 'refund' ? 'peek' : mode, takenAt),
  }),
  'folds the case of keys': (store) => ({ take: (set, key, ...rest) => store.take(set, key.replaceAll('_', ' '), ...rest) }),
  'tells a time that is not the clock’s': (store) => ({
    take: (...call) => {
      const taken = store.take(...call)
      return { ...taken, now: taken.now + 1 }
    },
  }),
  'ignores bans': (store) => ({
    take: (set, key, ...rest) => {
      store.unban(set, key)
      return store.take(set, key, ...rest)
    },
  }),
  'keeps a ban over a reset': (store) => ({
    reset: (set, key) => {
      const { bannedForMs } = store.take(set, key, 1, 'peek')
      store.reset(set, key)
      if (bannedForMs > 0) store.ban(set, key, { durationMs: bannedForMs, factor: 1, maxMs: bannedForMs, forgetAfterMs: 0 })
    },
  }),
  'resets nothing': () => ({ reset: () => undefined }),
  'reads back what is not there': () => ({ read: (set) => set.limits.map(() => [0, 0]) }),
  'forgets everything when it sweeps': (store) => ({
    sweep: () => {
      store.close()
      return 1
    },
  }),
  'forgets the last millisecond of a window': (store, clock) => ({
    take: (...call) => {
      const now = clock.now()
      clock.set(now + 1)
      const taken = store.take(...call)
      clock.set(now)
      return { ...taken, now }
    },
  }),
}

/** The reference with some of its methods replaced. */
function faulty(fault: Fault) {
  return (clock: ManualClock): SyncStore => {
    const store = referenceStore(clock)
    const own: SyncStore = {
      name: 'faulty',
      sync: true,
      take: (...call) => store.take(...call),
      reset: (...call) => store.reset(...call),
      ban: (...call) => store.ban(...call),
      unban: (...call) => store.unban(...call),
      read: (...call) => store.read(...call),
      ping: () => store.ping(),
      sweep: () => store.sweep(),
      close: () => store.close(),
    }
    return { ...own, ...fault(store, clock) }
  }
}

describe('the conformance suite', () => {
  it('passes a store without a fault, and says what it played', async () => {
    const report = await storeConformance(
      faulty(() => ({})),
      { rounds: 4, steps: 25, seed: 99 },
    )
    expect(report).toEqual({ tapes: TAPES.length, calls: 100, seed: 99 })
  })

  it.each(Object.entries(faults))('catches a store that %s', async (_name, fault) => {
    await expect(storeConformance(faulty(fault), { seed: 1 })).rejects.toThrow(AssertionError)
  })

  it('names the seed and the step, and fails the same way again', async () => {
    const late: Fault = (store) => {
      let calls = 0
      // Right for all tapes, wrong some time later.
      return { read: (...call) => (++calls > 60 ? undefined : store.read(...call)) }
    }
    const failure = async (seed: number): Promise<string> =>
      storeConformance(faulty(late), { seed }).then(
        () => 'passed',
        (error: Error) => error.message,
      )
    const first = await failure(4711)
    expect(first).toMatch(/^seed \d+, step \d+, /)
    expect(await failure(4711)).toBe(first)
    expect(Number(/seed (\d+)/.exec(first)?.[1])).toBeGreaterThanOrEqual(4711)
  })

  it('plays tapes of different names', () => {
    expect(new Set(TAPES.map(({ name }) => name)).size).toBe(TAPES.length)
  })
})
