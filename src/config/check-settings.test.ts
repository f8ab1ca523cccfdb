import { describe, expect, expectTypeOf, it } from 'vitest'
import { ConfigError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import { checkSettings, isSettings } from './check-settings.ts'
import { type PolicySettings, type Settings, defineSettings } from './settings.ts'

function problem(data: unknown, where?: string): ConfigError {
  try {
    checkSettings(data, where)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error(`accepted: ${JSON.stringify(data)}`)
}

describe('settings', () => {
  it('are the defaults where nothing is said: counters in memory', () => {
    expect(checkSettings({})).toEqual({
      enabled: true,
      store: 'memory',
      memoryMaxKeys: 10_000,
      middleware: { name: 'middleware' },
      policies: {},
    })
  })

  it('are frozen all the way down, and copies of what was written', () => {
    const data = {
      store: 'multi' as const,
      stores: [{ name: 'a', store: 'redis' as const, config: { host: 'h', cluster: ['a:1'] } }],
      middleware: { rateLimits: { '/api/': { rate: ['10/s', '100/m'] } }, skipPaths: ['/health'] },
      policies: { login: { rate: '5/m', penalty: { durationMs: 1000 } } },
    }
    const settings = checkSettings(defineSettings(data))
    const walk = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null) return
      expect(Object.isFrozen(value), path).toBe(true)
      for (const [name, own] of Object.entries(value)) walk(own, `${path}.${name}`)
    }
    walk(settings, 'settings')
    data.policies.login.penalty.durationMs = 5
    expect(settings.policies['login']?.penalty).toEqual({ durationMs: 1000 })
    expectTypeOf(settings).toEqualTypeOf<Settings>()
    expectTypeOf(settings.policies['login']).toEqualTypeOf<PolicySettings | undefined>()
  })

  it('that were checked can be checked again, and are told from others', () => {
    const settings = checkSettings({ redis: { url: 'redis://:pw@h', tls: { ca: 'x' } }, secret: 'sixteen characters' })
    const again = checkSettings({ ...settings })
    expect(again.redis?.url?.reveal()).toBe('redis://:pw@h')
    expect(again.redis?.tls).toBeInstanceOf(Secret)
    expect(again.policies).toEqual(settings.policies)
    expect([isSettings(settings), isSettings({ ...settings }), isSettings(undefined)]).toEqual([true, false, false])
  })

  it.each([
    [{}, 'memory'],
    [{ redis: {} }, 'redis'],
    [{ database: { url: 'mysql://h/d' } }, 'database'],
    [{ stores: [{ name: 'a', store: 'memory' }], redis: {}, database: {} }, 'multi'],
    [{ store: 'memory', redis: {}, database: {} }, 'memory'],
  ])('take the store from what is configured: %j', (data, store) => {
    expect(checkSettings(data).store).toBe(store)
  })

  it('give policies and the middleware a name, and what is said for all limits', () => {
    const { policies, middleware } = checkSettings({
      onStoreError: 'deny',
      trustedProxies: 1,
      secret: 'sixteen characters',
      policies: { login: '5/m', search: { rate: '10/s', name: 'find', onStoreError: 'allow' }, constructor: '1/m' },
    })
    expect(policies['login']).toEqual({
      name: 'login',
      rate: '5/m',
      onStoreError: 'deny',
      trustedProxies: 1,
      secret: expect.any(Secret) as unknown,
    })
    expect(policies['search']).toMatchObject({ name: 'find', onStoreError: 'allow' })
    expect(policies['constructor']).toMatchObject({ name: 'constructor', rate: '1/m' })
    expect(policies['toString']).toBeUndefined()
    expect(middleware).toMatchObject({ name: 'middleware', onStoreError: 'deny' })
  })

  it('that are switched off switch everything off, whatever a limit says of itself', () => {
    const { policies, middleware } = checkSettings({
      enabled: false,
      policies: { login: { rate: '5/m', enabled: true } },
      middleware: { enabled: true, rateLimits: { '/a': { rate: '1/m', enabled: true }, '/b': '2/m' } },
    })
    expect(policies['login']?.enabled).toBe(false)
    expect(middleware.enabled).toBe(false)
    expect(middleware.rateLimits).toEqual({ '/a': { rate: '1/m', enabled: false }, '/b': '2/m' })
  })

  it('may hold functions where code gives them', () => {
    const key = (request: { readonly id: string }): string => request.id
    const { policies } = checkSettings(defineSettings({ policies: { mine: { rate: () => '5/m', key } } }))
    expect(policies['mine']?.key).toBe(key)
  })
})

describe('what is wrong with settings', () => {
  it.each([
    // Names.
    [{ stor: 'redis' }, 'stor', /one of .*\(did you mean "store"\?\)/],
    [{ backend: 'redis' }, 'backend', /did you mean "store"/],
    [{ memory_max_keys: 5 }, 'memory_max_keys', /did you mean "memoryMaxKeys"/],
    [{ redis: { hots: 'h' } }, 'redis.hots', /did you mean "host"/],
    [{ redis: { uri: 'redis://h' } }, 'redis.uri', /did you mean "url"/],
    [{ redis: { socketTimeout: 1 } }, 'redis.socketTimeout', /did you mean "socketTimeoutMs"/],
    [{ redis: { sentinel: { name: 'm', nodes: ['h'], pasword: 'x' } } }, 'redis.sentinel.pasword', /did you mean "password"/],
    [{ database: { tabel: 't' } }, 'database.tabel', /did you mean "table"/],
    [{ circuitBreaker: { slow: 1 } }, 'circuitBreaker.slow', /one of failureThreshold/],
    [{ stores: [{ name: 'a', store: 'memory', config: { host: 'h' } }] }, 'stores[0].config.host', /one of memoryMaxKeys/],
    [{ stores: [{ name: 'a', store: 'redis', conf: {} }] }, 'stores[0].conf', /one of name, store, config/],
    [{ middleware: { ratelimits: {} } }, 'middleware.ratelimits', /did you mean "rateLimits"/],
    [{ middleware: { rateLimits: { '/api/': { rat: '5/m' } } } }, 'middleware.rateLimits["/api/"].rat', /did you mean "rate"/],
    [{ middleware: { store: 'redis' } }, 'middleware.store', /one of/],
    [{ policies: { login: { rate: '5/m', blok: true } } }, 'policies["login"].blok', /did you mean "block"/],
    [{ policies: { 'a b': '5/m' } }, 'policies["a b"]', /a name of letters/],
    // Values.
    [{ enabled: 'no' }, 'enabled', /true or false, received "no"/],
    [{ store: 'mongodb' }, 'store', /one of memory, redis, database, multi/],
    [{ store: 'multi' }, 'stores', /as the store is "multi"/],
    [{ redis: {}, database: {} }, 'store', /as both are configured/],
    [{ memoryMaxKeys: 0 }, 'memoryMaxKeys', /whole number from 1/],
    [{ deadlineMs: '100' }, 'deadlineMs', /a number, received "100"/],
    [{ deadlineMs: 0 }, 'deadlineMs', /whole number from 1 to 600000/],
    [{ rememberRefusalsMs: true }, 'rememberRefusalsMs', /a number, or false/],
    [{ redis: { host: 'u:pw@h' } }, 'redis.host', /a name or an address of a host, received "\(not shown\)"/],
    [{ keyPrefix: 'a b' }, 'keyPrefix', /without blanks/],
    [{ healthCheckIntervalMs: 1 }, 'healthCheckIntervalMs', /from 10/],
    [{ circuitBreaker: { failureRatio: 2 } }, 'circuitBreaker.failureRatio', /at most 1/],
    [{ strategy: 'random' }, 'strategy', /one of first_healthy, round_robin/],
    [{ onStoreError: 'open' }, 'onStoreError', /one of local, allow, deny, throw/],
    [{ redis: { port: 70_000 } }, 'redis.port', /from 1 to 65535, received 70000/],
    [{ redis: { deadlineMs: 0 } }, 'redis.deadlineMs', /from 1/],
    [{ redis: { tls: 'yes' } }, 'redis.tls', /true, false or an object/],
    [{ redis: { url: 'http://h' } }, 'redis.url', /redis:\/\/user/],
    [{ redis: { cluster: ['h:1'], db: 2 } }, 'redis.db', /only database of a cluster/],
    [{ database: { url: 'mongodb://h/d' } }, 'database.url', /begins with sqlite:.*received "mongodb:…"/],
    [{ database: { url: 'postgres://h/d', maxConnections: 0 } }, 'database.maxConnections', /from 1 to 100/],
    [{ database: { table: 'a;b' } }, 'database.table', /letters, digits and _/],
    [{ database: { url: 'mysql://h/d?x=1' } }, 'database.url?x', /no parameter/],
    [{ stores: [] }, 'stores', /a list of/],
    [{ stores: [{ name: 'a', store: 'multi' }] }, 'stores[0].store', /one of redis, database, memory/],
    [{ stores: [{ store: 'memory' }] }, 'stores[0].name', /received undefined/],
    [{ stores: ['a', 'b'].map(() => ({ name: 'a', store: 'memory' })) }, 'stores[1].name', /a name of its own/],
    [{ stores: [{ name: 'a', store: 'redis', config: { port: 0 } }] }, 'stores[0].config.port', /from 1/],
    // Limits.
    [{ middleware: { defaultRate: '100' } }, 'middleware.defaultRate.rate', /a rate such as/],
    [
      { middleware: { rateLimits: { '/api/': '10/x' } } },
      'middleware.rateLimits["/api/"].rate',
      /one of the units.*received "10\/x"/,
    ],
    [{ middleware: { rateLimits: { api: '10/m' } } }, 'middleware.rateLimits["api"]', /\//],
    [{ middleware: { skipPaths: ['health'] } }, 'middleware.skipPaths[0]', /\//],
    [{ middleware: { key: 'usr' } }, /^middleware\..*key$/, /did you mean "user"/],
    [{ policies: { login: { rate: '5/m', key: 'api-key' } } }, 'policies["login"].key', /did you mean "api_key"/],
    [{ policies: { login: '1e3/m' } }, 'policies["login"].rate', /a rate such as/],
    [{ policies: { login: {} } }, 'policies["login"].rate', /a rate such as/],
    [{ policies: { login: { rate: '5/m', secret: 'short' } } }, 'policies["login"].secret', /16 characters/],
    [{ policies: ['5/m'] }, 'policies', /an object/],
    // What is no data.
    [[], 'settings', /a plain object/],
    ['redis://:pw@h', 'settings', /a plain object, received "\(not shown\)"/],
    [new Map(), 'settings', /a plain object/],
    [{ redis: Object.create({ host: 'h' }) as object }, 'redis', /a plain object/],
    [JSON.parse('{"__proto__": {"store": "redis"}}'), '__proto__', /no such name/],
    [JSON.parse('{"policies": {"__proto__": "5/m"}}'), 'policies["__proto__"]', /no such name/],
    [JSON.parse('{"redis": {"__proto__": {}}}'), 'redis.__proto__', /no such name/],
    [{ redis: { constructor: 'h' } }, 'redis.constructor', /one of/],
  ] as [unknown, string | RegExp, RegExp][])('%j', (data, option, message) => {
    const error = problem(data, 'limits.json')
    if (typeof option === 'string') expect(error.option).toBe(option)
    else expect(error.option).toMatch(option)
    expect(error.message).toMatch(message)
    expect(error.message).toMatch(/ \(limits\.json\)$/)
    expect(error.message.startsWith(error.option)).toBe(true)
    expect(error.stack).toContain('(limits.json)')
  })

  it('is told with what stands for the file where there is none', () => {
    expect(problem({ stor: 1 }).message).toMatch(/\(settings\)$/)
  })

  it('does not change any prototype', () => {
    problem(JSON.parse('{"__proto__": {"polluted": true}}'))
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})
