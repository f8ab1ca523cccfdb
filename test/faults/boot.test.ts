// A store that is not there when the app begins. Promise: the app begins all the same, decides by itself, and the store joins with what was
// granted meanwhile. Next: rows/, for stores that are lost later.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { describe, expect, it } from 'vitest'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import { multiStore } from '../../src/stores/failover/multi-store.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { AsyncStore } from '../../src/stores/store.ts'
import { type OwnServer, describeWithOwnServer, startMariadb, startPostgres, startRedis } from '../servers.ts'

const DEADLINE_MS = 100
const JOIN_MS = 15_000
/** Quicker than the defaults, so that tests are. */
const OPTIONS = { deadlineMs: DEADLINE_MS, healthCheckIntervalMs: 300, circuitBreaker: { rampMs: 200 } }

/** Begins with a store that is away, takes 4 of 10, brings it there, and waits until it decides. Tells what is left after one more. */
async function leftOnceJoined(store: AsyncStore, bring: () => Promise<unknown>): Promise<number> {
  const net = multiStore([{ name: 'store', store }], OPTIONS)
  const limiter = createLimiter({ name: 'boot', rate: '10/h', algorithm: 'fixed_window', store: net })
  try {
    for (let i = 0; i < 4; i++) {
      const since = performance.now()
      expect(await limiter.check('k')).toMatchObject({ allowed: true, source: 'local' })
      // The first has also loaded the driver.
      if (i > 0) expect(performance.now() - since).toBeLessThan(DEADLINE_MS + 50)
    }
    await bring()
    const until = performance.now() + JOIN_MS
    while ((await limiter.peek('k')).source !== 'primary' && performance.now() < until) await delay(20)
    const decision = await limiter.check('k')
    expect(decision).toMatchObject({ allowed: true, source: 'primary' })
    expect(net.stores).toMatchObject([{ state: expect.stringMatching(/closed|returning/) }])
    return decision.remaining
  } finally {
    await net.close()
  }
}

/** A server that was there once, so that its address is known, and is not. */
async function away(server: OwnServer): Promise<OwnServer> {
  await server.kill('SIGKILL')
  return server
}

describeWithOwnServer('redis', 'Redis that is down when the app begins', () => {
  it('joins, by address', async () => {
    await using redis = await away(await startRedis())
    expect(await leftOnceJoined(redisStore({ url: redis.url }), () => redis.restart())).toBe(5)
  })

  it('joins, by a client of ioredis', async () => {
    await using redis = await away(await startRedis())
    const client = new Redis(redis.url)
    client.on('error', () => undefined)
    expect(await leftOnceJoined(redisStore(client), () => redis.restart())).toBe(5)
    client.disconnect()
  })

  it('joins, by a client of node-redis that is still connecting', async () => {
    await using redis = await away(await startRedis())
    const client = createClient({ url: redis.url })
    client.on('error', () => undefined)
    const connected = client.connect()
    expect(await leftOnceJoined(redisStore(client), () => redis.restart())).toBe(5)
    await connected
    client.destroy()
  })
})

describeWithOwnServer('postgres', 'PostgreSQL that is down when the app begins', () => {
  it('joins', async () => {
    const server = await startPostgres()
    await using postgres = server
    const first = postgresStore({ url: server.url })
    await first.setup()
    await first.close()
    await away(server)
    expect(await leftOnceJoined(postgresStore({ url: server.url }), () => postgres.restart())).toBe(5)
  })

  it('joins when its table is made', async () => {
    await using postgres = await startPostgres()
    const store = postgresStore({ url: postgres.url })
    expect(await leftOnceJoined(store, () => store.setup())).toBe(5)
  })
})

describeWithOwnServer('mariadb', 'MariaDB that is down when the app begins', () => {
  it('joins', async () => {
    const server = await startMariadb()
    await using mariadb = server
    const first = mysqlStore({ url: server.url })
    await first.setup()
    await first.close()
    await away(server)
    expect(await leftOnceJoined(mysqlStore({ url: server.url }), () => mariadb.restart())).toBe(5)
  })
})

describe('a file of SQLite that cannot be opened when the app begins', () => {
  it('joins when its folder is there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'smart-ratelimit-boot-'))
    const file = join(folder, 'limits.db')
    await writeFile(file, 'no database, for now')
    try {
      expect(await leftOnceJoined(sqliteStore(file), () => rm(file))).toBe(5)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
