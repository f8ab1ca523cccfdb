// The Koa adapter against Koa 3, over real HTTP. Next: contract.ts.

import Koa, { HttpError } from 'koa'
import { describe, expect, test } from 'vitest'
import { rateLimit, rateLimitMiddleware, rateLimited, withRateLimit } from '../../src/adapters/koa.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { type App, type ContractOptions, later, playContract, setUp, textOf, told } from './contract.ts'
import { decorated } from './decorated.ts'
import { serve } from './http.ts'
import { eachOnce } from './node-behaviour.ts'
import { warningsDuring } from './warnings.ts'

function koaOptions({ skipIfHeader, ...options }: ContractOptions): { rate: string } {
  const skipIf = skipIfHeader && ((ctx: Koa.Context) => ctx.get(skipIfHeader) !== '')
  return { ...options, ...(skipIf && { skipIf }) } as never
}

function behave(ctx: Koa.Context, { behaviour = 'ok', early, onRun }: App): void {
  onRun?.()
  if (early === true) {
    ctx.res.end('late')
    return
  }
  if (behaviour === 'throw') throw new Error('mine')
  if (behaviour === 'own-429') {
    ctx.status = 429
    ctx.set('Retry-After', '7')
  }
  if (behaviour === 'status') ctx.status = Number(ctx.query['s'])
  const bodies = { tell: told((ctx.state as { rateLimit?: never }).rateLimit), 'own-429': 'mine', ok: 'ok', status: 'status' }
  ctx.body = bodies[behaviour]
}

playContract({
  name: 'Koa 3',
  serve(app) {
    const server = new Koa()
    server.silent = true
    server.use(async (ctx, next) => {
      try {
        await next()
      } catch (error) {
        ctx.status = 500
        ctx.body = textOf(error)
      }
    })
    if (app.early === true) {
      server.use((ctx, next) => {
        ctx.status = 200
        ctx.respond = false
        ctx.res.write('early ')
        return next()
      })
    }
    if (app.appWide !== undefined) server.use(rateLimitMiddleware(app.appWide as object))
    for (const limiter of eachOnce(app.limiters, (one) => rateLimit(koaOptions(one)))) server.use(limiter)
    server.use((ctx) => behave(ctx, app))
    return serve(server.callback())
  },
})

describe('in Koa', () => {
  test("throw: true throws Koa's own error, whose headers survive Koa's clearing of the response", async () => {
    const { store } = setUp()
    const app = new Koa()
    const heard: unknown[] = []
    app.on('error', (error) => heard.push(error))
    app.use(rateLimit({ rate: '1/m', throw: true, store }))
    app.use((ctx) => void (ctx.body = 'ok'))
    await using server = await serve(app.callback())
    expect((await server.get('/')).status).toBe(200)
    const refused = await server.get('/')
    expect(refused).toMatchObject({ status: 429, headers: { 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0' } })
    expect(refused.body).toContain('Rate limit exceeded')
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(heard).toHaveLength(1)
    expect(heard[0]).toBeInstanceOf(HttpError)
    expect(heard[0]).toMatchObject({ status: 429, expose: true, decision: { allowed: false } })
  })

  test('after ctx.respond = false nothing is written, and a refused request goes no further', async () => {
    const { store } = setUp()
    const app = new Koa()
    let runs = 0
    app.use((ctx, next) => {
      ctx.respond = false
      return Promise.resolve(next()).then(() => ctx.res.end('raw'))
    })
    app.use(rateLimit({ rate: '1/m', store }))
    app.use(() => void runs++)
    await using server = await serve(app.callback())
    for (let i = 0; i < 2; i++) {
      const reply = await server.get('/')
      expect(reply.body).toBe('raw')
      expect(Object.keys(reply.headers).filter((name) => /ratelimit|retry/.test(name))).toEqual([])
    }
    expect(runs).toBe(1)
  })

  test('onLimited answers, with status and headers set; countWhen sees the context', async () => {
    const { store } = setUp()
    const app = new Koa()
    app.use(
      rateLimit({
        rate: '1/m',
        countWhen: (ctx) => ctx.status !== 404,
        onLimited: (ctx, _next, decision) =>
          void (ctx.body = `own ${ctx.status} ${decision.kind} ${ctx.response.get('retry-after') !== ''}`),
        store,
      }),
    )
    app.use((ctx) => void (ctx.path === '/found' && (ctx.body = 'ok')))
    await using server = await serve(app.callback())
    for (let i = 0; i < 3; i++) expect((await server.get('/lost')).status).toBe(404)
    expect((await server.get('/found')).status).toBe(200)
    expect(await server.get('/found')).toMatchObject({ status: 429, body: 'own 429 refused true' })
  })

  test("the app's own proxy settings are honoured; trusting every proxy is warned about", async () => {
    const { store } = setUp()
    const warnings = await warningsDuring(async () => {
      const app = new Koa({ proxy: true })
      app.use(rateLimit({ rate: '1/m', store }))
      await using server = await serve(app.callback())
      expect((await server.get('/', { 'x-forwarded-for': '203.0.113.1' })).status).toBe(404)
      expect((await server.get('/', { 'x-forwarded-for': '203.0.113.1' })).status).toBe(429)
    })
    expect(warnings).toEqual([expect.stringContaining('app.proxy')])
    const app = new Koa({ proxy: true, maxIpsCount: 1 })
    app.use(rateLimit({ rate: '1/m', store }))
    await using server = await serve(app.callback())
    expect(await warningsDuring(() => server.get('/', { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' }))).toEqual([])
    expect((await server.get('/', { 'x-forwarded-for': '198.51.100.2, 203.0.113.9' })).status).toBe(429)
  })

  test('a wrapped handler and a decorated method are limited, and keep their shape', async () => {
    const { store } = setUp()
    const report = withRateLimit(
      function report(this: unknown, ctx: Koa.Context): string {
        ctx.body = 'report'
        return 'value'
      },
      { rate: '1/m', store },
    )
    expect([report.name, report.length]).toEqual(['report', 1])
    const { show } = await decorated('ctx', 'ctx.body = this.greeting', rateLimited({ rate: '1/m', store }))
    const app = new Koa()
    app.use(async (ctx) => void (await (ctx.path === '/report' ? report(ctx) : show(ctx))))
    await using server = await serve(app.callback())
    expect([(await server.get('/report')).body, (await server.get('/report')).status]).toEqual(['report', 429])
    expect([(await server.get('/method')).body, (await server.get('/method')).status]).toEqual(['hello', 429])
  })

  test('with a store at hand the next middleware is called in the same turn', () => {
    const { store } = setUp()
    const limit = rateLimit({ rate: '1/m', key: 'static:all', store })
    let called = false
    const ctx = {
      app: {},
      state: {},
      respond: true,
      writable: true,
      method: 'GET',
      originalUrl: '/',
      set() {},
      req: { headers: {}, socket: {} },
    }
    void limit(ctx as never, async () => void (called = true))
    expect(called).toBe(true)
  })

  test('a store behind promises gives the same refusals', async () => {
    const app = new Koa()
    app.use(rateLimit({ rate: '1/m', store: later(setUp().store) }))
    await using server = await serve(app.callback())
    expect([(await server.get('/')).status, (await server.get('/')).status]).toEqual([404, 429])
  })

  test.each([
    ['a throw that is no boolean', () => rateLimit({ rate: '1/m', throw: 'yes' } as never), /rateLimit\.throw/],
    ['a context where options belong', () => rateLimit({ req: {}, res: {} } as never), /call it/],
    ['a handler that is none', () => withRateLimit({} as never, { rate: '1/m' }), /withRateLimit\(handler\)/],
    ['a mistake in an entry', () => rateLimitMiddleware({ rateLimits: { '/x': '10' } }), /rateLimits\["\/x"\]/],
  ])('%s is refused at construction', (_, build, message) => {
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(message)
  })
})
