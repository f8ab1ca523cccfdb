// The MaxMind provider over real files and the real reader. Next: ../../src/http/maxmind.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Reader } from 'mmdb-lib'
import { afterAll, describe, expect, test } from 'vitest'
import { rateLimit } from '../../src/adapters/node-http.ts'
import { manualClock } from '../../src/core/clock.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { type MaxmindOptions, maxmind } from '../../src/http/maxmind.ts'
import { boundedLookup, geography, tiered } from '../../src/index.ts'
import { setUp } from '../adapters/contract.ts'
import { serve } from '../adapters/http.ts'
import { mmdb } from './mmdb.ts'

const folder = mkdtempSync(join(tmpdir(), 'smart-ratelimit-mmdb-'))
afterAll(() => rmSync(folder, { recursive: true }))

const SPAIN = { country: { iso_code: 'ES', names: { en: 'Spain' } }, continent: { code: 'EU' }, city: { names: { en: 'Lugo' } } }
const ELSEWHERE = { registered_country: { iso_code: 'JP' }, continent: { code: 'AS' } }
const WORLD = {
  '192.0.2.0/24': SPAIN,
  '127.0.0.0/8': SPAIN,
  '2001:db8::/32': ELSEWHERE,
  '203.0.113.0/25': { traits: { x: 'y' } },
}

let files = 0
function write(content: Uint8Array, name = `${++files}.mmdb`): string {
  const file = join(folder, name)
  writeFileSync(file, content)
  return file
}

test('the databases of these tests are ones that MaxMind’s format knows', () => {
  const reader = new Reader(mmdb(WORLD))
  expect(reader.metadata).toMatchObject({ databaseType: 'Test', recordSize: 24, ipVersion: 6 })
  expect(reader.getWithPrefixLength('192.0.2.77')).toEqual([SPAIN, 24])
  expect(reader.get('192.0.3.1')).toBeNull()
})

describe('the region', () => {
  test.each<[string, Partial<MaxmindOptions>, (string | undefined)[]]>([
    ['the country', {}, ['ES', 'JP', undefined, undefined]],
    ['the continent', { region: 'continent' }, ['EU', 'AS', undefined, undefined]],
    [
      'what a function reads in the record',
      { region: ({ city }) => (city as { names?: { en?: string } } | undefined)?.names?.en },
      ['Lugo', undefined, undefined, undefined],
    ],
  ])('is %s', async (_, options, expected) => {
    const lookup = maxmind({ file: write(mmdb(WORLD)), ...options })
    await lookup.ready()
    // At once, as the database is loaded.
    expect(['192.0.2.1', '2001:db8:1::1', '203.0.113.1', '198.51.100.1'].map(lookup)).toEqual(expected)
  })

  test('comes as a promise until the database is loaded, by whoever asks first', async () => {
    const lookup = maxmind({ file: write(mmdb(WORLD)) })
    const first = lookup('192.0.2.1')
    expect(first).toBeInstanceOf(Promise)
    expect(await first).toBe('ES')
    expect(lookup('192.0.2.1')).toBe('ES')
  })

  test('follows the file, in the background; a database that turned bad leaves the last good one in force', async () => {
    const clock = manualClock(1_700_000_000_000)
    const errors: string[] = []
    const file = write(mmdb(WORLD))
    const lookup = maxmind({
      file,
      reloadMs: 1000,
      maxBytes: 10_000,
      clock,
      onRefreshError: ({ message }) => void errors.push(message),
    })
    await lookup.ready()
    write(mmdb({ '192.0.2.0/24': ELSEWHERE }), `${files}.mmdb`)
    clock.advance(999)
    expect(lookup('192.0.2.1')).toBe('ES')
    clock.advance(1)
    void lookup('192.0.2.1')
    await expect.poll(() => lookup('192.0.2.1')).toBe('JP')
    for (const broken of [Buffer.from('this is no database'), Buffer.alloc(20_000), mmdb(WORLD).subarray(0, 50)]) {
      write(broken, `${files}.mmdb`)
      clock.advance(1000)
      const before = errors.length
      expect(lookup('192.0.2.1')).toBe('JP')
      await expect.poll(() => errors.length).toBe(before + 1)
      expect(lookup('192.0.2.1')).toBe('JP')
    }
    expect(errors[1]).toMatch(/maxmind\.file: expected a file of at most 10000 bytes/)
  })
})

describe('a database that cannot be had', () => {
  test('is an error when asked for readiness, and is not read again for each request', async () => {
    const clock = manualClock(1_700_000_000_000)
    const file = join(folder, 'missing.mmdb')
    const lookup = maxmind({ file, clock })
    await expect(lookup.ready()).rejects.toThrow(
      /maxmind\.file: expected a file that can be read \(ENOENT\), received .*missing\.mmdb/,
    )
    write(mmdb(WORLD), 'missing.mmdb')
    clock.advance(9_999)
    await expect(lookup('192.0.2.1')).rejects.toThrow(ConfigError)
    clock.advance(1)
    expect(await lookup('192.0.2.1')).toBe('ES')
  })

  test('makes the region unknown and fails no request; the observers are told', async () => {
    const { store } = setUp()
    const told: unknown[] = []
    const observers = [{ onError: (error: unknown, where: string) => void told.push([(error as ConfigError).option, where]) }]
    const lookup = maxmind({ file: join(folder, 'none.mmdb') })
    const limit = rateLimit({ rate: '9/m', key: geography({ lookup, by: false, timeoutMs: 5000 }), observers, store })
    await using server = await serve((request, response) =>
      limit(request, response, () => response.end((request as { rateLimit?: { key?: string } }).rateLimit?.key)),
    )
    expect(await server.get('/')).toMatchObject({ status: 200, body: 'geo:unknown' })
    expect(told).toEqual([['maxmind.file', 'geography']])
  })
})

test('limits by country over HTTP: the key, and a rate per country with a rest', async () => {
  const { store } = setUp()
  const lookup = maxmind({ file: write(mmdb({ '192.0.2.0/24': SPAIN, '203.0.113.0/24': ELSEWHERE })) })
  const region = boundedLookup(lookup, { timeoutMs: 5000 })
  const forwarded = (request: { headers: Record<string, unknown> }) => request.headers['x-forwarded-for'] as string
  const limit = rateLimit({
    key: geography({ lookup, by: false, timeoutMs: 5000 }),
    rate: tiered({ ES: '3/m', '*': '2/m', unknown: '1/m' }, { by: async (request: never) => region(forwarded(request)) }),
    trustedProxies: 1,
    store,
  })
  await using server = await serve((request, response) =>
    limit(request, response, () => response.end((request as { rateLimit?: { key?: string } }).rateLimit?.key)),
  )
  const get = async (address: string) => {
    const { headers, body, status } = await server.get('/', { 'x-forwarded-for': address })
    return [status, headers['x-ratelimit-limit'], body]
  }
  expect(await get('192.0.2.1')).toEqual([200, '3', 'geo:ES'])
  expect(await get('203.0.113.9')).toEqual([200, '2', 'geo:JP'])
  expect(await get('198.51.100.4')).toEqual([200, '1', 'geo:unknown'])
  expect((await get('198.51.100.5'))[0]).toBe(429)
})

test.each<[string, object, RegExp]>([
  ['no file', {}, /maxmind\.file/],
  ['a misspelt option', { file: 'x', reload: 5 }, /maxmind\.reload/],
  ['a region that is none', { file: 'x', region: 'planet' }, /maxmind\.region/],
  ['a fraction of a time', { file: 'x', reloadMs: 0.5 }, /maxmind\.reloadMs/],
  ['no size', { file: 'x', maxBytes: 0 }, /maxmind\.maxBytes/],
  ['a listener that is none', { file: 'x', onRefreshError: 1 }, /maxmind\.onRefreshError/],
  ['a clock that is none', { file: 'x', clock: {} }, /maxmind\.clock/],
])('%s is refused at construction', (_, options, message) => {
  expect(() => maxmind(options as MaxmindOptions)).toThrow(ConfigError)
  expect(() => maxmind(options as MaxmindOptions)).toThrow(message)
})
