// Every shared store tells what it holds: names, texts that are read as its counters, nothing that is not its own or no counter.
// Next: ../../src/stores/listing.ts.

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, expect, it } from 'vitest'
import { type Clock, manualClock } from '../../src/core/clock.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { Counter } from '../../src/stores/counter.ts'
import type { CounterPage, ListingStore } from '../../src/stores/listing.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { identityOf, storeKey } from '../../src/stores/store-key.ts'
import type { AsyncStore } from '../../src/stores/store.ts'
import type { UpdatableStore } from '../../src/stores/update.ts'
import { describeWithServer } from '../servers.ts'
import { runFolder } from '../servers/run-folder.ts'

type Listing = AsyncStore & ListingStore & UpdatableStore

const sliding = buildLimitSet('a|group', '10/h', {})
const several = buildLimitSet('several', '5/m, 100/h', { algorithm: 'token_bucket' })
const first = buildLimitSet('first', '7/h', { algorithm: 'fixed_window', algorithmConfig: { align: 'first' } })

function behaves(open: (keyPrefix: string) => Listing, broken: () => Listing): void {
  it('tells of every counter once all pages are read, and how it stands', async () => {
    const store = open('one:')
    const other = open('one-and-another:')
    const identities = Array.from({ length: 25 }, (_, i) => `user:${i}`)
    for (const identity of identities) await store.take(sliding, identity, 3, 'take')
    await store.take(several, 'wei%rd| :*{ид}', 2, 'take')
    await store.ban(first, 'ip:2001:db8::/56', { durationMs: 60_000, factor: 1, maxMs: 60_000, forgetAfterMs: 0 })
    await store.take(sliding, 'x'.repeat(300), 1, 'take')
    await store.update(sliding, 'user:1', () => true, { writer: 'w1', sequence: 1 })
    await store.ping()
    await other.take(sliding, 'not ours', 1, 'take')
    const names = new Map<string, CounterPage['counters'][number]>()
    let pages = 0
    let now = 0
    for await (const page of store.counters(10)) {
      pages++
      now = Math.max(now, page.now)
      for (const counter of page.counters) names.set(counter.key, counter)
    }
    expect(pages).toBeGreaterThan(1)
    const expected = [
      ...identities.map((identity) => storeKey(sliding, identity)),
      storeKey(several, 'wei%rd| :*{ид}'),
      storeKey(first, 'ip:2001:db8::/56'),
      storeKey(sliding, 'x'.repeat(300)),
    ]
    expect([...names.keys()].toSorted()).toEqual(expected.toSorted())
    expect(Math.abs(now - Date.now())).toBeLessThan(60_000)

    const of = (key: string): CounterPage['counters'][number] => names.get(key) as CounterPage['counters'][number]
    const look = (key: string, set: typeof sliding) =>
      new Counter(of(key).textFor(set), now).decide({ set, key, cost: 1, mode: 'peek', takenAt: undefined, count: 1 })
    expect(look(storeKey(sliding, 'user:7'), sliding)).toMatchObject({ granted: 1, bannedForMs: 0 })
    expect(look(storeKey(sliding, 'user:7'), sliding).readings[1]).toBe(3)
    expect(look(storeKey(several, 'wei%rd| :*{ид}'), several).granted).toBe(1)
    expect(look(storeKey(first, 'ip:2001:db8::/56'), first)).toMatchObject({ granted: 0 })
    expect(look(storeKey(first, 'ip:2001:db8::/56'), first).bannedForMs).toBeGreaterThan(50_000)
    expect(identityOf(several, storeKey(several, 'wei%rd| :*{ид}'))).toBe('wei%rd| :*{ид}')
    expect(identityOf(first, storeKey(several, 'user:1'))).toBeUndefined()
    expect(identityOf(sliding, storeKey(sliding, 'x'.repeat(300)))).toBeUndefined()
    await store.close()
    await other.close()
  })

  it('tells nothing of nothing', async () => {
    const store = open('two:')
    expect(await listed(store)).toEqual([])
    await store.close()
  })

  it('fails with the error of the store', async () => {
    const store = broken()
    await expect(listed(store)).rejects.toMatchObject({ name: 'StoreError', store: store.name })
    await store.close()
  })
}

/** Where rows stay until they are cleaned up. */
function leavesExpiredOut(open: (clock: Clock) => Listing): void {
  it('does not tell of what has expired', async () => {
    const clock = manualClock(Date.now())
    const store = open(clock)
    await store.take(sliding, 'gone', 1, 'take')
    expect(await listed(store)).toEqual([storeKey(sliding, 'gone')])
    clock.advance(4 * 3_600_000)
    expect(await listed(store)).toEqual([])
    await store.close()
  })
}

async function listed(store: Listing): Promise<string[]> {
  const keys: string[] = []
  for await (const { counters } of store.counters()) keys.push(...counters.map(({ key }) => key))
  return keys
}

const options = { deadlineMs: 10_000, rememberRefusalsMs: false } as const

const folder = mkdtempSync(join(runFolder(), 'listing-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'counters.sqlite')
behaves(
  (keyPrefix) => sqliteStore(file, { ...options, keyPrefix }),
  () => sqliteStore(join(folder, 'no', 'such', 'folder.sqlite'), options),
)
leavesExpiredOut((clock) => sqliteStore(file, { ...options, clock, keyPrefix: 'gone:' }))

describeWithServer('postgres', 'on PostgreSQL', async ({ url }) => {
  const store = postgresStore({ url }, options)
  await store.setup()
  await store.close()
  behaves(
    (keyPrefix) => postgresStore({ url }, { ...options, keyPrefix }),
    () => postgresStore({ url }, { ...options, table: 'none' }),
  )
  leavesExpiredOut((clock) => postgresStore({ url }, { ...options, clock, keyPrefix: 'gone:' }))
})

describeWithServer('mariadb', 'on MariaDB', async (server) => {
  const url = server.url.replace(/^mariadb:/, 'mysql:')
  const store = mysqlStore({ url }, options)
  await store.setup()
  await store.close()
  behaves(
    (keyPrefix) => mysqlStore({ url }, { ...options, keyPrefix }),
    () => mysqlStore({ url }, { ...options, table: 'none' }),
  )
  leavesExpiredOut((clock) => mysqlStore({ url }, { ...options, clock, keyPrefix: 'gone:' }))
})

const noRedis = (): Listing => redisStore({ host: '127.0.0.1', port: 1 }, { ...options, deadlineMs: 500 })

describeWithServer('redis', 'on Redis', ({ url, prefix }) => {
  behaves((keyPrefix) => redisStore({ url }, { ...options, keyPrefix: `${prefix}[${keyPrefix}` }), noRedis)
})

describeWithServer('redis', 'by a client with a prefix of its own', ({ url, prefix }) => {
  const clients: Redis[] = []
  afterAll(() => {
    for (const client of clients) client.disconnect()
  })
  behaves((keyPrefix) => {
    const client = new Redis(url, { keyPrefix: `*${prefix}`, autoResendUnfulfilledCommands: false, enableOfflineQueue: false })
    clients.push(client)
    return redisStore(client, { ...options, keyPrefix })
  }, noRedis)
})

describeWithServer('redis-cluster', 'on a cluster', ({ urls, prefix }) => {
  behaves((keyPrefix) => redisStore({ cluster: [...urls] }, { ...options, keyPrefix: prefix + keyPrefix }), noRedis)
})
