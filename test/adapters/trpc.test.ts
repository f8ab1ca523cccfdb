// The tRPC adapter against the real @trpc/server: standalone, Express and fetch adapters over HTTP, @trpc/client with batches, and
// callers without HTTP. Next: ../../src/adapters/trpc.ts.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import {
  TRPCClientError,
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  httpBatchStreamLink,
  httpLink,
  wsLink,
} from '@trpc/client'
import { TRPCError, initTRPC } from '@trpc/server'
import { createExpressMiddleware } from '@trpc/server/adapters/express'
import { fetchRequestHandler } from '@trpc/server/adapters/fetch'
import { createHTTPHandler } from '@trpc/server/adapters/standalone'
import { type CreateFastifyContextOptions, fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import { applyWSSHandler } from '@trpc/server/adapters/ws'
import express from 'express'
import { fastify } from 'fastify'
import { WebSocket, WebSocketServer } from 'ws'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { type RequestRateLimit, rateLimit, rateLimitMeta } from '../../src/adapters/trpc.ts'
import { ConfigError, StoreError } from '../../src/core/errors.ts'
import { RefusalError } from '../../src/http/refusal-error.ts'
import type { Decision } from '../../src/core/decision.ts'
import { START, later, setUp } from './contract.ts'
import { serve } from './http.ts'
import { warningsDuring } from './warnings.ts'

interface Context {
  readonly req?: unknown
  readonly res?: unknown
  readonly resHeaders?: Headers
  readonly user?: { readonly id: string }
}

const t = initTRPC.context<Context>().create()
const told = ({ ctx }: { ctx: { rateLimit: RequestRateLimit | undefined } }) =>
  ctx.rateLimit === undefined ? null : { allowed: ctx.rateLimit.allowed, remaining: ctx.rateLimit.remaining }

/** One procedure, `one`, behind limiters in order. */
function routerOf(...limiters: object[]) {
  let procedure = t.procedure as unknown as { use(fn: unknown): typeof procedure } & typeof t.procedure
  for (const one of limiters) procedure = procedure.use(typeof one === 'function' ? one : rateLimit(one as { rate: string }))
  const limited = procedure as unknown as ReturnType<typeof withRateLimit>
  return t.router({ one: limited.query(told), two: limited.query(told) })
}
const withRateLimit = () => t.procedure.use(rateLimit({ rate: '1/m' }))

type Router = ReturnType<typeof routerOf>

const SERVERS: Record<string, (router: Router, options?: object) => ReturnType<typeof serve>> = {
  'the standalone server': (router, options) =>
    serve(createHTTPHandler({ router, createContext: ({ req, res }): Context => ({ req, res }), ...options })),
  Express: (router, options) => {
    const app = express()
    app.use(createExpressMiddleware({ router, createContext: ({ req, res }): Context => ({ req, res }), ...options }))
    return serve(app)
  },
  Fastify: async (router, options) => {
    const app = fastify()
    await app.register(fastifyTRPCPlugin, {
      prefix: '/',
      trpcOptions: { router, createContext: ({ req, res }: CreateFastifyContextOptions): Context => ({ req, res }), ...options },
    })
    await app.ready()
    return serve((request, response) => app.routing(request, response))
  },
  'the fetch adapter': (router, options) =>
    serve(async (incoming, response) => {
      const request = new Request(`http://localhost${incoming.url}`, { headers: incoming.headers as Record<string, string> })
      const address = incoming.socket.remoteAddress
      const answer = await fetchRequestHandler({
        endpoint: '/',
        req: request,
        router,
        createContext: ({ req, resHeaders }): Context => ({ req: Object.assign(req, { ip: address }), resHeaders }),
        ...options,
      })
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(await answer.text())
    }),
  'a context without a response, by responseMeta': (router, options) =>
    serve(createHTTPHandler({ router, createContext: ({ req }): Context => ({ req }), responseMeta: rateLimitMeta, ...options })),
}

const url = (port: number) => `http://127.0.0.1:${port}`
const caught = async (act: () => Promise<unknown>): Promise<TRPCError> => {
  try {
    await act()
  } catch (error) {
    return error as TRPCError
  }
  throw new Error('nothing was thrown')
}

describe.each(Object.entries(SERVERS))('on tRPC with %s', (_, listen) => {
  test.each(['at once', 'later'])(
    'calls pass up to the limit with headers; then TOO_MANY_REQUESTS, 429 and an exact Retry-After (store answers %s)',
    async (when) => {
      const { clock, store } = setUp()
      const router = routerOf({ rate: '2/m', algorithm: 'fixed_window', store: when === 'later' ? later(store) : store })
      await using server = await listen(router)
      const first = await server.get('/one')
      expect(first.status).toBe(200)
      expect(JSON.parse(first.body)).toEqual({ result: { data: { allowed: true, remaining: 1 } } })
      expect(first.headers).toMatchObject({
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': '1',
        'ratelimit-policy': '"2-per-m";q=2;w=60',
      })
      await server.get('/one')
      const refused = await server.get('/one')
      const wait = 60 - (START % 60_000) / 1000
      expect(refused.status).toBe(429)
      expect(refused.headers).toMatchObject({
        'retry-after': String(wait),
        'x-ratelimit-remaining': '0',
        'cache-control': 'no-store',
      })
      expect(JSON.parse(refused.body)).toMatchObject({
        error: {
          message: `Rate limit exceeded. Try again in ${wait} seconds.`,
          data: { code: 'TOO_MANY_REQUESTS', httpStatus: 429 },
        },
      })
      clock.advance(wait * 1000 - 1)
      expect((await server.get('/one')).status).toBe(429)
      clock.advance(1)
      expect((await server.get('/one')).status).toBe(200)
    },
  )

  test('each call of a batch counts, and the headers are those of the tightest call', async () => {
    const { store } = setUp()
    await using server = await listen(routerOf({ rate: '3/m', store }))
    const client = createTRPCClient<Router>({ links: [httpBatchLink({ url: url(server.port) })] })
    const settled = await Promise.allSettled([
      client.one.query(),
      client.one.query(),
      client.two.query(),
      client.one.query(),
      client.one.query(),
    ])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    const { reason } = settled[4] as PromiseRejectedResult
    expect(reason).toBeInstanceOf(TRPCClientError)
    expect(reason).toMatchObject({ data: { code: 'TOO_MANY_REQUESTS', httpStatus: 429, path: 'one' } })
    const reply = await server.get('/two,one,two?batch=1')
    expect(reply.status).toBe(207)
    expect(reply.headers).toMatchObject({ 'x-ratelimit-remaining': '0', 'ratelimit-policy': '"3-per-m";q=3;w=60' })
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
    const all = await server.get('/one,one?batch=1')
    expect(all.status).toBe(429)
  })

  test('the fields of a batch are those of its tightest call alone, wherever that stands', async () => {
    const { store } = setUp()
    const tight = t.procedure.use(rateLimit({ rate: '2/m', store })).query(told)
    const loose = t.procedure.use(rateLimit({ rate: '9/m', algorithm: 'token_bucket', store })).query(told)
    for (const router of [t.router({ one: tight, two: loose }), t.router({ one: loose, two: tight })]) {
      await using server = await listen(router as Router)
      const { headers } = await server.get('/one,two?batch=1')
      expect(headers).toMatchObject({ 'x-ratelimit-limit': '2', 'ratelimit-policy': '"2-per-m";q=2;w=60' })
      expect(headers['x-ratelimit-bucket-size']).toBeUndefined()
    }
  })

  test('a stream of a batch counts each call', async () => {
    const { store } = setUp()
    await using server = await listen(routerOf({ rate: '2/m', store }))
    const client = createTRPCClient<Router>({ links: [httpBatchStreamLink({ url: url(server.port) })] })
    const settled = await Promise.allSettled([client.one.query(), client.one.query(), client.one.query()])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  })

  test('the same limiter twice counts once, two count once each, and an earlier refusal stays', async () => {
    const { store } = setUp()
    const same = rateLimit({ rate: '9/m', store })
    await using server = await listen(
      routerOf(same, { name: 'first', rate: '1/m', block: false, store }, same, { name: 'second', rate: '5/m', store }),
    )
    const [first, second] = [await server.get('/one'), await server.get('/one')]
    expect(JSON.parse(first.body)).toMatchObject({ result: { data: { allowed: true, remaining: 0 } } })
    expect(first.headers).toMatchObject({ 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0' })
    expect(JSON.parse(second.body)).toMatchObject({ result: { data: { allowed: false, remaining: 0 } } })
    expect(second.headers).toMatchObject({ 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0' })
    expect(second.headers['retry-after']).toBeUndefined()
  })

  test('shadow decides and counts each call, and nothing of it shows', async () => {
    const { store } = setUp()
    const seen: string[] = []
    const observers = [{ onDecision: ({ kind, allowed }: Decision) => void seen.push(`${kind} ${allowed}`) }]
    const shadow = rateLimit({ rate: '2/m', shadow: true, observers, store })
    await using server = await listen(routerOf(shadow, shadow))
    const reply = await server.get('/one,one,one?batch=1')
    expect(JSON.parse(reply.body)).toEqual(Array.from({ length: 3 }, () => ({ result: { data: null } })))
    expect(Object.keys(reply.headers).filter((name) => /ratelimit/.test(name))).toEqual([])
    expect(seen).toEqual(['granted true', 'granted true', 'refused true'])
  })

  test('forwarded headers of a stranger change nothing, those of a trusted proxy count', async () => {
    const { store } = setUp()
    await using server = await listen(routerOf({ rate: '1/m', store }))
    expect((await server.get('/one', { 'x-forwarded-for': '203.0.113.1' })).status).toBe(200)
    expect((await server.get('/one', { 'x-forwarded-for': '203.0.113.2' })).status).toBe(429)
    await using behind = await listen(routerOf({ rate: '1/m', trustedProxies: ['loopback'], store }))
    expect((await behind.get('/one', { 'x-forwarded-for': '203.0.113.1' })).status).toBe(200)
    expect((await behind.get('/one', { 'x-forwarded-for': '198.51.100.9, 203.0.113.1' })).status).toBe(429)
    expect((await behind.get('/one', { 'x-forwarded-for': '203.0.113.2' })).status).toBe(200)
  })
})

const listen = SERVERS['the standalone server'] as (router: Router, options?: object) => ReturnType<typeof serve>

describe('on tRPC', () => {
  test('no request in the context is an explained error, and a warning that says where to put it', async () => {
    const { store } = setUp()
    const router = routerOf({ rate: '1/m', store })
    const heard = await warningsDuring(async () => {
      for (let i = 0; i < 2; i++) {
        expect(await caught(() => router.createCaller({}).one())).toMatchObject({ cause: { code: 'ERR_RATELIMIT_KEY_MISSING' } })
      }
    })
    expect(heard).toEqual([expect.stringMatching(/rateLimit: the context has no request.*req/)])
  })

  test('the context has the decision, typed, beside what it had; functions get the call', async () => {
    const { store } = setUp()
    const limited = t.procedure.use(
      rateLimit({
        rate: '5/m',
        store,
        key: ({ ctx, path, type }) => {
          expectTypeOf(ctx.user).toEqualTypeOf<{ readonly id: string } | undefined>()
          return `${type} ${path} ${ctx.user?.id}`
        },
        cost: ({ input }) => (input === 'heavy' ? 4 : 1),
      }),
    )
    const router = t.router({
      post: t.router({
        byId: limited.query(({ ctx }) => {
          expectTypeOf(ctx.rateLimit).toEqualTypeOf<RequestRateLimit | undefined>()
          expectTypeOf(ctx.user).toEqualTypeOf<{ readonly id: string } | undefined>()
          return [ctx.rateLimit?.key, ctx.rateLimit?.remaining, ctx.user?.id]
        }),
      }),
    })
    const caller = router.createCaller({ user: { id: 'ada' } })
    expect(await caller.post.byId()).toEqual(['fn:query post.byId ada', 4, 'ada'])
  })

  test('a rate may depend on the call, and null exempts it', async () => {
    const { store } = setUp()
    const rate = async ({ ctx }: { ctx: Context }) => (ctx.user === undefined ? '1/m' : null)
    const router = routerOf({ rate, key: 'static:all', store })
    expect(await router.createCaller({}).one()).toEqual({ allowed: true, remaining: 0 })
    expect(await caught(() => router.createCaller({}).one())).toMatchObject({ code: 'TOO_MANY_REQUESTS' })
    expect(await router.createCaller({ user: { id: 'ada' } }).one()).toBeNull()
  })

  test('procedures have counters of their own, a group has one; limiters of one procedure do not share', async () => {
    const { store } = setUp()
    const key = 'static:all'
    const apart = routerOf({ rate: '1/m', key, store }).createCaller({})
    await apart.one()
    await apart.two()
    const joined = routerOf({ rate: '1/m', key, group: 'both', store }).createCaller({})
    await joined.one()
    expect(await caught(() => joined.two())).toMatchObject({ code: 'TOO_MANY_REQUESTS' })
    const stacked = routerOf({ rate: '2/m', key, store }, { rate: '2/m', key, store }).createCaller({})
    expect(await stacked.one()).toEqual({ allowed: true, remaining: 1 })
    const named = [routerOf({ name: 'n', rate: '2/m', key, store }), routerOf({ name: 'n', rate: '2/m', key, store })]
    await named[0]?.createCaller({}).one()
    expect(await named[1]?.createCaller({}).one()).toEqual({ allowed: true, remaining: 0 })
  })

  test('a user is who ctx.user or ctx.session.user is', async () => {
    const { store } = setUp()
    const s = initTRPC.context<object>().create()
    const router = s.router({
      one: s.procedure.use(rateLimit({ rate: '1/m', key: 'user', store })).query(({ ctx }) => ctx.rateLimit?.key),
    })
    expect(await router.createCaller({ user: { id: 7 } }).one()).toBe('user:7')
    expect(await router.createCaller({ session: { user: { id: 'ada' } } }).one()).toBe('user:ada')
    expect(await caught(() => router.createCaller({ session: { user: { id: 'ada' } } }).one())).toMatchObject({
      code: 'TOO_MANY_REQUESTS',
    })
    expect(await caught(() => router.createCaller({}).one())).toMatchObject({ cause: { code: 'ERR_RATELIMIT_KEY_MISSING' } })
  })

  test('a mark that is in the context already, from a limiter in front, is not taken for one of this call', async () => {
    const { store } = setUp()
    const own = rateLimit({ rate: '9/m', key: 'static:x', store })
    let inner: object = {}
    const first = t.router({ one: t.procedure.use(own).query(({ ctx }) => void (inner = { rateLimit: ctx.rateLimit })) })
    await first.createCaller({}).one()
    expect(await routerOf(own).createCaller(inner).one()).toMatchObject({ remaining: 7 })
  })

  test('refusals are what tRPC takes for a TRPCError, and instances of the class that is given', async () => {
    const { store } = setUp()
    const bare = await caught(() => routerOf({ rate: '0/m', key: 'static:x', store }).createCaller({}).one())
    expect(bare).toMatchObject({ name: 'TRPCError', code: 'TOO_MANY_REQUESTS', message: 'Rate limit exceeded.' })
    expect(bare).not.toBeInstanceOf(TRPCError)
    const own = await caught(() => routerOf({ rate: '0/m', key: 'static:x', store, throw: TRPCError }).createCaller({}).one())
    expect(own).toBeInstanceOf(TRPCError)
    for (const error of [bare, own]) {
      expect(error.cause).toBeInstanceOf(RefusalError)
      expect(error.cause).toMatchObject({ status: 429, decision: { kind: 'refused', allowed: false } })
    }
    const onLimited = ({ path }: { path: string }, { limit }: Decision) =>
      new TRPCError({ code: 'FORBIDDEN', message: `${path} ${limit}` })
    const other = await caught(() => routerOf({ rate: '0/m', key: 'static:x', store, onLimited }).createCaller({}).one())
    expect(other).toMatchObject({ code: 'FORBIDDEN', message: 'one 0' })
    const usual = await caught(() =>
      routerOf({ rate: '0/m', key: 'static:x', store, onLimited: async () => undefined })
        .createCaller({})
        .one(),
    )
    expect(usual).toMatchObject({ code: 'TOO_MANY_REQUESTS' })
  })

  test('a store that fails leaves the process to decide alone; to deny is SERVICE_UNAVAILABLE', async () => {
    const { store } = setUp()
    const broken = { ...later(store), take: () => Promise.reject(new StoreError('broken', 'is broken')) }
    const alone = routerOf({ rate: '1/m', key: 'static:x', store: broken }).createCaller({})
    expect(await alone.one()).toEqual({ allowed: true, remaining: 0 })
    expect(await caught(() => alone.one())).toMatchObject({ code: 'TOO_MANY_REQUESTS' })
    const open = routerOf({ rate: '1/m', key: 'static:x', store: broken, onStoreError: 'allow' }).createCaller({})
    for (let i = 0; i < 3; i++) expect(await open.one()).toMatchObject({ allowed: true })
    await using server = await listen(routerOf({ rate: '1/m', store: broken, onStoreError: 'deny' }))
    const reply = await server.get('/one')
    expect(reply.status).toBe(503)
    expect(JSON.parse(reply.body)).toMatchObject({ error: { data: { code: 'SERVICE_UNAVAILABLE' } } })
  })

  test('a procedure that throws runs once, its error is its own and the call stays counted', async () => {
    const { store } = setUp()
    let runs = 0
    const router = t.router({
      one: t.procedure.use(rateLimit({ name: 'x', rate: '5/m', key: 'static:x', store })).query(() => {
        runs++
        throw new TRPCError({ code: 'TOO_MANY_REQUESTS', message: 'mine' })
      }),
    })
    expect(await caught(() => router.createCaller({}).one())).toMatchObject({ message: 'mine', cause: undefined })
    expect(runs).toBe(1)
    expect(await routerOf({ name: 'x', rate: '5/m', key: 'static:x', store }).createCaller({}).one()).toMatchObject({
      remaining: 3,
    })
  })

  test('keys and stores that fail are errors of the call, and the procedure does not run', async () => {
    const { store } = setUp()
    const failing = Object.assign(Object.create(store) as typeof store, {
      take: () => {
        throw new StoreError('broken', 'is broken')
      },
    })
    const rejecting = { ...later(store), take: () => Promise.reject(new StoreError('broken', 'is broken')) }
    const noKey = () => {
      throw new Error('no key')
    }
    for (const [options, cause] of [
      [{ rate: '1/m', store: failing, key: 'static:x' }, { code: 'ERR_RATELIMIT_STORE' }],
      [{ rate: '1/m', store: rejecting, key: 'static:x', onStoreError: 'throw' }, { code: 'ERR_RATELIMIT_STORE' }],
      [{ rate: '1/m', store, key: noKey }, { message: 'no key' }],
      [{ rate: '1/m', store, key: async () => noKey() }, { message: 'no key' }],
    ] as const) {
      let runs = 0
      const router = t.router({ one: t.procedure.use(rateLimit(options)).query(() => runs++) })
      expect(await caught(() => router.createCaller({}).one())).toMatchObject({ code: 'INTERNAL_SERVER_ERROR', cause })
      expect(runs).toBe(0)
    }
  })

  test('skipFailedRequests, skipSuccessfulRequests and countWhen give the cost back', async () => {
    const { store } = setUp()
    const after = async (options: object, fails: boolean) => {
      const limited = t.procedure.use(rateLimit({ rate: '5/m', key: 'static:x', store, ...options }))
      const router = t.router({
        one: limited.query(() => {
          if (fails) throw new TRPCError({ code: 'NOT_FOUND' })
          return 'fine'
        }),
        left: limited.query(told),
      })
      const caller = router.createCaller({})
      await caller.one().catch(() => undefined)
      return ((await caller.left()) as { remaining: number }).remaining
    }
    expect(await after({ group: 'a', skipFailedRequests: true }, true)).toBe(4)
    expect(await after({ group: 'b', skipFailedRequests: true }, false)).toBe(3)
    expect(await after({ group: 'c', skipSuccessfulRequests: true }, false)).toBe(4)
    const countWhen = (result: { ok: boolean }, { path }: { path: string }) => !(result.ok && path === 'one')
    expect(await after({ group: 'd', countWhen }, false)).toBe(4)
    expect(await after({ group: 'e', countWhen }, true)).toBe(3)
  })

  test('skipIf, lists and the kill switch exempt without count, mark or headers', async () => {
    const { store } = setUp()
    let enabled = true
    for (const options of [
      { skipIf: ({ ctx }: { ctx: Context }) => ctx.req !== undefined },
      { allowList: ['127.0.0.1'] },
      { enabled: () => enabled },
    ]) {
      enabled = 'enabled' in options ? false : enabled
      await using server = await listen(routerOf({ rate: '1/m', store, ...options }))
      for (let i = 0; i < 3; i++) {
        const reply = await server.get('/one')
        expect(JSON.parse(reply.body)).toEqual({ result: { data: null } })
        expect(reply.headers['x-ratelimit-limit']).toBeUndefined()
      }
    }
    await using denying = await listen(routerOf({ rate: '9/m', store, denyList: ['127.0.0.0/8'] }))
    const denied = await denying.get('/one')
    expect([denied.status, denied.headers['retry-after']]).toEqual([429, undefined])
  })

  test('headers: false sends Retry-After alone; a context without request or response still limits', async () => {
    const { store } = setUp()
    await using server = await listen(routerOf({ rate: '1/m', headers: false, store }))
    expect((await server.get('/one')).headers['x-ratelimit-limit']).toBeUndefined()
    const refused = await server.get('/one')
    expect(refused.headers['x-ratelimit-limit']).toBeUndefined()
    expect(refused.headers['retry-after']).toBeDefined()
  })

  test('the start of a subscription counts, its events do not', async () => {
    const { store } = setUp()
    const router = t.router({
      ticks: t.procedure.use(rateLimit({ rate: '2/m', key: 'static:x', store })).subscription(async function* () {
        for (let i = 0; i < 5; i++) yield i
      }),
    })
    const caller = router.createCaller({})
    for (let start = 0; start < 2; start++) {
      const events: number[] = []
      for await (const event of await caller.ticks()) events.push(event)
      expect(events).toEqual([0, 1, 2, 3, 4])
    }
    expect(await caught(() => caller.ticks())).toMatchObject({ code: 'TOO_MANY_REQUESTS' })
  })

  test('credentials are in no answer, error or mark', async () => {
    const { store } = setUp()
    const secret = 's3cr3t@:/?#'
    const keyed = t.procedure.use(rateLimit({ rate: '1/m', key: 'header:authorization', store }))
    const errors: unknown[] = []
    const router = t.router({ one: keyed.query(({ ctx }) => ctx.rateLimit?.key) })
    await using server = await serve(
      createHTTPHandler({
        router,
        createContext: ({ req, res }): Context => ({ req, res }),
        onError: ({ error }) => void errors.push(error.message, error.stack, error.cause),
      }),
    )
    const replies = [
      await server.get('/one', { authorization: secret }),
      await server.get('/one', { authorization: secret }),
      await server.get('/one'),
    ]
    expect(replies.map(({ status }) => status)).toEqual([200, 429, 500])
    expect(replies[0]?.body).toContain('header:authorization:')
    expect(JSON.stringify([replies, errors])).not.toContain('s3cr3t')
  })

  test('ip and request say where else things are; responseMeta finds the request there too', async () => {
    const { store } = setUp()
    const inner = initTRPC.context<{ http: { incoming: object } }>().create()
    const request = (ctx: { http: { incoming: object } }) => ctx.http.incoming
    const router = inner.router({ one: inner.procedure.use(rateLimit({ rate: '1/m', request, store })).query(told) })
    await using server = await serve(
      createHTTPHandler({
        router,
        createContext: ({ req }) => ({ http: { incoming: req } }),
        responseMeta: (options) => rateLimitMeta(options, request),
      }),
    )
    expect((await server.get('/one')).headers['x-ratelimit-remaining']).toBe('0')
    expect((await server.get('/one')).status).toBe(429)
    const byIp = routerOf({ rate: '1/m', ip: ({ ctx }: { ctx: Context }) => ctx.user?.id, store })
    expect(await byIp.createCaller({ user: { id: '192.0.2.1' } }).one()).toMatchObject({ remaining: 0 })
    expect(await byIp.createCaller({ user: { id: '192.0.2.2' } }).one()).toMatchObject({ remaining: 0 })
  })

  test('an Express app that trusts every proxy is warned about', async () => {
    const { store } = setUp()
    const app = express()
    app.set('trust proxy', true)
    app.use(
      createExpressMiddleware({
        router: routerOf({ rate: '1/m', store }),
        createContext: ({ req, res }): Context => ({ req, res }),
      }),
    )
    await using server = await serve(app)
    expect(await warningsDuring(() => server.get('/one'))).toEqual([
      expect.stringContaining('"trust proxy" of the app underneath is true'),
    ])
  })

  test('a response that has begun is left alone: the call is refused as ever', async () => {
    const { store } = setUp()
    const codes: string[] = []
    const createContext = ({
      req,
      res,
    }: {
      req: object
      res: { writeHead(status: number): void; flushHeaders(): void }
    }): Context => {
      res.writeHead(200)
      res.flushHeaders()
      return { req, res }
    }
    await using server = await listen(routerOf({ rate: '1/m', store }), {
      createContext,
      onError: ({ error }: { error: TRPCError }) => void codes.push(error.code),
    })
    for (let i = 0; i < 2; i++) expect((await server.get('/one')).headers['x-ratelimit-limit']).toBeUndefined()
    // What tRPC itself finds is that it cannot write its own header fields any more.
    expect(codes).toEqual(['INTERNAL_SERVER_ERROR', 'TOO_MANY_REQUESTS', 'INTERNAL_SERVER_ERROR'])
  })

  test('a session is ctx.sessionId, ctx.session or that of the request', async () => {
    const { store } = setUp()
    const s = initTRPC.context<object>().create()
    const limited = s.procedure.use(rateLimit({ rate: '9/m', key: 'session', onMissingKey: 'skip', store }))
    const router = s.router({ one: limited.query(({ ctx }) => ctx.rateLimit?.key) })
    const of = (context: object) => router.createCaller(context).one()
    const key = await of({ sessionId: 'abc' })
    expect(key).toMatch(/^session:/)
    expect(key).not.toContain('abc')
    expect(await of({ session: { id: 'abc' } })).toBe(key)
    expect(await of({ req: { headers: {}, sessionID: 'abc' } })).toBe(key)
    expect(await of({ req: { headers: {}, session: { id: 'abc' } } })).toBe(key)
    expect(await of({ session: { id: 'xyz' } })).not.toBe(key)
    expect(await of({})).toBeUndefined()
  })

  test('over a WebSocket each call counts, although they share a context', async () => {
    const { store } = setUp()
    const router = routerOf({ rate: '2/m', store })
    const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    const handler = applyWSSHandler({ wss, router, createContext: ({ req, res }): Context => ({ req, res }) })
    await once(wss, 'listening')
    const socket = createWSClient({
      url: `ws://127.0.0.1:${(wss.address() as AddressInfo).port}`,
      WebSocket: WebSocket as unknown as typeof globalThis.WebSocket,
    })
    const client = createTRPCClient<Router>({ links: [wsLink({ client: socket })] })
    expect(await client.one.query()).toEqual({ allowed: true, remaining: 1 })
    expect(await client.one.query()).toEqual({ allowed: true, remaining: 0 })
    await expect(client.one.query()).rejects.toMatchObject({ data: { code: 'TOO_MANY_REQUESTS' } })
    expect(await client.two.query()).toEqual({ allowed: true, remaining: 1 })
    await socket.close()
    handler.broadcastReconnectNotification()
    for (const one of wss.clients) one.terminate()
    await new Promise((resolve) => wss.close(resolve))
  })

  test('a mutation over HTTP is counted like a query, whatever the override', async () => {
    const { store } = setUp()
    const router = t.router({ add: t.procedure.use(rateLimit({ rate: '1/m', store })).mutation(told) })
    await using server = await serve(createHTTPHandler({ router, createContext: ({ req, res }): Context => ({ req, res }) }))
    const client = createTRPCClient<typeof router>({ links: [httpLink({ url: url(server.port) })] })
    expect(await client.add.mutate()).toEqual({ allowed: true, remaining: 0 })
    await expect(client.add.mutate()).rejects.toMatchObject({ data: { code: 'TOO_MANY_REQUESTS' } })
  })

  test.each([
    ['an unknown option', { rate: '1/m', rates: 1 }, /rateLimit\.rates/],
    ['a rate that is none', { rate: 'often' }, /rateLimit\.rate/],
    ['a class that is none', { rate: '1/m', throw: 'TRPCError' }, /rateLimit\.throw.*function/],
    ['a request that is no function', { rate: '1/m', request: {} }, /rateLimit\.request.*function/],
    ['an address that is none', { rate: '1/m', ip: '127.0.0.1' }, /rateLimit\.ip.*function/],
  ])('%s is refused at construction', (__, options, message) => {
    expect(() => rateLimit(options as never)).toThrow(ConfigError)
    expect(() => rateLimit(options as never)).toThrow(message)
  })
})
