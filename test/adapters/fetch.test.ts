// The fetch adapter, played with Request and Response values. Next: contract.ts.

import { describe, expect, test } from 'vitest'
import { rateLimit, rateLimitMiddleware, rateLimitOf, rateLimited, withRateLimit } from '../../src/adapters/fetch.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { later, playContract, setUp, told } from './contract.ts'
import { decorated } from './decorated.ts'
import { eachOnce } from './node-behaviour.ts'
import { fetchHandler, fetchOptions, serveFetch } from './fetch-behaviour.ts'

playContract({
  name: 'the fetch standard',
  lacks: {
    'headers already sent': 'a Response is sent when the handler is done',
    'a client that leaves': 'a handler learns of it by its request alone, which it owns',
  },
  serve: (app) => {
    let handler: (request: Request, info: { ip: string }) => Response | Promise<Response> = fetchHandler(app, rateLimitOf)
    const guards = eachOnce(app.limiters, (one) => rateLimit(fetchOptions(one)))
    for (const guard of guards.toReversed()) handler = withRateLimit(handler, guard)
    if (app.appWide !== undefined) handler = withRateLimit(handler, rateLimitMiddleware(app.appWide as object))
    return serveFetch(handler)
  },
})

const request = (path = '/', init?: RequestInit) => new Request(`http://localhost${path}`, init)

describe('by the fetch standard', () => {
  test('a guard answers at once where the store does: undefined, or the refusal', () => {
    const { store } = setUp()
    const guard = rateLimit({ rate: '1/m', store })
    expect(guard(request(), '192.0.2.1')).toBeUndefined()
    expect(guard(request(), '192.0.2.1')).toMatchObject({ status: 429 })
  })

  test('finish puts the headers on the response, gives back what does not count, and happens once', () => {
    const { store } = setUp()
    const guard = rateLimit({ rate: '2/m', skipFailedRequests: true, store })
    const first = request()
    expect(guard(first, '192.0.2.1')).toBeUndefined()
    const answer = new Response('no', { status: 500 })
    expect(guard.finish(first, answer)).toBe(answer)
    expect(answer.headers.get('x-ratelimit-remaining')).toBe('1')
    expect(guard.finish(first, new Response()).headers.has('x-ratelimit-remaining')).toBe(false)
    const second = request()
    void guard(second, '192.0.2.1')
    expect(rateLimitOf(second)?.remaining).toBe(1)
    expect(guard.finish(request(), new Response()).headers.has('x-ratelimit-limit')).toBe(false)
  })

  test.each([
    ['an address', '192.0.2.1'],
    ['an object with ip', { ip: '192.0.2.1' }],
    ["Deno's", { remoteAddr: { transport: 'tcp', hostname: '192.0.2.1', port: 1 } }],
    ["Bun's server", { requestIP: () => ({ address: '192.0.2.1', family: 'IPv4', port: 1 }) }],
    ["SvelteKit's event", { getClientAddress: () => '192.0.2.1' }],
    ["Astro's context", { clientAddress: '192.0.2.1' }],
  ])('%s tells the address', (_, info) => {
    const { store } = setUp()
    const guard = rateLimit({ rate: '1/m', store })
    const first = request()
    expect(guard(first, info)).toBeUndefined()
    expect(rateLimitOf(first)?.key).toBe('ip:192.0.2.1')
    expect(guard(request(), '192.0.2.1')).toMatchObject({ status: 429 })
  })

  test('without an address there is no key: an error, or the outcome of onMissingKey', () => {
    const { store } = setUp()
    const guard = rateLimit({ rate: '1/m', store })
    for (const info of [undefined, null, {}, { ip: undefined }, { requestIP: () => null }])
      expect(() => guard(request(), info as never)).toThrow(/nothing for "ip"/)
    expect(rateLimit({ rate: '1/m', onMissingKey: 'deny', store })(request())).toMatchObject({ status: 429 })
    const platform = rateLimit({ rate: '1/m', ip: (asked) => asked.headers.get('cf-connecting-ip'), store })
    expect(platform(request('/', { headers: { 'cf-connecting-ip': '192.0.2.7' } }))).toBeUndefined()
  })

  test('a stream passes as it is; where headers cannot be changed, its body moves to a new response', async () => {
    const { store } = setUp()
    const stream = () =>
      new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.enqueue(new TextEncoder().encode('tick '))
        },
      })
    const made = new Response(stream())
    const own = withRateLimit((_request: Request) => made, { rate: '9/m', key: 'static:all', store })
    expect(await own(request())).toBe(made)
    expect(made.headers.get('x-ratelimit-remaining')).toBe('8')
    expect(made.bodyUsed).toBe(false)

    const proxied = withRateLimit(async (_request: Request) => fetch('data:text/plain,proxied'), {
      rate: '9/m',
      key: 'static:all',
      store,
    })
    const answer = await proxied(request())
    expect([await answer.text(), answer.headers.get('content-type'), answer.headers.get('x-ratelimit-remaining')]).toEqual([
      'proxied',
      'text/plain',
      '8',
    ])
    const used = await fetch('data:text/plain,used')
    await used.text()
    const spent = withRateLimit(async (_request: Request) => used, { rate: '9/m', key: 'static:all', store })
    expect(await spent(request())).toBe(used)
  })

  test('a wrapped handler keeps name, parameters, this and arguments, and is as synchronous as it was', async () => {
    const { store } = setUp()
    const handler = withRateLimit(
      function page(this: unknown, _request: Request, context: { params: string }) {
        return new Response(`${String(this)} ${context.params}`)
      },
      { rate: '1/m', key: 'static:all', store },
    )
    expect([handler.name, handler.length]).toEqual(['page', 2])
    const answer = handler.call('me', request(), { params: 'p' })
    expect(answer).toBeInstanceOf(Response)
    expect(await (answer as Response).text()).toBe('me p')
    const other = withRateLimit(async (_request: Request) => new Response(), { rate: '1/m', key: 'static:all', store })
    expect(other(request())).toBeInstanceOf(Promise)
  })

  test('onLimited answers, with the usual answer in hand and its headers put on', async () => {
    const { store } = setUp()
    const guard = rateLimit({
      rate: '0/m',
      key: 'static:all',
      onLimited: async (_request, decision, usual) =>
        new Response(`${decision.kind} ${await usual.text()}`, { status: usual.status }),
      store,
    })
    const answer = (await guard(request())) as Response
    expect([answer.status, answer.headers.get('x-ratelimit-limit'), answer.headers.get('cache-control')]).toEqual([
      429,
      '0',
      'no-store',
    ])
    expect(await answer.text()).toContain('refused Rate limit exceeded')
  })

  test('countWhen sees the response', () => {
    const { store } = setUp()
    const handler = withRateLimit((asked: Request) => new Response(null, { status: asked.url.endsWith('/lost') ? 404 : 200 }), {
      rate: '1/m',
      key: 'static:all',
      countWhen: (response) => response.status !== 404,
      store,
    })
    const statuses = ['/lost', '/lost', '/found', '/found'].map((path) => (handler(request(path)) as Response).status)
    expect(statuses).toEqual([404, 404, 200, 429])
  })

  test('a decorated method is limited and keeps its this', async () => {
    const { store } = setUp()
    const decorator = rateLimited({ rate: '1/m', key: 'static:all', store })
    const { show } = await decorated('request', 'return new Response(this.greeting)', decorator)
    expect(await (show(request()) as Response).text()).toBe('hello')
    expect(show(request())).toMatchObject({ status: 429 })
  })

  test('nothing is known of a request that no limiter has met', () => {
    expect(rateLimitOf(request())).toBeUndefined()
    expect(told(rateLimitOf(request()))).toBe('null')
  })

  test('a store behind promises gives the same answers', async () => {
    const guard = rateLimit({ rate: '1/m', key: 'static:all', store: later(setUp().store) })
    expect([await guard(request()), (await guard(request()))?.status]).toEqual([undefined, 429])
  })

  test.each([
    ['a request where options belong', () => rateLimit(request() as never), /call it|rateLimit/],
    ['a handler that is none', () => withRateLimit(undefined as never, { rate: '1/m' }), /withRateLimit\(handler\)/],
    ['an ip that is no function', () => rateLimit({ rate: '1/m', ip: '192.0.2.1' } as never), /rateLimit\.ip.*a function/],
  ])('%s is refused at construction', (_, build, message) => {
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(message)
  })
})
