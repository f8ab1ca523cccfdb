// What Redis and the network can do to a decision, on real servers. Next: redis-cluster.test.ts, the same of a cluster.

import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { StoreError } from '../../src/core/errors.ts'
import { type LimitSet, buildLimitSet } from '../../src/core/limit-set.ts'
import { type RedisSource, redisStore } from '../../src/stores/redis/index.ts'
import type { CounterRecord } from '../../src/stores/record.ts'
import { storeKey } from '../../src/stores/store-key.ts'
import type { AsyncStore } from '../../src/stores/store.ts'
import { FaultProxy } from '../faults/proxy.ts'
import { describeWithOwnServer, describeWithServer, startRedis } from '../servers.ts'

const SECRET = 's3cr3t@:/?#'
const hour = buildLimitSet('faults', '1000/h', { algorithm: 'fixed_window' })
const patient = { deadlineMs: 5000, rememberRefusalsMs: false } as const

async function used(store: AsyncStore, identity = 'k', set: LimitSet = hour): Promise<number> {
  return (await store.take(set, identity, 1, 'peek')).readings[1] ?? Number.NaN
}

async function failure(promise: PromiseLike<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(StoreError)
  return error as StoreError
}

function quiet(client: Redis): Redis {
  return client.on('error', () => undefined)
}

describeWithServer('redis', 'the Redis store', ({ url, prefix }) => {
  const client = new Redis(url)
  const store = redisStore(client, { ...patient, keyPrefix: prefix })
  afterAll(async () => {
    await store.close()
    client.disconnect()
  })

  it('loses no decision while its script is flushed again and again', async () => {
    const flushing = new AbortController()
    const flusher = (async () => {
      while (!flushing.signal.aborted) await client.call('SCRIPT', 'FLUSH')
    })()
    for (let round = 0; round < 30; round++) {
      const keys = Array.from({ length: 40 }, (_, i) => `flushed ${i}`)
      await Promise.all(keys.flatMap((key) => [store.take(hour, key, 1, 'take'), store.take(hour, `${key} ${round}`, 1, 'peek')]))
    }
    flushing.abort()
    await flusher
    expect(await used(store, 'flushed 7')).toBe(30)
  })

  it('gives every counter an expiry, also one that has lost it', async () => {
    await store.take(hour, 'ttl', 1, 'take')
    const key = prefix + storeKey(hour, 'ttl')
    await client.persist(key)
    await store.take(hour, 'ttl', 1, 'take')
    expect(await client.pttl(key)).toBeGreaterThan(3_600_000)
    expect(await used(store, 'ttl')).toBe(2)
  })

  it('answers ping by its script, and sweeps nothing', async () => {
    await store.ping()
    expect(await client.exists(`${prefix}#ping`)).toBe(1)
    expect(await store.sweep()).toBe(0)
  })

  it('asks again when its idea of a calendar’s period is not the server’s', async () => {
    const monthly = buildLimitSet('monthly', '5/month', {})
    // This process's own clock alone is wrong; the server's is not.
    const wrong = Date.now() + 40 * 86_400_000
    const spied = vi.spyOn(systemClock, 'now').mockReturnValue(wrong)
    const other = redisStore(client, { ...patient, keyPrefix: prefix })
    try {
      const { granted, now, readings } = await other.take(monthly, 'm', 2, 'take')
      const terms = { durationMs: 1000, factor: 1, maxMs: 1000, forgetAfterMs: 0 }
      const lasts = await redisStore(client, { ...patient, keyPrefix: prefix }).ban(monthly, 'b', terms)
      const month = new Date(now)
      expect([granted, readings[0], readings[1], lasts]).toEqual([
        true,
        Date.UTC(month.getUTCFullYear(), month.getUTCMonth()),
        2,
        1000,
      ])
      expect(wrong - now).toBeGreaterThan(39 * 86_400_000)
      expect(spied).toHaveBeenCalled()
    } finally {
      spied.mockRestore()
    }
  })

  it('refuses what would make its arithmetic inexact, and asks for the others', async () => {
    const [bad, good] = await Promise.allSettled([
      store.take(hour, 'odd', 1.5, 'take'),
      store.take(hour, 'even', 2, 'take'),
      store.take(hour, 'odd', Number.NaN, 'charge'),
    ])
    expect([bad.status, good.status]).toEqual(['rejected', 'fulfilled'])
    expect(await client.exists(prefix + storeKey(hour, 'odd'))).toBe(0)
    expect((await failure(store.ban(hour, 'odd', { durationMs: 0.5, factor: 1, maxMs: 1, forgetAfterMs: 1 }))).message).toContain(
      'whole numbers',
    )
  })

  it('changes a counter by a function, once per entry, whatever comes in between', async () => {
    const sliding = buildLimitSet('updated', '1000/h', {})
    for (const set of [hour, sliding]) {
      await store.take(set, 'up', 1, 'take')
      const add = (count: number) => (record: CounterRecord) => {
        const state = record.states[0] as number[]
        if (state.length === 0) return false
        state[1] = (state[1] as number) + count
        return true
      }
      const entry = { writer: 'w1', sequence: 7 }
      expect((await store.update(set, 'up', add(2), entry)).outcome).toBe('changed')
      expect((await store.update(set, 'up', add(2), entry)).outcome).toBe('already')
      expect((await store.update(set, 'up', add(2), { ...entry, sequence: 6 })).outcome).toBe('already')
      expect((await store.update(set, 'up', add(1), { writer: 'w2', sequence: 1 })).states[0]?.[1]).toBe(4)
      expect(await store.update(set, 'nobody', add(1))).toMatchObject({ outcome: 'unchanged', states: [[]] })
      await Promise.all([
        ...Array.from({ length: 20 }, async () => store.take(set, 'up', 1, 'take')),
        ...Array.from({ length: 8 }, async () => store.update(set, 'up', add(1))),
      ])
      expect(await used(store, 'up', set)).toBe(32)
      expect(await client.pttl(prefix + storeKey(set, 'up'))).toBeGreaterThan(3_600_000)
    }
  })

  it('works with a client that prefixes keys, or has numbers as texts', async () => {
    const own = new Redis(url, { keyPrefix: `${prefix}own:`, stringNumbers: true })
    const prefixed = redisStore(own, patient)
    await Promise.all([prefixed.take(hour, 'a', 1, 'take'), prefixed.take(hour, 'b', 1, 'take')])
    expect(await client.exists(`${prefix}own:ratelimit:${storeKey(hour, 'a')}`)).toBe(1)
    expect(await used(prefixed, 'a')).toBe(1)
    await prefixed.close()
    own.disconnect()
  })

  it('shares one connection between the stores of a client, and leaves the client to the app', async () => {
    const app = new Redis(url)
    const [one, other] = [redisStore(app, patient), redisStore(app, { ...patient, name: 'other' })]
    const before = Number(/connected_clients:(\d+)/.exec(await client.info('clients'))?.[1])
    await Promise.all([one.ping(), other.ping()])
    await one.close()
    await other.ping()
    await other.close()
    expect((await failure(other.ping())).code).toBe('ERR_RATELIMIT_STORE_CLOSED')
    expect(await app.ping()).toBe('PONG')
    await vi.waitFor(async () => {
      expect(Number(/connected_clients:(\d+)/.exec(await client.info('clients'))?.[1])).toBeLessThanOrEqual(before)
    })
    app.disconnect()
  })
})

describe('what is no Redis', () => {
  it.each([
    ['nothing', undefined],
    ['a text', 'redis://localhost'],
    ['an object of another kind', new Map()],
    ['a misspelt setting', { hots: 'localhost' }],
  ])('is refused when the store is made: %s', (_, source) => {
    expect(() => redisStore(source as unknown as RedisSource)).toThrow(/redisStore.*expected/)
  })

  it('names an option that is not one', () => {
    expect(() => redisStore({}, { deadlineMS: 5 } as never)).toThrow('redisStore.options.deadlineMS')
  })
})

describe('a Redis that is not there', () => {
  it.each(['ioredis', 'redis'] as const)('fails at once, and says what to do (%s)', async (client) => {
    const store = redisStore({ url: `redis://:${SECRET}@127.0.0.1:1`, client }, patient)
    const error = await failure(store.take(hour, 'k', 1, 'take'))
    expect(error).toMatchObject({ kind: 'unavailable', store: 'redis' })
    expect(error.message).toContain('check host and port')
    const start = performance.now()
    await failure(store.take(hour, 'k', 1, 'take'))
    expect(performance.now() - start).toBeLessThan(1000)
    expect(inspect(error, { depth: 9 })).not.toContain('s3cr3t')
    await store.close()
  })
})

describeWithOwnServer('redis', 'the Redis store through faults', () => {
  it.each(['ioredis', 'redis'] as const)('connects by address with any password, and tells a wrong one (%s)', async (client) => {
    await using redis = await startRedis({ password: SECRET })
    await using other = await startRedis()
    const right = redisStore({ url: `redis://:${SECRET}@127.0.0.1:${redis.port}/2`, port: other.port, client }, patient)
    const elsewhere = redisStore({ host: '127.0.0.1', port: other.port, client }, patient)
    expect((await right.take(hour, 'k', 3, 'take')).granted).toBe(true)
    expect(await used(elsewhere)).toBe(0)
    const inspector = new Redis(redis.url)
    expect(await inspector.info('keyspace')).toContain('db2:keys=1')
    const wrong = redisStore({ host: '127.0.0.1', port: redis.port, password: 'no', client }, patient)
    const none = redisStore({ host: '127.0.0.1', port: redis.port, client }, patient)
    for (const store of [wrong, none]) {
      const error = await failure(store.take(hour, 'k', 1, 'take'))
      expect([error.kind, inspect(error, { depth: 9 }).includes('s3cr3t')]).toEqual(['misconfigured', false])
    }
    inspector.disconnect()
    for (const store of [right, elsewhere, wrong, none]) await store.close()
  })

  it.each(['ioredis', 'redis'] as const)(
    'settles everything in time while the server stalls, and goes on after it (%s)',
    async (by) => {
      await using redis = await startRedis()
      const app = by === 'redis' ? createClient({ url: redis.url }) : quiet(new Redis(redis.url))
      if (!(app instanceof Redis)) await app.on('error', () => undefined).connect()
      const store = redisStore(app as Redis, { deadlineMs: 100, rememberRefusalsMs: false })
      await store.take(hour, 'k', 1, 'take')
      await redis.kill('SIGSTOP')
      const start = performance.now()
      const asked = Array.from({ length: 500 }, async (_, i) => failure(store.take(hour, `k${i}`, 1, 'take')))
      const errors = await Promise.all(asked)
      expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['ERR_RATELIMIT_STORE_TIMEOUT']))
      expect(performance.now() - start).toBeLessThan(400)
      await redis.kill('SIGCONT')
      await vi.waitFor(async () => expect((await store.take(hour, 'k', 1, 'take')).granted).toBe(true))
      await store.close()
      if (app instanceof Redis) app.disconnect()
      else app.destroy()
    },
  )

  it.each(['ioredis', 'redis', 'address'] as const)('is back soon after the server is (%s)', async (by) => {
    await using redis = await startRedis()
    const app = by === 'redis' ? createClient({ url: redis.url }) : quiet(new Redis(redis.url))
    if (!(app instanceof Redis)) await app.on('error', () => undefined).connect()
    const store = redisStore(by === 'address' ? { url: redis.url } : (app as Redis), {
      deadlineMs: 200,
      rememberRefusalsMs: false,
    })
    await store.take(hour, 'k', 1, 'take')
    await redis.kill('SIGKILL')
    await failure(store.take(hour, 'k', 1, 'take'))
    await delay(300)
    const start = performance.now()
    expect((await failure(store.take(hour, 'k', 1, 'take'))).kind).not.toBe('ambiguous')
    expect(performance.now() - start).toBeLessThan(150)
    await redis.restart()
    await vi.waitFor(async () => expect((await store.take(hour, 'k', 1, 'take')).granted).toBe(true), { timeout: 5000 })
    await store.close()
    if (app instanceof Redis) app.disconnect()
    else app.destroy()
  })

  it.each(['ioredis', 'redis'] as const)(
    'does not ask again what may have been charged: its answer was lost (%s)',
    async (by) => {
      await using redis = await startRedis()
      await using proxy = await FaultProxy.start(redis.port)
      const url = proxy.addressOf(redis.url)
      const app = by === 'redis' ? createClient({ url }) : quiet(new Redis(url))
      if (!(app instanceof Redis)) await app.on('error', () => undefined).connect()
      const direct = new Redis(redis.url)
      const store = redisStore(app as Redis, patient)
      const witness = redisStore(direct, patient)
      await store.take(hour, 'k', 1, 'take')
      proxy.set({ kind: 'swallow' }, 'down')
      const lost = failure(store.take(hour, 'k', 1, 'take'))
      await vi.waitFor(async () => expect(await used(witness)).toBe(2))
      // Also what is on its way back is lost.
      proxy.reset()
      proxy.heal()
      expect(['ambiguous', undefined]).toContain((await lost).kind)
      await vi.waitFor(async () => expect((await store.take(hour, 'other', 1, 'take')).granted).toBe(true), { timeout: 5000 })
      expect(await used(witness)).toBe(2)
      for (const each of [store, witness]) await each.close()
      direct.disconnect()
      if (app instanceof Redis) app.disconnect()
      else app.destroy()
    },
  )

  it('looks while writes are paused, and on a replica, where it does not charge', async () => {
    await using primary = await startRedis()
    await using replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] })
    const [atPrimary, atReplica] = [quiet(new Redis(primary.url)), quiet(new Redis(replica.url))]
    const store = redisStore(atPrimary, patient)
    const copy = redisStore(atReplica, patient)
    await store.take(hour, 'k', 4, 'take')
    await vi.waitFor(async () => expect(await used(copy)).toBe(4), { timeout: 10_000 })
    const [taken, seen] = await Promise.allSettled([copy.take(hour, 'k', 1, 'take'), copy.take(hour, 'other', 1, 'peek')])
    expect([taken.status, seen.status]).toEqual(['rejected', 'fulfilled'])
    expect((taken as PromiseRejectedResult).reason).toMatchObject({ kind: 'wrong_node' })
    expect((await failure(copy.ping())).kind).toBe('wrong_node')

    await atPrimary.call('CLIENT', 'PAUSE', '600', 'WRITE')
    const start = performance.now()
    expect(await used(store)).toBe(4)
    expect(performance.now() - start).toBeLessThan(400)
    await store.take(hour, 'k', 1, 'take')
    expect(performance.now() - start).toBeGreaterThan(400)
    for (const each of [store, copy]) await each.close()
    for (const client of [atPrimary, atReplica]) client.disconnect()
  })

  it('follows a planned failover: the old primary says that it is one no longer', async () => {
    await using first = await startRedis()
    await using second = await startRedis({ args: ['--replicaof', '127.0.0.1', `${first.port}`] })
    await using proxy = await FaultProxy.start(first.port)
    const store = redisStore({ host: '127.0.0.1', port: proxy.port }, patient)
    await store.take(hour, 'k', 3, 'take')
    const [old, next] = [new Redis(first.url), new Redis(second.url)]
    await vi.waitFor(async () => expect(await next.dbsize()).toBe(1), { timeout: 10_000 })
    await next.replicaof('NO', 'ONE')
    await old.replicaof('127.0.0.1', second.port)
    proxy.retarget(second.port)
    await vi.waitFor(async () => expect((await store.take(hour, 'k', 1, 'take')).readings[1]).toBe(4), { timeout: 5000 })
    await store.close()
    for (const client of [old, next]) client.disconnect()
  })

  it('keeps existing counters going when the memory is full, refuses new ones, and warns of eviction once', async () => {
    const warned: string[] = []
    const listen = (warning: Error): void => void warned.push(warning.message)
    process.on('warning', listen)
    await using redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] })
    const client = new Redis(redis.url)
    const store = redisStore(client, patient)
    const sliding = buildLimitSet('full', '100/h', {})
    const bucket = buildLimitSet('full', '100/h', { algorithm: 'token_bucket' })
    const several = buildLimitSet('full', '100/h, 200/d', {})
    const sets = [hour, sliding, bucket, several]
    for (const set of sets) await store.take(set, 'old', 1, 'take')
    await client.config('SET', 'maxmemory', '1')
    for (const set of sets) {
      const [fresh, old, another] = await Promise.allSettled([
        store.take(set, 'new', 1, 'take'),
        store.take(set, 'old', 1, 'take'),
        store.take(set, 'newer', 1, 'take'),
      ])
      expect([fresh.status, old.status, another.status], set.scope).toEqual(['rejected', 'fulfilled', 'rejected'])
      expect((fresh as PromiseRejectedResult).reason).toMatchObject({ kind: 'no_room' })
      const { readings } = (old as PromiseFulfilledResult<{ readings: ArrayLike<number> }>).value
      if (set !== bucket) expect(readings[1]).toBe(2)
    }
    await client.flushall()
    await client.config('SET', 'maxmemory-policy', 'volatile-lru', 'maxmemory', '100mb')
    for (let i = 0; i < 2; i++) {
      const evicting = redisStore({ url: redis.url }, { ...patient, name: 'evicting' })
      await evicting.ping()
      await evicting.ping()
      await evicting.close()
    }
    await vi.waitFor(() => expect(warned.filter((message) => message.includes('volatile-lru'))).toHaveLength(1))
    process.off('warning', listen)
    client.disconnect()
  })

  it('says which rights a user lacks, and works with few', async () => {
    await using redis = await startRedis()
    const admin = new Redis(redis.url)
    await admin.call('ACL', 'SETUSER', 'poor', 'on', '>pw', '~*', '+ping', '+hello', '+info', '+client', '+select')
    const allowed = ['+get', '+mget', '+set', '+del', '+pexpire', '+time', '+eval', '+evalsha', '+eval_ro', '+evalsha_ro']
    await admin.call('ACL', 'SETUSER', 'just', 'on', '>pw', '~ratelimit:*', '+hello', '+info', '+select', ...allowed)
    const poor = redisStore({ host: '127.0.0.1', port: redis.port, username: 'poor', password: 'pw' }, patient)
    expect(await failure(poor.take(hour, 'k', 1, 'take'))).toMatchObject({ kind: 'misconfigured' })
    const just = redisStore({ host: '127.0.0.1', port: redis.port, username: 'just', password: 'pw' }, patient)
    await Promise.all(['a', 'b', 'c'].map(async (key) => just.take(hour, key, 1, 'take')))
    expect(await used(just, 'a')).toBe(1)
    await just.reset(hour, 'a')
    expect(await used(just, 'a')).toBe(0)
    for (const store of [poor, just]) await store.close()
    admin.disconnect()
  })
})
