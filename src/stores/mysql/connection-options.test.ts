import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../core/errors.ts'
import { type MysqlConnection, connectionSettings, isConnection } from './connection-options.ts'

const settings = (source: MysqlConnection): ReturnType<typeof connectionSettings> =>
  connectionSettings(source, 'mysqlStore.source')
const SECRET = 's3cr3t@:/?#'

describe('a connection described by data', () => {
  it('is told from a client', () => {
    expect(isConnection({ url: 'x' })).toBe(true)
    expect(isConnection({ host: 'x' })).toBe(true)
    expect(isConnection({ getConnection: () => undefined })).toBe(false)
  })

  it('has defaults', () => {
    expect(settings({ host: 'db' })).toEqual({
      host: 'db',
      port: 3306,
      database: undefined,
      user: undefined,
      password: undefined,
      ssl: undefined,
      maxConnections: 4,
    })
  })

  it('takes a URL apart, with any password, and its parts win', () => {
    const url = `mysql://us%40er:${encodeURIComponent(SECRET)}@[::1]:3307/da%2Fta`
    const expected = { host: '::1', port: 3307, database: 'da/ta', user: 'us@er', password: SECRET }
    expect(settings({ url, host: 'other', port: 1, user: 'nobody', password: 'x', database: 'y' })).toMatchObject(expected)
    expect(settings({ url: 'mariadb://db', user: 'u', password: SECRET, database: 'd', maxConnections: 9 })).toMatchObject({
      host: 'db',
      port: 3306,
      user: 'u',
      password: SECRET,
      database: 'd',
      maxConnections: 9,
    })
  })

  it('verifies certificates and host names unless told otherwise', () => {
    const verified = { rejectUnauthorized: true, verifyIdentity: true }
    expect(settings({ host: 'x', ssl: true }).ssl).toEqual(verified)
    expect(settings({ host: 'x', ssl: { ca: 'pem' } }).ssl).toEqual({ ca: 'pem', verifyIdentity: true })
    expect(settings({ host: 'x', ssl: false }).ssl).toBeUndefined()
    expect(settings({ url: 'mysql://x/?ssl=true' }).ssl).toEqual(verified)
    expect(settings({ url: 'mysql://x/?ssl-mode=verify_identity' }).ssl).toEqual(verified)
    expect(settings({ url: 'mysql://x/?ssl-mode=REQUIRED' }).ssl).toMatchObject({ rejectUnauthorized: false })
    expect(settings({ url: 'mysql://x/?ssl-mode=VERIFY_CA' }).ssl).toMatchObject({ rejectUnauthorized: true })
    expect(settings({ url: 'mysql://x/?ssl-mode=DISABLED', ssl: true }).ssl).toBeUndefined()
  })

  it.each<[object, RegExp]>([
    [{ url: `mysql://u:${SECRET}@h/d` }, /source\.url: expected mysql:\/\/user/],
    [{ url: 'postgres://h/d' }, /source\.url/],
    [{ url: 'mysql:///d' }, /source\.url/],
    [{ url: 7 }, /source\.url: expected mysql.* received 7/],
    [{ url: `mysql://u:s3cr3t%zz@h/d` }, /source\.url: expected special characters written as %XX/],
    [{ url: `mysql://u:s3cr3t@h/d?sslmode=s3cr3t` }, /source\.url\?sslmode: expected no parameter but ssl/],
    [{ host: '' }, /source\.host/],
    [{ host: 'h', port: 0 }, /source\.port/],
    [{ host: 'h', port: '3306' }, /source\.port/],
    [{ host: 'h', maxConnections: 0 }, /source\.maxConnections/],
    [{ host: 'h', ssl: 's3cr3t' }, /source\.ssl/],
    [{ host: 'h', password: 7 }, /source\.password: expected a text, received "number"/],
    [
      { host: 'h', username: 'u' },
      /source\.username: expected one of url, host, port, database, user, password, ssl, maxConnections/,
    ],
  ])('is refused when wrong, without its password: %j', (source, message) => {
    const build = (): unknown => settings(source as MysqlConnection)
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(message)
    if (!('ssl' in source)) expect(build).not.toThrow(/s3cr3t/)
  })
})
