import { describe, expect, it } from 'vitest'
import { connectionSettings as mysqlConnection } from '../stores/mysql/connection-options.ts'
import { connectionSettings as postgresConnection } from '../stores/postgres/connection-options.ts'
import { databasePlace, withoutSecrets } from './database-url.ts'

describe('the URL of a database', () => {
  it.each([
    [undefined, { kind: 'sqlite', file: undefined }],
    ['sqlite:counters.sqlite', { kind: 'sqlite', file: 'counters.sqlite' }],
    ['sqlite:./a/b.db', { kind: 'sqlite', file: './a/b.db' }],
    ['sqlite:///var/lib/app/c.db', { kind: 'sqlite', file: '/var/lib/app/c.db' }],
    ['SQLite:/var/c.db', { kind: 'sqlite', file: '/var/c.db' }],
    ['postgres://h/d', { kind: 'postgres', url: 'postgres://h/d' }],
    ['postgresql://h/d', { kind: 'postgres', url: 'postgresql://h/d' }],
    ['mysql://h/d', { kind: 'mysql', url: 'mysql://h/d' }],
    ['mariadb://h/d', { kind: 'mysql', url: 'mariadb://h/d' }],
  ])('chooses the store by its scheme: %s', (url, place) => {
    expect(databasePlace(url, 'database.url')).toEqual(place)
  })

  it.each(['', 'h/d', 'redis://h', 'constructor://h', 'sqlite:', 'sqlite://', './a.db'])('is none: %j', (url) => {
    expect(() => databasePlace(url, 'database.url')).toThrow(expect.objectContaining({ option: 'database.url' }))
  })

  const urlOf = (url: string): string => (databasePlace(url, 'x') as { readonly url: string }).url
  const PASSWORDS = ['s3cr3t@:/?#', '@', 'a#b', '1#b', 'p/x', 'p@h/x?y', 'p%zz', 'p%40', '100%', 'ü€', 'a b', ':', '?sslmode=']

  it.each(PASSWORDS)('may have a password as it is written: %s', (password) => {
    const expected = password === 'p%40' ? 'p@' : password
    expect(postgresConnection({ url: urlOf(`postgres://u:${password}@db.test:5433/app?sslmode=disable`) }, 'x')).toMatchObject({
      user: 'u',
      password: expected,
      host: 'db.test',
      port: 5433,
      database: 'app',
      ssl: false,
    })
    const escaped = { url: urlOf(`mysql://u:${encodeURIComponent(expected)}@db.test/app`) }
    expect(mysqlConnection(escaped, 'x')).toMatchObject({ user: 'u', password: expected, host: 'db.test' })
  })

  it('keeps an @ that stands in a parameter', () => {
    const url = 'postgres://u:p@h/d?host=/tmp/@x'
    expect(databasePlace(url, 'x')).toEqual({ kind: 'postgres', url })
  })
})

describe('a URL without its secrets', () => {
  it.each([
    ['redis://h:1/2', 'redis://h:1/2'],
    ['redis://u:pw@h:1/2', 'redis://***@h:1/2'],
    ['rediss://:s3cr3t@:/?#@h', 'rediss://…'],
    ['postgres://u:s3cr3t@h/d?sslmode=require', 'postgres://***@h/d?…'],
    ['postgres://u@h/d?password=s3cr3t@x', 'postgres://…'],
    ['postgres://h/d?password=s3cr3t', 'postgres://h/d?…'],
    ['sqlite:./a.db', 'sqlite:./a.db'],
    ['s3cr3t', '[hidden]'],
    ['u:s3cr3t@h', 'u:***@h'],
  ])('%s', (url, shown) => {
    expect(withoutSecrets(url)).toBe(shown)
  })
})
