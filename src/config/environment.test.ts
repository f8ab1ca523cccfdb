import { describe, expect, it } from 'vitest'
import { ConfigError } from '../core/errors.ts'
import { settingsOf } from './check-settings.ts'
import { type Environment, VARIABLES, overlay } from './environment.ts'
import type { Settings } from './settings.ts'

function settingsFrom(env: Environment, data: unknown = {}): Settings {
  const laid = overlay(data, env)
  return settingsOf(laid.data, { where: 'limits.json', setBy: laid.setBy }, env['DATABASE_URL'])
}

function problem(env: Environment, data?: unknown): string {
  try {
    settingsFrom(env, data)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
  throw new Error('accepted')
}

describe('the environment', () => {
  it('says what a file can say of stores', () => {
    const settings = settingsFrom({
      RATELIMIT_STORE: 'redis',
      RATELIMIT_ENABLED: 'yes',
      RATELIMIT_REDIS_HOST: 'cache',
      RATELIMIT_REDIS_PORT: '6380',
      RATELIMIT_REDIS_DB: '2',
      RATELIMIT_REDIS_TLS: 'true',
      RATELIMIT_REDIS_SOCKET_TIMEOUT_MS: '250',
      RATELIMIT_REDIS_PASSWORD: 'pw',
      RATELIMIT_MEMORY_MAX_KEYS: '500',
      RATELIMIT_KEY_PREFIX: 'app:',
      RATELIMIT_DEADLINE_MS: '50',
      RATELIMIT_REMEMBER_REFUSALS_MS: 'false',
      RATELIMIT_TABLE: 'limits',
      RATELIMIT_ON_STORE_ERROR: 'deny',
      RATELIMIT_TRUSTED_PROXIES: '10.0.0.0/8, loopback',
      RATELIMIT_CIRCUIT_BREAKER_FAILURE_RATIO: '0.25',
      RATELIMIT_MIDDLEWARE_DEFAULT_RATE: '10/s, 100/m',
      RATELIMIT_MIDDLEWARE_SKIP_PATHS: '/health,/static',
    })
    expect(settings).toMatchObject({
      store: 'redis',
      enabled: true,
      redis: { host: 'cache', port: 6380, db: 2, tls: true, socketTimeoutMs: 250 },
      database: { table: 'limits' },
      memoryMaxKeys: 500,
      keyPrefix: 'app:',
      deadlineMs: 50,
      rememberRefusalsMs: false,
      onStoreError: 'deny',
      trustedProxies: ['10.0.0.0/8', 'loopback'],
      circuitBreaker: { failureRatio: 0.25 },
      middleware: { defaultRate: '10/s, 100/m', skipPaths: ['/health', '/static'] },
    })
    expect(settings.redis?.password?.reveal()).toBe('pw')
  })

  it('wins over the file, value by value', () => {
    const file = { store: 'redis', redis: { host: 'a', port: 1 }, middleware: { defaultRate: '1/m', key: 'user' } }
    const settings = settingsFrom({ RATELIMIT_REDIS_PORT: '2', RATELIMIT_MIDDLEWARE_DEFAULT_RATE: '5/m' }, file)
    expect(settings.redis).toEqual({ host: 'a', port: 2 })
    expect(settings.middleware).toMatchObject({ defaultRate: '5/m', key: 'user' })
    expect(file.redis.port).toBe(1)
  })

  it.each([
    [{ RATELIMIT_ENABLED: '0' }, false],
    [{ RATELIMIT_ENABLED: 'off' }, false],
    [{ RATELIMIT_ENABLED: 'True' }, true],
    [{ RATELIMIT_ENABLED: '' }, true],
    [{ RATELIMIT_ENABLED: undefined }, true],
  ])('switches: %j', (env, enabled) => {
    expect(settingsFrom(env).enabled).toBe(enabled)
  })

  it('leaves what has nothing to do with it alone', () => {
    const env = { RATELIMIT_TEST_REDIS_URL: 'redis://h', PATH: '/bin', RATELIMITER: '1', DATABASE_URL: 'mongodb://h/d' }
    expect(settingsFrom(env)).toEqual(settingsFrom({}))
  })

  it.each([
    [{ RATELIMIT_REDIS_URI: 'x' }, /^RATELIMIT_REDIS_URI: .*did you mean "RATELIMIT_REDIS_URL"/],
    [{ RATELIMIT_ENABLE: 'x' }, /^RATELIMIT_ENABLE: .*did you mean "RATELIMIT_ENABLED"/],
    [{ RATELIMIT_NONSENSE: '' }, /^RATELIMIT_NONSENSE: expected a variable of docs\/settings\.md, /],
    [{ RATELIMIT_STORES: '[]' }, /^RATELIMIT_STORES: /],
    [{ RATELIMIT_ENABLED: 'perhaps' }, /^enabled: expected true or false, received "perhaps" \(RATELIMIT_ENABLED\)$/],
    [{ RATELIMIT_REDIS_PORT: '6379x' }, /^redis\.port: .*received "6379x" \(RATELIMIT_REDIS_PORT\)$/],
    [{ RATELIMIT_DEADLINE_MS: '1e3' }, /^deadlineMs: .*received "1e3" \(RATELIMIT_DEADLINE_MS\)$/],
    [{ RATELIMIT_REDIS_CLUSTER: 'h:1,x://y' }, /^redis\.cluster\[1\]: .*\(RATELIMIT_REDIS_CLUSTER\)$/],
    [{ RATELIMIT_MIDDLEWARE_DEFAULT_RATE: 'often' }, /^middleware\.defaultRate.*\(RATELIMIT_MIDDLEWARE_DEFAULT_RATE\)$/],
    [{ RATELIMIT_STORE: 'database', DATABASE_URL: 'mongodb://h' }, /^database\.url: .*\(DATABASE_URL\)$/],
    [{ RATELIMIT_DATABASE_URL: 'mongodb://h' }, /^database\.url: .*\(RATELIMIT_DATABASE_URL\)$/],
  ])('is told where it is wrong: %j', (env: Environment, message) => {
    expect(problem(env)).toMatch(message)
  })

  it('does not hide what is wrong with the file', () => {
    expect(problem({ RATELIMIT_REDIS_PORT: '1' }, { redis: 'redis://h' })).toMatch(
      /^redis: expected a plain object.*\(limits\.json\)$/,
    )
    expect(problem({ RATELIMIT_REDIS_PORT: '1' }, { redis: { db: -1 } })).toMatch(/^redis\.db: .*\(limits\.json\)$/)
  })

  it('has a variable for each value that is no list, map or function, and no two alike', () => {
    const names = [...VARIABLES.keys()]
    expect(names.length).toBeGreaterThan(60)
    expect(names.filter((name) => !/^RATELIMIT_[A-Z]+(_[A-Z]+)*$/.test(name))).toEqual([])
  })
})

describe('DATABASE_URL', () => {
  const env = { DATABASE_URL: 'postgres://u:pw@h/d' }

  it('is where the database is, if no setting says so', () => {
    expect(settingsFrom({ ...env, RATELIMIT_STORE: 'database' }).database?.url?.reveal()).toBe('postgres://u:pw@h/d')
    expect(settingsFrom(env, { database: { table: 't' } }).database).toMatchObject({
      table: 't',
      url: expect.anything() as unknown,
    })
    const own = settingsFrom(env, { database: { url: 'sqlite:x' } })
    expect(own.database?.url?.reveal()).toBe('sqlite:x')
  })

  it('does not choose the database by being there', () => {
    expect(settingsFrom(env)).toMatchObject({ store: 'memory' })
    expect(settingsFrom(env).database).toBeUndefined()
  })

  it('serves each of several stores that says nothing else', () => {
    const { stores = [], database } = settingsFrom(env, {
      stores: [
        { name: 'a', store: 'database', config: { table: 't' } },
        { name: 'b', store: 'database', config: { url: 'sqlite:x' } },
        { name: 'c', store: 'database' },
        { name: 'd', store: 'memory' },
      ],
    })
    const urls = stores.map(({ config }) => (config as { url?: { reveal(): string } } | undefined)?.url?.reveal())
    expect(urls).toEqual(['postgres://u:pw@h/d', 'sqlite:x', undefined, undefined])
    expect(database?.url?.reveal()).toBe('postgres://u:pw@h/d')
  })
})
