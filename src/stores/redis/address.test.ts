import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type RedisAddress, checkAddress } from './address.ts'

const SECRET = 's3cr3t@:/?#'

function at(address: RedisAddress): ReturnType<typeof checkAddress> {
  return checkAddress(address, 'redis')
}

describe('the address of a Redis', () => {
  it('is this machine’s unless something is said', () => {
    expect(at({})).toMatchObject({
      host: 'localhost',
      port: 6379,
      db: 0,
      tls: undefined,
      password: undefined,
      socketTimeoutMs: 5000,
    })
  })

  it('is read from a URL, which wins over host, port, db and password', () => {
    const address = at({ url: 'redis://me:pw@there:7000/3', host: 'here', port: 1, db: 9, username: 'x', password: 'y' })
    expect(address).toMatchObject({ host: 'there', port: 7000, db: 3, username: 'me', password: 'pw' })
    expect(at({ url: 'redis://there', port: 7000, password: 'y' })).toMatchObject({ host: 'there', port: 7000, password: 'y' })
    expect(at({ url: 'redis://[2001:db8::1]:7000' })).toMatchObject({ host: '2001:db8::1', port: 7000 })
  })

  it('takes a password with any character, as it is or escaped', () => {
    expect(at({ url: `redis://:${SECRET}@there:7000/0` }).password).toBe(SECRET)
    expect(at({ url: `redis://me:${encodeURIComponent(SECRET)}@there` })).toMatchObject({ username: 'me', password: SECRET })
    expect(at({ url: 'redis://:100%@there' }).password).toBe('100%')
    expect(at({ password: SECRET }).password).toBe(SECRET)
  })

  it('asks for TLS by rediss:, and does not let it be taken back', () => {
    expect(at({ url: 'rediss://there' }).tls).toEqual({})
    expect(at({ url: 'rediss://there', tls: { servername: 'x' } }).tls).toEqual({ servername: 'x' })
    expect(at({ tls: true }).tls).toEqual({})
    expect(() => at({ url: 'rediss://there', tls: false })).toThrow('redis.tls: expected not false')
    expect(at({ cluster: ['rediss://a', 'b:1'] }).tls).toEqual({})
  })

  it('lists the nodes of a cluster or Sentinels', () => {
    expect(at({ cluster: ['a', 'b:7001', `redis://:${SECRET}@c`] })).toMatchObject({
      cluster: [
        { host: 'a', port: 6379 },
        { host: 'b', port: 7001 },
        { host: 'c', port: 6379 },
      ],
      password: SECRET,
    })
    expect(at({ sentinel: { name: 'mymaster', nodes: ['a', 'b:7'] } }).sentinel).toMatchObject({
      name: 'mymaster',
      nodes: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 7 },
      ],
    })
  })

  it.each([
    [{ url: 'http://x' }, 'redis.url'],
    [{ url: `redis://:${SECRET}@there:99999` }, 'redis.url'],
    [{ url: `redis://:${SECRET}@th ere` }, 'redis.url'],
    [{ url: `rediss://:${SECRET}@there?tls=no` }, 'redis.url'],
    [{ port: 0 }, 'redis.port'],
    [{ port: '6379' }, 'redis.port'],
    [{ db: -1 }, 'redis.db'],
    [{ db: 1, cluster: ['a'] }, 'redis.db'],
    [{ password: 7 }, 'redis.password'],
    [{ socketTimeoutMs: 0 }, 'redis.socketTimeoutMs'],
    [{ cluster: [] }, 'redis.cluster'],
    [{ cluster: [{ host: 'a' }] }, 'redis.cluster[0]'],
    [{ cluster: ['a'], sentinel: { name: 'm', nodes: ['a'] } }, 'redis.sentinel'],
    [{ sentinel: { nodes: ['a'] } }, 'redis.sentinel.name'],
    [{ sentinel: { name: 'm', nodes: [] } }, 'redis.sentinel.nodes'],
    [{ sentinel: { name: 'm', nodes: ['a'], pass: SECRET } }, 'redis.sentinel.pass'],
    [{ client: 'valkey' }, 'redis.client'],
    [{ tls: 'yes' }, 'redis.tls'],
    [{ passwort: SECRET }, 'redis.passwort'],
  ])('names the setting that is wrong and shows no secret: %#', (address, option) => {
    let thrown: unknown
    try {
      at(address as RedisAddress)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'ERR_RATELIMIT_CONFIG', option })
    expect(inspect(thrown)).not.toContain('s3cr3t')
  })
})
