// The Next.js adapter, played with Request and Response values and, for the Pages API, over real HTTP. Next: contract.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { rateLimitAction, rateLimitOf, rateLimitProxy, withRateLimit, withRateLimitApi } from '../../src/adapters/next.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { later, playContract, setUp, textOf } from './contract.ts'
import { fetchHandler, fetchOptions, serveFetch } from './fetch-behaviour.ts'
import { serve } from './http.ts'
import { behave, nodeOptions } from './node-behaviour.ts'

const ip = (): string => '127.0.0.1'

playContract({
  name: 'Next.js route handlers behind a proxy',
  lacks: {
    'headers already sent': 'a Response is sent when the handler is done',
    'a client that leaves': 'a handler learns of it by its request alone, which it owns',
  },
  serve: (app) => {
    const inner = fetchHandler(app, rateLimitOf)
    let handler: (request: Request) => unknown = inner
    for (const one of [...(app.limiters ?? [])].toReversed()) {
      const own = app.limiters?.indexOf(one) !== app.limiters?.lastIndexOf(one)
      const wrapped = handler as typeof inner
      handler = own ? twice(wrapped, fetchOptions(one)) : withRateLimit(wrapped, { ip, ...fetchOptions(one) })
      if (own) break
    }
    // What Next.js does: the proxy first; where it goes on, the route's response gets the proxy's headers beneath its own.
    if (app.appWide === undefined) return serveFetch(handler)
    const proxy = rateLimitProxy({ ip, ...app.appWide } as object)
    return serveFetch(async (request) => {
      const answer = await proxy(request)
      if (answer.headers.get('x-middleware-next') === null) return answer
      const response = (await handler(request)) as Response
      for (const [name, value] of answer.headers) if (!response.headers.has(name)) response.headers.set(name, value)
      return response
    })
  },
})

/** One limiter around a handler, met twice. */
function twice(handler: (request: Request) => Response, options: { rate: string }): (request: Request) => Response {
  let nested = false
  const wrapped: (request: Request) => Response = withRateLimit(
    (request: Request) => {
      if (nested) return handler(request)
      nested = true
      const response = wrapped(request)
      nested = false
      return response
    },
    { ip, ...options },
  )
  return wrapped
}

playContract({
  name: 'the Pages API of Next.js',
  serve(app) {
    let handler = (request: IncomingMessage, response: ServerResponse): unknown => behave(app, request, response)
    const made = new Map<object, (handler: unknown) => typeof handler>()
    for (const one of [...(app.limiters ?? [])].toReversed()) {
      if (made.has(one)) continue
      made.set(one, () => handler)
      const count = app.limiters?.filter((other) => other === one).length ?? 1
      const inner = handler
      let depth = 0
      const wrapped: typeof handler = withRateLimitApi((request: IncomingMessage, response: ServerResponse) => {
        depth++
        const result = depth < count ? wrapped(request, response) : inner(request, response)
        depth = 0
        return result
      }, nodeOptions(one))
      handler = wrapped
    }
    const failed = (response: ServerResponse, error: unknown): void => {
      response.statusCode = 500
      response.end(textOf(error))
    }
    if (app.appWide !== undefined) {
      // The Pages API stands behind the proxy too, which speaks Request and Response.
      const proxy = rateLimitProxy({ ip, ...app.appWide } as object)
      const inner = handler
      handler = async (request, response) => {
        const target = request.url?.startsWith('http') === true ? request.url : `http://localhost${request.url}`
        const answer = await proxy(new Request(target, { method: request.method ?? 'GET', headers: request.headers as never }))
        for (const [name, value] of answer.headers) response.setHeader(name, value)
        if (answer.headers.has('x-middleware-next')) return inner(request, response)
        response.statusCode = answer.status
        return response.end(await answer.text())
      }
    }
    return serve((request, response) => {
      if (app.early === true) response.write('early ')
      // Next.js awaits its handlers, and answers their errors.
      void (async () => handler(request, response))().catch((error: unknown) => failed(response, error))
    })
  },
})

const request = (path = '/', init?: RequestInit) => new Request(`http://localhost${path}`, init)

describe('in Next.js', () => {
  test('a route handler gets every argument, params being a promise, and its types stay', async () => {
    const { store } = setUp()
    const GET = withRateLimit(
      async function GET(_request: Request, { params }: { params: Promise<{ id: string }> }) {
        return Response.json(await params)
      },
      { rate: '1/m', ip, store },
    )
    expectTypeOf(GET).parameters.toEqualTypeOf<[Request, { params: Promise<{ id: string }> }]>()
    expect([GET.name, GET.length]).toEqual(['GET', 2])
    const context = { params: Promise.resolve({ id: '7' }) }
    const first = await GET(request(), context)
    expect([await first.json(), first.headers.get('x-ratelimit-remaining')]).toEqual([{ id: '7' }, '0'])
    expect((await GET(request(), context)).status).toBe(429)
  })

  test('a proxy goes on with headers, composes with one of your own, and answers refusals', async () => {
    const { store } = setUp()
    const plain = rateLimitProxy({ defaultRate: '1/m', ip, store })
    const first = await plain(request())
    expect(Object.fromEntries(first.headers)).toMatchObject({ 'x-middleware-next': '1', 'x-ratelimit-remaining': '0' })
    expect((await plain(request())).status).toBe(429)

    const events: unknown[] = []
    const composed = rateLimitProxy(
      { defaultRate: '2/m', skipPaths: ['/static'], ip, store },
      (asked: Request, event: unknown) => {
        events.push(event)
        return asked.url.endsWith('/old') ? Response.redirect('http://localhost/new', 302) : undefined
      },
    )
    const moved = await composed(request('/old'), 'event')
    expect([moved.status, moved.headers.get('location'), moved.headers.get('x-ratelimit-remaining')]).toEqual([
      302,
      'http://localhost/new',
      '1',
    ])
    expect((await composed(request('/page'), 'event')).headers.get('x-middleware-next')).toBe('1')
    expect((await composed(request('/page'), 'event')).status).toBe(429)
    expect((await composed(request('/static/a.css'), 'event')).headers.has('x-ratelimit-limit')).toBe(false)
    expect(events).toEqual(['event', 'event', 'event'])
  })

  test('a Server Action is told how it stands: by user, or by what its headers say', async () => {
    const { store } = setUp()
    const limit = rateLimitAction({ rate: '1/m', key: 'user', headers: async () => new Headers(), store })
    expect(await limit('ada')).toMatchObject({ allowed: true, remaining: 0 })
    expect(await limit('ada')).toMatchObject({ allowed: false, retryAfterMs: expect.any(Number) as unknown })
    expect(await limit('bob')).toMatchObject({ allowed: true })
    const headers = async () => new Headers({ 'x-forwarded-for': '198.51.100.1, 203.0.113.9' })
    const byAddress = rateLimitAction({ name: 'address', rate: '1/m', trustedProxies: 1, headers, store: later(store) })
    expect((await byAddress()).allowed).toBe(true)
    const own = rateLimitAction({
      name: 'address',
      rate: '1/m',
      ip: ({ headers: given }) => given.get('x-forwarded-for')?.split(', ').at(-1),
      headers,
      store,
    })
    expect((await own()).allowed).toBe(false)
    await expect(rateLimitAction({ rate: '1/m', key: 'user', headers, store })()).rejects.toThrow(/nothing for "user"/)
  })

  test.each([
    [
      'a route handler without a way to tell clients apart',
      () => withRateLimit(() => new Response(), { rate: '1/m' }),
      /withRateLimit\.ip/,
    ],
    ['such a proxy', () => rateLimitProxy({ defaultRate: '1/m' }), /rateLimitProxy\.ip.*trustedProxies/],
    ['such a check', () => rateLimitAction({ rate: '1/m', headers: () => new Headers() }), /rateLimitAction\.ip/],
    [
      'headers that were called already',
      () => rateLimitAction({ rate: '1/m', headers: new Headers() } as never),
      /headers.*a function/,
    ],
    ['a handler that is none', () => withRateLimit('GET' as never, { rate: '1/m', ip }), /withRateLimit\(handler\)/],
    ['a proxy that is none', () => rateLimitProxy({ ip }, {} as never), /rateLimitProxy\(handler\)/],
    ['an API handler that is none', () => withRateLimitApi(null as never, { rate: '1/m' }), /withRateLimitApi\(handler\)/],
  ])('%s is refused at construction', (_, build, message) => {
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(message)
  })
})
