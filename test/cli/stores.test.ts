// `setup`, `cleanup`, `health` and `check-config` on real stores, as processes. Next: command.ts, ../../src/cli/with-stores.ts.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenStore, closeStores, openStores } from '../../src/config/open-stores.ts'
import { checkSettings } from '../../src/config/check-settings.ts'
import { manualClock } from '../../src/core/clock.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { TableStore } from '../../src/stores/maintenance.ts'
import { describeWithServer } from '../servers.ts'
import { runFolder } from '../servers/run-folder.ts'
import { type BuiltCommand, type Ran, buildCommand } from './command.ts'

const root = mkdtempSync(join(runFolder(), 'cli-'))
let command: BuiltCommand
beforeAll(async () => {
  command = await buildCommand()
})
afterAll(() => {
  command.remove()
  rmSync(root, { recursive: true })
})

let folders = 0
const folder = (): string => mkdtempSync(join(root, `${folders++}-`))
const set = buildLimitSet('cli', '10/h', { algorithm: 'fixed_window' })
const HOUR_MS = 3_600_000

interface Cleaned {
  readonly total_found: number
  readonly total_deleted: number
  readonly errors: readonly string[]
}

/** What every kind of database does. `open` makes a store on the same table, with a clock of the test's. */
function onDatabase(kind: string, url: () => string, open: (clock: ReturnType<typeof manualClock>) => TableStore): void {
  const run = (args: readonly string[], env: Record<string, string> = {}): Promise<Ran> =>
    command.run(args, { cwd: root, env: { RATELIMIT_DATABASE_URL: url(), RATELIMIT_KEY_PREFIX: `${kind}:`, ...env } })
  const json = async (...args: string[]): Promise<Cleaned> => {
    const { code, out, err } = await run(['cleanup', '--json', ...args])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    return JSON.parse(out) as Cleaned
  }

  it(`${kind}: setup prints what it would run, runs it, and may run again`, async () => {
    const printed = await run(['setup', '--print'])
    expect(printed).toMatchObject({ code: 0, err: '' })
    expect(printed.out).toMatch(new RegExp(`^-- ${kind} \\(${kind}, `))
    expect(printed.out).toMatch(/CREATE .*TABLE/i)
    if (kind !== 'sqlite')
      expect(await run(['health'])).toMatchObject({ code: 2, out: expect.stringMatching(/✗ unhealthy: .*setup/) as string })
    for (let i = 0; i < 2; i++) {
      const { code, out, err } = await run(['setup'])
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out).toMatch(new RegExp(`^${kind}: table smart_ratelimit is ready \\(${kind}, .*\\)\n$`))
    }
  })

  it(`${kind}: health is healthy`, async () => {
    const { code, out } = await run(['health', '--json'])
    expect(JSON.parse(out)).toEqual({
      type: 'single-backend',
      backend: kind,
      backend_class: kind,
      location: expect.any(String) as string,
      healthy: true,
      status: 'healthy',
      enabled: true,
      latency_ms: expect.any(Number) as number,
      last_check: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
      error: null,
    })
    expect(code).toBe(0)
    expect(await run(['health', '-v'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(new RegExp(`^${kind}: ✓ healthy \\(\\d+\\.\\d\\d ms\\), ${kind} at `)) as string,
    })
  })

  it(`${kind}: cleanup deletes what has expired, as its dry run says, and no counter that counts`, async () => {
    const now = Date.now()
    const clock = manualClock(now - 3 * HOUR_MS)
    const store = open(clock)
    const used = async (key: string): Promise<boolean> => (await store.read(set, key)) !== undefined
    for (const key of ['old:1', 'old:2', 'ancient:1', 'old_1']) await store.take(set, key, 1, 'take')
    clock.set(now)
    for (const key of ['live:1', 'live:2']) await store.take(set, key, 1, 'take')

    // Names, as keys are written: a wildcard is one, and what SQL takes for one is none.
    expect(await json('--dry-run', '--key-pattern', '*old:*')).toMatchObject({ total_found: 2, total_deleted: 0 })
    expect(await json('--dry-run', '--key-pattern', '*old_*')).toMatchObject({ total_found: 1 })
    expect(await json('--dry-run')).toMatchObject({ total_found: 4, total_deleted: 0 })
    expect(await json('--key-pattern', '*ancient*', '--batch-size', '1')).toMatchObject({ total_found: 1, total_deleted: 1 })
    expect(await json('--dry-run', '--older-than', '0')).toMatchObject({ total_found: 3, total_deleted: 0 })
    expect(await json('--older-than', '0', '--batch-size', '2')).toMatchObject({ total_found: 3, total_deleted: 3, errors: [] })
    expect(await json()).toMatchObject({ total_found: 0, total_deleted: 0 })
    expect([await used('live:1'), await used('live:2')]).toEqual([true, true])

    // With an age, counters that count go too, if nothing has changed them for so long.
    expect(await json('--dry-run', '--older-than', '1')).toMatchObject({ total_found: 0 })
    const waited = { dryRun: true, olderThanMs: 1 }
    while ((await store.cleanup(waited)).found < 2) clock.advance(1)
    const found = await run(['cleanup', '--older-than', '0.000001', '--verbose'])
    expect(found).toMatchObject({ code: 0, err: '' })
    expect(found.out).toMatch(
      new RegExp(
        `^expired, or unchanged for 0\\.000001 hours; 1000 in a batch\n${kind}: deleted 2 counters of table smart_ratelimit\n`,
      ),
    )
    expect(await used('live:1')).toBe(false)
    expect(await run(['cleanup'])).toEqual({ code: 0, out: `${kind}: deleted 0 counters\n`, err: '' })
    await store.close()
  })
}

describe('on SQLite', () => {
  const file = join(root, 'counters.sqlite')
  onDatabase(
    'sqlite',
    () => `sqlite:${file}`,
    (clock) => sqliteStore(file, { clock, keyPrefix: 'sqlite:', deadlineMs: 10_000, sweepIntervalMs: false }),
  )

  it('setup --print makes no file', async () => {
    const cwd = folder()
    expect(await command.run(['setup', '--print'], { cwd, env: { RATELIMIT_STORE: 'database' } })).toMatchObject({ code: 0 })
    expect(existsSync(join(cwd, 'smart-ratelimit.sqlite'))).toBe(false)
  })
})

describeWithServer('postgres', 'on PostgreSQL', async (server) => {
  const url = await server.freshDatabase()
  onDatabase(
    'postgres',
    () => url,
    (clock) => postgresStore({ url }, { clock, keyPrefix: 'postgres:', deadlineMs: 10_000 }),
  )
})

describeWithServer('mariadb', 'on MariaDB', async (server) => {
  const url = await server.freshDatabase()
  onDatabase(
    'mysql',
    () => url.replace(/^mariadb:/, 'mysql:'),
    (clock) => mysqlStore({ url }, { clock, keyPrefix: 'mysql:', deadlineMs: 10_000 }),
  )
})

describe('what has no table', () => {
  it('is told so, and there is nothing to do', async () => {
    const memory = { code: 0, out: 'memory: no database, counters are in the memory of the app; nothing to do\n', err: '' }
    expect(await command.run(['setup'], { cwd: root })).toEqual(memory)
    expect(await command.run(['cleanup'], { cwd: root })).toEqual(memory)
    const redis = await command.run(['cleanup', '--dry-run'], {
      cwd: root,
      env: { RATELIMIT_REDIS_HOST: '127.0.0.1', RATELIMIT_REDIS_PORT: '1' },
    })
    expect(redis).toEqual({
      code: 0,
      out: 'redis: no database, Redis forgets expired counters by itself; nothing to do\n',
      err: '',
    })
    const printed = await command.run(['setup', '--print'], { cwd: root })
    expect(printed.out).toMatch(/^-- memory: no database/)
  })
})

describe('what cannot be', () => {
  it.each([
    [['cleanup', '--batch-size', '0'], /--batch-size/],
    [['cleanup', '--batch-size', '-5'], /--batch-size/],
    [['cleanup', '--batch-size', '200000'], /cleanup\.batchSize: expected a whole number from 1 to 100000/],
    [['cleanup', '--older-than', 'yesterday'], /--older-than/],
    [['cleanup', '--older-than', '1', '--stale-days', '1'], /cannot be used with/],
    [['cleanup', '--key-pattern', ''], /cleanup\.keyPattern/],
    [['setup', '--config', 'none.json'], /file: expected a file that exists, received "none\.json" \(ERR_RATELIMIT_CONFIG\)/],
    [['check-config', '--nonsense'], /unknown option/],
  ] as [string[], RegExp][])('%j is wrong input', async (args, message) => {
    const { code, out, err } = await command.run(args, { cwd: root })
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(message)
  })
})

describe('health', () => {
  it('is down when the store is: by exit code, text and JSON', async () => {
    const env = { RATELIMIT_REDIS_URL: 'redis://127.0.0.1:1', RATELIMIT_ON_STORE_ERROR: 'allow' }
    const text = await command.run(['health'], { cwd: root, env })
    expect(text).toMatchObject({ code: 2, out: expect.stringMatching(/^redis: ✗ unhealthy: store redis: /) as string })
    const { code, out } = await command.run(['health', '--json'], { cwd: root, env })
    expect(code).toBe(2)
    expect(JSON.parse(out)).toMatchObject({
      healthy: false,
      status: 'down',
      latency_ms: null,
      error: expect.stringMatching(/^store redis: /) as string,
    })
  })

  it('is degraded when some of several are down, and tells each', async () => {
    const cwd = folder()
    const stores = [
      { name: 'first', store: 'redis', config: { host: '127.0.0.1', port: 1 } },
      { name: 'second', store: 'memory' },
    ]
    writeFileSync(join(cwd, 'smart-ratelimit.config.json'), JSON.stringify({ stores }))
    const { code, out } = await command.run(['health', '--json'], { cwd })
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      type: 'multi-backend',
      healthy: true,
      status: 'degraded',
      stats: {
        total_backends: 2,
        healthy_backends: 1,
        fallback_strategy: 'first_healthy',
        backends: { first: false, second: true },
      },
      backends: {
        first: { healthy: false, backend_class: 'redis' },
        second: { healthy: true, backend_class: 'memory', error: null },
      },
    })
    const text = await command.run(['health', '--verbose'], { cwd })
    expect(text.out).toMatch(
      /^first: ✗ unhealthy, redis at 127\.0\.0\.1:1\/0: .*\nsecond: ✓ healthy \(.*\ndegraded: 1 of 2 stores are well\nstrategy: first_healthy\n$/,
    )
  })

  it('waits no longer than it is told for a server that says nothing', async () => {
    const silent = createServer(() => {})
    const port = await new Promise<number>((done) =>
      silent.listen(0, '127.0.0.1', () => done((silent.address() as { port: number }).port)),
    )
    const env = { RATELIMIT_DATABASE_URL: `postgres://u:pw@127.0.0.1:${port}/d` }
    const { code, out } = await command.run(['health', '--timeout', '200'], { cwd: root, env })
    silent.close()
    expect(code).toBe(2)
    expect(out).toMatch(/no answer within 200 ms/)
  })

  it('says in JSON what is wrong with the settings', async () => {
    const { code, out, err } = await command.run(['health', '--json'], { cwd: root, env: { RATELIMIT_STORE: 'mongodb' } })
    expect({ code, err }).toEqual({ code: 2, err: '' })
    expect(JSON.parse(out)).toEqual({
      error: expect.stringMatching(/^store: expected one of .* \(RATELIMIT_STORE\)$/) as string,
      healthy: false,
    })
  })
})

describeWithServer('redis', 'health on Redis', (server) => {
  it('is healthy, and says so when limits are switched off', async () => {
    const env = { RATELIMIT_REDIS_URL: server.url, RATELIMIT_KEY_PREFIX: server.prefix }
    expect(await command.run(['health'], { cwd: root, env })).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^redis: ✓ healthy \(\d/) as string,
    })
    const off = await command.run(['health', '--json'], { cwd: root, env: { ...env, RATELIMIT_ENABLED: 'false' } })
    expect(JSON.parse(off.out)).toMatchObject({ healthy: true, enabled: false, backend_class: 'redis' })
  })
})

describe('check-config', () => {
  it('tells what the settings come to', async () => {
    const cwd = folder()
    writeFileSync(
      join(cwd, 'limits.mjs'),
      `export default { middleware: { rateLimits: { '/api/': '5/m' } }, policies: { login: '5/m' }, redis: { host: 'h' } }`,
    )
    const { code, out } = await command.run(['check-config', '-c', 'limits.mjs'], { cwd, env: { RATELIMIT_KEY_PREFIX: 'x:' } })
    expect({ code, out }).toEqual({
      code: 0,
      out: [
        'settings: limits.mjs, RATELIMIT_KEY_PREFIX',
        'store: redis (redis, h:6379/0)',
        'paths with limits of their own: /api/',
        'policies: login',
        'The settings are good.',
        '',
      ].join('\n'),
    })
    const json = await command.run(['check-config', '--json', '-c', 'limits.mjs'], { cwd })
    expect(JSON.parse(json.out)).toMatchObject({ store: 'redis', redis: { host: 'h' } })
  })

  it('refuses a rate that is none, naming the path and the file', async () => {
    const cwd = folder()
    writeFileSync(join(cwd, 'smart-ratelimit.config.json'), '{"middleware": {"rateLimits": {"/api/": "10/x"}}}')
    const { code, err } = await command.run(['check-config'], { cwd })
    expect(code).toBe(1)
    expect(err).toMatch(
      /middleware\.rateLimits\["\/api\/"\]\.rate: .*received "10\/x" \(smart-ratelimit\.config\.json\) \(ERR_RATELIMIT_RATE\)/,
    )
  })
})

describe('setup of several', () => {
  it('makes the tables of those that can be reached, and tells of the others', async () => {
    const cwd = folder()
    const stores = [
      { name: 'gone', store: 'database', config: { url: 'mysql://u@127.0.0.1:1/d' } },
      { name: 'here', store: 'database', config: { url: 'sqlite:here.sqlite', table: 'limits' } },
      { name: 'cache', store: 'redis', config: { host: 'h' } },
    ]
    writeFileSync(join(cwd, 'smart-ratelimit.config.json'), JSON.stringify({ stores }))
    const { code, out, err } = await command.run(['setup'], { cwd })
    expect(code).toBe(1)
    expect(out).toMatch(/^gone: failed\nhere: table limits is ready \(sqlite, here\.sqlite\)\ncache: no database/)
    expect(err).toMatch(/^smart-ratelimit: store gone: .*\(ERR_RATELIMIT_STORE/)
    expect(existsSync(join(cwd, 'here.sqlite'))).toBe(true)
    const cleaned = await command.run(['cleanup'], { cwd })
    expect(cleaned).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^gone: failed: .*\nhere: deleted 0 counters\ncache: no database/) as string,
    })
    const opened: readonly OpenStore[] = await openStores(checkSettings({ stores }))
    expect(opened.map(({ name, kind }) => `${name} ${kind}`)).toEqual(['gone mysql', 'here sqlite', 'cache redis'])
    await closeStores(opened)
  })
})
