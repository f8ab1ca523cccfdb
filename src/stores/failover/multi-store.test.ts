import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { SimulatedServer } from '../../../test/faults/simulated-store.ts'
import { VirtualTime } from '../../../test/faults/virtual-time.ts'
import { bundleChild } from '../../../test/child-bundle.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { ConfigError, StoreError } from '../../core/errors.ts'
import { buildLimitSet } from '../../core/limit-set.ts'
import type { StoreEvent } from '../../core/observer.ts'
import { addObserver } from '../../core/watching.ts'
import { createLimiter } from '../../limiter/create-limiter.ts'
import { memoryStore } from '../memory/memory-store.ts'
import type { AsyncStore, Store, SyncStore } from '../store.ts'
import { FailoverStore } from './failover-store.ts'
import { type MultiStoreOptions, multiStore, withSafetyNet } from './multi-store.ts'
import type { NamedStore } from './options.ts'

const START = 1_700_000_040_000
const hourly = buildLimitSet('hourly', '10/h', { algorithm: 'fixed_window' })

/** A store that counts what it is asked, and fails while it is told to. */
interface Counted extends SyncStore {
  failing: boolean
  takes: number
  closes: number
}

function counted(clock: Clock = systemClock): Counted {
  const store = memoryStore({ clock, sweepIntervalMs: false })
  const made: Counted = Object.assign(Object.create(store) as SyncStore, {
    failing: false,
    takes: 0,
    closes: 0,
    take: (...call: Parameters<SyncStore['take']>) => {
      made.takes++
      if (made.failing) throw new StoreError('counted', 'is out of order', { kind: 'unavailable' })
      return store.take(...call)
    },
    read: store.read.bind(store),
    ping: store.ping.bind(store),
    sweep: store.sweep.bind(store),
    close: () => {
      made.closes++
      store.close()
    },
  })
  return made
}

/** A store that never answers. */
function hanging(own: object = {}): AsyncStore {
  const never = (): Promise<never> => new Promise(() => {})
  return {
    name: 'hanging',
    sync: false,
    take: never,
    reset: never,
    ban: never,
    unban: never,
    read: never,
    ping: never,
    sweep: never,
    close: async () => {},
    ...own,
  }
}

function world(count: number, options: MultiStoreOptions = {}) {
  const time = new VirtualTime()
  const names = ['a', 'b', 'c'].slice(0, count)
  const servers = names.map(() => new SimulatedServer(time, START))
  const events: string[] = []
  const store = multiStore(
    names.map((name, i) => ({ name, store: (servers[i] as SimulatedServer).client(name) })),
    { scheduler: time, random: () => 0.5, onStoreEvent: ({ kind, store: of }) => void events.push(`${of} ${kind}`), ...options },
  )
  return { time, servers, store, events }
}

describe('multiStore', () => {
  const two = (): NamedStore[] => [
    { name: 'a', store: memoryStore({ sweepIntervalMs: false }) },
    { name: 'b', store: memoryStore({ sweepIntervalMs: false }) },
  ]
  const wrong = (members: unknown, options: unknown = {}): string => {
    try {
      multiStore(members as NamedStore[], options as MultiStoreOptions)
    } catch (error) {
      if (error instanceof ConfigError) return error.message
      throw error
    }
    return expect.fail('no error')
  }

  it.each([
    [{ strategy: 'random' }, 'multiStore.strategy: expected one of first_healthy, round_robin, received "random"'],
    [{ strategy: null }, 'multiStore.strategy: expected one of'],
    [{ name: '' }, 'multiStore.name: expected 1 to 64 printable ASCII characters'],
    [{ name: 'a\nb' }, 'multiStore.name: '],
    [{ name: 7 }, 'multiStore.name: '],
    [{ deadlineMs: 0 }, 'multiStore.deadlineMs: expected a whole number from 1 to 600000, received 0'],
    [{ circuitBreaker: { rampMs: -1 } }, 'multiStore.circuitBreaker.rampMs: '],
    [{ failbackMs: 1 }, 'multiStore.failbackMs: expected one of strategy, name, deadlineMs, '],
    [null, 'multiStore: expected an object'],
  ])('does not take the options %j', (options, message) => {
    expect(wrong(two(), options)).toContain(message)
  })

  it('does not take a list, a name or a store that cannot be', () => {
    const [a, b] = two() as [NamedStore, NamedStore]
    expect(wrong([])).toMatch(/^multiStore\(stores\): expected a list/)
    expect(wrong([a, { ...b, name: 'a' }])).toMatch(/^multiStore\(stores\)\[1\]\.name: expected a name of its own/)
    expect(wrong([a, { name: 'b', store: {} }])).toMatch(/^multiStore\(stores\)\[1\]\.store: expected a store/)
    expect(wrong([a, b, { name: 'c', store: a.store }])).toBe(
      'multiStore(stores)[2].store: expected a store of its own, received "c"',
    )
  })

  it('tells what it is made of', async () => {
    const members = two()
    const store = multiStore(members, { name: 'both', deadlineMs: 30, strategy: 'round_robin', expectedInstances: 3 })
    expect([store.name, store.sync, store.deadlineMs, store.strategy, store.instances]).toEqual([
      'both',
      false,
      30,
      'round_robin',
      3,
    ])
    expect(store.members.map(({ store: one }) => one)).toEqual(members.map(({ store: one }) => one))
    const well = { state: 'closed', lastError: undefined }
    expect(store.stores).toEqual([
      { name: 'a', ...well, servers: [{ address: undefined, ...well }] },
      { name: 'b', ...well, servers: [{ address: undefined, ...well }] },
    ])
    await store.close()
    expect(multiStore(two())).toMatchObject({ name: 'multi', deadlineMs: 100, strategy: 'first_healthy', instances: 1 })
  })

  it('closes its stores, once, also where one of them fails to, and decides nothing after that', async () => {
    const [a, b] = [counted(), counted()]
    const store = multiStore([
      { name: 'a', store: a },
      { name: 'bad', store: hanging({ close: async () => Promise.reject(new Error('no')) }) },
      { name: 'b', store: b },
    ])
    await store.close()
    await store.close()
    expect([a.closes, b.closes]).toEqual([1, 1])
    for (const call of [store.take(hourly, 'k', 1, 'take'), store.reset(hourly, 'k'), store.ping()])
      await expect(call).rejects.toThrow(StoreError)
    await expect(store.take(hourly, 'k', 1, 'take')).rejects.toMatchObject({ code: 'ERR_RATELIMIT_STORE_CLOSED' })
  })

  it('settles what waits when it is closed', async () => {
    const { time, servers, store } = world(2)
    for (const server of servers) server.condition = 'hangs'
    const waiting = Array.from({ length: 10 }, (_, i) => store.take(hourly, `k${i}`, 1, 'take'))
    const outcomes = Promise.allSettled(waiting)
    await time.advance(1)
    await store.close()
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ERR_RATELIMIT_STORE_CLOSED' } })
    await time.advance(1000)
    expect(time.waiting).toBe(0)
  })

  it('takes an answering store for a member, and probes it only when it has failed', async () => {
    const time = new VirtualTime()
    const [own, spare] = [counted(time.clock(START)), counted(time.clock(START))]
    const store = multiStore(
      [
        { name: 'own', store: own },
        { name: 'spare', store: spare },
      ],
      { scheduler: time, random: () => 0.5, circuitBreaker: { failureThreshold: 1 } },
    )
    for (let i = 0; i < 3; i++)
      expect(await time.until(store.take(hourly, 'k', 1, 'take'))).toMatchObject({ granted: true, source: 'primary' })
    await time.advance(60_000)
    expect([own.takes, spare.takes]).toEqual([3, 0])

    own.failing = true
    const next = await time.until(store.take(hourly, 'k', 1, 'take'))
    expect([next.granted, next.source, next.readings[1]]).toEqual([true, 'fallback:spare', 4])
    expect(own.takes).toBe(4)
    await time.advance(10_000)
    expect(own.takes).toBeGreaterThan(8)

    own.failing = false
    await time.advance(5000)
    const back = await time.until(store.take(hourly, 'k', 1, 'take'))
    expect([back.source, back.readings[1]]).toEqual(['primary', 5])
    await time.advance(1000)
    const { takes } = own
    await time.advance(60_000)
    expect(own.takes).toBe(takes)
    await store.close()
    expect(time.waiting).toBe(0)
  })

  it('fails with a StoreError that names them when all stores are down from the start', async () => {
    const { time, servers, store, events } = world(2)
    for (const server of servers) server.condition = 'refuses'
    for (let i = 0; i < 8; i++) {
      const asked = store.take(hourly, 'k', 1, 'take')
      await expect(time.until(asked)).rejects.toMatchObject({
        name: 'StoreError',
        kind: 'unavailable',
        message: 'store multi: no store can decide now: store b: connection refused',
      })
      if (events.length === 2) break
    }
    expect(events.toSorted()).toEqual(['a down', 'b down'])
    // Nobody is asked any more to say so.
    const before = servers.map(({ calls }) => calls)
    await expect(store.take(hourly, 'k', 1, 'take')).rejects.toThrow(StoreError)
    await expect(store.read(hourly, 'k')).rejects.toThrow(StoreError)
    expect(servers.map(({ calls }) => calls)).toEqual(before)
    await store.close()
  })

  it('tells of what happens to its stores in order, and of why', async () => {
    const seen: StoreEvent[] = []
    const { time, servers, store } = world(2, {
      onStoreEvent: (event) => {
        seen.push(event)
        throw new Error('a watcher that fails')
      },
    })
    const heard: StoreEvent[] = []
    const stop = addObserver({ onStoreEvent: (event) => void heard.push(event) })
    const [a] = servers as [SimulatedServer, SimulatedServer]
    await time.until(store.take(hourly, 'k', 1, 'take'))
    a.condition = 'refuses'
    for (let i = 0; i < 5; i++) await time.until(store.take(hourly, `k${i}`, 1, 'take'))
    await time.advance(3000)
    a.condition = 'well'
    await time.advance(5000)
    a.condition = 'misconfigured'
    await time.until(store.take(hourly, 'k', 1, 'take'))
    stop()
    await store.close()
    expect(seen.map(({ kind, store: of }) => `${of} ${kind}`)).toEqual([
      'a down',
      'a probing',
      'a returning',
      'a up',
      'a down',
      'a misconfigured',
    ])
    expect(seen.map(({ error }) => error?.message)).toEqual([
      'store a: connection refused',
      undefined,
      undefined,
      undefined,
      'store a: wrong password',
      'store a: wrong password',
    ])
    expect(heard).toEqual(seen)
  })

  it('reads, resets and lifts bans where it decides, and pings whichever answers', async () => {
    const { time, servers, store } = world(2)
    const [a, b] = servers as [SimulatedServer, SimulatedServer]
    await time.until(store.take(hourly, 'k', 1, 'take'))
    expect(await time.until(store.read(hourly, 'k'))).toHaveLength(1)
    a.condition = 'refuses'
    await expect(time.until(store.ping())).resolves.toBeUndefined()
    expect(await time.until(store.ban(hourly, 'k', { durationMs: 5000, factor: 1, maxMs: 5000, forgetAfterMs: 0 }))).toBe(5000)
    expect((await time.until(store.take(hourly, 'k', 1, 'take'))).bannedForMs).toBeGreaterThan(4900)
    await time.until(store.unban(hourly, 'k'))
    expect((await time.until(store.take(hourly, 'k', 1, 'take'))).bannedForMs).toBe(0)
    await time.until(store.reset(hourly, 'k'))
    expect((await time.until(store.take(hourly, 'k', 1, 'take'))).readings[1]).toBe(1)
    b.condition = 'refuses'
    for (const call of [store.ping(), store.reset(hourly, 'k'), store.unban(hourly, 'k')]) {
      await expect(time.until(call)).rejects.toThrow('no store can decide now')
    }
    await store.close()
  })

  describe('round_robin', () => {
    const keys = Array.from({ length: 300 }, (_, i) => `key ${i}`)

    it('gives each key one store of its own, and each store about as many keys', async () => {
      const { time, servers, store } = world(3, { strategy: 'round_robin', copyIntervalMs: false })
      const owners = new Map<string, number>()
      for (const key of keys) {
        const before = servers.map(({ calls }) => calls)
        expect((await time.until(store.take(hourly, key, 1, 'take'))).source).toBe('primary')
        owners.set(
          key,
          servers.findIndex(({ calls }, i) => calls > (before[i] as number)),
        )
      }
      for (const i of [0, 1, 2]) expect([...owners.values()].filter((owner) => owner === i).length).toBeGreaterThan(60)
      // Each goes on where it was, also by another process.
      const other = multiStore(
        servers.map((server, i) => ({ name: 'abc'[i] as string, store: server.client('abc'[i] as string) })),
        { scheduler: time, strategy: 'round_robin' },
      )
      for (const key of keys.slice(0, 50)) {
        expect((await time.until(other.take(hourly, key, 1, 'take'))).readings[1]).toBe(2)
      }
      await store.close()
      await other.close()
    })

    it('skips a store that is down, for its own keys alone', async () => {
      const { time, servers, store, events } = world(3, { strategy: 'round_robin' })
      const [a] = servers as [SimulatedServer]
      const sources = async (): Promise<Map<string, string>> => {
        const found = new Map<string, string>()
        for (const key of keys) found.set(key, (await time.until(store.take(hourly, key, 1, 'take'))).source)
        return found
      }
      await sources()
      a.condition = 'refuses'
      const during = await sources()
      expect(events).toEqual(['a down'])
      const moved = keys.filter((key) => during.get(key) !== 'primary')
      expect(moved.length).toBeGreaterThan(60)
      // The next in the list stands by.
      expect(new Set(moved.map((key) => during.get(key)))).toEqual(new Set(['fallback:b']))
      const { calls } = a
      const at = time.now()
      await sources()
      expect(a.calls - calls).toBeLessThanOrEqual(2 + (time.now() - at) / 250)
      a.condition = 'well'
      await time.advance(6000)
      expect(new Set((await sources()).values())).toEqual(new Set(['primary']))
      for (const key of moved.slice(0, 20)) expect((await time.until(store.take(hourly, key, 1, 'peek'))).readings[1]).toBe(4)
      await store.close()
    })
  })
})

describe('withSafetyNet', () => {
  it('is the same net for the same store, and none for a store that has one', async () => {
    const [one, other] = [hanging(), hanging()]
    const net = withSafetyNet(one)
    expect(net).toBeInstanceOf(FailoverStore)
    expect(withSafetyNet(one)).toBe(net)
    expect(withSafetyNet(other)).not.toBe(net)
    expect(withSafetyNet(net)).toBe(net)
    await net.close()
  })

  it('keeps the name and the deadline of the store, or has that of all stores', () => {
    expect(withSafetyNet(hanging({ deadlineMs: 40 }))).toMatchObject({ name: 'hanging', deadlineMs: 40 })
    expect(withSafetyNet(hanging())).toMatchObject({ deadlineMs: 100 })
    const odd = withSafetyNet(hanging({ name: 'my redis / eu' }))
    expect([odd.name, odd.stores[0]?.name]).toEqual(['my redis / eu', 'store'])
    expect(() => withSafetyNet(hanging({ deadlineMs: 0.5 }))).toThrow(/^store\.deadlineMs: expected a whole number/)
  })

  it('does not close the store, and is not closed by it', async () => {
    const close = vi.fn(async () => {})
    const store = hanging({ close })
    await withSafetyNet(store).close()
    expect(close).not.toHaveBeenCalled()
  })

  it('is what two limiters on one store have in common', async () => {
    const down = async (): Promise<never> => Promise.reject(new StoreError('s', 'connection refused', { kind: 'unavailable' }))
    const store = hanging({ take: down })
    const [one, other] = [createLimiter({ name: 'x', rate: '3/h', store }), createLimiter({ name: 'x', rate: '3/h', store })]
    expect([(await one.check('k')).remaining, (await other.check('k')).remaining]).toEqual([2, 1])
    expect(one.store).toBe(store)
    await withSafetyNet(store).close()
  })
})

describe('a store that never answers', () => {
  it('lets 2000 questions at once settle within the deadline, and leaves nothing behind', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const { time, servers, store } = world(1, { deadlineMs: 100 })
    const [a] = servers as [SimulatedServer]
    a.condition = 'hangs'
    const settledAt: number[] = []
    const outcomes = Array.from({ length: 2000 }, async (_, i) => {
      try {
        await store.take(hourly, `k${i}`, 1, 'take')
      } catch (error) {
        settledAt.push(time.now())
        return error
      }
      return expect.fail('granted')
    })
    await time.advance(99)
    expect(settledAt).toEqual([])
    await time.advance(1)
    expect(settledAt).toHaveLength(2000)
    for (const error of await Promise.all(outcomes)) expect(error).toMatchObject({ name: 'StoreError', kind: 'unavailable' })
    expect(store.stores).toMatchObject([{ state: 'open' }])
    // From now on nobody waits: it takes no time to say so, to none of them.
    const at = time.now()
    const later = await Promise.allSettled(Array.from({ length: 2000 }, (_, i) => store.take(hourly, `k${i}`, 1, 'take')))
    expect([later.filter(({ status }) => status === 'rejected').length, time.now() - at]).toEqual([2000, 0])
    // One timer: that of the next probe.
    await time.advance(1)
    expect(time.waiting).toBeLessThanOrEqual(2)
    await store.close()
    await time.advance(1000)
    expect(time.waiting).toBe(0)
    await new Promise((resolve) => void setImmediate(resolve))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  it('lets them all settle within the deadline where it has a standby that never answers either', async () => {
    const { time, servers, store } = world(2, { deadlineMs: 100 })
    for (const server of servers) server.condition = 'hangs'
    const settledAt: number[] = []
    for (let i = 0; i < 2000; i++) store.take(hourly, `k${i}`, 1, 'take').catch(() => void settledAt.push(time.now()))
    await time.advance(100)
    expect(settledAt).toHaveLength(2000)
    await store.close()
    await time.advance(1000)
    expect(time.waiting).toBe(0)
  })

  it('keeps no process alive that has decided', async () => {
    const contents = `import { createLimiter, memoryStore } from '../../index.ts'
      const never = () => new Promise(() => {})
      const store = { ...memoryStore(), name: 'hanging', sync: false, take: never, read: never, reset: never, ban: never, unban: never, ping: never, sweep: never, close: never }
      const decision = await createLimiter({ rate: '5/m', store }).check('k')
      console.log(decision.allowed, decision.source, decision.remaining)`
    const { file, remove } = await bundleChild({ contents, resolveDir: import.meta.dirname })
    try {
      const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 15_000 })
      const said: string[] = []
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => void said.push(String(text)))
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
      expect([code, signal, said.join('')]).toEqual([0, null, 'true local 4\n'])
    } finally {
      remove()
    }
  })
})

/** A store of another kind than the two is not needed here: the types hold that. */
const both: readonly Store[] = [memoryStore({ sweepIntervalMs: false }), hanging()]
it('a member may answer at once or later', async () => {
  const store = multiStore(both.map((one, i) => ({ name: `s${i}`, store: one })))
  expect((await store.take(hourly, 'k', 1, 'take')).source).toBe('primary')
  await store.close()
})
