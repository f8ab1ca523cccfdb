// Plain node:http and node:http2 servers, over real sockets. Next: contract.ts.

import { connect, createServer } from 'node:http2'
import { once } from 'node:events'
import { type IncomingMessage, type ServerResponse, createServer as createHttpServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { rateLimit, rateLimitGuard, rateLimitMiddleware, withRateLimit } from '../../src/adapters/node-http.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { later, playContract, setUp, textOf } from './contract.ts'
import { serve } from './http.ts'
import { behave, eachOnce, nodeOptions } from './node-behaviour.ts'

type Middleware = ReturnType<typeof rateLimit>

playContract({
  name: 'node:http',
  serve(app) {
    const chain: Middleware[] = eachOnce(app.limiters, (one) => rateLimit(nodeOptions(one)))
    if (app.appWide !== undefined) chain.unshift(rateLimitMiddleware(app.appWide as object))
    return serve((request, response) => {
      const failed = (error: unknown): void => {
        response.statusCode = 500
        response.end(textOf(error))
      }
      const step = (at: number, error?: unknown): void => {
        if (error !== undefined) return failed(error)
        const next = chain[at]
        if (next !== undefined) return next(request, response, (failure) => step(at + 1, failure))
        try {
          behave(app, request, response)
        } catch (thrown) {
          failed(thrown)
        }
      }
      if (app.early === true) response.write('early ')
      step(0)
    })
  },
})

describe('a request listener', () => {
  test('is wrapped with its name, its parameters and its this, and answers at once where the store does', async () => {
    const { store } = setUp()
    const seen: unknown[] = []
    const listener = withRateLimit(
      function hello(this: unknown, _request: IncomingMessage, response: ServerResponse): number {
        seen.push(this === server)
        response.end('hello')
        return 7
      },
      { rate: '1/m', store },
    )
    expect([listener.name, listener.length]).toEqual(['hello', 2])
    const server = createHttpServer(listener)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await using plain = await serve((request, response) => void seen.push(listener.call(server, request, response)))
    expect((await plain.get('/')).body).toBe('hello')
    expect((await plain.get('/')).status).toBe(429)
    expect(seen).toEqual([true, 7, undefined])
    server.close()
  })

  test.each([true, false])(
    'a limiter that fails answers 500 and tells the observers; the listener does not run (at once: %s)',
    async (sync) => {
      const { store } = setUp()
      store.close()
      const told: unknown[] = []
      const observers = [{ onError: (error: unknown, where: string) => void told.push([textOf(error), where]) }]
      let runs = 0
      const listener = withRateLimit((_request: unknown, _response: unknown) => void runs++, {
        rate: '1/m',
        store: sync ? store : later(store),
        observers,
      })
      await using server = await serve(listener as never)
      expect((await server.get('/')).status).toBe(500)
      expect([runs, told]).toEqual([0, [['ERR_RATELIMIT_STORE_CLOSED', 'limiter']]])
    },
  )

  test('a guard says whether to go on', async () => {
    const { store } = setUp()
    const guard = rateLimitGuard({ rate: '1/m', store })
    await using server = await serve((request, response) => {
      if (guard(request, response) === true) response.end('in')
    })
    expect((await server.get('/')).body).toBe('in')
    expect((await server.get('/')).status).toBe(429)
    const slow = rateLimitGuard({ rate: '1/m', store: later(setUp().store) })
    await using other = await serve(
      (request, response) => void Promise.resolve(slow(request, response)).then((go) => go && response.end('in')),
    )
    expect((await other.get('/')).body).toBe('in')
    expect((await other.get('/')).status).toBe(429)
  })
})

test('each stream of an HTTP/2 connection counts', async () => {
  const { store } = setUp()
  const limit = rateLimit({ rate: '2/m', store })
  const server = createServer((request, response) => limit(request, response, () => response.end('ok')))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const statuses = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const stream = client.request({ ':path': '/' })
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
      stream.resume()
      return headers[':status']
    }),
  )
  expect(statuses.map(Number).toSorted((a, b) => a - b)).toEqual([200, 200, 429])
  client.close()
  server.close()
})

test('a unix socket has no client address: an error, or what onMissingKey says, and never the key "undefined"', async () => {
  const { store } = setUp()
  const path = join(tmpdir(), `smart-ratelimit-${process.pid}.sock`)
  const strict = rateLimit({ rate: '9/m', store })
  const lenient = rateLimit({ rate: '9/m', onMissingKey: 'skip', store })
  const server = createHttpServer((request, response) => {
    const limit = request.url === '/strict' ? strict : lenient
    limit(request, response, (error) => response.end(error === undefined ? 'ok' : textOf(error)))
  })
  server.listen(path)
  await once(server, 'listening')
  const get = async (target: string): Promise<string> => {
    const sent = send({ socketPath: path, path: target, agent: false }).end()
    const [response] = (await once(sent, 'response')) as [AsyncIterable<Buffer>]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    return Buffer.concat(chunks).toString()
  }
  expect([await get('/strict'), await get('/lenient')]).toEqual(['ERR_RATELIMIT_KEY_MISSING', 'ok'])
  server.close()
})

test.each([
  ['no options', () => rateLimit(undefined as never), /rateLimit/],
  ['a request where options belong', () => rateLimit({ headers: {}, method: 'GET' } as never), /call it.*rateLimit\(/],
  ['a handler that is none', () => withRateLimit('listener' as never, { rate: '1/m' }), /withRateLimit\(handler\).*"listener"/],
  ['an unknown option', () => rateLimitGuard({ rate: '1/m', throw: true } as never), /rateLimitGuard\.throw/],
  ['an onLimited that is no function', () => rateLimit({ rate: '1/m', onLimited: 'page' } as never), /onLimited.*a function/],
])('%s is refused at construction', (_, build, message) => {
  expect(build).toThrow(ConfigError)
  expect(build).toThrow(message)
})
