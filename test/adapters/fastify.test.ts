// The Fastify plugin against Fastify 5, over real HTTP. Next: contract.ts.

import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import rateLimitPlugin, { RefusalError, rateLimit, rateLimited, withRateLimit } from '../../src/adapters/fastify.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { type MemoryStore, memoryStore } from '../../src/stores/memory/memory-store.ts'
import { type App, type ContractOptions, later, playContract, setUp, textOf, told } from './contract.ts'
import { decorated } from './decorated.ts'
import { type TestServer, serve } from './http.ts'
import { eachOnce } from './node-behaviour.ts'
import { warningsDuring } from './warnings.ts'

function fastifyOptions({ skipIfHeader, ...options }: ContractOptions): { rate: string } {
  const skipIf = skipIfHeader && ((request: FastifyRequest) => request.headers[skipIfHeader] !== undefined)
  return { ...options, ...(skipIf && { skipIf }) } as never
}

async function behave(request: FastifyRequest, reply: FastifyReply, { behaviour = 'ok', early, onRun }: App): Promise<unknown> {
  onRun?.()
  if (early === true) {
    reply.hijack()
    reply.raw.end('late')
    return
  }
  if (behaviour === 'throw') throw new Error('mine')
  if (behaviour === 'own-429') return reply.code(429).header('Retry-After', '7').send('mine')
  if (behaviour === 'status') return reply.code(Number((request.query as { s: string }).s)).send('status')
  return behaviour === 'tell' ? told(request.rateLimit) : 'ok'
}

async function serveFastify(app: FastifyInstance): Promise<TestServer> {
  await app.ready()
  return serve((request, response) => app.routing(request, response))
}

async function build(app: App, server: FastifyInstance): Promise<TestServer> {
  if (app.early === true) {
    server.addHook('onRequest', (_request, reply, done) => {
      reply.raw.write('early ')
      done()
    })
  }
  await server.register(rateLimit, (app.appWide ?? { defaultRate: null }) as object)
  const onRequest = eachOnce(app.limiters, (one) => server.rateLimit(fastifyOptions(one)))
  server.all('/*', { onRequest }, (request, reply) => behave(request, reply, app))
  return serveFastify(server)
}

playContract({
  name: 'Fastify 5',
  async serve(app) {
    const server = await build(app, Fastify())
    const plain = server.get.bind(server)
    const get: TestServer['get'] = async (...asked) => {
      const reply = await plain(...asked)
      // Fastify's own error handler answers with JSON.
      return reply.headers['content-type']?.startsWith('application/json')
        ? { ...reply, body: textOf(JSON.parse(reply.body)) }
        : reply
    }
    return Object.assign(server, { get })
  },
})

playContract({
  name: 'Fastify 5 with an error handler',
  serve(app) {
    const server = Fastify()
    server.setErrorHandler((error, _request, reply) => {
      if (error instanceof RefusalError) return reply.header('content-type', error.contentType).send(error.body)
      return reply.code(500).send(textOf(error))
    })
    return build(app, server)
  },
})

describe('in Fastify', () => {
  const ok = async () => 'ok'

  test('a refusal is an error to the error handler: of the app, of a plugin, or of the route', async () => {
    const { store } = setUp()
    const app = Fastify()
    await app.register(rateLimitPlugin, { defaultRate: '0/m', store })
    await app.register(async (inner) => {
      inner.setErrorHandler((error: RefusalError, _request, reply) =>
        reply.send({ plugin: error.statusCode, code: error.code, wait: error.retryAfterMs ?? null, kind: error.decision.kind }),
      )
      inner.get('/plugin', ok)
    })
    const errorHandler = (error: Error, _request: unknown, reply: FastifyReply) => void reply.send(`route ${error.message}`)
    app.get('/route', { errorHandler }, ok)
    app.get('/', ok)
    await using server = await serveFastify(app)
    const inner = await server.get('/plugin')
    expect(inner).toMatchObject({ status: 429, headers: { 'x-ratelimit-limit': '0', 'cache-control': 'no-store' } })
    expect(JSON.parse(inner.body)).toEqual({ plugin: 429, code: 'ERR_RATELIMIT_LIMITED', wait: null, kind: 'refused' })
    expect((await server.get('/route')).body).toMatch(/^route Rate limit exceeded/)
    expect((await server.get('/', { accept: 'application/json' })).headers['content-type']).toContain('application/problem+json')
  })

  test("a route's config.rateLimit takes the place of the app's limit: a rate, options, or false", async () => {
    const { store } = setUp()
    const app = Fastify()
    await app.register(rateLimit, { defaultRate: '9/m', algorithm: 'fixed_window', store })
    app.get('/app', ok)
    app.get('/rate', { config: { rateLimit: '2/m' } }, ok)
    app.get('/options', { config: { rateLimit: { rate: '3/m', key: 'header:x-team', onMissingKey: 'skip' } } }, ok)
    app.get('/free', { config: { rateLimit: false } }, ok)
    const same = { rateLimit: '5/m' }
    app.get('/one', { config: same }, ok)
    app.post('/one', { config: same }, ok)
    app.get('/two', { config: same }, ok)
    await using server = await serveFastify(app)
    const left = async (path: string, headers = {}, method = 'GET') =>
      (await server.get(path, headers, method)).headers['x-ratelimit-remaining']
    expect(await left('/app')).toBe('8')
    expect([await left('/rate'), await left('/rate', {}, 'HEAD'), (await server.get('/rate')).status]).toEqual(['1', '0', 429])
    expect([
      await left('/options', { 'x-team': 'a' }),
      await left('/options', { 'x-team': 'b' }),
      await left('/options'),
    ]).toEqual(['2', '2', undefined])
    expect(await left('/free')).toBeUndefined()
    // Routes never share by accident, whatever object their limits were written in.
    expect([await left('/one'), await left('/one', {}, 'POST'), await left('/two')]).toEqual(['4', '4', '4'])
    // Requests that match no route have the app's limit, together.
    expect([await left('/nowhere'), await left('/else/where')]).toEqual(['7', '6'])
  })

  test('the hook is selectable, for the plugin and for a route: identity may be known late', async () => {
    for (const [plugin, route] of [
      ['onRequest', 'preHandler'],
      ['preValidation', undefined],
      ['preHandler', undefined],
      ['preParsing', 'preHandler'],
    ] as const) {
      const { store } = setUp()
      const app = Fastify()
      app.addHook('preParsing', async (request) => {
        ;(request as { user?: unknown }).user = { id: request.headers['x-id'] }
      })
      await app.register(rateLimit, { defaultRate: null, hook: plugin, key: 'user', store })
      app.post('/', { config: { rateLimit: { rate: '1/m', ...(route && { hook: route }) } } }, ok)
      await using server = await serveFastify(app)
      const statuses = []
      for (const id of ['a', 'b', 'a']) statuses.push((await server.get('/', { 'x-id': id }, 'POST')).status)
      expect([plugin, statuses]).toEqual([plugin, [200, 200, 429]])
    }
  })

  test('a plugin without a user of its own asks earlier: onRequest comes before', async () => {
    const { store } = setUp()
    const app = Fastify()
    const order: string[] = []
    await app.register(rateLimit, {
      rateLimits: { '/': { rate: '9/m', key: () => (order.push('limit'), 'all') } },
      hook: 'preParsing',
      store,
    })
    app.addHook('onRequest', async () => void order.push('onRequest'))
    app.addHook('preHandler', async () => void order.push('preHandler'))
    app.get('/', ok)
    await using server = await serveFastify(app)
    await server.get('/')
    expect(order).toEqual(['onRequest', 'limit', 'preHandler'])
  })

  test('routes registered before the plugin are limited, and reported; strict makes that an error', async () => {
    const { store } = setUp()
    const early = () => {
      const app = Fastify()
      app.get('/early', { config: { rateLimit: '2/m' } }, ok)
      app.register(async (inner) => void inner.get('/inner', ok))
      return app
    }
    const app = early()
    const warnings = await warningsDuring(async () => {
      await app.register(rateLimit, { defaultRate: '9/m', store })
    })
    expect(warnings).toEqual([expect.stringMatching(/before the rate limiter: .*\/early.*await/)])
    await using server = await serveFastify(app)
    expect((await server.get('/early')).headers['x-ratelimit-limit']).toBe('2')
    expect((await server.get('/inner')).headers['x-ratelimit-limit']).toBe('9')
    await expect(early().register(rateLimit, { strict: true, store })).rejects.toThrow(/registered before all routes.*\/early/)
  })

  test('without await, a route written after register is one registered before; the report says so', async () => {
    const app = Fastify()
    void app.register(rateLimit, { strict: true, store: setUp().store })
    app.get('/late', ok)
    await expect(app.ready()).rejects.toThrow(/await.*\/late/)
  })

  test('registered in a plugin, it limits that plugin alone', async () => {
    const { store } = setUp()
    const app = Fastify()
    app.get('/outside', ok)
    await app.register(
      async (inner) => {
        await inner.register(rateLimit, { defaultRate: '1/m', strict: true, store })
        inner.get('/inside', ok)
      },
      { prefix: '/v1' },
    )
    await using server = await serveFastify(app)
    expect((await server.get('/outside')).headers['x-ratelimit-limit']).toBeUndefined()
    expect([(await server.get('/v1/inside')).status, (await server.get('/v1/inside')).status]).toEqual([200, 429])
  })

  test('registered twice, each counts, and a route with a limit of its own is counted by it once', async () => {
    const { store } = setUp()
    const app = Fastify()
    await app.register(rateLimit, { defaultRate: '9/m', name: 'outer', store })
    await app.register(async (inner) => {
      await inner.register(rateLimit, { defaultRate: '3/m', name: 'inner', store })
      inner.get('/', ok)
      inner.get('/own', { config: { rateLimit: '5/m' } }, ok)
    })
    await using server = await serveFastify(app)
    expect((await server.get('/')).headers['x-ratelimit-limit']).toBe('3')
    expect((await server.get('/own')).headers).toMatchObject({ 'x-ratelimit-limit': '5', 'x-ratelimit-remaining': '4' })
  })

  test('fastify.rateLimit() has a check that touches no reply; request.rateLimit is null where no limit applies', async () => {
    const { store } = setUp()
    const app = Fastify()
    await app.register(rateLimit, { defaultRate: null, store })
    const sms = app.rateLimit({ name: 'sms', rate: '1/m' })
    app.get('/', (request) =>
      Promise.resolve(sms.check(request)).then(({ allowed, remaining }) => ({ allowed, remaining, mark: request.rateLimit })),
    )
    await using server = await serveFastify(app)
    expect(JSON.parse((await server.get('/')).body)).toEqual({ allowed: true, remaining: 0, mark: null })
    const second = await server.get('/')
    expect(JSON.parse(second.body)).toEqual({ allowed: false, remaining: 0, mark: null })
    expect(second.headers['x-ratelimit-limit']).toBeUndefined()
  })

  test('closing the app closes the store it made, and no other', async () => {
    const { store } = setUp()
    let made: MemoryStore | undefined
    const app = Fastify()
    await app.register(rateLimit, { store: () => (made = memoryStore()) })
    const other = Fastify()
    await other.register(rateLimit, { store })
    await Promise.all([app.close(), other.close()])
    expect(() => made?.ping()).toThrow(/closed/)
    expect(() => store.ping()).not.toThrow()
  })

  test('trustProxy is honoured; set to true, it is warned about', async () => {
    const ask = async (trustProxy: string | boolean) => {
      const { store } = setUp()
      const app = Fastify({ trustProxy } as { trustProxy: string })
      await app.register(rateLimit, { defaultRate: '1/m', store })
      app.get('/', ok)
      await using server = await serveFastify(app)
      const statuses: number[] = []
      for (const address of ['203.0.113.1', '203.0.113.1', '203.0.113.2'])
        statuses.push((await server.get('/', { 'x-forwarded-for': address })).status)
      return statuses
    }
    expect(await warningsDuring(async () => expect(await ask('127.0.0.1')).toEqual([200, 429, 200]))).toEqual([])
    expect(await warningsDuring(async () => expect(await ask(false)).toEqual([200, 429, 429]))).toEqual([])
    expect(await warningsDuring(async () => expect(await ask(true)).toEqual([200, 429, 200]))).toEqual([
      expect.stringContaining('trustProxy is true'),
    ])
  })

  test('onLimited answers by the reply, or with an error for the error handler; countWhen sees the reply', async () => {
    const { store } = setUp()
    const app = Fastify()
    await app.register(rateLimit, { defaultRate: null, store })
    const onLimited = (_request: FastifyRequest, reply: FastifyReply) => reply.send(`own ${reply.statusCode}`)
    app.get('/own', { onRequest: app.rateLimit({ rate: '0/m', onLimited }) }, ok)
    app.get(
      '/error',
      { onRequest: app.rateLimit({ rate: '0/m', onLimited: () => Object.assign(new Error('mine'), { statusCode: 418 }) }) },
      ok,
    )
    const countWhen = (reply: FastifyReply) => reply.statusCode !== 404
    app.get('/lost', { onRequest: app.rateLimit({ rate: '1/m', countWhen }) }, async (_request, reply) =>
      reply.code(404).send('lost'),
    )
    await using server = await serveFastify(app)
    expect(await server.get('/own')).toMatchObject({ status: 429, body: 'own 429' })
    expect(await server.get('/error')).toMatchObject({ status: 418, body: expect.stringContaining('mine') as unknown })
    for (let i = 0; i < 3; i++) expect((await server.get('/lost')).status).toBe(404)
  })

  test.each([true, false])(
    'a wrapped handler and a decorated method are limited, with or without an error handler (%s)',
    async (handles) => {
      const { store } = setUp()
      const app = Fastify()
      if (handles) app.setErrorHandler((error: RefusalError, _request, reply) => reply.send(error.message))
      const report = withRateLimit(
        async function report(_request: FastifyRequest) {
          return 'report'
        },
        { rate: '1/m', store: later(setUp().store) },
      )
      expect([report.name, report.length]).toEqual(['report', 1])
      const { show } = await decorated('request, reply', 'return reply.send(this.greeting)', rateLimited({ rate: '1/m', store }))
      app.get('/report', report)
      app.get('/method', show)
      await using server = await serveFastify(app)
      expect(await server.get('/report')).toMatchObject({ body: 'report', headers: { 'x-ratelimit-remaining': '0' } })
      expect(await server.get('/report')).toMatchObject({
        status: 429,
        body: expect.stringContaining('Rate limit exceeded') as unknown,
      })
      expect(await server.get('/method')).toMatchObject({ body: 'hello', headers: { 'x-ratelimit-remaining': '0' } })
      expect(await server.get('/method')).toMatchObject({
        status: 429,
        body: expect.stringContaining('Rate limit exceeded') as unknown,
      })
    },
  )

  test('mistakes are errors of register, or of the route that has them', async () => {
    const registered = (options: object) => Fastify().register(rateLimit, options as never)
    await expect(registered({ rate: '1/m' })).rejects.toThrow(/rateLimit\.rate.*defaultRate/)
    await expect(registered({ hook: 'onSend' })).rejects.toThrow(/rateLimit\.hook.*preHandler/)
    await expect(registered({ strict: 1 })).rejects.toThrow(/rateLimit\.strict/)
    await expect(registered({ rateLimits: { '/x': '10' } })).rejects.toThrow(/rateLimits\["\/x"\]/)
    await expect(registered({ defaltRate: '1/m' })).rejects.toThrow(/defaltRate/)
    const app = Fastify()
    await app.register(rateLimit, { prefix: '/v1', logLevel: 'warn' })
    const route = (limit: unknown) => () => app.get(`/${JSON.stringify(limit)}`, { config: { rateLimit: limit as never } }, ok)
    expect(route('10')).toThrow(ConfigError)
    expect(route('10')).toThrow(/config\.rateLimit of GET/)
    expect(route({ rate: '1/m', hook: 'onSend' })).toThrow(/config\.rateLimit\.hook of GET/)
    expect(route({ rate: '1/m', timeWindow: 1 })).toThrow(/timeWindow/)
    expect(() => withRateLimit(null as never, { rate: '1/m' })).toThrow(/withRateLimit\(handler\)/)
  })
})
