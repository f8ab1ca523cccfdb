// No password shows, wherever it is written and whatever is printed. Next: ../../src/core/secret.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type InspectOptions, format, inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkSettings } from '../../src/config/check-settings.ts'
import { overlay } from '../../src/config/environment.ts'
import { fromSettings } from '../../src/config/from-settings.ts'
import { loadSettings } from '../../src/config/load-settings.ts'
import { closeStores, openStores, storeFromSettings } from '../../src/config/open-stores.ts'
import { type BuiltCommand, buildCommand } from '../cli/command.ts'
import { runFolder } from '../servers/run-folder.ts'

const PASSWORD = 's3cr3t@:/?#'
const ESCAPED = encodeURIComponent(PASSWORD)
const TELLTALE = /s3cr3t/

/** Settings with a password in each place that can hold one. Nobody answers at port 1. */
const WITH_SECRETS: Readonly<Record<string, object>> = {
  'redis.password': { redis: { host: '127.0.0.1', port: 1, password: PASSWORD } },
  'redis.url': { redis: { url: `redis://user:${PASSWORD}@127.0.0.1:1/0` } },
  'redis.url, escaped': { redis: { url: `redis://:${ESCAPED}@127.0.0.1:1` } },
  'redis.tls': { redis: { host: '127.0.0.1', port: 1, tls: { passphrase: PASSWORD, key: PASSWORD } } },
  'redis.cluster': { redis: { cluster: [`redis://:${PASSWORD}@127.0.0.1:1`] } },
  'redis.sentinel': { redis: { sentinel: { name: 'm', nodes: [`u:${PASSWORD}@127.0.0.1:1`], password: PASSWORD } } },
  'database.url of PostgreSQL': { database: { url: `postgres://user:${PASSWORD}@127.0.0.1:1/d` } },
  'database.url of MySQL': { database: { url: `mysql://user:${PASSWORD}@127.0.0.1:1/d?ssl=false` } },
  'database.url, escaped': { database: { url: `postgres://user:${ESCAPED}@127.0.0.1:1/d?sslmode=disable` } },
  'database.password': { database: { url: 'mysql://127.0.0.1:1/d', user: 'u', password: PASSWORD } },
  'database.ssl': { database: { url: 'postgres://127.0.0.1:1/d', ssl: { passphrase: PASSWORD } } },
  'a store of several': {
    stores: [
      { name: 'a', store: 'redis', config: { host: '127.0.0.1', port: 1, password: PASSWORD } },
      { name: 'b', store: 'database', config: { url: `postgres://user:${PASSWORD}@127.0.0.1:1/d` } },
    ],
  },
  secret: { secret: `${PASSWORD} is long enough`, policies: { login: '5/m' }, middleware: { rateLimits: { '/a': '1/m' } } },
  'policies and middleware': {
    policies: { login: { rate: '5/m', secret: `${PASSWORD} is long enough` } },
    middleware: {
      secret: `${PASSWORD} is long enough`,
      rateLimits: { '/a': { rate: '1/m', secret: `${PASSWORD} is long enough` } },
    },
  },
}

/** Everything that printing it may show. */
function printed(value: unknown): string {
  const views: InspectOptions[] = [{}, { showHidden: true }, { customInspect: false, showHidden: true }, { getters: true }]
  return [
    ...views.map((view) => inspect(value, { depth: 12, ...view })),
    JSON.stringify(value),
    format('%o %O %j', value, value, value),
    value instanceof Error ? `${value.message} ${value.stack}` : '',
  ].join('\n')
}

const folder = mkdtempSync(join(runFolder(), 'secrets-'))
let command: BuiltCommand
beforeAll(async () => {
  command = await buildCommand()
})
afterAll(() => {
  command.remove()
  rmSync(folder, { recursive: true })
})

describe.each(Object.entries(WITH_SECRETS))('a password in %s', (_, data) => {
  it('is kept, and does not show in settings', () => {
    const settings = checkSettings(data)
    expect(printed(settings)).not.toMatch(TELLTALE)
    expect(`${String(settings.redis?.password)} ${String(settings.database?.url)}`).not.toMatch(TELLTALE)
  })

  it('does not show in stores, nor in what they fail with', async () => {
    const settings = checkSettings(data)
    const stores = await openStores(settings, { deadlineMs: 2000 })
    for (const { store, ...about } of stores) {
      const failure = await Promise.resolve(store.ping()).catch((error: unknown) => error)
      expect(printed(store)).not.toMatch(TELLTALE)
      expect(printed(failure)).not.toMatch(TELLTALE)
      expect(printed(about)).not.toMatch(TELLTALE)
    }
    await closeStores(stores)
    const store = await storeFromSettings(settings)
    expect(printed(store)).not.toMatch(TELLTALE)
    await store.close()
    const used = await fromSettings(settings)
    expect(printed([used.settings, used.middleware, used.store])).not.toMatch(TELLTALE)
    await used.close()
  })

  it('does not show in what is wrong beside it, or with it', () => {
    // Each path in turn gets a wrong neighbour, and the value itself a wrong kind.
    const failures: unknown[] = []
    const fail = (wrong: unknown): void => {
      try {
        checkSettings(wrong)
      } catch (error) {
        failures.push(error)
      }
    }
    const visit = (value: unknown, rebuild: (changed: unknown) => unknown): void => {
      if (typeof value === 'string') {
        for (const wrong of [
          { x: value },
          [value],
          `x${value}`,
          `${value} `,
          `http://${value}@h`,
          `postgres://${value}`,
          5,
          '',
          null,
        ])
          fail(rebuild(wrong))
      } else if (Array.isArray(value)) value.forEach((own, i) => visit(own, (changed) => rebuild(value.with(i, changed))))
      else if (typeof value === 'object' && value !== null) {
        fail(rebuild({ ...value, unheardOf: 1 }))
        fail(rebuild(JSON.stringify(value)))
        for (const [name, own] of Object.entries(value)) visit(own, (changed) => rebuild({ ...value, [name]: changed }))
      }
    }
    visit(data, (changed) => changed)
    expect(failures.length).toBeGreaterThan(4)
    for (const failure of failures) expect(printed(failure)).not.toMatch(TELLTALE)
  })

  it('does not show on the command line', { timeout: 60_000 }, async () => {
    const file = join(folder, 'settings.json')
    writeFileSync(file, JSON.stringify(data))
    const all = await Promise.all(
      [
        ['check-config', '--json'],
        ['check-config'],
        ['health', '--json', '--timeout', '1000'],
        ['health', '--verbose', '--timeout', '1000'],
        ['setup'],
        ['setup', '--print'],
        ['cleanup', '--json'],
      ].map((args) => command.run([...args, '--config', file], { cwd: folder, env: { DEBUG: '1' } })),
    )
    expect(all.map(({ code }) => code).slice(0, 2)).toEqual([0, 0])
    for (const { out, err } of all) expect(out + err).not.toMatch(TELLTALE)
  })
})

describe('a password in a variable', () => {
  const VARIABLES = [
    'REDIS_URL',
    'REDIS_PASSWORD',
    'REDIS_SENTINEL_PASSWORD',
    'REDIS_CLUSTER',
    'DATABASE_URL',
    'DATABASE_PASSWORD',
    'SECRET',
  ]
  // A password where something else belongs is an accident that happens.
  const OTHERS = [
    'STORE',
    'REDIS_PORT',
    'REDIS_HOST',
    'REDIS_TLS',
    'TABLE',
    'DEADLINE_MS',
    'ENABLED',
    'ON_STORE_ERROR',
    'STRATEGY',
  ]

  it.each([...VARIABLES, ...OTHERS])('RATELIMIT_%s does not show, even where it is wrong', async (name) => {
    for (const text of [PASSWORD, `redis://:${PASSWORD}@h`, `postgres://u:${PASSWORD}@h/d`, `http://${PASSWORD}`]) {
      const env = { [`RATELIMIT_${name}`]: text }
      const result = await loadSettings({ cwd: folder, env }).catch((error: unknown) => error)
      expect(printed(result)).not.toMatch(TELLTALE)
    }
  })

  it('does not show where the variable is misspelt', () => {
    expect(() => overlay({}, { RATELIMIT_REDIS_PASSWRD: PASSWORD })).toThrow(
      expect.objectContaining({ message: expect.not.stringMatching(TELLTALE) as string }),
    )
  })

  it('DATABASE_URL does not show', async () => {
    for (const url of [`postgres://u:${PASSWORD}@h/d`, `mongodb://u:${PASSWORD}@h/d`, PASSWORD]) {
      const env = { DATABASE_URL: url, RATELIMIT_STORE: 'database' }
      const result = await loadSettings({ cwd: folder, env }).catch((error: unknown) => error)
      expect(printed(result)).not.toMatch(TELLTALE)
    }
  })
})
