// Settings on real servers: each store is where its settings say, and passwords arrive as they are written. Next: ../../src/config/open-stores.ts.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import { loadSettings } from '../../src/config/load-settings.ts'
import { openStores, storeFromSettings } from '../../src/config/open-stores.ts'
import { checkSettings } from '../../src/config/check-settings.ts'
import type { SettingsInput } from '../../src/config/settings.ts'
import { describeWithOwnServer, describeWithServer, startRedis } from '../servers.ts'
import { runFolder } from '../servers/run-folder.ts'

const PASSWORD = 's3cr3t@:/?#'
const PATIENT = { deadlineMs: 10_000, rememberRefusalsMs: false } as const

/** How many checks of 3 pass, on a limit of 2. */
async function passes(settings: SettingsInput): Promise<number> {
  const store = await storeFromSettings({ ...PATIENT, ...settings })
  const limiter = createLimiter({ name: 'config', rate: '2/h', algorithm: 'fixed_window', store, onStoreError: 'throw' })
  let passed = 0
  try {
    for (let i = 0; i < 3; i++) if ((await limiter.check('k')).allowed) passed++
  } finally {
    await store.close()
  }
  return passed
}

/** The keys of counters: without those of health checks. */
function counters(keys: readonly string[] = []): string[] {
  return keys.filter((key) => !key.includes('canary'))
}

describeWithServer('redis', 'settings of Redis', (server) => {
  const { hostname, port } = new URL(server.url)
  const prefix = (name: string): string => `${server.prefix}${name}:`
  const client = new Redis(server.url)
  afterAll(() => client.quit())
  const keys = async (name: string): Promise<number> => counters(await client.keys(`${prefix(name)}*`)).length

  it('by host and port', async () => {
    expect(await passes({ redis: { host: hostname, port: Number(port), keyPrefix: prefix('host') } })).toBe(2)
    expect(await keys('host')).toBe(1)
  })

  it('by URL, which wins over host and port, together with other settings', async () => {
    const redis = { url: server.url, host: 'nowhere.invalid', port: 1, socketTimeoutMs: 2000, keyPrefix: prefix('url') }
    expect(await passes({ redis })).toBe(2)
    expect(await keys('url')).toBe(1)
  })

  it('by the package that is named', async () => {
    for (const name of ['ioredis', 'redis'] as const)
      expect(await passes({ redis: { url: server.url, client: name, keyPrefix: prefix(name) } })).toBe(2)
  })

  it('by the environment alone', async () => {
    const env = { RATELIMIT_REDIS_URL: server.url, RATELIMIT_KEY_PREFIX: prefix('env'), RATELIMIT_DEADLINE_MS: '10000' }
    const store = await storeFromSettings(await loadSettings({ cwd: runFolder(), env }))
    await createLimiter({ rate: '2/h', store }).check('k')
    await store.close()
    expect(await keys('env')).toBe(1)
  })
})

describeWithOwnServer('redis', 'settings of several Redis', async () => {
  const servers: Awaited<ReturnType<typeof startRedis>>[] = []
  const clients: Redis[] = []
  beforeAll(async () => {
    servers.push(...(await Promise.all([startRedis(), startRedis({ args: ['--requirepass', PASSWORD] })])))
    clients.push(...servers.map(({ port }, i) => new Redis({ host: '127.0.0.1', port, ...(i === 1 && { password: PASSWORD }) })))
    // One of the servers goes away in between.
    for (const client of clients) client.on('error', () => {})
  })
  afterAll(async () => {
    for (const client of clients) client.disconnect()
    for (const server of servers) await server.stop()
  })

  it('are each where its own entry says: host, port, database, prefix and password', async () => {
    const settings = checkSettings({
      ...PATIENT,
      keyPrefix: 'all:',
      stores: [
        { name: 'first', store: 'redis', config: { host: '127.0.0.1', port: servers[0]?.port, db: 3, keyPrefix: 'one:' } },
        { name: 'second', store: 'redis', config: { host: '127.0.0.1', port: servers[1]?.port, password: PASSWORD } },
      ],
    })
    const stores = await openStores(settings)
    for (const { store } of stores) await createLimiter({ name: 'n', rate: '2/h', store, onStoreError: 'throw' }).check('k')
    for (const { store } of stores) await store.close()
    await clients[0]?.select(3)
    expect(counters(await clients[0]?.keys('*'))).toEqual([expect.stringMatching(/^one:/)])
    expect(counters(await clients[1]?.keys('*'))).toEqual([expect.stringMatching(/^all:/)])
    await clients[0]?.flushall()
    await clients[1]?.flushall()
  })

  it('stand in for each other: the second goes on where the first has gone', async () => {
    const [first, second] = servers
    const store = await storeFromSettings({
      deadlineMs: 3000,
      stores: [
        { name: 'first', store: 'redis', config: { host: '127.0.0.1', port: first?.port ?? 0 } },
        { name: 'second', store: 'redis', config: { url: `redis://:${PASSWORD}@127.0.0.1:${second?.port}` } },
      ],
    })
    const limiter = createLimiter({ name: 'n', rate: '10/h', store, onStoreError: 'throw' })
    expect((await limiter.check('k')).source).toBe('primary')
    await first?.kill('SIGKILL')
    expect((await limiter.check('k')).source).toBe('fallback:second')
    await store.close()
    expect(counters(await clients[1]?.keys('*')).length).toBeGreaterThan(0)
    await first?.restart()
  })

  it.each([
    ['as it is written, in a URL', (port: number) => ({ url: `redis://:${PASSWORD}@127.0.0.1:${port}/0` })],
    ['escaped, in a URL', (port: number) => ({ url: `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}` })],
    ['by itself', (port: number) => ({ host: '127.0.0.1', port, password: PASSWORD })],
  ])('take a password with @:/?# %s', async (_, redis) => {
    await clients[1]?.flushall()
    expect(await passes({ redis: redis(servers[1]?.port ?? 0) })).toBe(2)
    await expect(passes({ redis: { host: '127.0.0.1', port: servers[1]?.port ?? 0, password: 'another' } })).rejects.toThrow(
      /password/,
    )
  })
})

describeWithServer('postgres', 'settings of PostgreSQL', async (server) => {
  const url = await server.freshDatabase()
  const role = `u${server.prefix.replace(/\W/g, '')}`
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  const { hostname, port, pathname } = new URL(url)
  beforeAll(async () => {
    await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`)
    await pool.query(`GRANT CREATE, USAGE ON SCHEMA public TO ${role}`)
  })
  afterAll(async () => {
    await pool.query(`DROP OWNED BY ${role}`)
    await pool.query(`DROP ROLE ${role}`)
    await pool.end()
  })

  it.each([
    ['as it is written', { url: `postgres://${role}:${PASSWORD}@${hostname}:${port}${pathname}` }],
    ['escaped', { url: `postgresql://${role}:${encodeURIComponent(PASSWORD)}@${hostname}:${port}${pathname}` }],
    ['by itself', { url: `postgres://${hostname}:${port}${pathname}`, user: role, password: PASSWORD, maxConnections: 2 }],
  ])('take a password with @:/?# %s, and the table that is named', async (title, database) => {
    const table = `limits_${title.length}`
    const settings = { ...PATIENT, database: { ...database, table } }
    const [store] = await openStores(checkSettings(settings))
    if (store?.kind !== 'postgres') expect.fail('no PostgreSQL')
    await store.store.setup()
    await store.store.close()
    expect(await passes(settings)).toBe(2)
    const { rows } = await pool.query(`SELECT count(*)::int AS counters FROM ${table} WHERE key LIKE 'ratelimit:config|%'`)
    expect(rows).toEqual([{ counters: 1 }])
  })
})

describeWithServer('mariadb', 'settings of MariaDB', async (server) => {
  const url = await server.freshDatabase()

  it.each(['mysql:', 'mariadb:'])('by a URL with %s, found in DATABASE_URL', async (scheme) => {
    const env = { DATABASE_URL: url.replace(/^\w+:/, scheme), RATELIMIT_STORE: 'database', RATELIMIT_KEY_PREFIX: scheme }
    const [store] = await openStores(await loadSettings({ cwd: runFolder(), env }), PATIENT)
    if (store?.kind !== 'mysql') expect.fail('no MySQL')
    await store.store.setup()
    const decision = await createLimiter({ rate: '2/h', store: store.store, onStoreError: 'throw' }).check('k')
    expect(decision).toMatchObject({ allowed: true, source: 'primary' })
    await store.store.close()
  })
})

it('the database is an SQLite file where nothing says otherwise, and survives a restart', async () => {
  const folder = mkdtempSync(join(runFolder(), 'settings-sqlite-'))
  const file = join(folder, 'counters.sqlite')
  const settings = { database: { url: `sqlite:${file}` } }
  expect(await passes(settings)).toBe(2)
  expect(await passes(settings)).toBe(0)
  expect(existsSync(file)).toBe(true)
  const [plain] = await openStores(checkSettings({ store: 'database' }))
  expect(plain).toMatchObject({ kind: 'sqlite', place: 'smart-ratelimit.sqlite' })
  await plain?.store.close()
  rmSync(folder, { recursive: true })
})
