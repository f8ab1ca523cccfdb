// Failover in virtual time: what every promise of it looks like, one by one. Next: simulated-store.ts.

import { describe, expect, it } from 'vitest'
import type { Decision } from '../../src/core/decision.ts'
import { StoreError } from '../../src/core/errors.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import type { FailoverStore } from '../../src/stores/failover/failover-store.ts'
import { type MultiStoreOptions, multiStore } from '../../src/stores/failover/multi-store.ts'
import type { StoreEvent } from '../../src/core/observer.ts'
import type { LateGrant } from '../../src/stores/late.ts'
import type { Mode, Taken } from '../../src/stores/store.ts'
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

  it('does not blame a store that is well for the silence of another', async () => {
    const { time, a, make } = world()
    a.condition = 'hangs'
    const store = make()
    const hourly = buildLimitSet('blame', '100/h', { algorithm: 'fixed_window' })
    for (let i = 0; i < 8; i++) expect((await time.until(store.take(hourly, 'k', 1, 'take'))).source).toBe('fallback:b')
    await store.close()
  })

  it('leaves a store alone that was closed on purpose, and says that it is', async () => {
    const { time, a, events } = world()
    const client = a.client('a')
    const closed = new StoreError('a', 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
    let calls = 0
    let isOpen = true
    const take: typeof client.take = (...call) => {
      calls++
      return isOpen ? client.take(...call) : Promise.reject(closed)
    }
    const store = multiStore([{ name: 'a', store: { ...client, take } }], {
      scheduler: time,
      onStoreEvent: ({ kind }) => void events.push(kind),
    })
    await time.until(store.take(window10, 'k', 1, 'take'))
    isOpen = false
    await time.advance(5000)
    const before = calls
    await time.advance(60_000)
    expect([calls - before, events]).toEqual([0, []])
    await expect(time.until(store.take(window10, 'k', 1, 'take'))).rejects.toBe(closed)
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

  it('says by how much a limit may be exceeded because of who decides', async () => {
    const { time, a, b, make } = world()
    const [alone, one] = [make({ expectedInstances: 1 }), make({ expectedInstances: 4 })]
    expect((await time.until(one.take(fixed10, 'k', 1, 'take'))).excess).toBeUndefined()
    await time.until(alone.take(fixed10, 'k', 1, 'take'))
    a.condition = 'refuses'
    expect((await time.until(one.take(fixed10, 'k', 1, 'take'))).excess).toBe(10)
    expect((await time.until(alone.take(fixed10, 'k', 1, 'take'))).excess).toBe(0)
    b.condition = 'refuses'
    await expect(time.until(one.take(fixed10, 'k', 1, 'take'))).rejects.toThrow(StoreError)
    expect(one.takeLocally(fixed10, 'k', 1, 'take').taken.excess).toBe(20)
    const few = buildLimitSet('few', '3/h', {})
    expect(alone.takeLocally(few, 'k', 1, 'take').taken.excess).toBe(0)
    // Four processes with one each, and two stores that others may still ask.
    expect(one.takeLocally(few, 'k', 1, 'take').taken.excess).toBe(6 + 1)
    await alone.close()
    await one.close()
  })

  it('believes no grant of a store that has lost its memory, however many are on their way', async () => {
    const { time, a, make } = world()
    const store = make()
    expect(await granted(time, store, fixed10, 9)).toBe(9)
    a.forget()
    const asked = Promise.all(Array.from({ length: 20 }, () => store.take(fixed10, 'k', 1, 'take')))
    expect((await time.until(asked)).filter((taken) => taken.granted)).toHaveLength(1)
    await store.close()
  })

  it('believes a store whose counter was reset by another process', async () => {
    const { time, make } = world()
    const [one, other] = [make(), make()]
    expect(await granted(time, one, fixed10, 9)).toBe(9)
    await time.until(other.reset(fixed10, 'k'))
    const answers = await time.until(Promise.all(Array.from({ length: 5 }, () => one.take(fixed10, 'k', 1, 'take'))))
    expect(answers.map((taken) => taken.granted)).toEqual([true, true, true, true, true])
    expect(await granted(time, one, fixed10)).toBe(5)
    await one.close()
    await other.close()
  })

  it('tells the next store what one that had been asked before has granted meanwhile', async () => {
    const { time, a, make } = world()
    const store = make()
    expect(await granted(time, store, fixed10, 2)).toBe(2)
    a.latencyMs = 40
    // Three are on their way when a fourth fails and goes on to the second store.
    const asked = Array.from({ length: 3 }, () => store.take(fixed10, 'k', 1, 'take'))
    await time.advance(30)
    a.latencyMs = 1
    a.condition = 'refuses'
    expect((await time.until(store.take(fixed10, 'k', 1, 'take'))).source).toBe('fallback:b')
    a.condition = 'well'
    const first = await time.until(Promise.all(asked))
    const before = first.filter((taken) => taken.granted).length
    a.condition = 'refuses'
    expect(before + (await granted(time, store, fixed10)) + 3).toBeLessThanOrEqual(10)
    await store.close()
  })

  it('owes nothing for what a store has charged after it was given up', async () => {
    const { time, a, make } = world()
    const store = make()
    expect(await granted(time, store, fixed10, 1)).toBe(1)
    a.latencyMs = 160
    const taken = await time.until(store.take(fixed10, 'k', 1, 'take'))
    expect(taken.source).toBe('fallback:b')
    await time.advance(300)
    a.latencyMs = 1
    a.condition = 'refuses'
    expect(await granted(time, store, fixed10, 5)).toBe(5)
    a.condition = 'well'
    await time.advance(8000)
    const back = await time.until(store.take(fixed10, 'k', 1, 'peek'))
    // One before, one that was charged late, five while it was away.
    expect([back.source, back.readings[1]]).toEqual(['primary', 7])
    await store.close()
  })

  it('charges nothing more when it has given up before it asked', async () => {
    const { time, a, b, make } = world()
    const store = make()
    expect(await granted(time, store, fixed10, 4)).toBe(4)
    a.condition = 'refuses'
    // It takes too long to tell the second store what is known: the third way is this process itself.
    b.latencyMs = 150
    await expect(time.until(store.take(fixed10, 'k', 1, 'take'))).rejects.toThrow(StoreError)
    await time.advance(2000)
    b.latencyMs = 1
    const read = await time.until(Promise.resolve(b.client('b').read(fixed10, 'k')))
    expect(read?.[0]?.[1]).toBe(4)
    await store.close()
  })

  it('keeps a ban when another store takes over, and when the first comes back without having heard of it', async () => {
    const { time, a, b, make } = world()
    const store = make()
    const terms = { durationMs: 60_000, factor: 1, maxMs: 60_000, forgetAfterMs: 0 }
    a.condition = 'refuses'
    await granted(time, store, fixed10, 6)
    expect(await time.until(store.ban(fixed10, 'k', terms))).toBe(60_000)
    expect(await granted(time, store, fixed10)).toBe(0)
    a.condition = 'well'
    await time.advance(6000)
    const back = await time.until(store.take(fixed10, 'k', 1, 'take'))
    expect([back.source, back.granted, back.bannedForMs > 50_000]).toEqual(['primary', false, true])
    b.condition = 'refuses'
    a.condition = 'refuses'
    await expect(time.until(store.take(fixed10, 'k', 1, 'take'))).rejects.toThrow(StoreError)
    expect(store.takeLocally(fixed10, 'k', 1, 'take').taken).toMatchObject({ granted: false, source: 'local' })
    await store.close()
  })

  it('gives back what was refunded while another decides, once', async () => {
    const { time, a, make } = world()
    const store = make()
    a.condition = 'refuses'
    expect(await granted(time, store, fixed10, 5)).toBe(5)
    const last = await time.until(store.take(fixed10, 'k', 3, 'take'))
    await time.until(store.take(fixed10, 'k', 3, 'refund', last.now))
    a.condition = 'well'
    await time.advance(6000)
    const back = await time.until(store.take(fixed10, 'k', 1, 'peek'))
    expect([back.source, back.readings[1]]).toEqual(['primary', 5])
    await store.close()
  })

  it.each(['fixed_window', 'sliding_window', 'token_bucket'] as const)(
    'adds what was granted alone once, also for keys that were new then: %s',
    async (algorithm) => {
      const own = buildLimitSet('once', '10/h', { algorithm })
      const unit = own.limits[0]?.unit === undefined || algorithm !== 'token_bucket' ? 1 : own.limits[0].unit
      for (const before of [0, 2]) {
        for (const more of ['nothing', 'a look', 'a take', 'a refund'] as const) {
          for (const isAsked of [false, true]) {
            const { time, a, b, make } = world()
            const store = make()
            const ask = async (mode: Mode, takenAt?: number): Promise<Taken> =>
              time.until(store.take(own, 'k', 1, mode, takenAt).catch(() => store.takeLocally(own, 'k', 1, mode, takenAt).taken))
            for (let i = 0; i < before; i++) await ask('take')
            await time.advance(2000)
            a.condition = 'refuses'
            b.condition = 'refuses'
            const [first] = await Promise.all([ask('take'), ask('take'), ask('take')])
            if (more === 'a look') await ask('peek')
            if (more === 'a take') await ask('take')
            if (more === 'a refund') await ask('refund', first.now)
            await time.advance(3000)
            a.condition = 'well'
            const looks = isAsked ? 20 : 0
            for (let i = 0; i < looks; i++) {
              await time.advance(200)
              await ask('peek')
            }
            await time.advance(6000)
            const back = await ask('peek')
            const wanted = before + 3 + (more === 'a take' ? 1 : more === 'a refund' ? -1 : 0)
            const where = `${before} before, then ${more}${isAsked ? ', asked on its return' : ''}`
            expect([back.source, Math.ceil((back.readings[1] as number) / unit)], where).toEqual(['primary', wanted])
            await store.close()
          }
        }
      }
    },
  )

  it('does not take a grant of an earlier window, told late, for one of what is owed', async () => {
    const { time, a } = world()
    const minute = buildLimitSet('late', '10/m', { algorithm: 'fixed_window' })
    let tell: ((late: LateGrant) => void) | undefined
    const client = {
      ...a.client('a'),
      onLateGrant(listener: (late: LateGrant) => void): () => void {
        tell = listener
        return () => undefined
      },
    }
    const store = multiStore([{ name: 'a', store: client }], { scheduler: time, random: () => 0.5 })
    const before = await time.until(store.take(minute, 'k', 1, 'take'))
    a.condition = 'refuses'
    await time.advance(61_000)
    for (let i = 0; i < 3; i++) {
      const failed = store.take(minute, 'k', 1, 'take').catch(() => undefined)
      await time.until(failed)
      store.takeLocally(minute, 'k', 1, 'take')
    }
    tell?.({ set: minute, identity: 'k', cost: 1, mode: 'take', takenAt: undefined, taken: before })
    a.condition = 'well'
    await time.advance(6000)
    expect((await time.until(store.take(minute, 'k', 1, 'peek'))).readings[1]).toBe(3)
    await store.close()
  })

  it('gives back what was refunded while no store answers', async () => {
    const { time, a, b, make } = world()
    const store = make()
    const limiter = createLimiter({ name: 'refunds', rate: '10/m', algorithm: 'fixed_window', store })
    a.condition = 'refuses'
    b.condition = 'refuses'
    const spent = [1, 2, 3].map(() => limiter.check('k'))
    const [last] = await time.until(Promise.all(spent))
    expect(last?.source).toBe('local')
    await time.until(Promise.all([limiter.refund('k', { of: last as Decision }), limiter.refund('k')]))
    a.condition = 'well'
    await time.advance(6000)
    const back = await time.until(limiter.peek('k'))
    expect([back.source, back.remaining]).toEqual(['primary', 9])
    await store.close()
  })

  it('settles within the deadline where a store answers slowly at every step', async () => {
    const { time, a, b, make } = world()
    const store = make()
    await granted(time, store, fixed10, 3)
    await time.advance(1000)
    for (const latencyMs of [20, 40, 49, 60, 90]) {
      for (const server of [a, b]) server.latencyMs = latencyMs
      a.forget()
      const from = time.now()
      await time.until(store.take(fixed10, 'k', 1, 'take')).catch((error: unknown) => expect(error).toBeInstanceOf(StoreError))
      expect(time.now() - from).toBeLessThanOrEqual(120)
      for (const server of [a, b]) server.latencyMs = 1
      await time.advance(5000)
    }
    await store.close()
  })
})
