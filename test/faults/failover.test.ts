// Failover in virtual time: what every promise of it looks like, one by one. Next: simulated-store.ts.

import { describe, expect, it } from 'vitest'
import { StoreError } from '../../src/core/errors.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { FailoverStore } from '../../src/stores/failover/failover-store.ts'
import { type MultiStoreOptions, multiStore } from '../../src/stores/failover/multi-store.ts'
import type { StoreEvent } from '../../src/core/observer.ts'
import { SimulatedServer } from './simulated-store.ts'
import { VirtualTime } from './virtual-time.ts'

const START = 1_700_000_040_000
const window10 = buildLimitSet('w', '10/m', {})
const bucket10 = buildLimitSet('b', '10/m', { algorithm: 'token_bucket' })
const fixed10 = buildLimitSet('f', '10/h', { algorithm: 'fixed_window' })

function world(options: MultiStoreOptions = {}) {
  const time = new VirtualTime()
  const [a, b] = [new SimulatedServer(time, START), new SimulatedServer(time, START + 777)]
  const events: string[] = []
  const make = (own: MultiStoreOptions = {}): FailoverStore =>
    multiStore(
      [
        { name: 'a', store: a.client('a') },
        { name: 'b', store: b.client('b') },
      ],
      {
        scheduler: time,
        random: () => 0.5,
        onStoreEvent: ({ kind, store }: StoreEvent) => void events.push(`${store} ${kind}`),
        ...options,
        ...own,
      },
    )
  return { time, a, b, events, make }
}

async function granted(time: VirtualTime, store: FailoverStore, set = window10, times = 20): Promise<number> {
  let count = 0
  for (let i = 0; i < times; i++) if ((await time.until(store.take(set, 'k', 1, 'take'))).granted) count++
  return count
}

describe('failover', () => {
  it.each([
    ['sliding_window', window10],
    ['token_bucket', bucket10],
    ['fixed_window', fixed10],
  ])('hands out no fresh quota, by %s', async (_name, set) => {
    const { time, a, make } = world()
    const store = make()
    expect(await granted(time, store, set, 6)).toBe(6)
    a.condition = 'refuses'
    const first = await time.until(store.take(set, 'k', 1, 'take'))
    expect(first).toMatchObject({ granted: true, source: 'fallback:b' })
    expect(await granted(time, store, set)).toBe(3)
    await store.close()
  })

  it('adds to the first store, once, what the second granted', async () => {
    const { time, a, make, events } = world()
    const store = make()
    expect(await granted(time, store, fixed10, 3)).toBe(3)
    a.condition = 'refuses'
    expect(await granted(time, store, fixed10, 5)).toBe(5)
    a.condition = 'well'
    await time.advance(5000)
    expect(events).toEqual(['a down', 'a probing', 'a returning', 'a up'])
    const after = await time.until(store.take(fixed10, 'k', 1, 'take'))
    expect(after).toMatchObject({ granted: true, source: 'primary' })
    expect(after.readings[1]).toBe(9)
    expect(await granted(time, store, fixed10)).toBe(1)
    await store.close()
  })

  it('settles every decision within the deadline when a store hangs, and does not wait again once that is known', async () => {
    const { time, a, make } = world({ deadlineMs: 100 })
    const store = make()
    await granted(time, store, window10, 1)
    a.condition = 'hangs'
    for (let i = 0; i < 5; i++) {
      const from = time.now()
      expect((await time.until(store.take(window10, `k${i}`, 1, 'take'))).source).toBe('fallback:b')
      expect(time.now() - from).toBeLessThanOrEqual(100)
    }
    const from = time.now()
    await time.until(store.take(window10, 'another', 1, 'take'))
    expect(time.now() - from).toBeLessThanOrEqual(5)
    await store.close()
  })

  it('fails with a StoreError when no store is left, and decides by its share of what was known', async () => {
    const { time, a, b, make } = world({ expectedInstances: 2 })
    const store = make()
    expect(await granted(time, store, fixed10, 4)).toBe(4)
    a.condition = 'refuses'
    b.condition = 'refuses'
    await expect(time.until(store.take(fixed10, 'k', 1, 'take'))).rejects.toThrow(StoreError)
    let local = 0
    for (let i = 0; i < 20; i++) if (store.takeLocally(fixed10, 'k', 1, 'take').taken.granted) local++
    // Six are left of ten, and two processes share them.
    expect(local).toBe(3)
    expect(store.takeLocally(fixed10, 'k', 1, 'take').taken).toMatchObject({ granted: false, source: 'local' })
    a.condition = 'well'
    await time.advance(5000)
    const after = await time.until(store.take(fixed10, 'k', 1, 'take'))
    expect([after.source, after.readings[1]]).toEqual(['primary', 8])
    await store.close()
  })

  it('notices a store that has lost its memory, and tells it what was known', async () => {
    const { time, a, make, events } = world()
    const store = make()
    expect(await granted(time, store, fixed10, 7)).toBe(7)
    await time.advance(1500)
    a.forget()
    await time.advance(1500)
    expect(events).toEqual(['a forgot'])
    expect(await granted(time, store, fixed10)).toBe(3)
    await store.close()
  })

  it('learns how many processes there are', async () => {
    const { time, make } = world()
    const stores = [make(), make(), make()]
    for (const store of stores) await time.until(store.take(window10, 'k', 1, 'peek'))
    await time.advance(12_000)
    expect(stores.map(({ instances }) => instances)).toEqual([3, 3, 3])
    await stores[2]?.close()
    await time.advance(25_000)
    expect(stores[0]?.instances).toBe(2)
    for (const store of stores) await store.close()
  })

  it('takes a store that was down at the start when it comes up', async () => {
    const { time, a, make } = world()
    a.condition = 'refuses'
    const store = make()
    expect((await time.until(store.take(window10, 'k', 1, 'take'))).source).toBe('fallback:b')
    a.condition = 'well'
    await time.advance(5000)
    expect((await time.until(store.take(window10, 'k', 1, 'take'))).source).toBe('primary')
    await store.close()
  })

  it('copies what changes to the standby, so that another process goes on from there', async () => {
    const { time, a, make } = world()
    const [one, other] = [make(), make()]
    expect(await granted(time, one, fixed10, 8)).toBe(8)
    await time.advance(600)
    a.condition = 'refuses'
    expect(await granted(time, other, fixed10)).toBe(2)
    await one.close()
    await other.close()
  })

  it('pays a debt once, also when the answer to the payment is lost', async () => {
    const { time, a, make } = world()
    const store = make()
    await granted(time, store, fixed10, 1)
    a.condition = 'refuses'
    expect(await granted(time, store, fixed10, 4)).toBe(4)
    a.condition = 'loses answers'
    await time.advance(5000)
    a.condition = 'well'
    await time.advance(8000)
    const after = await time.until(store.take(fixed10, 'k', 1, 'take'))
    expect([after.source, after.readings[1]]).toEqual(['primary', 6])
    await store.close()
  })
})
