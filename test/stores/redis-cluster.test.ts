// A Redis Cluster while its slots move, and Sentinel while its primary changes. Promise: no decision is lost, none is made twice.

import { Cluster, Redis } from 'ioredis'
import { createClientPool, createCluster, createSentinel } from 'redis'
import { expect, it, vi } from 'vitest'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { clusterSlot } from '../../src/stores/redis/cluster-slot.ts'
import { type RedisSource, redisStore } from '../../src/stores/redis/index.ts'
import { storeKey } from '../../src/stores/store-key.ts'
import { describeWithOwnServer, describeWithServer, startRedis, startRedisCluster } from '../servers.ts'
import { startSentinel } from '../servers/sentinel.ts'

const patient = { deadlineMs: 5000, rememberRefusalsMs: false } as const
const set = buildLimitSet('cluster', '50/h', {})
const KEYS = Array.from({ length: 60 }, (_, i) => `client ${i}`)

describeWithServer('redis-cluster', 'the Redis store', ({ url, urls, prefix }) => {
  it('knows the slots that the servers know', async () => {
    const node = new Redis(url)
    for (const key of ['a', '{b}c', 'x{y}z{q}', 'ratelimit:a|b%20c', '#digest']) {
      expect(await node.cluster('KEYSLOT', key)).toBe(clusterSlot(key))
    }
    node.disconnect()
  })

  it('is reached by the address of any node, through either client, and pings each server', async () => {
    for (const client of ['ioredis', 'redis'] as const) {
      const store = redisStore({ cluster: urls, client }, { ...patient, keyPrefix: `${prefix}${client}:` })
      await store.ping()
      const taken = await Promise.all(KEYS.map(async (key) => store.take(set, key, 1, 'take')))
      expect(taken.every(({ granted }) => granted)).toBe(true)
      expect((await store.update(set, 'client 1', () => true, { writer: 'w', sequence: 1 })).outcome).toBe('changed')
      expect((await store.update(set, 'client 1', () => true, { writer: 'w', sequence: 1 })).outcome).toBe('already')
      const found = await Promise.all(
        urls.map(async (each) => {
          const node = new Redis(each)
          const keys = await node.keys(`${prefix}${client}:*`)
          node.disconnect()
          return keys
        }),
      )
      expect(found.every((keys) => keys.some((key) => key.includes('#ping')))).toBe(true)
      expect(found.flat().filter((key) => !/#ping|#w/.test(key))).toHaveLength(KEYS.length)
      await store.close()
    }
  })

  it('says that a client of one server is not enough', async () => {
    const single = new Redis(url)
    const store = redisStore(single, { ...patient, keyPrefix: prefix })
    await expect(Promise.all(KEYS.map(async (key) => store.take(set, key, 1, 'take')))).rejects.toMatchObject({
      message: expect.stringContaining('hand in a cluster client') as string,
      kind: expect.stringMatching('misconfigured|wrong_node') as string,
    })
    await store.close()
    single.disconnect()
  })
})

describeWithOwnServer('redis', 'the Redis store while slots move', () => {
  it.each(['ioredis', 'redis'] as const)('admits what it should, no more and no less (%s)', { timeout: 60_000 }, async (by) => {
    await using cluster = await startRedisCluster()
    const app =
      by === 'ioredis' ? new Cluster([...cluster.urls]) : createCluster({ rootNodes: cluster.urls.map((url) => ({ url })) })
    if (!(app instanceof Cluster)) await app.connect()
    const store = redisStore(app as RedisSource, patient)
    const nodes = cluster.urls.map((url) => new Redis(url))
    const [from, to] = nodes as [Redis, Redis]
    const [fromId, toId] = [await from.cluster('MYID'), await to.cluster('MYID')] as [string, string]
    const slots = [...new Set(KEYS.map((key) => clusterSlot(`ratelimit:${storeKey(set, key)}`)))].filter((slot) => slot < 5461)
    expect(slots.length).toBeGreaterThan(5)

    const granted = new Map<string, number>()
    const moving = new AbortController()
    const asking = (async () => {
      while (!moving.signal.aborted) {
        const answers = await Promise.all(
          KEYS.flatMap((key) => [key, key]).map(async (key) => ({ key, taken: await store.take(set, key, 1, 'take') })),
        )
        for (const { key, taken } of answers) if (taken.granted) granted.set(key, (granted.get(key) ?? 0) + 1)
      }
    })()
    for (const slot of slots) {
      await to.cluster('SETSLOT', slot, 'IMPORTING', fromId)
      await from.cluster('SETSLOT', slot, 'MIGRATING', toId)
      // For a while counters of one slot are on both servers: those that are not moved yet, and new ones.
      for (;;) {
        const keys = await from.cluster('GETKEYSINSLOT', slot, 10)
        if (keys.length === 0) break
        await from.call('MIGRATE', '127.0.0.1', `${to.options.port}`, '', '0', '5000', 'KEYS', ...keys)
      }
      for (const node of nodes) await node.cluster('SETSLOT', slot, 'NODE', toId)
    }
    moving.abort()
    await asking
    const rest = KEYS.flatMap((key) => Array.from({ length: 60 }, () => key))
    const answers = await Promise.all(rest.map(async (key) => ({ key, taken: await store.take(set, key, 1, 'take') })))
    for (const { key, taken } of answers) if (taken.granted) granted.set(key, (granted.get(key) ?? 0) + 1)
    expect([...granted.values()]).toEqual(KEYS.map(() => 50))
    await store.close()
    for (const node of nodes) node.disconnect()
    if (app instanceof Cluster) app.disconnect()
    else app.destroy()
  })
})

describeWithServer('redis', 'a pool of clients', ({ url, prefix }) => {
  it('decides like one client', async () => {
    const pool = createClientPool({ url })
    await pool.connect()
    const store = redisStore(pool, { ...patient, keyPrefix: prefix })
    const answers = await Promise.all(Array.from({ length: 80 }, async () => store.take(set, 'k', 1, 'take')))
    expect(answers.filter(({ granted }) => granted)).toHaveLength(50)
    await store.close()
    pool.destroy()
  })
})

describeWithOwnServer('redis', 'the Redis store by Sentinel', () => {
  it('finds the primary, and the next one after a failover', { timeout: 90_000 }, async () => {
    await using primary = await startRedis()
    await using replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] })
    await using sentinel = await startSentinel(primary.port)
    const node = `127.0.0.1:${sentinel.port}`
    const address = { sentinel: { name: 'mymaster', nodes: [node] } }
    const handed = createSentinel({ name: 'mymaster', sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }] })
    handed.on('error', () => undefined)
    await handed.connect()
    const app = new Redis({ sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'mymaster' })
    app.on('error', () => undefined)
    const stores = {
      'by address, ioredis': redisStore({ ...address, client: 'ioredis' }, patient),
      'by address, redis': redisStore({ ...address, client: 'redis' }, patient),
      ioredis: redisStore(app, patient),
      redis: redisStore(handed, patient),
    }
    for (const [name, store] of Object.entries(stores)) expect((await store.take(set, name, 3, 'take')).granted, name).toBe(true)
    const next = new Redis(replica.url)
    await vi.waitFor(async () => expect(await next.dbsize()).toBe(Object.keys(stores).length), { timeout: 10_000 })
    const watch = new Redis(sentinel.url)
    await vi.waitFor(async () => expect(await watch.call('SENTINEL', 'REPLICAS', 'mymaster')).toHaveLength(1), {
      timeout: 20_000,
    })
    await primary.kill('SIGKILL')
    await vi.waitFor(async () => expect(await next.role()).toContain('master'), { timeout: 30_000, interval: 100 })
    for (const [name, store] of Object.entries(stores)) {
      const { readings } = await vi.waitFor(async () => store.take(set, name, 1, 'take'), { timeout: 20_000, interval: 100 })
      expect(readings[1], name).toBe(4)
      await store.close()
    }
    for (const client of [app, next, watch]) client.disconnect()
    await handed.destroy()
  })
})
