// The Hono adapter against Hono 4 on @hono/node-server, over real HTTP. Next: contract.ts.

import { getRequestListener } from '@hono/node-server'
import { getConnInfo } from '@hono/node-server/conninfo'
import { type Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { type RequestRateLimit, rateLimit, rateLimitMiddleware, rateLimited, withRateLimit } from '../../src/adapters/hono.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { type App, type ContractOptions, later, playContract, setUp, textOf, told } from './contract.ts'
import { decorated } from './decorated.ts'
import { type TestServer, serve } from './http.ts'
import { eachOnce } from './node-behaviour.ts'

function honoOptions({ skipIfHeader, ...options }: ContractOptions): { rate: string; getConnInfo: typeof getConnInfo } {
  const skipIf = skipIfHeader && ((c: Context) => c.req.header(skipIfHeader) !== undefined)
  return { ...options, getConnInfo, ...(skipIf && { skipIf }) } as never
}

function behave(c: Context, { behaviour = 'ok', onRun }: App): Response {
  onRun?.()
  switch (behaviour) {
    case 'throw':
      throw new Error('mine')
    case 'tell':
      return c.text(told(c.get('rateLimit') as never))
    case 'own-429':
      return c.text('mine', 429, { 'Retry-After': '7' })
    case 'status':
      return new Response('status', { status: Number(c.req.query('s')) })
    case 'ok':
      return c.text('ok')
  }
}

function serveHono(app: { fetch(request: Request, env: never): unknown }): Promise<TestServer> {
  return serve(getRequestListener((request, env) => app.fetch(request, env as never) as Response))
}

playContract({
  name: 'Hono 4',
  lacks: { 'headers already sent': 'a Response is sent when all handlers are done' },
  serve(app) {
    const hono = new Hono()
    if (app.appWide !== undefined) hono.use(rateLimitMiddleware({ ...app.appWide, getConnInfo } as object))
    for (const limiter of eachOnce(app.limiters, (one) => rateLimit(honoOptions(one)))) hono.use(limiter)
    hono.all('*', (c) => behave(c, app))
    hono.onError((error, c) => c.text(textOf(error), 500))
    return serveHono(hono)
  },
})

describe('in Hono', () => {
  const limits = (rate: string) => ({ rate, getConnInfo, store: setUp().store })

  test('c.var.rateLimit is typed, and there', async () => {
    const app = new Hono().get('/', rateLimit(limits('5/m')), (c) => {
      expectTypeOf(c.var.rateLimit).toEqualTypeOf<RequestRateLimit | undefined>()
      return c.json({ left: c.var.rateLimit?.remaining })
    })
    await using server = await serveHono(app)
    expect((await server.get('/')).body).toBe('{"left":4}')
  })

  test('responses made without the context, by redirect, by fetch and by a stream have the headers too; streams are not rebuilt', async () => {
    let streamed: Response | undefined
    let sent: Response | undefined
    const app = new Hono()
    app.use(async (c, next) => {
      await next()
      sent = c.res
    })
    app.use(rateLimit(limits('9/m')))
    app.get('/raw', () => new Response('raw'))
    app.get('/away', () => Response.redirect('http://localhost/there', 302))
    app.get('/proxied', () => fetch('data:text/plain,proxied'))
    app.get('/stream', () => {
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('a stream'))
          controller.close()
        },
      })
      return (streamed = new Response(body))
    })
    await using server = await serveHono(app)
    expect(await server.get('/raw')).toMatchObject({ body: 'raw', headers: { 'x-ratelimit-remaining': '8' } })
    expect(await server.get('/away')).toMatchObject({
      status: 302,
      headers: { location: 'http://localhost/there', 'x-ratelimit-remaining': '7' },
    })
    expect(await server.get('/proxied')).toMatchObject({ body: 'proxied', headers: { 'x-ratelimit-remaining': '6' } })
    expect(await server.get('/stream')).toMatchObject({ body: 'a stream', headers: { 'x-ratelimit-remaining': '5' } })
    expect(sent).toBe(streamed)
    expect(await server.get('/nowhere')).toMatchObject({ status: 404, headers: { 'x-ratelimit-remaining': '4' } })
  })

  test('throw: HTTPException throws the refusal, for app.onError to answer or to hand on', async () => {
    const app = new Hono()
    app.use('/own', rateLimit({ ...limits('0/m'), throw: HTTPException }))
    app.use('/handed-on', rateLimit({ ...limits('0/m'), throw: HTTPException }))
    app.onError((error, c) => {
      expect(error).toBeInstanceOf(HTTPException)
      const refusal = error as HTTPException
      return c.req.path === '/own' ? c.text(`own ${refusal.status} ${refusal.message}`, refusal.status) : refusal.getResponse()
    })
    await using server = await serveHono(app)
    expect(await server.get('/own')).toMatchObject({
      status: 429,
      body: expect.stringContaining('own 429 Rate limit exceeded') as unknown,
    })
    expect(await server.get('/handed-on', { accept: 'application/json' })).toMatchObject({
      status: 429,
      headers: { 'content-type': 'application/problem+json', 'x-ratelimit-limit': '0', 'cache-control': 'no-store' },
    })
  })

  test('onLimited answers; status and headers are set on what it returns', async () => {
    const app = new Hono()
    app.use(rateLimit({ ...limits('0/m'), onLimited: (c, decision) => c.html(`<p>${decision.kind}</p>`) }))
    await using server = await serveHono(app)
    expect(await server.get('/')).toMatchObject({
      status: 429,
      body: '<p>refused</p>',
      headers: { 'x-ratelimit-limit': '0', 'content-type': 'text/html; charset=UTF-8' },
    })
  })

  test('countWhen sees the response, whoever made it', async () => {
    const app = new Hono()
    const limit = rateLimit({ ...limits('1/m'), countWhen: (response) => response.status !== 404 })
    app.get('/found', limit, (c) => c.text('ok'))
    app.use('/lost', limit)
    await using server = await serveHono(app)
    for (let i = 0; i < 3; i++) expect((await server.get('/lost')).status).toBe(404)
    expect([(await server.get('/found')).status, (await server.get('/found')).status]).toEqual([200, 429])
  })

  test('the key "user" is what an authentication left: a user, or the claims of a token', async () => {
    const { store } = setUp()
    const app = new Hono<{ Variables: { user: unknown; jwtPayload: unknown } }>()
    app.use(async (c, next) => {
      const id = c.req.header('x-id')
      if (id !== undefined) c.set('user', { id })
      else c.set('jwtPayload', { sub: c.req.header('x-sub') })
      await next()
    })
    app.use(rateLimit({ rate: '1/m', key: 'user', getConnInfo, store }))
    app.get('/', (c) => c.text('ok'))
    await using server = await serveHono(app)
    const statuses = []
    for (const headers of [{ 'x-id': 'a' }, { 'x-sub': 'a' }, { 'x-id': 'b' }, { 'x-sub': 'b' }])
      statuses.push((await server.get('/', headers)).status)
    expect(statuses).toEqual([200, 429, 200, 429])
  })

  test('a wrapped handler and a decorated method are limited, keep their shape and get headers', async () => {
    const report = withRateLimit(function report(c: Context) {
      return c.text('report')
    }, limits('1/m'))
    expect([report.name, report.length]).toEqual(['report', 1])
    const { show } = await decorated('c', 'return c.text(this.greeting)', rateLimited(limits('1/m')))
    const app = new Hono()
    app.get('/report', report)
    app.get('/method', (c) => show(c) as Response)
    await using server = await serveHono(app)
    expect(await server.get('/report')).toMatchObject({ body: 'report', headers: { 'x-ratelimit-remaining': '0' } })
    expect((await server.get('/report')).status).toBe(429)
    expect(await server.get('/method')).toMatchObject({ body: 'hello', headers: { 'x-ratelimit-remaining': '0' } })
    expect((await server.get('/method')).status).toBe(429)
  })

  test('a wrapped handler that fails gives its cost back where failures do not count', async () => {
    const app = new Hono()
    app.get(
      '/in',
      withRateLimit(async (): Promise<Response> => Promise.reject(new HTTPException(401)), {
        ...limits('1/m'),
        skipFailedRequests: true,
      }),
    )
    await using server = await serveHono(app)
    for (let i = 0; i < 3; i++) expect((await server.get('/in')).status).toBe(401)
  })

  test('without a way to know the address, the key "ip" is refused at construction; other keys are not', () => {
    expect(() => rateLimit({ rate: '1/m' })).toThrow(ConfigError)
    expect(() => rateLimit({ rate: '1/m' })).toThrow(/rateLimit\.getConnInfo.*conninfo/)
    expect(() => rateLimitMiddleware({ rateLimits: { '/x': '1/m' } })).toThrow(/getConnInfo/)
    rateLimit({ rate: '1/m', key: 'header:x-team' })
    rateLimit({ rate: '1/m', trustedProxies: 1 })
    rateLimit({ rate: '1/m', onMissingKey: 'deny' })
  })

  test.each([
    ['a context where options belong', () => rateLimit({ req: {} } as never), /call it/],
    ['a throw that is no class', () => rateLimit({ rate: '1/m', getConnInfo, throw: true } as never), /rateLimit\.throw/],
    ['a getConnInfo that was called', () => rateLimit({ rate: '1/m', getConnInfo: {} } as never), /getConnInfo.*a function/],
  ])('%s is refused at construction', (_, build, message) => {
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(message)
  })

  test('a store behind promises gives the same refusals', async () => {
    const app = new Hono()
    app.use(rateLimit({ rate: '1/m', getConnInfo, store: later(setUp().store) }))
    app.get('/', (c) => c.text('ok'))
    await using server = await serveHono(app)
    expect([(await server.get('/')).status, (await server.get('/')).status]).toEqual([200, 429])
  })
})
