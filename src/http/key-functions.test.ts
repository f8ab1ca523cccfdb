import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import type { RequestView } from '../core/request.ts'
import { buildHash } from './hash-secret.ts'
import { apiKeyAware, deviceFingerprint, firstOf, jwtClaim, role, tenant, timeAware } from './key-functions.ts'
import { type Identity, type KeyInput, SKIP, buildKey } from './keys.ts'

interface Parts {
  readonly ip?: string
  readonly user?: string
  readonly url?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly raw?: unknown
}

function view({ url = '/', ip = '192.0.2.1', user, headers = {}, raw }: Parts = {}): RequestView {
  const fields = new Map(Object.entries(headers))
  return {
    method: 'GET',
    url,
    route: undefined,
    ip,
    peer: undefined,
    user,
    session: undefined,
    raw,
    header: (name) => fields.get(name),
  }
}

/** The key, or SKIP for none. Awaited: each test that cares for being at once says so. */
async function keyOf(input: KeyInput, parts: Parts = {}): Promise<Identity> {
  return atOnce(input, parts)
}

const atOnce = (input: KeyInput, parts: Parts = {}): Identity | PromiseLike<Identity> =>
  buildKey(input, { address: (one) => one.ip, onMissingKey: 'skip' })(view(parts))

describe('a JWT claim', () => {
  const claims = { sub: '42', role: 'admin', n: 7, nested: {}, flag: true, empty: '' }
  const verify = (token: string): Record<string, unknown> => {
    if (token !== 'good') throw new Error('bad signature')
    return claims
  }
  const good: Parts = { headers: { authorization: 'Bearer good' } }

  it('is the subject of a verified token', () => {
    expect(atOnce(jwtClaim({ verify }), good)).toBe('jwt:sub:42')
    expect(atOnce(jwtClaim({ verify, claim: 'n' }), good)).toBe('jwt:n:7')
    expect(atOnce(jwtClaim({ verify, header: 'X-JWT' }), { headers: { 'x-jwt': 'good' } })).toBe('jwt:sub:42')
  })

  it('is verified by a function that takes its time, too', async () => {
    expect(await keyOf(jwtClaim({ verify: async (token) => verify(token) }), good)).toBe('jwt:sub:42')
  })

  it('is no key where the token is forged, missing, or of another scheme', async () => {
    for (const authorization of ['Bearer forged', 'Basic good', 'good', '']) {
      expect(await keyOf(jwtClaim({ verify }), { headers: { authorization } })).toBe(SKIP)
      expect(await keyOf(jwtClaim({ verify: async (token) => verify(token) }), { headers: { authorization } })).toBe(SKIP)
    }
    expect(await keyOf(jwtClaim({ verify: () => null }), good)).toBe(SKIP)
    expect(await keyOf(jwtClaim({ verify: () => Object.create({ sub: 'inherited' }) as Record<string, unknown> }), good)).toBe(
      SKIP,
    )
    expect(await keyOf(jwtClaim({ verify }), {})).toBe(SKIP)
  })

  it.each(['absent', 'nested', 'flag', 'empty', '__proto__', 'constructor', 'toString'])(
    'is no key where the claim is %s',
    async (claim) => {
      expect(await keyOf(jwtClaim({ verify, claim }), good)).toBe(SKIP)
    },
  )

  it('cannot be had without verifying', () => {
    expect(() => jwtClaim({} as never)).toThrow('jwtClaim.verify')
    expect(() => jwtClaim({ verify, claims: 'sub' } as never)).toThrow('jwtClaim.claims')
    expect(() => jwtClaim({ verify, claim: '' })).toThrow(ConfigError)
  })
})

describe('the tenant', () => {
  const from = (request: { tenant?: string } | undefined): string | undefined => request?.tenant
  const claimed = { 'x-tenant-id': 'evil', host: 'evil.app.example' }
  const all = tenant({ from, header: 'X-Tenant-ID', host: true })

  it('of an authenticated user cannot be replaced by a header, a host or a query', async () => {
    expect(await keyOf(all, { user: '7', raw: { tenant: 'acme' }, headers: claimed, url: '/?tenant=evil' })).toBe('tenant:acme')
    expect(await keyOf(all, { user: '7', raw: {}, headers: claimed })).toBe(SKIP)
  })

  it('of anybody else is the header, then the host, where they are enabled', () => {
    expect(atOnce(all, { headers: claimed })).toBe('tenant:evil')
    expect(atOnce(all, { headers: { host: 'acme.app.example' } })).toBe('tenant:acme')
    expect(atOnce(all, { headers: { 'x-tenant-id': '', host: 'acme.app.example' } })).toBe('tenant:acme')
    expect(atOnce(tenant({ from }), { headers: claimed })).toBe(SKIP)
    expect(atOnce(tenant({ host: true }), { headers: claimed })).toBe('tenant:evil')
  })

  it('of an authenticated user is never the header, though the app says nothing of its own', () => {
    const byHeader = tenant({ header: 'x-tenant-id' })
    expect(atOnce(byHeader, { headers: claimed })).toBe('tenant:evil')
    expect(atOnce(byHeader, { user: '7', headers: claimed })).toBe(SKIP)
    expect(
      atOnce(tenant({ header: 'x-tenant-id', host: true }), { user: '7', headers: { ...claimed, host: 'acme.app.example' } }),
    ).toBe('tenant:acme')
  })

  it.each([
    [{ tenant: 'acme' }],
    [{ tenant: { id: 'acme', name: 'Acme' } }],
    [{ user: { tenantId: 'acme' } }],
    [{ user: { tenant_id: 'acme' } }],
    [{ user: { tenant: { id: 'acme' } } }],
    [{ tenant: 'acme', user: { tenantId: 'other' } }],
  ])('is what the request has noted (%j), before all that a client sends', (raw) => {
    const byHeader = tenant({ header: 'x-tenant-id', host: true })
    expect(atOnce(byHeader, { raw, headers: claimed })).toBe('tenant:acme')
    expect(atOnce(byHeader, { raw, user: '7', headers: claimed })).toBe('tenant:acme')
  })

  it.each([[{ tenant: {} }], [{ tenant: null }], [{ user: { tenantId: true } }], [undefined]])('is not made of %j', (raw) => {
    expect(atOnce(tenant({ host: true }), { raw })).toBe(SKIP)
  })

  it('may be found by a function that takes its time', async () => {
    expect(await keyOf(tenant({ from: async () => 'acme' }))).toBe('tenant:acme')
  })

  it.each([
    ['acme.app.example', 'acme'],
    ['ACME.app.example:8080', 'acme'],
    ['acme.app.example.', 'acme'],
    ['a.b.c.d', 'a'],
    ['my-shop_1.app.example', 'my-shop_1'],
  ])('of host %s is %s', (host, name) => {
    expect(atOnce(tenant({ host: true }), { headers: { host } })).toBe(`tenant:${name}`)
  })

  it.each([
    '10.0.0.1',
    '10.0.0.1:8080',
    '0x7f.0.0.0x1',
    '1.2.3.4.',
    'app.example',
    'localhost',
    'localhost:3000',
    '[::1]:3000',
    '[2001:db8::1]',
    '',
    '..a',
    'a..b',
    'a b.c.d',
    'a.b.c:port',
    'a.b.c/x',
    '\r\na.b.c',
    'é.b.c',
    `${'a.'.repeat(200)}b`,
  ])('of host %j is none', (host) => {
    expect(atOnce(tenant({ host: true }), { headers: { host } })).toBe(SKIP)
  })

  it('needs a source', () => {
    expect(() => tenant({})).toThrow('at least one of from, header and host')
    expect(() => tenant({ hosts: true } as never)).toThrow('tenant.hosts')
    expect(() => tenant({ host: 'yes' } as never)).toThrow(ConfigError)
    expect(() => tenant({ from: 'user' } as never)).toThrow(ConfigError)
  })
})

describe('a user with a role', () => {
  const staff = role((request: { staff?: boolean } | undefined) => (request?.staff === true ? 'staff' : null))

  it('is counted by both', () => {
    expect(atOnce(staff, { user: '7', raw: { staff: true } })).toBe('role:7:staff')
    expect(atOnce(staff, { user: '7', raw: {} })).toBe('role:7:user')
    expect(atOnce(staff, { raw: { staff: true } })).toBe(SKIP)
  })

  it('is nobody else, whatever is in the two', () => {
    const text = fc.string({ unit: fc.constantFrom(':', '%', '3', 'A', '2', '5', 'a'), minLength: 1, maxLength: 6 })
    const key = (user: string, name: string): unknown =>
      atOnce(
        role(() => name),
        { user },
      )
    fc.assert(
      fc.property(text, text, text, text, (a, b, c, d) => {
        expect(key(a, b) === key(c, d)).toBe(a === c && b === d)
      }),
      { numRuns: 2000 },
    )
    expect(key('a:b', 'c')).not.toBe(key('a', 'b:c'))
  })

  it('may be found by a function that takes its time', async () => {
    expect(
      await keyOf(
        role(async () => 'admin'),
        { user: '7' },
      ),
    ).toBe('role:7:admin')
  })
})

describe('a device', () => {
  const headers = { 'user-agent': 'Firefox', 'accept-language': 'es', 'accept-encoding': 'br', dnt: '1' }

  it('is 16 hexadecimal digits of what its headers say', () => {
    const key = atOnce(deviceFingerprint(), { headers })
    expect(key).toMatch(/^device:[0-9a-f]{16}$/)
    expect(atOnce(deviceFingerprint(), { headers: { ...headers, accept: '*/*' } })).toBe(key)
    for (const name of Object.keys(headers))
      expect(atOnce(deviceFingerprint(), { headers: { ...headers, [name]: 'other' } })).not.toBe(key)
  })

  it('is another where a value moves to the next header', () => {
    const input = deviceFingerprint({ headers: ['A', 'B'] })
    const sent = [{ a: 'x' }, { b: 'x' }, { a: 'x', b: '' }, { a: '', b: 'x' }, { a: 'x-' }, { a: 'x1:y' }, { a: 'x', b: 'y' }]
    expect(new Set(sent.map((one) => atOnce(input, { headers: one as unknown as Record<string, string> }))).size).toBe(
      sent.length,
    )
  })

  it('is none where there are no such headers', () => {
    expect(atOnce(deviceFingerprint(), { headers: { accept: '*/*' } })).toBe(SKIP)
    expect(() => deviceFingerprint({ headers: [] })).toThrow(ConfigError)
  })
})

describe('a client within a stretch of time', () => {
  it.each([
    ['hour', '2026-03-01T00:00:00.000Z', '2026-03-01T00'],
    ['hour', '2026-02-28T23:59:59.999Z', '2026-02-28T23'],
    ['day', '2026-02-28T23:59:59.999Z', '2026-02-28'],
    ['week', '2026-03-01T23:59:59.999Z', '2026-02-23'],
    ['week', '2026-03-02T00:00:00.000Z', '2026-03-02'],
    ['month', '2026-02-28T23:59:59.999Z', '2026-02'],
    ['month', '2026-03-01T00:00:00.000Z', '2026-03'],
  ] as const)('of one %s at %s is in %s, in UTC on every host', (window, at, stamp) => {
    const before = process.env['TZ']
    try {
      for (const zone of ['Asia/Tokyo', 'America/Los_Angeles']) {
        process.env['TZ'] = zone
        expect(atOnce(timeAware({ window, clock: manualClock(Date.parse(at)) }), { user: '7' })).toBe(
          `time:${window}:${stamp}:user:7`,
        )
      }
    } finally {
      if (before === undefined) delete process.env['TZ']
      else process.env['TZ'] = before
    }
  })

  it('changes its key with the stretch, and back where the clock is set back', () => {
    const clock = manualClock(Date.parse('2026-03-01T10:59:59.999Z'))
    const resolve = buildKey(timeAware({ window: 'hour', base: 'ip', clock }), { address: () => '192.0.2.1' })
    expect(resolve(view())).toBe('time:hour:2026-03-01T10:ip:192.0.2.1')
    clock.advance(1)
    expect(resolve(view())).toBe('time:hour:2026-03-01T11:ip:192.0.2.1')
    clock.set(Date.parse('2026-03-01T10:00:00Z'))
    expect(resolve(view())).toBe('time:hour:2026-03-01T10:ip:192.0.2.1')
  })

  it('has options that are checked', () => {
    expect(() => timeAware({ window: 'year' as 'day' })).toThrow('timeAware.window')
    expect(() => timeAware({ window: 'day', clock: {} as never })).toThrow('timeAware.clock')
    expect(() => timeAware({ window: 'day', zone: 'UTC' } as never)).toThrow('timeAware.zone')
  })
})

describe('the first key of several', () => {
  const hash = buildHash()

  it('is the first that the request has', () => {
    const input = firstOf(['api_key', 'user', 'static:rest'])
    expect(atOnce(input, { headers: { 'x-api-key': 'k' }, user: '7' })).toBe(`api_key:${hash('k')}`)
    expect(atOnce(input, { user: '7' })).toBe('user:7')
    expect(atOnce(firstOf(['api_key', 'header:x-id']))).toBe(SKIP)
  })

  it('waits for functions that take their time, and asks no further than needed', async () => {
    const asked: string[] = []
    const late = (name: string, value: string | null) => async (): Promise<string | null> => {
      asked.push(name)
      return value
    }
    expect(await keyOf(firstOf([late('a', null), late('b', 'found'), late('c', 'not asked')]))).toBe('fn:found')
    expect(asked).toEqual(['a', 'b'])
  })

  it('does not take a failure for an absence', async () => {
    await expect(keyOf(firstOf([() => Promise.reject(new Error('down')), 'ip']))).rejects.toThrow('down')
  })

  it('may be part of a list, and hold lists', () => {
    expect(atOnce([firstOf(['api_key', 'user']), 'ip'], { user: '7' })).toBe('all:6:user:712:ip:192.0.2.1')
    expect(
      atOnce(
        firstOf([
          ['api_key', 'ip'],
          ['user', 'ip'],
        ]),
        { user: '7' },
      ),
    ).toBe('all:6:user:712:ip:192.0.2.1')
  })

  it('is the API key, else the user, else the address for apiKeyAware', () => {
    expect(atOnce(apiKeyAware(), { headers: { 'x-api-key': 'k' }, user: '7' })).toBe(`api_key:${hash('k')}`)
    expect(atOnce(apiKeyAware(), { user: '7' })).toBe('user:7')
    expect(atOnce(apiKeyAware())).toBe('ip:192.0.2.1')
    expect(atOnce(apiKeyAware('static:anonymous'))).toBe('static:anonymous')
  })

  it('must be one of some', () => {
    expect(() => firstOf([])).toThrow(ConfigError)
    expect(() => buildKey(firstOf(['usr' as 'user']), { address: () => undefined })).toThrow('firstOf[0]')
  })
})

it('a ready-made key is named by the error about a request without it', () => {
  expect(() => buildKey(deviceFingerprint(), { address: () => undefined })(view())).toThrow(
    'key: the request has nothing for deviceFingerprint',
  )
})
