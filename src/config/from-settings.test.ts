import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { rateLimit as fetchRateLimit, rateLimitMiddleware as fetchMiddleware } from '../adapters/fetch.ts'
import { ConfigError } from '../core/errors.ts'
import { FailoverStore } from '../stores/failover/failover-store.ts'
import { checkSettings } from './check-settings.ts'
import { fromSettings } from './from-settings.ts'
import { loadSettings } from './load-settings.ts'
import { storeFromSettings } from './open-stores.ts'

const cwd = mkdtempSync(join(tmpdir(), 'from-settings-'))
const file = join(cwd, 'smart-ratelimit.config.json')
afterAll(() => rmSync(cwd, { recursive: true }))
let writes = 0

function write(data: object): void {
  writeFileSync(file, JSON.stringify(data))
  utimesSync(file, 1_700_000_000 + ++writes, 1_700_000_000 + writes)
}

const request = (path = '/'): Request => new Request(`http://app.test${path}`, { headers: { 'x-api-key': 'k' } })

describe('what settings give', () => {
  it('limits an app and its routes, on one store, by what the settings say', async () => {
    const settings = checkSettings({
      middleware: {
        key: 'api_key',
        defaultRate: '2/m',
        rateLimits: { '/free': null, '/api/': { rate: '1/m' } },
        skipPaths: ['/health'],
      },
      policies: { login: { rate: '1/m', key: 'api_key' } },
    })
    const { middleware, policy, store, close } = await fromSettings(settings)
    expect(middleware.store).toBe(store)
    expect(policy('login')).toMatchObject({ name: 'login', rate: '1/m', key: 'api_key', store })
    const app = fetchMiddleware(middleware)
    const statuses = async (guard: typeof app, ...paths: string[]): Promise<(number | undefined)[]> => {
      const found: (number | undefined)[] = []
      for (const path of paths) found.push((await guard(request(path)))?.status)
      return found
    }
    expect(await statuses(app, '/', '/a', '/b', '/free', '/health', '/api/x', '/api/y')).toEqual([
      undefined,
      undefined,
      429,
      undefined,
      undefined,
      undefined,
      429,
    ])
    // Two limiters made of one policy share its counters; the name of the policy is theirs.
    const [one, two] = [fetchRateLimit(policy('login')), fetchRateLimit(policy('login'))]
    expect(await statuses(one, '/')).toEqual([undefined])
    expect(await statuses(two, '/')).toEqual([429])
    await close()
  })

  it('works without any setting', async () => {
    const { store, middleware, settings, close } = await fromSettings({ cwd: join(cwd, 'none'), env: {} })
    expect({ name: store.name, sync: store.sync, kind: settings.store }).toEqual({ name: 'memory', sync: true, kind: 'memory' })
    expect(await fetchMiddleware({ ...middleware, key: 'api_key' })(request())).toBeUndefined()
    await close()
  })

  it('has no policy that is not in the settings', async () => {
    const { policy } = await fromSettings(checkSettings({ policies: { login: '5/m' } }))
    expect(() => policy('logn')).toThrow(/one of login \(did you mean "login"\?\), received "logn"/)
    expect(() => policy('constructor')).toThrow(ConfigError)
    const none = await fromSettings(checkSettings({}))
    expect(() => none.policy('login')).toThrow(/settings with policies/)
  })

  it('is read again: the kill switch counts at once, the rest for what is made then', async () => {
    const data = {
      middleware: { key: 'api_key', defaultRate: '1/m', rateLimits: { '/on': { rate: '1/m', enabled: true } } },
      policies: { login: { rate: '1/m', key: 'api_key' } },
    }
    write({ ...data, enabled: false })
    const used = await fromSettings({ cwd, env: {} })
    const app = fetchMiddleware(used.middleware)
    const login = fetchRateLimit(used.policy('login'))
    const tries = async (): Promise<(number | undefined)[]> => {
      const found: (number | undefined)[] = []
      for (const [guard, path] of [
        [app, '/'],
        [app, '/'],
        [app, '/on'],
        [app, '/on'],
        [login, '/'],
        [login, '/'],
      ] as const)
        found.push((await guard(request(path)))?.status)
      return found
    }
    expect(await tries()).toEqual(Array.from({ length: 6 }, () => undefined))
    write(data)
    expect((await used.reload()).enabled).toBe(true)
    expect(await tries()).toEqual([undefined, 429, undefined, 429, undefined, 429])
    write({ ...data, policies: { login: { rate: '5/m', key: 'api_key', enabled: false } } })
    await used.reload()
    expect(await tries()).toEqual([429, 429, 429, 429, undefined, undefined])
    expect(used.settings.policies['login']?.rate).toBe('5/m')
    expect(used.policy('login').rate).toBe('5/m')
    write({ stor: 1 })
    await expect(used.reload()).rejects.toThrow(ConfigError)
    expect(used.settings.policies['login']?.rate).toBe('5/m')
    write({ ...data, enabled: false })
    await used.reload()
    expect(await tries()).toEqual(Array.from({ length: 6 }, () => undefined))
    await used.close()
  })
})

describe('the store of settings', () => {
  it('is the memory store, as large as they say', async () => {
    const store = await storeFromSettings({ memoryMaxKeys: 3 })
    expect(store).toMatchObject({ name: 'memory', sync: true })
    await store.close()
  })

  it('is checked where it was not', async () => {
    await expect(storeFromSettings({ memoryMaxKey: 3 } as object)).rejects.toThrow(/did you mean "memoryMaxKeys"/)
    await expect(storeFromSettings(await loadSettings({ cwd: join(cwd, 'none'), env: {} }))).resolves.toMatchObject({
      name: 'memory',
    })
  })

  it('that cannot be made is told by the setting', async () => {
    await expect(storeFromSettings({ database: { url: 'sqlite::memory:' } })).rejects.toThrow(/^database\.url: expected a file /)
    await expect(storeFromSettings({ database: { url: 'sqlite:x', table: 'sqlite_x' } })).rejects.toThrow(/^database\.table: /)
    const stores = [
      { name: 'a', store: 'memory' as const },
      { name: 'b', store: 'database' as const, config: { url: 'postgres://h/d', table: 'x'.repeat(60) } },
    ]
    await expect(storeFromSettings({ stores })).rejects.toMatchObject({ option: 'stores[1].config.table', name: 'ConfigError' })
  })

  it('is watched where settings say how, alone or among several', async () => {
    const alone = await storeFromSettings({ redis: { host: '127.0.0.1', port: 1 }, expectedInstances: 7, deadlineMs: 50 })
    expect(alone).toBeInstanceOf(FailoverStore)
    expect(alone).toMatchObject({ name: 'redis', instances: 7, deadlineMs: 50, stores: [{ name: 'redis', state: 'closed' }] })
    await alone.close()
    const plain = await storeFromSettings({ redis: { host: '127.0.0.1', port: 1 } })
    expect(plain).not.toBeInstanceOf(FailoverStore)
    await plain.close()
    const several = await storeFromSettings({
      strategy: 'round_robin',
      stores: [
        { name: 'a', store: 'redis', config: { port: 1 } },
        { name: 'b', store: 'memory' },
      ],
    })
    expect(several).toMatchObject({ name: 'multi', stores: [{ name: 'a' }, { name: 'b' }] })
    await several.close()
  })
})
