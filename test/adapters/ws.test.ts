// The ws adapter: a real server, and real clients over real sockets. Next: ../../src/adapters/ws.ts.

import { once } from 'node:events'
import { type IncomingMessage, createServer } from 'node:http'
import { type AddressInfo, connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { describe, expect, test } from 'vitest'
import {
  type ConnectionLimit,
  type WsMessageOptions,
  rateLimitConnections,
  rateLimitMessages,
  rateLimitOf,
} from '../../src/adapters/ws.ts'
import { ConfigError, StoreError } from '../../src/core/errors.ts'
import { START, later, setUp } from './contract.ts'
import { warningsDuring } from './warnings.ts'

const whens = ['at once', 'later'] as const
const make = (when: (typeof whens)[number]) => {
  const { clock, store } = setUp()
  return { clock, store: when === 'later' ? later(store) : store }
}

type OnConnection = (socket: WebSocket, request: IncomingMessage) => void
type Way = 'verifyClient' | 'upgrade'

/** A server with a limit before its handshake, and clients of it, all gone at the end. */
async function start(limit: ConnectionLimit | undefined, onConnection: OnConnection = () => {}, way: Way = 'verifyClient') {
  const http = createServer()
  const options =
    way === 'verifyClient' ? { server: http, ...(limit && { verifyClient: limit.verifyClient }) } : { noServer: true }
  const server = new WebSocketServer(options)
  if (limit !== undefined) server.on('headers', limit.writeHeaders)
  if (way === 'upgrade') {
    http.on('upgrade', (request, socket, head) =>
      limit?.upgrade(request, socket, () => {
        server.handleUpgrade(request, socket, head, (opened) => void server.emit('connection', opened, request))
      }),
    )
  }
  server.on('connection', onConnection)
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  const clients: WebSocket[] = []
  const connect = (headers: ClientOptions['headers'] = {}, path = '/'): WebSocket => {
    const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers })
    clients.push(client)
    return client
  }
  return {
    port,
    server,
    /** A client that is connected, and the handshake's response. */
    async open(headers?: ClientOptions['headers'], path?: string) {
      const client = connect(headers, path)
      const [[response]] = (await Promise.all([once(client, 'upgrade'), once(client, 'open')])) as [[IncomingMessage], unknown]
      return { client, headers: response.headers }
    },
    /** The answer to a client that is refused. */
    async refused(headers?: ClientOptions['headers']) {
      const client = connect(headers)
      const [, response] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage]
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() }
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) {
        client.on('error', () => {})
        client.terminate()
      }
      for (const client of server.clients) client.terminate()
      server.close()
      await new Promise((resolve) => {
        http.close(resolve)
        http.closeAllConnections()
      })
    },
  }
}

describe.each<Way>(['verifyClient', 'upgrade'])('connections by %s', (way) => {
  test.each(whens)(
    'are answered with 429 and headers above the limit, until there is room (a store that answers %s)',
    async (when) => {
      const { clock, store } = make(when)
      let connections = 0
      const limit = rateLimitConnections({ rate: '2/m', algorithm: 'fixed_window', store })
      await using app = await start(limit, () => void connections++, way)
      const { headers } = await app.open()
      expect(headers).toMatchObject({ 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1' })
      await app.open()
      const wait = 60 - (START % 60_000) / 1000
      const refused = await app.refused()
      expect(refused).toMatchObject({ status: 429, body: `Rate limit exceeded. Try again in ${wait} seconds.` })
      expect(refused.headers).toMatchObject({
        'retry-after': String(wait),
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': '0',
        'ratelimit-policy': '"2-per-m";q=2;w=60',
        'cache-control': 'no-store',
        'content-type': 'text/plain; charset=utf-8',
        connection: 'close',
      })
      expect(connections).toBe(2)
      clock.advance(wait * 1000)
      await app.open()
      expect(connections).toBe(3)
    },
  )

  test('are refused in the form that the client accepts, with the length of its bytes', async () => {
    const { store } = setUp()
    await using app = await start(rateLimitConnections({ rate: '0/m', message: 'Später', store }), undefined, way)
    const json = await app.refused({ accept: 'application/json' })
    expect(json.headers['content-type']).toBe('application/problem+json')
    expect(JSON.parse(json.body)).toMatchObject({ status: 429, detail: 'Später' })
    expect((await app.refused()).body).toBe('Später')
  })

  test('that the limiter fails on are answered with 500 and nothing of why; the observers are told', async () => {
    const { store } = setUp()
    const failing = Object.assign(later(store), {
      take: () => Promise.reject(new StoreError('redis', 'connect redis://me:s3cr3t@:/?#@10.0.0.7')),
    })
    const told: unknown[] = []
    const observers = [{ onError: (error: unknown, where: string) => void told.push([(error as Error).name, where]) }]
    await using app = await start(
      rateLimitConnections({ rate: '1/m', store: failing, onStoreError: 'throw', observers }),
      undefined,
      way,
    )
    const answer = await app.refused()
    expect(answer.status).toBe(500)
    expect(JSON.stringify(answer)).not.toMatch(/redis|s3cr3t|10\.0\.0/)
    expect(told).toEqual([['StoreError', 'rateLimitConnections']])
  })

  test('without a store are let in, or answered with 503, as onStoreError says', async () => {
    const store = { ...later(setUp().store), take: () => Promise.reject(new StoreError('redis', 'is gone')) }
    await using open = await start(rateLimitConnections({ rate: '1/m', store, onStoreError: 'allow' }), undefined, way)
    await open.open()
    await open.open()
    await using closed = await start(rateLimitConnections({ rate: '1/m', store, onStoreError: 'deny' }), undefined, way)
    expect((await closed.refused()).status).toBe(503)
  })

  test('that end before their decision harm nobody', async () => {
    const { store } = setUp()
    let asked: () => void = () => {}
    let answer: (key: string) => void = () => {}
    const asking = new Promise<void>((resolve) => void (asked = resolve))
    let connections = 0
    const key = (request: IncomingMessage) => {
      if (request.url !== '/slow') return 'quick'
      asked()
      return new Promise<string>((resolve) => void (answer = resolve))
    }
    await using app = await start(rateLimitConnections({ rate: '9/m', key, store }), () => void connections++, way)
    const raw = connectSocket(app.port, '127.0.0.1')
    raw.write(
      'GET /slow HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    await asking
    raw.resetAndDestroy()
    await once(raw, 'close')
    // The server has noticed when it serves the next client.
    await app.open()
    answer('slow')
    await app.open()
    expect(connections).toBe(2)
  })

  test('are let in with block: false, and the app finds how they stand; a failing onLimited is the observers’', async () => {
    const { store } = setUp()
    const standings: unknown[] = []
    const open = rateLimitConnections({ rate: '1/m', block: false, store })
    await using app = await start(open, (_, request) => void standings.push(rateLimitOf(request)?.allowed), way)
    await app.open()
    expect((await app.open()).headers['x-ratelimit-remaining']).toBe('0')
    expect(standings).toEqual([true, false])

    const told: unknown[] = []
    const strict = rateLimitConnections({
      rate: '0/m',
      store,
      onLimited({ url }) {
        throw new Error(url)
      },
      observers: [{ onError: (error, where) => void told.push([(error as Error).message, where]) }],
    })
    await using other = await start(strict, undefined, way)
    expect((await other.refused()).status).toBe(429)
    expect(told).toEqual([['/', 'onLimited']])
  })

  test('are counted and not refused in shadow, without a header', async () => {
    const { store } = setUp()
    await using app = await start(rateLimitConnections({ rate: '0/m', shadow: true, store }), undefined, way)
    expect(Object.keys((await app.open()).headers).filter((name) => name.includes('ratelimit'))).toEqual([])
  })
})

describe('the client', () => {
  test.each<[string, object, Record<string, string>, string]>([
    ['the address of the connection', {}, { 'x-forwarded-for': '203.0.113.9' }, 'ip:127.0.0.1'],
    [
      'the address a trusted proxy forwards',
      { trustedProxies: 1 },
      { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' },
      'ip:203.0.113.9',
    ],
    ['a header', { key: 'header:x-tenant' }, { 'x-tenant': 'acme' }, 'header:x-tenant:acme'],
    ['a parameter', { key: 'query:room' }, {}, 'query:room:a b'],
    ['a user of the app', { key: 'user' }, {}, 'user:ada'],
  ])('is known by %s, in messages too', async (_, options, headers, expected) => {
    const { store } = setUp()
    const keys: unknown[] = []
    const observers = [{ onDecision: (__: unknown, key: string) => void keys.push(key) }]
    const limit = rateLimitConnections({ rate: '9/m', store, observers, ...options })
    const messages = rateLimitMessages({ rate: '9/m', store, observers, ...options })
    const identified: ConnectionLimit = {
      ...limit,
      verifyClient(info, done) {
        Object.assign(info.req, { user: { id: 'ada' } })
        limit.verifyClient(info, done)
      },
    }
    await using app = await start(identified, (socket, request) => {
      messages(socket, request)
      socket.on('message', () => socket.send('heard'))
    })
    const { client } = await app.open(headers, '/chat?room=a+b')
    client.send('hello')
    await once(client, 'message')
    expect(keys).toEqual([expected, expected])
  })
})

/** A server whose handler notes messages and echoes them; `end` is told once the connection has closed. */
async function echo(options: WsMessageOptions) {
  const handled: string[] = []
  const messages = rateLimitMessages(options)
  let sockets = 0
  const app = await start(undefined, (socket, request) => {
    const name = `socket ${++sockets}`
    messages(socket, request)
    messages(socket, request)
    socket.on('close', () => void handled.push(`${name} closed`))
    socket.on('message', (data: Buffer) => {
      handled.push(String(data))
      if (socket.readyState === socket.OPEN) socket.send(String(data))
    })
  })
  return { ...app, handled }
}

/** The next messages a client gets. */
function heard(client: WebSocket, count: number): Promise<string[]> {
  const texts: string[] = []
  return new Promise((resolve) => {
    const listen = (data: Buffer): void => {
      texts.push(String(data))
      if (texts.length < count) return
      client.off('message', listen)
      resolve(texts)
    }
    client.on('message', listen)
  })
}

describe.each(whens)('messages, with a store that answers %s,', (when) => {
  test('are handled once up to the limit; the next one closes the connection with 1008 and a reason', async () => {
    const { clock, store } = make(when)
    await using app = await echo({ rate: '2/m', algorithm: 'fixed_window', store })
    const { client } = await app.open()
    for (const text of ['a', 'b', 'c', 'd']) client.send(text)
    const [code, reason] = (await once(client, 'close')) as [number, Buffer]
    expect([code, String(reason)]).toEqual([1008, `Rate limit exceeded. Try again in ${60 - (START % 60_000) / 1000} seconds.`])
    expect(app.handled.slice(0, 2)).toEqual(['a', 'b'])
    expect(app.handled).not.toContain('c')
    expect(app.handled).not.toContain('d')
    clock.advance(60_000)
    const next = await app.open()
    next.client.send('e')
    expect(await heard(next.client, 1)).toEqual(['e'])
  })

  test('are dropped above the limit, if so wanted, and the connection goes on', async () => {
    const { clock, store } = make(when)
    await using app = await echo({ rate: '2/m', algorithm: 'fixed_window', onLimited: 'drop', store })
    const { client } = await app.open()
    for (const text of ['a', 'b', 'c']) client.send(text)
    expect(await heard(client, 2)).toEqual(['a', 'b'])
    client.ping()
    await once(client, 'pong')
    clock.advance(60_000)
    client.send('d')
    expect(await heard(client, 1)).toEqual(['d'])
    expect(app.handled).toEqual(['a', 'b', 'd'])
  })

  test('are answered by the app, if it wants to', async () => {
    const { store } = make(when)
    await using app = await echo({
      rate: '1/m',
      algorithm: 'fixed_window',
      store,
      onLimited: ({ socket, data, isBinary }, told) =>
        (socket as WebSocket).send(JSON.stringify({ ...told, refused: String(data), isBinary })),
    })
    const { client } = await app.open()
    client.send('a')
    await heard(client, 1)
    client.send(Buffer.from('b'))
    const [answer = ''] = await heard(client, 1)
    expect(JSON.parse(answer)).toEqual({
      code: 'RATE_LIMITED',
      message: `Rate limit exceeded. Try again in ${60 - (START % 60_000) / 1000} seconds.`,
      retryAfterMs: 60_000 - (START % 60_000),
      limit: 1,
      remaining: 0,
      refused: 'b',
      isBinary: true,
    })
    expect(app.handled).toEqual(['a'])
  })

  test('that a client sends right before it leaves are handled, and then the end', async () => {
    const { store } = make(when)
    await using app = await echo({ rate: '9/m', store })
    const { client } = await app.open()
    const [socket] = app.server.clients
    const closed = once(socket as WebSocket, 'close')
    for (const text of ['a', 'b']) client.send(text)
    client.close()
    await closed
    expect(app.handled).toEqual(['a', 'b', 'socket 1 closed'])
  })

  test('that the limiter fails on close the connection with 1011, and the observers are told', async () => {
    const { store } = make(when)
    void store.close()
    const told: unknown[] = []
    const observers = [{ onError: (error: unknown, where: string) => void told.push([(error as { code: string }).code, where]) }]
    await using app = await echo({ rate: '1/m', store, onStoreError: 'throw', observers })
    const { client } = await app.open()
    for (const text of ['a', 'b']) client.send(text)
    const [code, reason] = (await once(client, 'close')) as [number, Buffer]
    expect([code, String(reason)]).toEqual([1011, ''])
    expect(app.handled).not.toContain('a')
    expect(told[0]).toEqual(['ERR_RATELIMIT_STORE_CLOSED', 'rateLimitMessages'])
  })
})

describe('messages', () => {
  test('keep their order, whatever their decisions wait for, and the end comes last', async () => {
    const { store } = setUp()
    const waiting = new Map<string, () => void>()
    let asked: () => void = () => {}
    const all = new Promise<void>((resolve) => void (asked = resolve))
    await using app = await echo({
      rate: '9/m',
      store,
      key: ({ data }) => {
        const text = String(data)
        if (text === 'quick') return text
        return new Promise((resolve) => {
          waiting.set(text, () => resolve(text))
          if (waiting.size === 3) asked()
        })
      },
    })
    const { client } = await app.open()
    const [socket] = app.server.clients
    const closed = once(socket as WebSocket, 'close')
    for (const text of ['a', 'b', 'quick', 'c']) client.send(text)
    await all
    client.terminate()
    await once(client, 'close')
    for (const text of ['c', 'b', 'a']) waiting.get(text)?.()
    await closed
    expect(app.handled).toEqual(['a', 'b', 'quick', 'c', 'socket 1 closed'])
  })

  test('of a flood wait outside while decisions are awaited, and are all handled in the end', async () => {
    const { store } = setUp()
    let open: () => void = () => {}
    const gate = new Promise<void>((resolve) => void (open = resolve))
    let asked = 0
    await using app = await echo({ rate: '100000/m', store, key: () => (asked++, gate.then(() => 'one')) })
    const { client } = await app.open()
    const texts = Array.from({ length: 3000 }, (_, i) => `${i}:${'x'.repeat(2000)}`)
    const answers = heard(client, texts.length)
    for (const text of texts) client.send(text)
    const paused = (): boolean => [...app.server.clients].every(({ isPaused }) => isPaused)
    while (!paused()) await new Promise((resolve) => setImmediate(resolve))
    // What one read from the kernel has brought is asked for; no more is read.
    const before = asked
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(asked).toBe(before)
    expect(asked).toBeLessThan(texts.length / 2)
    open()
    expect(await answers).toEqual(texts)
  })

  test('have a cost of their size, if so wanted', async () => {
    const { store } = setUp()
    const cost = ({ data }: { data: unknown }) => (data as Buffer).length
    await using app = await echo({ rate: '10/m', cost, onLimited: 'drop', store })
    const { client } = await app.open()
    for (const text of ['123456', '7890123', '4567']) client.send(text)
    expect(await heard(client, 2)).toEqual(['123456', '4567'])
  })

  test('reach listeners of every kind behind the limit', async () => {
    const { store } = setUp()
    const seen: string[] = []
    const messages = rateLimitMessages({ rate: '1/m', onLimited: 'drop', store })
    await using app = await start(undefined, (socket, request) => {
      socket.on('message', (data: Buffer) => void seen.push(`before ${String(data)}`))
      messages(socket, request)
      socket.addEventListener('message', ({ data }) => void seen.push(`event ${(data as string).length}`))
      // oxlint-disable-next-line unicorn/prefer-add-event-listener -- this is the other way, which must not be a way around
      socket.onmessage = ({ data }) => void seen.push(`property ${(data as string).length}`)
    })
    const { client } = await app.open()
    for (const text of ['a', 'b']) client.send(text)
    client.ping()
    await once(client, 'pong')
    expect(seen).toEqual(['before a', 'event 1', 'property 1'])
  })
})

test('a unix socket has no client address: nobody is let in by the key "undefined", and the developer is told once', async () => {
  const { store } = setUp()
  const path = join(tmpdir(), `smart-ratelimit-ws-${process.pid}.sock`)
  const http = createServer()
  const server = new WebSocketServer({ server: http, verifyClient: rateLimitConnections({ rate: '9/m', store }).verifyClient })
  http.listen(path)
  await once(http, 'listening')
  const warnings = await warningsDuring(async () => {
    for (let i = 0; i < 2; i++) {
      const client = new WebSocket(`ws+unix:${path}:/`)
      const [, response] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage]
      response.resume()
      expect(response.statusCode).toBe(500)
      client.on('error', () => {})
      client.terminate()
    }
  })
  expect(warnings).toEqual([expect.stringMatching(/^rateLimitConnections\.key: .*nothing for "ip"; set onMissingKey/)])
  server.close()
  http.close()
})

test('a close reason is cut to what fits, at a whole character', async () => {
  const { store } = setUp()
  await using app = await echo({ rate: '0/m', message: `x${'ä'.repeat(100)}`, store })
  const { client } = await app.open()
  client.send('a')
  const [code, reason] = (await once(client, 'close')) as [number, Buffer]
  expect([code, String(reason)]).toEqual([1008, `x${'ä'.repeat(61)}`])
})

test.each<[string, () => unknown, RegExp]>([
  ['no options', () => rateLimitMessages(undefined as never), /rateLimitMessages/],
  ['a misspelt option', () => rateLimitMessages({ rate: '1/m', onlimited: 'drop' } as never), /rateLimitMessages\.onlimited/],
  [
    'an option about a status',
    () => rateLimitConnections({ rate: '1/m', skipFailedRequests: true } as never),
    /skipFailedRequests/,
  ],
  ['header sets for messages', () => rateLimitMessages({ rate: '1/m', headers: 'ietf' } as never), /rateLimitMessages\.headers/],
  [
    'an onLimited that is neither',
    () => rateLimitMessages({ rate: '1/m', onLimited: 'kill' as never }),
    /"close", "drop" or a function/,
  ],
  [
    'a connection without its request',
    () => rateLimitMessages({ rate: '1/m' })({} as never, undefined as never),
    /the request of the connection/,
  ],
  ['a socket where options belong', () => rateLimitMessages({ on() {} } as never), /call it.*rateLimitMessages\(/],
])('%s is refused at construction', (_, build, message) => {
  expect(build).toThrow(ConfigError)
  expect(build).toThrow(message)
})
