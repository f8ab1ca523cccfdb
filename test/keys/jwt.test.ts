// JWT claims, verified by jose as an app would: forged, expired and foreign tokens over real HTTP. Next: ../../src/http/key-functions.ts.

import { SignJWT, UnsecuredJWT, createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { rateLimit } from '../../src/adapters/node-http.ts'
import { firstOf, jwtClaim, tiered } from '../../src/index.ts'
import { setUp } from '../adapters/contract.ts'
import { serve } from '../adapters/http.ts'

const ISSUER = 'https://login.example'
const secret = new TextEncoder().encode('a secret that only the server has, 32 bytes')
const pair = await generateKeyPair('ES256')
const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256' }] })

const shared = async (token: string) => (await jwtVerify(token, secret, { issuer: ISSUER, algorithms: ['HS256'] })).payload
const published = async (token: string) => (await jwtVerify(token, keys, { issuer: ISSUER })).payload

const claims = (own: Record<string, unknown> = {}) =>
  new SignJWT({ plan: 'pro', ...own }).setSubject('ada').setIssuer(ISSUER).setIssuedAt()
const hs256 = () => claims().setProtectedHeader({ alg: 'HS256' })

/** The key that a request is counted by. */
async function keyOf(verify: typeof shared, token: string | undefined, claim = 'sub'): Promise<string> {
  const { store } = setUp()
  const limit = rateLimit({ rate: '9/m', key: firstOf([jwtClaim({ verify, claim }), 'ip']), store })
  await using server = await serve((request, response) =>
    limit(request, response, () => response.end((request as { rateLimit?: { key?: string } }).rateLimit?.key)),
  )
  return (await server.get('/', token === undefined ? {} : { authorization: `Bearer ${token}` })).body
}

test('a token that the server has signed names its subject, or another claim', async () => {
  const token = await hs256().setExpirationTime('1h').sign(secret)
  expect(await keyOf(shared, token)).toBe('jwt:sub:ada')
  expect(await keyOf(shared, token, 'plan')).toBe('jwt:plan:pro')
})

test('a token by a published key does too', async () => {
  const token = await claims().setProtectedHeader({ alg: 'ES256', kid: 'one' }).setExpirationTime('1h').sign(pair.privateKey)
  expect(await keyOf(published, token)).toBe('jwt:sub:ada')
})

test.each<[string, () => string | Promise<string>, typeof shared]>([
  [
    'signed with another secret',
    () =>
      hs256()
        .setExpirationTime('1h')
        .sign(new TextEncoder().encode('x'.repeat(32))),
    shared,
  ],
  ['expired', () => hs256().setExpirationTime(1_700_000_000).sign(secret), shared],
  ['of another issuer', () => hs256().setIssuer('https://evil.example').setExpirationTime('1h').sign(secret), shared],
  ['without a signature', () => new UnsecuredJWT({ sub: 'ada' }).setIssuer(ISSUER).encode(), shared],
  ['with a changed claim', async () => tampered(await hs256().setExpirationTime('1h').sign(secret)), shared],
  [
    'by a key of its own under a published name',
    async () =>
      claims()
        .setProtectedHeader({ alg: 'ES256', kid: 'one' })
        .setExpirationTime('1h')
        .sign((await generateKeyPair('ES256')).privateKey),
    published,
  ],
  ['that is no token', () => 'eyJub3.a.token', shared],
])('a token %s names nobody: the client is counted by address', async (_, make, verify) => {
  expect(await keyOf(verify, await make())).toBe('ip:127.0.0.1')
})

test('no token names nobody', async () => {
  expect(await keyOf(shared, undefined)).toBe('ip:127.0.0.1')
})

test('a claim can choose the rate', async () => {
  const { store } = setUp()
  const planOf = async (request: { headers: { authorization?: string } }) => {
    const token = request.headers.authorization?.slice(7)
    if (token === undefined) return null
    return shared(token).then(
      ({ plan }) => plan as string,
      () => null,
    )
  }
  const limit = rateLimit({
    rate: tiered({ free: '2/m', pro: '5/m' }, { by: planOf as (request: never) => Promise<string | null>, default: 'free' }),
    key: firstOf([jwtClaim({ verify: shared }), 'ip']),
    store,
  })
  await using server = await serve((request, response) => limit(request, response, () => response.end('ok')))
  const limitOf = async (token?: string) =>
    (await server.get('/', token === undefined ? {} : { authorization: `Bearer ${token}` })).headers['x-ratelimit-limit']
  expect(await limitOf(await hs256().setExpirationTime('1h').sign(secret))).toBe('5')
  expect(await limitOf()).toBe('2')
})

function tampered(token: string): string {
  const [head, , signature] = token.split('.')
  const payload = Buffer.from(JSON.stringify({ sub: 'eve', iss: ISSUER, exp: 4_000_000_000 })).toString('base64url')
  return `${head}.${payload}.${signature}`
}
