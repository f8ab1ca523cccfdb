// The Express adapter against Express 4 and 5 and a bare node:http server, over real HTTP.

import type { RequestListener } from 'node:http'
import { transform } from 'esbuild'
import express5 from 'express'
import express4 from 'express4'
import { describe, expect, test } from 'vitest'
import { type RateLimitHandler, rateLimit, rateLimitMiddleware, rateLimited, withRateLimit } from '../../src/adapters/express.ts'
import { manualClock } from '../../src/core/clock.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { tiered } from '../../src/limiter/tiered.ts'
import { memoryStore } from '../../src/stores/memory/memory-store.ts'
import type { AsyncStore, SyncStore } from '../../src/stores/store.ts'
import { serve } from './http.ts'

// Both majors share what these tests use of them.
type Express = typeof express5
const majors: readonly (readonly [string, Express])[] = [
  ['Express 5', express5],
  ['Express 4', express4 as unknown as Express],
]
const START = 1_700_000_040_000

const trustWarnings: string[] = []

function setUp() {
  const clock = manualClock(START)
  return { clock, store: memoryStore({ clock, sweepIntervalMs: false }) }
}

/** The memory store behind promises. */
function later(store: SyncStore): AsyncStore {
  return {
    name: 'later',
    sync: false,
    take: async (...args) => ({
      ...store.take(...args),
      readings: Array.from(store.take(args[0], args[1], args[2], 'peek').readings),
    }),
    reset: async (...args) => store.reset(...args),
    ban: async (...args) => store.ban(...args),
    unban: async (...args) => store.unban(...args),
    read: async (...args) => store.read(...args),
    ping: async () => store.ping(),
    sweep: async () => store.sweep(),
    close: async () => store.close(),
  }
}

describe.each(majors)('%s', (_, express) => {
  test('a route passes up to its limit with headers, then answers 429 with an exact Retry-After', async () => {
    const { clock, store } = setUp()
    const app = express()
    app.get(
      '/login',
      rateLimit({ name: 'login', rate: '2/m', algorithm: 'fixed_window', store }),
      (_req, res) => void res.send('in'),
    )
    await using server = await serve(app as RequestListener)

    const first = await server.get('/login')
    expect(first).toMatchObject({ status: 200, body: 'in' })
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit': '2',
      'x-ratelimit-remaining': '1',
      'x-ratelimit-reset': String((START + 60_000 - (START % 60_000)) / 1000),
      'ratelimit-policy': '"2-per-m";q=2;w=60',
    })
    expect(first.headers['retry-after']).toBeUndefined()
    await server.get('/login')
    const refused = await server.get('/login')
    const wait = 60 - (START % 60_000) / 1000
    expect(refused.status).toBe(429)
    expect(refused.headers['retry-after']).toBe(String(wait))
    expect(refused.headers['x-ratelimit-remaining']).toBe('0')
    expect(refused.body).toContain('Rate limit exceeded')
    clock.advance(wait * 1000 - 1)
    expect((await server.get('/login')).status).toBe(429)
    clock.advance(1)
    expect((await server.get('/login')).status).toBe(200)
  })

  test('two routes with the same key and rate have separate counters; a group makes them one', async () => {
    const { store } = setUp()
    const app = express()
    const ok = (_req: unknown, res: { send(body: string): unknown }) => void res.send('ok')
    app.get('/a', rateLimit({ rate: '5/m', store }), ok)
    app.get('/b', rateLimit({ rate: '5/m', store }), ok)
    app.get('/c', rateLimit({ rate: '2/m', group: 'both', store }), ok)
    app.get('/d', rateLimit({ rate: '2/m', group: 'both', store }), ok)
    await using server = await serve(app as RequestListener)
    const statuses: number[] = []
    for (const path of ['/a', '/b']) for (let i = 0; i < 6; i++) statuses.push((await server.get(path)).status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(10)
    expect((await server.get('/c')).status).toBe(200)
    expect((await server.get('/d')).status).toBe(200)
    expect((await server.get('/c')).status).toBe(429)
  })

  test('the handler runs once, and what it throws is its own: passed up, not counted twice, not run again', async () => {
    const { store } = setUp()
    let runs = 0
    const app = express()
    app.get('/', rateLimit({ rate: '5/m', store }), () => {
      runs++
      throw new Error('mine')
    })
    app.use((error: Error, _req: unknown, res: express5.Response, _next: unknown) => void res.status(500).send(error.message))
    await using server = await serve(app as RequestListener)
    expect(await server.get('/')).toMatchObject({ status: 500, body: 'mine' })
    expect(runs).toBe(1)
    expect((await server.get('/')).headers['x-ratelimit-remaining']).toBe('3')
  })

  test('block: false runs the handler and tells it; an earlier refusal is not undone by a later pass', async () => {
    const { store } = setUp()
    const app = express()
    app.get('/', rateLimit({ rate: '1/m', block: false, store }), rateLimit({ rate: '9/m', block: false, store }), (req, res) => {
      const { rateLimit: found } = req as unknown as { rateLimit: { allowed: boolean } }
      res.json({ ...JSON.parse(JSON.stringify(found)), allowed: found.allowed })
    })
    await using server = await serve(app as RequestListener)
    expect(JSON.parse((await server.get('/')).body)).toMatchObject({ allowed: true, limit: 1, remaining: 0, used: 1 })
    const second = await server.get('/')
    expect(second.status).toBe(200)
    expect(JSON.parse(second.body)).toMatchObject({ allowed: false, limit: 1 })
    expect(second.headers['x-ratelimit-limit']).toBe('1')
    expect(second.headers['x-ratelimit-remaining']).toBe('0')
  })

  test('with several limiters the headers are those of the tightest, and each counts once', async () => {
    const { store } = setUp()
    const tight = rateLimit({ name: 'tight', rate: '3/m', store })
    const app = express()
    app.use(rateLimit({ name: 'wide', rate: '100/m', store }), tight)
    // The same limiter again: counted once for the request.
    app.get('/', tight, (_req, res) => void res.send('ok'))
    await using server = await serve(app as RequestListener)
    expect((await server.get('/')).headers['x-ratelimit-remaining']).toBe('2')
    expect((await server.get('/')).headers).toMatchObject({ 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '1' })
  })

  test('shadow counts and never shows: no refusal, no header, no mark', async () => {
    const { store } = setUp()
    const seen: string[] = []
    const app = express()
    const observers = [
      { onDecision: (decision: { kind: string; allowed: boolean }) => void seen.push(`${decision.kind} ${decision.allowed}`) },
    ]
    app.get('/', rateLimit({ rate: '1/m', shadow: true, observers, store }), (req, res) => void res.json('rateLimit' in req))
    await using server = await serve(app as RequestListener)
    await server.get('/')
    const second = await server.get('/')
    expect(second).toMatchObject({ status: 200, body: 'false' })
    expect(Object.keys(second.headers).filter((name) => /ratelimit|retry/.test(name))).toEqual([])
    expect(seen).toEqual(['granted true', 'refused true'])
  })

  test('skipIf exempts without count or headers; if it throws, limiting goes on', async () => {
    const { store } = setUp()
    const errors: string[] = []
    const app = express()
    const observers = [{ onError: (_error: unknown, where: string) => void errors.push(where) }]
    const ok = (_req: unknown, res: { send(body: string): unknown }) => void res.send('ok')
    app.get('/staff', rateLimit<express5.Request>({ rate: '1/m', skipIf: (req) => req.get('x-staff') === 'yes', store }), ok)
    app.get('/broken', rateLimit({ rate: '1/m', skipIf: async () => Promise.reject(new Error('down')), observers, store }), ok)
    await using server = await serve(app as RequestListener)
    for (let i = 0; i < 3; i++) {
      const reply = await server.get('/staff', { 'x-staff': 'yes' })
      expect(reply.status).toBe(200)
      expect(reply.headers['x-ratelimit-limit']).toBeUndefined()
    }
    expect((await server.get('/broken')).status).toBe(200)
    expect((await server.get('/broken')).status).toBe(429)
    expect(errors).toEqual(['skipIf', 'skipIf'])
  })

  test('forwarded headers of a stranger change nothing: twenty of them are one client', async () => {
    const { store } = setUp()
    const app = express()
    app.get('/', rateLimit({ rate: '5/m', store }), (_req, res) => void res.send('ok'))
    await using server = await serve(app as RequestListener)
    let passed = 0
    for (let i = 0; i < 20; i++) {
      const headers = { 'x-forwarded-for': `203.0.113.${i}`, 'x-real-ip': `203.0.113.${i}`, 'cf-connecting-ip': `203.0.113.${i}` }
      if ((await server.get('/', headers)).status === 200) passed++
    }
    expect(passed).toBe(5)
  })

  test("the app's own trust proxy setting is honoured, and trustedProxies replaces it", async () => {
    const { store } = setUp()
    const app = express()
    app.set('trust proxy', 1)
    app.get('/app', rateLimit({ rate: '1/m', store }), (_req, res) => void res.send('ok'))
    app.get('/own', rateLimit({ rate: '1/m', trustedProxies: ['127.0.0.1'], store }), (_req, res) => void res.send('ok'))
    await using server = await serve(app as RequestListener)
    for (const path of ['/app', '/own']) {
      expect((await server.get(path, { 'x-forwarded-for': '203.0.113.1' })).status).toBe(200)
      expect((await server.get(path, { 'x-forwarded-for': '198.51.100.9, 203.0.113.1' })).status).toBe(429)
      expect((await server.get(path, { 'x-forwarded-for': '203.0.113.2' })).status).toBe(200)
    }
  })

  test('an app that trusts every proxy is warned about, once', async () => {
    const { store } = setUp()
    const warnings: string[] = []
    const listen = (warning: Error): void => void (warning.name === 'RateLimitWarning' && warnings.push(warning.message))
    process.on('warning', listen)
    const app = express()
    app.set('trust proxy', true)
    app.get('/', rateLimit({ rate: '9/m', store }), rateLimit({ rate: '9/m', store }), (_req, res) => void res.send('ok'))
    await using server = await serve(app as RequestListener)
    await server.get('/')
    await server.get('/')
    process.off('warning', listen)
    // Once for the process: the other major's run may have had it already.
    expect(warnings.length).toBeLessThanOrEqual(1)
    trustWarnings.push(...warnings)
    expect(trustWarnings).toHaveLength(1)
    expect(trustWarnings[0]).toContain('trust proxy')
  })

  test('deny and allow lists: deny wins, allow is neither counted nor marked', async () => {
    const { store } = setUp()
    const app = express()
    const ok = (_req: unknown, res: { send(body: string): unknown }) => void res.send('ok')
    app.get('/denied', rateLimit({ rate: '9/m', denyList: ['127.0.0.0/8'], allowList: ['127.0.0.1'], store }), ok)
    app.get('/allowed', rateLimit({ rate: '1/m', allowList: ['127.0.0.1'], store }), ok)
    await using server = await serve(app as RequestListener)
    const denied = await server.get('/denied')
    expect(denied.status).toBe(429)
    expect(denied.headers['retry-after']).toBeUndefined()
    for (let i = 0; i < 3; i++) expect((await server.get('/allowed')).headers['x-ratelimit-limit']).toBeUndefined()
  })

  test('a handler that answers 429 itself keeps its answer and its Retry-After', async () => {
    const { store } = setUp()
    const app = express()
    app.get('/', rateLimit({ rate: '1/m', store }), (_req, res) => void res.status(429).set('Retry-After', '7').send('mine'))
    await using server = await serve(app as RequestListener)
    expect(await server.get('/')).toMatchObject({ status: 429, body: 'mine', headers: { 'retry-after': '7' } })
  })

  test('headers already sent: nothing throws, the handler goes on', async () => {
    const { store } = setUp()
    const app = express()
    app.get(
      '/',
      (_req, res, next) => {
        res.write('early ')
        next()
      },
      rateLimit({ rate: '5/m', store }),
      (_req, res) => void res.end('late'),
    )
    await using server = await serve(app as RequestListener)
    expect(await server.get('/')).toMatchObject({ status: 200, body: 'early late' })
  })

  test('the body of a refusal is what the client accepts; HEAD has none', async () => {
    const { store } = setUp()
    const app = express()
    app.use(rateLimit({ rate: '0/m', store }))
    await using server = await serve(app as RequestListener)
    const json = await server.get('/', { accept: 'application/json' })
    expect(json.headers['content-type']).toContain('application/problem+json')
    expect(JSON.parse(json.body)).toMatchObject({
      status: 429,
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    })
    expect((await server.get('/', { accept: 'text/html,*/*' })).headers['content-type']).toContain('text/plain')
    expect((await server.get('/', {}, 'HEAD')).body).toBe('')
  })

  test('onLimited replaces the answer and finds headers and status set', async () => {
    const { store } = setUp()
    const app = express()
    app.use(
      rateLimit<express5.Request>({
        rate: '0/m',
        store,
        onLimited: (_req, res, _next, decision) =>
          void res.end(`own ${res.statusCode} ${decision.kind} ${String(res.getHeader('X-RateLimit-Limit'))}`),
      }),
    )
    await using server = await serve(app as RequestListener)
    expect(await server.get('/')).toMatchObject({ status: 429, body: 'own 429 refused 0' })
  })

  test('skipFailedRequests, skipSuccessfulRequests and countWhen give the cost back after the response', async () => {
    const { store } = setUp()
    const app = express()
    const status = (req: express5.Request, res: express5.Response) => void res.sendStatus(Number(req.query['s']))
    app.get('/failed', rateLimit({ rate: '2/m', skipFailedRequests: true, store }), status)
    app.get('/logins', rateLimit({ rate: '2/m', skipSuccessfulRequests: true, store }), status)
    app.get('/when', rateLimit({ rate: '2/m', countWhen: (res) => res.statusCode !== 404, store }), status)
    await using server = await serve(app as RequestListener)
    const left = async (path: string) => (await server.get(path)).headers['x-ratelimit-remaining']
    expect(await left('/failed?s=500')).toBe('1')
    expect(await left('/failed?s=500')).toBe('1')
    expect(await left('/failed?s=200')).toBe('1')
    expect(await left('/failed?s=200')).toBe('0')
    expect(await left('/logins?s=200')).toBe('1')
    expect(await left('/logins?s=401')).toBe('1')
    expect(await left('/logins?s=401')).toBe('0')
    expect(await left('/when?s=404')).toBe('1')
    expect(await left('/when?s=201')).toBe('1')
    expect(await left('/when?s=201')).toBe('0')
  })

  test('keys: header, user and function, sync and async; a key that is missing is an error, or what onMissingKey says', async () => {
    const { store } = setUp()
    const app = express()
    const ok = (_req: unknown, res: { send(body: string): unknown }) => void res.send('ok')
    app.get('/header', rateLimit({ rate: '1/m', key: 'header:X-Team', store }), ok)
    app.get('/header-ip', rateLimit({ rate: '1/m', key: 'header:X-Team', onMissingKey: 'ip', store }), ok)
    app.get('/header-deny', rateLimit({ rate: '1/m', key: 'header:X-Team', onMissingKey: 'deny', store }), ok)
    app.get('/async', rateLimit<express5.Request>({ rate: '1/m', key: async (req) => req.get('x-team'), store }), ok)
    app.get(
      '/throws',
      rateLimit({
        rate: '1/m',
        key: () => {
          throw new Error('no key')
        },
        store,
      }),
      ok,
    )
    app.use(
      (error: Error & { code?: string }, _req: unknown, res: express5.Response, _next: unknown) =>
        void res.status(500).send(error.code ?? error.message),
    )
    await using server = await serve(app as RequestListener)
    for (const path of ['/header', '/async']) {
      expect((await server.get(path, { 'x-team': 'a' })).status).toBe(200)
      expect((await server.get(path, { 'x-team': 'b' })).status).toBe(200)
      expect((await server.get(path, { 'x-team': 'a' })).status).toBe(429)
      expect(await server.get(path)).toMatchObject({ status: 500, body: 'ERR_RATELIMIT_KEY_MISSING' })
    }
    expect((await server.get('/header-ip')).status).toBe(200)
    expect((await server.get('/header-ip')).status).toBe(429)
    expect((await server.get('/header-deny')).status).toBe(429)
    expect(await server.get('/throws')).toMatchObject({ status: 500, body: 'no key' })
  })

  test('rates and costs may be functions, async ones too; tiers have their own', async () => {
    const { store } = setUp()
    const app = express()
    const ok = (_req: unknown, res: { send(body: string): unknown }) => void res.send('ok')
    const plan = (req: express5.Request) => req.get('x-plan')
    app.get(
      '/tier',
      rateLimit<express5.Request>({
        rate: tiered({ free: '1/m', pro: '3/m', staff: null }, { by: plan, default: 'free' }),
        key: 'header:X-Id',
        store,
      }),
      ok,
    )
    app.get('/async', rateLimit<express5.Request>({ rate: async (req) => (plan(req) === 'staff' ? null : '2/m'), store }), ok)
    app.get('/cost', rateLimit<express5.Request>({ rate: '10/m', cost: async (req) => Number(req.get('x-cost')), store }), ok)
    await using server = await serve(app as RequestListener)
    const left = async (path: string, headers: Record<string, string>) =>
      (await server.get(path, headers)).headers['x-ratelimit-remaining']
    expect(await left('/tier', { 'x-id': '1', 'x-plan': 'pro' })).toBe('2')
    expect(await left('/tier', { 'x-id': '2' })).toBe('0')
    expect(await left('/tier', { 'x-id': '3', 'x-plan': 'staff' })).toBeUndefined()
    expect(await left('/async', {})).toBe('1')
    expect(await left('/async', { 'x-plan': 'staff' })).toBeUndefined()
    expect(await left('/cost', { 'x-cost': '4' })).toBe('6')
    // Refused without using any of what is left.
    expect((await server.get('/cost', { 'x-cost': '7' })).status).toBe(429)
    expect(await left('/cost', { 'x-cost': '6' })).toBe('0')
  })

  test('the kill switch is read on each request', async () => {
    const { store } = setUp()
    let enabled = true
    const app = express()
    app.get('/', rateLimit({ rate: '1/m', enabled: () => enabled, store }), (_req, res) => void res.send('ok'))
    await using server = await serve(app as RequestListener)
    await server.get('/')
    expect((await server.get('/')).status).toBe(429)
    enabled = false
    const reply = await server.get('/')
    expect(reply.status).toBe(200)
    expect(reply.headers['x-ratelimit-limit']).toBeUndefined()
  })

  test('a store that answers later gives the same answers', async () => {
    const { store } = setUp()
    const app = express()
    app.get('/', rateLimit({ rate: '2/m', store: later(store) }), (_req, res) => void res.send('ok'))
    await using server = await serve(app as RequestListener)
    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push((await server.get('/')).status)
    expect(statuses).toEqual([200, 200, 429])
  })

  test('a store that fails is passed to the error handlers, once', async () => {
    const { store } = setUp()
    const app = express()
    app.get('/', rateLimit({ rate: '2/m', store }), (_req, res) => void res.send('ok'))
    app.use(
      (error: Error & { code?: string }, _req: unknown, res: express5.Response, _next: unknown) =>
        void res.status(503).send(error.code),
    )
    await using server = await serve(app as RequestListener)
    store.close()
    expect(await server.get('/')).toMatchObject({ status: 503, body: 'ERR_RATELIMIT_STORE_CLOSED' })
  })

  describe('app-wide', () => {
    const options = { defaultRate: '4/m', rateLimits: { '/api/': '3/m', '/api/auth/': '1/m' }, skipPaths: ['/health'] }
    const app = (limiter: RateLimitHandler) =>
      express()
        .use(limiter)
        .use((_req, res) => void res.send('ok'))

    test('the longest path decides, each entry is one counter, the rest share one', async () => {
      const { store } = setUp()
      await using server = await serve(app(rateLimitMiddleware({ ...options, store })) as RequestListener)
      const limit = async (path: string) => (await server.get(path)).headers['x-ratelimit-remaining']
      expect(await limit('/api/1')).toBe('2')
      expect(await limit('/api/2')).toBe('1')
      expect(await limit('/api/auth/x')).toBe('0')
      expect(await limit('/apiary')).toBe('3')
      expect(await limit('/anything')).toBe('2')
      expect((await server.get('/api/auth/y')).status).toBe(429)
      expect(await limit('/health')).toBeUndefined()
      expect(await limit('/healthy')).toBe('1')
    })

    test.each([
      '//api/auth/x',
      '/API/auth/x',
      '/api%2Fauth/x',
      '/%61pi/auth/x',
      '/x/../api/auth/x',
      '/api/./auth/x',
      '/api/auth/',
      '/api/auth?x=1',
      '/api/auth;v=1/x',
      'http://other.example/api/auth/x',
      '/x/%2e%2e/api/auth/x',
    ])('%s does not dodge the rule of its path', async (path) => {
      const { store } = setUp()
      await using server = await serve(app(rateLimitMiddleware({ ...options, store })) as RequestListener)
      await server.get('/api/auth/x')
      expect((await server.get(path)).status).toBe(429)
    })

    test.each(['/health/../api/auth/x', '/health%2F..%2Fapi/auth/x'])('%s is not skipped', async (path) => {
      const { store } = setUp()
      await using server = await serve(app(rateLimitMiddleware({ ...options, store })) as RequestListener)
      expect((await server.get(path)).headers['x-ratelimit-limit']).toBeDefined()
    })

    test('methods limits those named, HEAD with GET, and an override header moves nothing', async () => {
      const { store } = setUp()
      await using server = await serve(
        app(rateLimitMiddleware({ defaultRate: '1/m', methods: ['GET'], store })) as RequestListener,
      )
      expect((await server.get('/', {}, 'POST')).headers['x-ratelimit-limit']).toBeUndefined()
      expect((await server.get('/', {}, 'HEAD')).status).toBe(200)
      expect((await server.get('/', { 'x-http-method-override': 'POST' })).status).toBe(429)
    })

    test('an entry may have options of its own, or null for no limit; mistakes name the entry', async () => {
      const { store } = setUp()
      const limiter = rateLimitMiddleware({
        defaultRate: null,
        rateLimits: {
          '/burst': { rate: '60/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 2 } },
          '/burst/free': null,
        },
        store,
      })
      await using server = await serve(app(limiter) as RequestListener)
      const statuses = []
      for (let i = 0; i < 3; i++) statuses.push((await server.get('/burst')).status)
      expect(statuses).toEqual([200, 200, 429])
      expect((await server.get('/burst/free')).status).toBe(200)
      expect((await server.get('/elsewhere')).headers['x-ratelimit-limit']).toBeUndefined()
      expect(() => rateLimitMiddleware({ rateLimits: { '/x': '10' }, store })).toThrow(/rateLimits\["\/x"\]/)
      expect(() => rateLimitMiddleware({ rateLimits: { '/x': { rate: '1/m', algoritm: 'gcra' } as never }, store })).toThrow(
        /algoritm/,
      )
      expect(() => rateLimitMiddleware({ defaultRates: '1/m' } as never)).toThrow(/defaultRates/)
    })

    test('with a route limiter behind it, each counts once and the tighter shows', async () => {
      const { store } = setUp()
      const both = express().use(rateLimitMiddleware({ defaultRate: '100/m', store }))
      both.get('/', rateLimit({ rate: '2/m', algorithm: 'token_bucket', store }), (_req, res) => void res.send('ok'))
      await using server = await serve(both as RequestListener)
      const first = await server.get('/')
      expect(first.headers).toMatchObject({
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': '1',
        'x-ratelimit-bucket-size': '2',
      })
      await server.get('/')
      expect((await server.get('/')).status).toBe(429)
    })
  })

  test('a wrapped handler keeps name, arity, this and what it returns', async () => {
    const { store } = setUp()
    const app = express()
    async function report(this: unknown, _req: express5.Request, res: express5.Response): Promise<string> {
      res.send('report')
      return 'value'
    }
    const wrapped = withRateLimit(report, { rate: '1/m', store })
    expect(wrapped.name).toBe('report')
    expect(wrapped.length).toBe(2)
    app.get('/', wrapped)
    app.get('/boom', () => {
      throw new Error('boom')
    })
    const onError = withRateLimit(
      (error: Error, _req: express5.Request, res: express5.Response, _next: express5.NextFunction) =>
        void res.status(500).send(`handled ${error.message}`),
      { rate: '1/m', store },
    )
    expect(onError.length).toBe(4)
    app.use(onError)
    await using server = await serve(app as RequestListener)
    expect((await server.get('/')).body).toBe('report')
    expect((await server.get('/')).status).toBe(429)
    expect(await server.get('/boom')).toMatchObject({ status: 500, body: 'handled boom' })
    expect((await server.get('/boom')).status).toBe(429)
  })

  test('a decorated method is limited like a function and keeps its this', async () => {
    const { store } = setUp()
    // The runner does not lower standard decorators; esbuild, which builds the package, does.
    const source = `class Reports {
      greeting = 'hello'
      @rateLimited({ rate: '1/m', store }) show(req, res) { res.send(this.greeting) }
    }
    return new Reports()`
    const { code } = await transform(`export function make(rateLimited, store) { ${source} }`, { loader: 'ts', target: 'es2022' })
    const lowered = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
      make(decorator: typeof rateLimited, counters: typeof store): { show(req: express5.Request, res: express5.Response): void }
    }
    const reports = lowered.make(rateLimited, store)
    const app = express()
    app.get('/', (req, res) => reports.show(req, res))
    await using server = await serve(app as RequestListener)
    expect(await server.get('/')).toMatchObject({ status: 200, body: 'hello' })
    expect((await server.get('/')).status).toBe(429)
    expect(() => rateLimited({ rate: '1/m', store })(() => {}, { kind: 'field' } as never)).toThrow(ConfigError)
  })
})

test('a bare node:http server is served too', async () => {
  const { store } = setUp()
  const limiter = rateLimit({ rate: '1/m', store })
  await using server = await serve((request, response) =>
    limiter(request, response, (error) => response.end(error === undefined ? 'ok' : 'error')),
  )
  expect((await server.get('/')).body).toBe('ok')
  expect((await server.get('/', { 'x-forwarded-for': '203.0.113.1' })).status).toBe(429)
})

test.each([
  ['an unknown option', { rate: '1/m', rat: 1 }, /rateLimit\.rat\b/],
  ['a rate outside the grammar', { rate: '10' }, /rateLimit\.rate.*"10"/],
  ['a key that is none', { rate: '1/m', key: 'api-key' }, /rateLimit\.key.*api-key/],
  ['a block that is no boolean', { rate: '1/m', block: 'no' }, /rateLimit\.block/],
  ['a header set that is none', { rate: '1/m', headers: 'ietf-99' }, /rateLimit\.headers/],
  ['a bad block in a list', { rate: '1/m', denyList: ['10.0.0.0/33'] }, /rateLimit\.denyList.*10\.0\.0\.0\/33/],
  ['a proxy that is no address', { rate: '1/m', trustedProxies: ['nonsense'] }, /trustedProxies.*nonsense/],
  ['no options', undefined, /rateLimit/],
])('%s is refused at construction', (_, options, message) => {
  expect(() => rateLimit(options as never)).toThrow(ConfigError)
  expect(() => rateLimit(options as never)).toThrow(message)
})
