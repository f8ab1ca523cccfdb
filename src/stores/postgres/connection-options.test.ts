import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { ConfigError } from '../../core/errors.ts'
import { type PostgresConnection, connectionSettings } from './connection-options.ts'
import { type PostgresStoreOptions, postgresStore } from './index.ts'

const PASSWORD = 's3cr3t@:/?#'
const read = (source: PostgresConnection): ReturnType<typeof connectionSettings> => connectionSettings(source, 'source')

it('reads a URL, whose parts win over those beside it', () => {
  const url = `postgres://us%40er:${encodeURIComponent(PASSWORD)}@[::1]:6000/my%2Fdb?sslmode=verify-full`
  expect(read({ url, host: 'other', port: 1, user: 'x', ssl: false, maxConnections: 7 })).toEqual({
    host: '::1',
    port: 6000,
    database: 'my/db',
    user: 'us@er',
    password: PASSWORD,
    ssl: true,
    maxConnections: 7,
    client: undefined,
  })
})

it('fills in defaults, and takes a password as it is', () => {
  expect(read({ host: 'h', password: PASSWORD })).toMatchObject({
    host: 'h',
    port: 5432,
    password: PASSWORD,
    ssl: false,
    maxConnections: 4,
  })
  expect(read({ url: 'postgresql:///app?host=/run/postgresql' })).toMatchObject({ host: '/run/postgresql', database: 'app' })
  expect(read({ url: 'postgres://h/d?sslmode=require' }).ssl).toEqual({ rejectUnauthorized: false })
  expect(read({ url: 'postgres://h/d?ssl=true' }).ssl).toBe(true)
})

it.each<[string, object]>([
  ['source.hots', { host: 'h', hots: 'x' }],
  ['source.port', { host: 'h', port: 70_000 }],
  ['source.port', { host: 'h', port: '5432' }],
  ['source.host', { host: '' }],
  ['source.password', { host: 'h', password: 5 }],
  ['source.ssl', { host: 'h', ssl: 'require' }],
  ['source.maxConnections', { host: 'h', maxConnections: 0 }],
  ['source.client', { host: 'h', client: 'mysql' }],
  ['source.url', { url: `mysql://u:${encodeURIComponent(PASSWORD)}@h/d` }],
  ['source.url', { url: `postgres://u:${PASSWORD}@h/d` }],
  ['source.url', { url: `postgres://u:%E0%A4@${encodeURIComponent(PASSWORD)}/d` }],
  ['source.url', { url: 5 }],
  ['source.url?sslrootcert', { url: `postgres://u:${encodeURIComponent(PASSWORD)}@h/d?sslrootcert=x` }],
])('names %s when it is wrong, and shows no password', (option, source) => {
  try {
    read(source as PostgresConnection)
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).option).toBe(option)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/s3cr3t/)
  }
})

it.each<[string, object]>([
  ['table', { table: 'a b' }],
  ['table', { table: 'a.b.c' }],
  ['table', { table: '"x"; DROP TABLE y' }],
  ['table', { table: 'x'.repeat(49) }],
  ['table', { table: '1x' }],
  ['concurrency', { concurrency: 0 }],
  ['synchronousCommit', { synchronousCommit: 'maybe' }],
  ['unlogged', { unlogged: 'yes' }],
  ['prepare', { prepare: 1 }],
  ['tabel', { tabel: 'x' }],
])('names the option %s when it is wrong', (option, options) => {
  const make = (): unknown => postgresStore({ host: 'h' }, options as PostgresStoreOptions)
  expect(make).toThrow(ConfigError)
  expect(make).toThrow(new RegExp(`^postgresStore\\.options\\.${option}: `))
})
