import { afterEach, describe, expect, test, vi } from 'vitest'
import { ConfigError } from '../../core/errors.ts'
import { doorkeeper, isThisMachine, tokenAuth } from './auth.ts'

const request = (url = 'http://localhost/dashboard/', headers: Record<string, string> = {}): Request =>
  new Request(url, { headers })

afterEach(() => vi.unstubAllEnvs())

describe('without auth', () => {
  test.each([undefined, '', 'production', 'test', 'Development'])('it is not built with NODE_ENV %s', (value) => {
    vi.stubEnv('NODE_ENV', value)
    expect(() => doorkeeper(undefined, 'dashboard')).toThrow(ConfigError)
    expect(() => doorkeeper(undefined, 'dashboard')).toThrow(/^dashboard\.auth: expected .*NODE_ENV=development/)
  })

  test('it answers this machine alone with NODE_ENV development', async () => {
    vi.stubEnv('NODE_ENV', 'development')
    const admit = doorkeeper(undefined, 'dashboard')
    const statusFor = async (url: string, peer?: string): Promise<number | undefined> =>
      (await admit({ request: request(url), native: undefined, peer }))?.status
    expect(await statusFor('http://localhost:3000/')).toBeUndefined()
    expect(await statusFor('http://localhost:3000/', '127.0.0.1')).toBeUndefined()
    expect(await statusFor('http://localhost:3000/', '192.0.2.1')).toBe(403)
    expect(await statusFor('http://example.com/', '127.0.0.1')).toBe(403)
  })

  test.each([null, true, 'secret', 0, {}])('%s is no decision, in development neither', (auth) => {
    vi.stubEnv('NODE_ENV', 'development')
    expect(() => doorkeeper(auth as never, 'dashboard')).toThrow(ConfigError)
  })
})

test.each([
  ['http://localhost/', undefined, true],
  ['http://LOCALHOST:81/', '::1', true],
  ['http://app.localhost/', '::ffff:127.0.0.1', true],
  ['http://127.8.9.1/', '127.0.0.1', true],
  ['http://[::1]:3000/', undefined, true],
  ['http://localhost.example.com/', undefined, false],
  ['http://evil-localhost/', undefined, false],
  ['http://10.0.0.1/', '127.0.0.1', false],
  ['http://[2001:db8::1]/', undefined, false],
  ['http://localhost/', '10.0.0.1', false],
  ['http://localhost/', 'nonsense', false],
] as const)('%s from %s is this machine: %s', (url, peer, expected) => {
  expect(isThisMachine({ request: request(url), peer })).toBe(expected)
})

describe('auth', () => {
  test('false leaves the decision to what is in front', async () => {
    expect(await doorkeeper(false, 'dashboard')({ request: request(), native: undefined, peer: '192.0.2.1' })).toBeUndefined()
  })

  test('nothing but true lets in, sync or async; a response is sent as it is', async () => {
    const ask = async (answer: unknown) =>
      await doorkeeper(() => answer as boolean, 'dashboard')({ request: request(), native: undefined, peer: undefined })
    expect(await ask(true)).toBeUndefined()
    expect(await ask(Promise.resolve(true))).toBeUndefined()
    for (const no of [false, undefined, null, 'yes', 1, {}, Promise.resolve('true')]) expect((await ask(no))?.status).toBe(403)
    const login = Response.redirect('http://localhost/login', 302)
    expect(await ask(login)).toBe(login)
    await expect(ask(Promise.reject(new Error('no session store')))).rejects.toThrow('no session store')
  })

  test('gets the request and the framework’s own', async () => {
    const seen: unknown[] = []
    const native = { user: 'ada' }
    const asked = request()
    await doorkeeper((...both: unknown[]) => seen.push(...both) > 0, 'dashboard')({ request: asked, native, peer: undefined })
    expect(seen).toEqual([asked, native])
  })
})

describe('tokenAuth', () => {
  const TOKEN = 's3cr3t@:/?#-0123456789'
  const auth = tokenAuth(TOKEN)
  const as = (authorization: string) => auth(request(undefined, { authorization }))
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

  test('takes the token as a bearer, and as the password of any user', () => {
    for (const good of [`Bearer ${TOKEN}`, `bearer   ${TOKEN}`, basic(`admin:${TOKEN}`), basic(`:${TOKEN}`)])
      expect(as(good)).toBe(true)
  })

  test('takes a token of other letters than ASCII as browsers send it', () => {
    const greek = 'κλειδί-μεγάλο-αρκετά'
    expect(tokenAuth(greek)(request(undefined, { authorization: basic(`u:${greek}`) }))).toBe(true)
  })

  test('asks everybody else for a password', () => {
    const wrong = [
      '',
      'Bearer',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      TOKEN,
      basic(TOKEN.slice(2)),
      'Basic %%%',
      basic(''),
    ]
    for (const authorization of [...wrong, `Digest ${TOKEN}`]) {
      const answer = as(authorization) as Response
      expect(answer.status, authorization).toBe(401)
      expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm=/)
    }
    expect((auth(request()) as Response).status).toBe(401)
  })

  test.each([['fifteen-letters'], [''], [undefined], [42]])('%s is no token, and does not show', (token) => {
    expect(() => tokenAuth(token as string)).toThrow(ConfigError)
    expect(() => tokenAuth('s3cr3t@:/?#')).not.toThrow(/s3cr3t/)
  })
})
