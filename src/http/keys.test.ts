import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError, RateLimitError } from '../core/errors.ts'
import type { RequestView } from '../core/request.ts'
import { buildHash } from './hash-secret.ts'
import { DENY, type Identity, type KeyInput, type KeyOptions, SKIP, buildKey } from './keys.ts'

interface Parts {
  readonly url?: string
  readonly ip?: string
  readonly user?: string
  readonly session?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly raw?: unknown
}

function view({ url = '/', ip, user, session, headers = {}, raw }: Parts = {}): RequestView {
  const fields = new Map(Object.entries(headers))
  return { method: 'GET', url, route: undefined, ip, peer: undefined, user, session, raw, header: (name) => fields.get(name) }
}

type Chosen = Omit<KeyOptions, 'address'>

function keyOf(input: KeyInput, parts: Parts = {}, options: Chosen = {}): Identity {
  const key = buildKey(input, { address: (one) => one.ip, ...options })(view(parts))
  if (typeof key === 'object') throw new Error('the key came late')
  return key as Identity
}

const keysOf = (input: KeyInput, all: readonly Parts[], options: Chosen = {}): Identity[] =>
  all.map((parts) => keyOf(input, parts, options))
const hash = buildHash()

describe('the key', () => {
  it('ip is the client address, tagged', () => {
    expect(keyOf('ip', { ip: '192.0.2.1' })).toBe('ip:192.0.2.1')
  })

  it.each(['user', 'user_or_ip'] as const)('%s is the user, and the address of who has not signed in', (input) => {
    expect(keyOf(input, { user: '7', ip: '192.0.2.1' })).toBe('user:7')
    expect(keyOf(input, { ip: '192.0.2.1' })).toBe('ip:192.0.2.1')
    expect(keyOf(input, { user: '', ip: '192.0.2.1' })).toBe('ip:192.0.2.1')
  })

  it('session is a fingerprint of the session id', () => {
    expect(keyOf('session', { session: 's3ss10n' })).toBe(`session:${hash('s3ss10n')}`)
  })

  it('api_key is X-API-Key, then the bearer token, then the query where that is enabled', () => {
    const headers = { 'x-api-key': 'one', authorization: 'Bearer two' }
    const url = '/?api_key=three'
    const options = { apiKeyQuery: 'api_key' }
    expect(keyOf('api_key', { headers, url }, options)).toBe(`api_key:${hash('one')}`)
    expect(keyOf('api_key', { headers: { ...headers, 'x-api-key': '' }, url }, options)).toBe(`api_key:${hash('two')}`)
    expect(keyOf('api_key', { headers: { authorization: 'Basic dHdv' }, url }, options)).toBe(`api_key:${hash('three')}`)
    expect(() => keyOf('api_key', { url })).toThrow('api_key')
  })

  it('header:Name is that header, whatever the case of its name', () => {
    expect(keyOf('header:X-Tenant', { headers: { 'x-tenant': 'acme' } })).toBe('header:x-tenant:acme')
    expect(keyOf('header:x-tenant', { headers: { 'x-tenant': 'acme' } })).toBe('header:x-tenant:acme')
  })

  it('query:name and param:name are the same parameter of the query', () => {
    expect(keyOf('query:id', { url: '/a?id=7&id=8' })).toBe('query:id:7')
    expect(keyOf('param:id', { url: '/a?id=7' })).toBe('query:id:7')
  })

  it('static:name is one key for everybody', () => {
    expect(keysOf('static:global', [{ ip: '192.0.2.1' }, {}])).toEqual(['static:global', 'static:global'])
  })

  it('of a function is what it returns of the framework request, tagged', () => {
    const raw = { account: 'acme' }
    expect(keyOf((request: typeof raw) => request.account, { raw })).toBe('fn:acme')
    expect(keyOf((_request: unknown, one) => one.user, { raw, user: '7' })).toBe('fn:7')
    expect(keyOf(() => 7)).toBe('fn:7')
    expect(keyOf(() => 0)).toBe('fn:0')
    expect(keyOf(() => 2n ** 70n)).toBe('fn:1180591620717411303424')
  })

  it('of a list is all its parts together', () => {
    const input = ['ip', 'header:x-tenant'] as const
    expect(keyOf(input, { ip: '192.0.2.1', headers: { 'x-tenant': 'acme' } })).toBe('all:12:ip:192.0.2.120:header:x-tenant:acme')
    expect(keyOf(['ip'], { ip: '192.0.2.1' })).toBe(keyOf('ip', { ip: '192.0.2.1' }))
  })

  it('comes late only where a function does', async () => {
    const resolve = buildKey([async () => 'a', 'ip', async () => 'b'], { address: () => '192.0.2.1' })
    await expect(resolve(view())).resolves.toBe('all:4:fn:a12:ip:192.0.2.14:fn:b')
    await expect(buildKey(async () => null, { address: () => undefined, onMissingKey: 'skip' })(view())).resolves.toBe(SKIP)
    await expect(buildKey(async () => '', { address: () => undefined })(view())).rejects.toThrow(RateLimitError)
  })

  it('is not made up where a function throws or rejects', async () => {
    const options = { address: () => '192.0.2.1', onMissingKey: 'skip' as const }
    expect(() =>
      buildKey(() => {
        throw new Error('database down')
      }, options)(view()),
    ).toThrow('database down')
    await expect(buildKey(() => Promise.reject(new Error('database down')), options)(view())).rejects.toThrow('database down')
  })

  it.each([{}, [], true, Number.NaN, Number.POSITIVE_INFINITY, Symbol('x')])(
    'is an error where a function returns %o',
    (value) => {
      expect(() => keyOf(() => value as string)).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_KEY' }))
    },
  )
})

describe('different clients', () => {
  it('have different keys though their texts are equal', () => {
    const same: Parts = {
      ip: '7',
      user: '7',
      session: '7',
      url: '/?id=7',
      headers: { 'x-api-key': '7', 'x-id': '7', cookie: 'id=7' },
    }
    const inputs: KeyInput[] = [
      'ip',
      'user',
      'api_key',
      'session',
      'header:x-id',
      'query:id',
      'cookie:id',
      'static:7',
      () => '7',
      ['ip', 'user'],
    ]
    expect(new Set(inputs.map((input) => keyOf(input, same))).size).toBe(inputs.length)
  })

  it('cannot be reached by a function or a name that spells another kind', () => {
    expect(keyOf(() => 'user:7')).not.toBe(keyOf('user', { user: '7' }))
    expect(keyOf('query:a', { url: '/?a=b:7' })).not.toBe(keyOf('query:a:b', { url: '/?a:b=7' }))
    expect(keyOf('query:a%3Ab', { url: '/?a%253Ab=7' })).not.toBe(keyOf('query:a:b', { url: '/?a%3Ab=7' }))
  })

  it('have different lists of parts, whatever is in them', () => {
    const hostile = fc.oneof(
      fc.string({
        unit: fc.constantFrom(':', '|', '_', '{', '}', '\0', '\r', '\n', '\ud800', '\udc00', '0', '1', '4', 'f', 'n', 'é'),
        minLength: 1,
        maxLength: 8,
      }),
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', '{hot}1', 'null', 'undefined'),
      fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 197, maxLength: 203 }),
    )
    const tuple = fc.array(hostile, { minLength: 1, maxLength: 4 })
    const join = (texts: readonly string[]): Identity => keyOf(texts.map((text) => () => text))
    fc.assert(
      fc.property(tuple, tuple, (a, b) => {
        expect(join(a) === join(b)).toBe(JSON.stringify(a) === JSON.stringify(b))
      }),
      { numRuns: 2000 },
    )
  })

  it('have different lists of parts where one text is cut in two ways', () => {
    const cut = fc.tuple(
      fc.string({ unit: fc.constantFrom(':', '1', '5', 'f', 'n'), minLength: 2, maxLength: 12 }),
      fc.nat(),
      fc.nat(),
    )
    fc.assert(
      fc.property(cut, ([text, i, j]) => {
        const at = (n: number): string[] => [text.slice(0, 1 + (n % (text.length - 1))), text.slice(1 + (n % (text.length - 1)))]
        const join = (n: number): Identity => keyOf(at(n).map((part) => () => part))
        expect(join(i) === join(j)).toBe(at(i)[0] === at(j)[0])
      }),
    )
  })

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'null', 'undefined'])('may be called %s', (name) => {
    expect(keyOf('user', { user: name })).toBe(`user:${name}`)
    expect(keyOf('header:x-id', { headers: { 'x-id': name } })).toBe(`header:x-id:${name}`)
    expect(() => keyOf(`header:${name}`)).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_KEY_MISSING' }))
    expect(() => keyOf(`query:${name}`)).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_KEY_MISSING' }))
  })

  it('have keys of bounded length, also those who send a megabyte', () => {
    const long = (end: string): Identity => keyOf('user', { user: 'x'.repeat(1_000_000) + end })
    expect(long('a')).toMatch(/^long:user:[\w-]{22}$/)
    expect(long('a')).not.toBe(long('b'))
    expect(long('a')).toBe(long('a'))
    expect(keyOf('user', { user: 'x'.repeat(195) })).toBe(`user:${'x'.repeat(195)}`)
    expect(keyOf('user', { user: 'x'.repeat(196) })).toMatch(/^long:user:/)
    expect(keyOf(['user', 'ip'], { user: 'x'.repeat(1000), ip: '192.0.2.1' })).toMatch(/^long:all:[\w-]{22}$/)
  })

  it('cannot take the place of one with an overlong name by calling themselves like its fingerprint', () => {
    const victim = keyOf('user', { user: 'x'.repeat(500) }) as string
    const names = [victim, victim.slice('long:'.length), victim.slice('long:user:'.length)]
    for (const user of names) expect(keyOf('user', { user })).not.toBe(victim)
  })

  it('are one where they spell a name in two Unicode forms, if so configured', () => {
    const spellings = [{ user: 'Jos\u00e9' }, { user: 'Jose\u0301' }]
    expect(new Set(keysOf('user', spellings)).size).toBe(2)
    expect(new Set(keysOf('user', spellings, { normalizeUnicode: true })).size).toBe(1)
    const headers = [{ headers: { 'x-id': '\u212b' } }, { headers: { 'x-id': '\u00c5' } }]
    expect(new Set(keysOf('header:x-id', headers, { normalizeUnicode: true })).size).toBe(1)
  })
})

describe('a credential', () => {
  const password = 's3cr3t@:/?#'

  it.each<[KeyInput, Parts]>([
    ['api_key', { headers: { 'x-api-key': password } }],
    ['api_key', { headers: { authorization: `Bearer ${password}` } }],
    ['session', { session: password }],
    ['cookie:sid', { headers: { cookie: `sid=${password}` } }],
    ['cookie:theme', { headers: { cookie: `theme=${password}` } }],
    ['header:Authorization', { headers: { authorization: password } }],
    ['header:Proxy-Authorization', { headers: { 'proxy-authorization': password } }],
    ['header:Cookie', { headers: { cookie: password } }],
    ['header:X-API-Key', { headers: { 'x-api-key': password } }],
    ['header:apikey', { headers: { apikey: password } }],
    ['header:X-Auth-Token', { headers: { 'x-auth-token': password } }],
    ['header:X-Session-Id', { headers: { 'x-session-id': password } }],
    ['query:api_key', { url: `/?api_key=${encodeURIComponent(password)}` }],
    ['query:access_token', { url: `/?access_token=${encodeURIComponent(password)}` }],
    [['ip', 'session'], { ip: '192.0.2.1', session: password }],
  ])('of %j is not readable in the key', (input, parts) => {
    const key = keyOf(input, parts) as string
    expect(key).toContain(hash(password))
    expect(key).not.toContain('s3cr3t')
  })

  it('has another fingerprint with a secret', () => {
    const secret = 'of this deployment'
    expect(keyOf('session', { session: 'x' }, { secret })).toBe(`session:${buildHash(secret)('x')}`)
    expect(keyOf('user', { user: 'x'.repeat(500) }, { secret })).not.toBe(keyOf('user', { user: 'x'.repeat(500) }))
  })
})

describe('a request without a key', () => {
  const absent: [KeyInput, Parts][] = [
    ['ip', {}],
    ['user', {}],
    ['user_or_ip', { user: '' }],
    ['api_key', {}],
    ['api_key', { headers: { 'x-api-key': '', authorization: 'Bearer ' } }],
    ['session', { session: '' }],
    ['header:x-id', {}],
    ['header:x-id', { headers: { 'x-id': '' } }],
    ['query:id', { url: '/?id=' }],
    ['cookie:id', { headers: { cookie: 'id=""' } }],
    [() => '', {}],
    [() => null, {}],
    [() => undefined, {}],
    [['static:x', 'session'], {}],
  ]

  it.each(absent)('%j is an error that says what to do', (input, parts) => {
    expect(() => keyOf(input, parts)).toThrow(
      expect.objectContaining({ code: 'ERR_RATELIMIT_KEY_MISSING', message: expect.stringContaining('onMissingKey') }),
    )
    expect(() => keyOf(input, parts)).not.toThrow(ConfigError)
  })

  it.each(absent)('%j is what onMissingKey says', (input, parts) => {
    expect(keyOf(input, parts, { onMissingKey: 'skip' })).toBe(SKIP)
    expect(keyOf(input, parts, { onMissingKey: 'deny' })).toBe(DENY)
    expect(() => keyOf(input, parts, { onMissingKey: 'ip' })).toThrow('no client address')
  })

  it.each(absent.filter(([input]) => typeof input !== 'string' || !/ip|user/.test(input)))(
    '%j is its address, if so configured',
    (input, parts) => {
      expect(keyOf(input, { ...parts, ip: '192.0.2.1' }, { onMissingKey: 'ip' })).toBe('ip:192.0.2.1')
    },
  )

  it('is never one with a client that sends what stands for nothing', () => {
    const nothing = keyOf('header:x-id', { ip: '192.0.2.1' }, { onMissingKey: 'ip' })
    for (const word of ['ip:192.0.2.1', '192.0.2.1', 'undefined', 'null', 'missing', 'unknown']) {
      expect(keyOf('header:x-id', { ip: '192.0.2.9', headers: { 'x-id': word } }, { onMissingKey: 'ip' })).not.toBe(nothing)
    }
  })

  it('is named by the rule it does not meet', () => {
    expect(() => keyOf('header:X-Tenant')).toThrow(
      'key: the request has nothing for "header:X-Tenant"; set onMissingKey to "ip", "deny" or "skip"',
    )
    expect(() => keyOf('ip')).toThrow('key: the request has nothing for "ip"; set onMissingKey to "deny" or "skip"')
    expect(() => keyOf(['session', () => null])).toThrow('["session", its function]')
  })
})

describe('a key that is no key', () => {
  it.each([
    ['api-key', 'api_key'],
    ['apikey', 'api_key'],
    ['APIKey', 'api_key'],
    ['usr', 'user'],
    ['User', 'user'],
    ['IP', 'ip'],
    ['user-or-ip', 'user_or_ip'],
    ['sesion', 'session'],
    ['headers:x-id', 'header:…'],
    ['get:id', 'query:…'],
    ['user:anything', 'user'],
  ])('%s is an error that suggests %s', (input, meant) => {
    expect(() => keyOf(input as KeyInput)).toThrow(ConfigError)
    expect(() => keyOf(input as KeyInput)).toThrow(`(did you mean "${meant}"?)`)
    expect(() => keyOf(input as KeyInput)).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_KEY' }))
  })

  it.each([
    '',
    ' ',
    'global',
    'header:',
    'header: x',
    'header:x y',
    'header:x\r\ny',
    'query:',
    'cookie:',
    'cookie:a;b',
    'static:',
    ':',
    ':ip',
    'long:user:x',
    'x'.repeat(100_000),
    7,
    null,
    undefined,
    {},
    [],
    [[]],
    true,
  ])('%j is an error', (input) => {
    expect(() => keyOf(input as KeyInput)).toThrow(expect.objectContaining({ name: 'ConfigError', code: 'ERR_RATELIMIT_KEY' }))
  })

  it('is named where it stands', () => {
    const build =
      (input: unknown): (() => unknown) =>
      () =>
        buildKey(input as KeyInput, { address: () => undefined }, 'rateLimit.key')
    expect(build('api-key')).toThrow('rateLimit.key: expected "ip", "user"')
    expect(build(['ip', ['user', 'nobody']])).toThrow('rateLimit.key[1][1]: expected')
  })

  it.each<[string, object]>([
    ['rateLimit.onMissingKey', { onMissingKey: 'allow' }],
    ['rateLimit.apiKeyQuery', { apiKeyQuery: '' }],
    ['rateLimit.normalizeUnicode', { normalizeUnicode: 'NFC' }],
    ['rateLimit.secret', { secret: 'short' }],
    ['rateLimit.address', { address: undefined }],
  ])('has options that are checked: %s', (option, options) => {
    expect(() => buildKey('ip', { address: () => undefined, ...options } as KeyOptions, 'rateLimit.key')).toThrow(
      expect.objectContaining({ option }),
    )
  })
})
