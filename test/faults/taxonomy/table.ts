// The table of errors, as it is played: a real server is made to fail in a given way, once under a store by itself and once under a store
// with a standby. Promise: what a row says of the error, of the counter afterwards, and of who decided instead is looked at and compared.
// Next: postgres.test.ts, mysql.test.ts, sqlite.test.ts, which have the rows.

import type { Line } from '../../stores/line.ts'
import { expect } from 'vitest'
import { StoreError, type StoreErrorKind } from '../../../src/core/errors.ts'
import { buildLimitSet } from '../../../src/core/limit-set.ts'
import type { StoreEvent } from '../../../src/core/observer.ts'
import { multiStore } from '../../../src/stores/failover/multi-store.ts'
import { memoryStore } from '../../../src/stores/memory/memory-store.ts'
import type { AsyncStore, Taken } from '../../../src/stores/store.ts'

/** A window that does not end while a row is played. */
export const set = buildLimitSet('taxonomy', '100/30d', { algorithm: 'fixed_window' })

/** The stores of a row ask nobody twice for being refused, and leave the fault time to show. */
export const DEADLINE_MS = 1000

/** What a decision met with a fault comes to. */
export interface Outcome {
  /** The error's; `none`: there is none, as the store asked again within the deadline. */
  readonly kind: StoreErrorKind | 'none'
  readonly message?: RegExp
  readonly code?: string
  /** What the counter holds that held 1: 1 is not charged, 2 is charged once. */
  readonly holds: 1 | 2
}

/** What a row is played with. */
export interface Play {
  /** A fresh store that meets the fault. */
  readonly make: () => AsyncStore
  /** What holds the counters' truth, by a way that no fault is on. */
  readonly truth: Pick<AsyncStore, 'take' | 'read'>
  /** Whether stores have been used before the fault comes. */
  readonly warm?: boolean
  /** Does something to a key while there is the fault, which is over when it resolves. */
  readonly during: <T>(key: string, act: () => PromiseLike<T>) => Promise<T>
}

/** What befalls the message on a line that has this word of a key in it. */
export function onTheLine(
  befalls: 'loseAnswerTo' | 'loseQuestion' | 'holdBack',
  wordOf: (key: string) => string = (key) => key,
): <T>(scene: { readonly line: Line }, key: string, act: () => PromiseLike<T>) => Promise<T> {
  return async ({ line }, key, act) => {
    line[befalls](wordOf(key))
    return act()
  }
}

let rows = 0

/** Plays a row. */
export async function play(outcome: Outcome, parts: Play): Promise<void> {
  const row = ++rows
  await alone(`alone${row}`, outcome, parts)
  await withStandby(`standby${row}`, outcome, parts)
}

async function alone(key: string, { kind, message, code, holds }: Outcome, { make, truth, warm, during }: Play): Promise<void> {
  await truth.take(set, key, 1, 'take')
  const store = make()
  try {
    if (warm === true) await store.ping()
    const found = await during(key, () => settled(store.take(set, key, 1, 'take')))
    if (kind === 'none') expect(found).toMatchObject({ granted: true, source: 'primary' })
    else {
      expect(found).toBeInstanceOf(StoreError)
      const error = found as StoreError
      expect({ kind: error.kind, message: error.message }).toEqual({ kind, message: error.message })
      if (message !== undefined) expect(error.message).toMatch(message)
      expect(error.code).toBe(code ?? 'ERR_RATELIMIT_STORE')
    }
  } finally {
    await store.close()
  }
  await expectHeld(truth, key, holds)
}

async function withStandby(key: string, { kind, holds }: Outcome, { make, truth, warm, during }: Play): Promise<void> {
  await truth.take(set, key, 1, 'take')
  const events: StoreEvent[] = []
  const store = make()
  const stores = multiStore(
    [
      { name: 'primary', store },
      { name: 'standby', store: memoryStore({ sweepIntervalMs: false }) },
    ],
    {
      deadlineMs: 4 * DEADLINE_MS,
      copyIntervalMs: false,
      // One failure opens no breaker unless it says that the next would be the same; and nobody asks whether it is over.
      healthCheckIntervalMs: 3_600_000,
      circuitBreaker: { failureThreshold: 50, backoffMs: 1_800_000 },
      onStoreEvent: (event) => events.push(event),
    },
  )
  try {
    if (warm === true) await store.ping()
    const found = await during(key, () => settled(stores.take(set, key, 1, 'take')))
    expect(found).toMatchObject({ granted: true, source: kind === 'none' ? 'primary' : 'fallback:standby' })
    const [primary] = stores.stores
    const isFinal = kind === 'wrong_node' || kind === 'misconfigured'
    expect(primary?.state).toBe(isFinal ? 'open' : 'closed')
    if (kind === 'none') expect(primary?.lastError).toBeUndefined()
    expect(
      events
        .map((event) => event.kind)
        .filter((one) => one === 'misconfigured' || one === 'down')
        .toSorted(),
    ).toEqual(kind === 'misconfigured' ? ['down', 'misconfigured'] : isFinal ? ['down'] : [])
  } finally {
    await stores.close()
  }
  await expectHeld(truth, key, holds)
}

/** What was given up may still be on its way: it is waited for what the counter is to hold, and then that it stays so. */
async function expectHeld(truth: Play['truth'], key: string, holds: number): Promise<void> {
  const held = async (): Promise<number> => (await truth.read(set, key))?.[0]?.[1] ?? 0
  await expect.poll(held, { timeout: 3000 }).toBe(holds)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(await held()).toBe(holds)
}

function settled(asked: PromiseLike<Taken>): Promise<unknown> {
  return Promise.resolve(asked).catch((error: unknown) => error)
}

const LONG_MS = 10_000

/** Waits for something to become true, and no longer than a test may. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + LONG_MS
  while (!(await isSo())) {
    if (performance.now() > limit) throw new Error(`waited for ${LONG_MS} ms in vain`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
