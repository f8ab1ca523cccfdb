// The Socket.IO adapter: a real server, and real clients over WebSocket and long polling. Next: ../../src/adapters/socket-io.ts.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server, type Socket as ServerSocket } from 'socket.io'
import { type ManagerOptions, type Socket, type SocketOptions, io } from 'socket.io-client'
import { describe, expect, test } from 'vitest'
import {
  type SocketIoMessageOptions,
  SocketRefusalError,
  rateLimitConnections,
  rateLimitMessages,
  rateLimitOf,
} from '../../src/adapters/socket-io.ts'
import { ConfigError, StoreError } from '../../src/core/errors.ts'
import { apiKeyAware, jwtClaim } from '../../src/index.ts'
import { START, later, setUp } from './contract.ts'

interface Refused extends Error {
  readonly data: Record<string, unknown>
}

/** A server, and clients of it, all gone at the end. */
async function start(prepare: (server: Server) => void, options: ConstructorParameters<typeof Server>[1] = {}) {
  const http = createServer()
  const server = new Server(http, options as object)
  prepare(server)
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  const clients: Socket[] = []
  const connect = (own: Partial<ManagerOptions & SocketOptions> = {}, namespace = ''): Socket => {
    const client = io(`http://127.0.0.1:${port}${namespace}`, {
      transports: ['websocket'],
      reconnection: false,
      forceNew: true,
      ...own,
    })
    clients.push(client)
    return client
  }
  return {
    server,
    connect,
    /** A client that is connected. */
    connected: async (own?: Partial<ManagerOptions & SocketOptions>) => {
      const client = connect(own)
      await new Promise<void>((resolve, reject) => void client.once('connect', resolve).once('connect_error', reject))
      return client
    },
    /** How a client is refused. */
    refused: (own?: Partial<ManagerOptions & SocketOptions>, namespace?: string) =>
      new Promise<Refused>((resolve, reject) => {
        connect(own, namespace)
          .once('connect_error', (error) => resolve(error as Refused))
          .once('connect', () => reject(new Error('connected')))
      }),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.disconnect()
      await server.close()
    },
  }
}

/** Lets a client's next message be heard: an echo that is behind all that was sent before. */
async function settled(client: Socket): Promise<void> {
  await client.emitWithAck('settled')
}

const whens = ['at once', 'later'] as const
const make = (when: (typeof whens)[number]) => {
  const { clock, store } = setUp()
  return { clock, store: when === 'later' ? later(store) : store }
}

describe.each(whens)('connections, with a store that answers %s,', (when) => {
  test.each(['websocket', 'polling'])(
    'over %s are refused above the limit, by an error with data, until there is room',
    async (by) => {
      const { clock, store } = make(when)
      let connections = 0
      await using app = await start((server) => {
        server.use(rateLimitConnections({ rate: '2/m', algorithm: 'fixed_window', store }))
        server.on('connection', () => void connections++)
      })
      const transports = { transports: [by] }
      await app.connected(transports)
      await app.connected(transports)
      const error = await app.refused(transports)
      expect(error.message).toBe('Rate limit exceeded. Try again in 60 seconds.')
      expect(error.data).toEqual({
        code: 'RATE_LIMITED',
        message: error.message,
        retryAfterMs: 60_000 - (clock.now() % 60_000),
        limit: 2,
        remaining: 0,
      })
      expect(connections).toBe(2)
      clock.advance(error.data['retryAfterMs'] as number)
      await app.connected(transports)
      expect(connections).toBe(3)
    },
  )
})

describe('connections', () => {
  test('of a namespace are counted by its own rule, and a rule that meets a socket twice counts it once', async () => {
    const { store } = setUp()
    const standings: unknown[] = []
    await using app = await start((server) => {
      const limit = rateLimitConnections({ rate: '5/m', store })
      server.use(limit).use(limit)
      server.of('/admin').use(rateLimitConnections({ rate: '0/m', store }))
      server.on('connection', (socket) => void standings.push(rateLimitOf(socket)?.remaining))
    })
    await app.connected()
    await app.connected()
    expect(standings).toEqual([4, 3])
    expect((await app.refused({}, '/admin')).data).toMatchObject({ code: 'RATE_LIMITED', limit: 0 })
  })

  test('are let in with block: false, and the app finds how they stand', async () => {
    const { store } = setUp()
    const standings: unknown[] = []
    await using app = await start((server) => {
      server.use(rateLimitConnections({ rate: '1/m', block: false, store }))
      server.on('connection', (socket) => void standings.push(rateLimitOf(socket)?.allowed))
    })
    await app.connected()
    await app.connected()
    expect(standings).toEqual([true, false])
  })

  test('are counted and not refused in shadow, and not counted when exempt', async () => {
    const { store } = setUp()
    const kinds: string[] = []
    const standings: unknown[] = []
    const observers = [{ onDecision: ({ kind }: { kind: string }) => void kinds.push(kind) }]
    await using app = await start((server) => {
      server.use(
        rateLimitConnections({
          rate: '1/m',
          shadow: true,
          store,
          observers,
          skipIf: (socket) => socket.handshake.headers['x-staff'] !== undefined,
        }),
      )
      server.on('connection', (socket) => void standings.push(rateLimitOf(socket)))
    })
    await app.connected()
    await app.connected({ extraHeaders: { 'x-staff': '1' } })
    await app.connected()
    expect([kinds, standings]).toEqual([
      ['granted', 'exempt', 'refused'],
      [undefined, undefined, undefined],
    ])
  })

  test('that the limiter fails on are told nothing of why; the observers are', async () => {
    const { store } = setUp()
    const failing = Object.assign(later(store), {
      take: () => Promise.reject(new StoreError('redis', 'connect redis://me:s3cr3t@:/?#@10.0.0.7')),
    })
    const told: unknown[] = []
    const observers = [{ onError: (error: unknown, where: string) => void told.push([(error as Error).name, where]) }]
    await using app = await start((server) =>
      server.use(rateLimitConnections({ rate: '1/m', store: failing, onStoreError: 'throw', observers })),
    )
    const error = await app.refused()
    expect(JSON.stringify([error.message, error.data])).not.toMatch(/redis|s3cr3t|10\.0/)
    expect(error.data).toEqual({ code: 'UNAVAILABLE', message: error.message, remaining: 0 })
    expect(told).toEqual([['StoreError', 'rateLimitConnections']])
  })

  test('without a store are let in, refused as the service’s fault, or decided by this process alone, as onStoreError says', async () => {
    const store = { ...later(setUp().store), take: () => Promise.reject(new StoreError('redis', 'is gone')) }
    const limit = (onStoreError?: 'allow' | 'deny') =>
      rateLimitConnections({ rate: '1/m', store, ...(onStoreError && { onStoreError }) })
    await using open = await start((server) => server.use(limit('allow')))
    await open.connected()
    await using closed = await start((server) => server.use(limit('deny')))
    expect((await closed.refused()).data).toMatchObject({ code: 'UNAVAILABLE' })
    await using alone = await start((server) => server.use(rateLimitConnections({ rate: '1/m', store })))
    await alone.connected()
    expect((await alone.refused()).data).toMatchObject({ code: 'RATE_LIMITED', limit: 1 })
  })

  test('are refused with an error of the app, if it makes one', async () => {
    const { store } = setUp()
    await using app = await start((server) =>
      server.use(
        rateLimitConnections({
          rate: '0/m',
          store,
          onLimited: (socket, { limit }) => Object.assign(new Error(`${socket.nsp.name} is full`), { data: { limit } }),
        }),
      ),
    )
    expect(await app.refused()).toMatchObject({ message: '/ is full', data: { limit: 0 } })
  })

  test('on a deny list are refused without figures', async () => {
    const { store } = setUp()
    await using app = await start((server) =>
      server.use(rateLimitConnections({ rate: () => '5/m', denyList: '127.0.0.0/8', store })),
    )
    expect((await app.refused()).data).toEqual({
      code: 'RATE_LIMITED',
      message: 'Requests from this client are not accepted.',
      remaining: 0,
    })
  })
})

describe('the client', () => {
  test.each<[string, object, Partial<ManagerOptions & SocketOptions>, string | RegExp]>([
    ['the address of the connection', {}, {}, 'ip:127.0.0.1'],
    ['no address it claims', {}, { extraHeaders: { 'x-forwarded-for': '203.0.113.9' } }, 'ip:127.0.0.1'],
    [
      'the address a trusted proxy forwards',
      { trustedProxies: 1 },
      { extraHeaders: { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' } },
      'ip:203.0.113.9',
    ],
    ['a header', { key: 'header:x-tenant' }, { extraHeaders: { 'x-tenant': 'acme' } }, 'header:x-tenant:acme'],
    ['a parameter', { key: 'query:room' }, { query: { room: 'a b' } }, 'query:room:a b'],
    ['a user of the app', { key: 'user' }, { auth: { as: 'ada' } }, 'user:ada'],
    ['a session of the app', { key: 'session' }, {}, /^session:.{22}$/],
    ['a token in auth', { key: apiKeyAware() }, { auth: { token: 'abc' } }, /^api_key:.{22}$/],
    [
      'a verified claim of it',
      { key: jwtClaim({ verify: (token) => (token === 'good' ? { sub: 'ada' } : null) }) },
      { auth: { token: 'good' } },
      'jwt:sub:ada',
    ],
    [
      'what a function says',
      { key: ({ handshake }: ServerSocket) => handshake.auth['as'] as string },
      { auth: { as: 'ada' } },
      'fn:ada',
    ],
  ])('is known by %s', async (_, options, own, expected) => {
    const { store } = setUp()
    const keys: unknown[] = []
    await using app = await start((server) => {
      server.use((socket, next) => {
        socket.data = { user: { id: socket.handshake.auth['as'] as unknown } }
        Object.assign(socket.request, { sessionID: 'a session' })
        next()
      })
      server.use(rateLimitConnections({ rate: '9/m', store, ...options }))
      server.on('connection', (socket) => void keys.push(rateLimitOf(socket)?.key))
    })
    await app.connected(own)
    expect(keys).toEqual([typeof expected === 'string' ? expected : (expect.stringMatching(expected) as unknown)])
  })

  test('in a message is the one of the handshake', async () => {
    const { store } = setUp()
    const keys: string[] = []
    const observers = [{ onDecision: (_: unknown, key: string) => void keys.push(key) }]
    await using app = await start((server) => {
      server.on('connection', rateLimitMessages({ rate: '9/s', key: 'user', store, observers }))
      server.on('connection', (socket) => {
        socket.data = { user: { id: 'ada' } }
        socket.on('hello', (done: () => void) => done())
      })
    })
    const client = await app.connected()
    await client.emitWithAck('hello')
    expect(keys).toEqual(['user:ada'])
  })
})

/** A server that notes what its handlers get. */
async function chat(options: SocketIoMessageOptions) {
  const handled: unknown[] = []
  const errors: Error[] = []
  const app = await start((server) => {
    server.on('connection', rateLimitMessages(options))
    server.on('connection', (socket) => {
      socket.on('error', (error) => void errors.push(error))
      socket.on('settled', (done: () => void) => done())
      for (const event of ['chat', 'typing', 'upload', '7']) {
        socket.on(event, (text: unknown, done?: (answer: string) => void) => {
          handled.push(text)
          done?.('heard')
        })
      }
    })
  })
  return { ...app, handled, errors }
}

describe.each(whens)('messages, with a store that answers %s,', (when) => {
  test('are handled once up to the limit; then the acknowledgement is an error, and without one there is an event', async () => {
    const { clock, store } = make(when)
    await using app = await chat({ rate: '2/m', events: { settled: null }, store, algorithm: 'fixed_window' })
    const client = await app.connected()
    const events: unknown[] = []
    client.on('rate_limited', (data) => void events.push(data))
    expect(await client.emitWithAck('chat', 'a')).toBe('heard')
    client.emit('chat', 'b')
    const refusal = {
      code: 'RATE_LIMITED',
      message: 'Rate limit exceeded. Try again in 60 seconds.',
      retryAfterMs: 60_000 - (clock.now() % 60_000),
      limit: 2,
      remaining: 0,
    }
    expect(await client.emitWithAck('chat', 'c')).toEqual({ error: refusal })
    client.emit('chat', 'd')
    await settled(client)
    expect(app.handled).toEqual(['a', 'b'])
    expect(events).toEqual([{ event: 'chat', ...refusal }])
    expect(app.errors.map((error) => (error as SocketRefusalError).data)).toEqual([refusal, refusal])
    expect(app.errors[0]).toBeInstanceOf(SocketRefusalError)
    clock.advance(refusal.retryAfterMs)
    expect(await client.emitWithAck('chat', 'e')).toBe('heard')
  })

  test('of a name with its own rate count for it alone, and of one without are not counted', async () => {
    const { store } = make(when)
    const events = { typing: null, chat: '2/m', upload: { rate: '4/m', cost: 3 }, settled: null } as const
    await using app = await chat({ rate: '1/m', events, store })
    const client = await app.connected()
    const ask = async (event: string | number) => (await client.emitWithAck(String(event), 'x')) as unknown
    const limitOf = (answer: unknown) => (answer as { error: { limit: number } }).error.limit
    for (let i = 0; i < 5; i++) expect(await ask('typing')).toBe('heard')
    expect([await ask('chat'), await ask('chat'), await ask('upload'), await ask('7')]).toEqual(Array(4).fill('heard'))
    expect([limitOf(await ask('chat')), limitOf(await ask('upload')), limitOf(await ask('7'))]).toEqual([2, 4, 1])
  })

  test('of several sockets of one client count together, and of another client apart', async () => {
    const { store } = make(when)
    await using app = await chat({ rate: '2/m', key: 'header:x-who', store })
    const [one, two, other] = [
      await app.connected({ extraHeaders: { 'x-who': 'ada' } }),
      await app.connected({ extraHeaders: { 'x-who': 'ada' } }),
      await app.connected({ extraHeaders: { 'x-who': 'bob' } }),
    ]
    await one.emitWithAck('chat', 1)
    await two.emitWithAck('chat', 2)
    expect(await one.emitWithAck('chat', 3)).toHaveProperty('error')
    expect(await other.emitWithAck('chat', 4)).toBe('heard')
    expect(app.handled).toEqual([1, 2, 4])
  })
})

test('a session of the server is that of the connection, over both transports; a server may have types of its own', async () => {
  const { store } = setUp()
  const keys: unknown[] = []
  interface Heard {
    hello: (done: () => void) => void
  }
  interface Sent {
    news: (text: string) => void
  }
  await using app = await start((untyped) => {
    const server = untyped as unknown as Server<Heard, Sent>
    untyped.engine.use((request: { session?: { id: string } }, _response: unknown, next: () => void) => {
      request.session = { id: 'one' }
      next()
    })
    server.use(rateLimitConnections({ rate: '9/m', key: 'session', store }))
    server.on('connection', rateLimitMessages<ServerSocket<Heard, Sent>>({ rate: '9/m', key: ({ socket }) => socket.id, store }))
    server.on('connection', (socket) => void keys.push(rateLimitOf(socket)?.key))
  })
  await app.connected({ transports: ['websocket'] })
  await app.connected({ transports: ['polling'] })
  expect(keys).toEqual([expect.stringMatching(/^session:.{22}$/), keys[0]])
})

test('a session of the server is that of the connection, over both transports; a server may have types of its own', async () => {
  const { store } = setUp()
  const keys: unknown[] = []
  interface Heard {
    hello: (done: () => void) => void
  }
  interface Sent {
    news: (text: string) => void
  }
  type Typed = ServerSocket<Heard, Sent>
  await using app = await start((untyped) => {
    const server = untyped as unknown as Server<Heard, Sent>
    server.engine.use((request: { session?: { id: string } }, _response: unknown, next: () => void) => {
      request.session = { id: 'one' }
      next()
    })
    server.use(rateLimitConnections<Typed>({ rate: '9/m', key: 'session', store, skipIf: ({ recovered }) => recovered }))
    server.on('connection', rateLimitMessages<Typed>({ rate: '9/m', key: ({ socket }) => socket.id, store }))
    server.on('connection', (socket) => void keys.push(rateLimitOf(socket)?.key))
  })
  await app.connected({ transports: ['websocket'] })
  await app.connected({ transports: ['polling'] })
  expect(keys).toEqual([expect.stringMatching(/^session:.{22}$/), keys[0]])
})

describe('messages', () => {
  test('keep their order, whatever their decisions wait for', async () => {
    const { store } = setUp()
    const waiting = new Map<unknown, () => void>()
    let heard: () => void = () => {}
    const all = new Promise<void>((resolve) => void (heard = resolve))
    await using app = await chat({
      rate: '9/m',
      events: { settled: null },
      store,
      key: ({ args: [name] }) => {
        if (name === 'quick') return 'quick'
        return new Promise((resolve) => {
          waiting.set(name, () => resolve(String(name)))
          if (waiting.size === 3) heard()
        })
      },
    })
    const client = await app.connected()
    for (const name of ['a', 'b', 'quick', 'c']) client.emit('chat', name)
    await all
    for (const name of ['c', 'b', 'a']) waiting.get(name)?.()
    await settled(client)
    expect(app.handled).toEqual(['a', 'b', 'quick', 'c'])
  })

  test('under a number are those of its text', async () => {
    const { store } = setUp()
    await using app = await chat({ rate: '9/m', events: { 7: '1/m' }, store })
    const client = await app.connected()
    expect(await client.emitWithAck(7 as never, 'a')).toBe('heard')
    expect(await client.emitWithAck(7 as never, 'b')).toHaveProperty('error')
    expect(await client.emitWithAck('7', 'c')).toHaveProperty('error')
  })

  test('named like what every object has are the rest', async () => {
    const { store } = setUp()
    await using app = await chat({ rate: '1/m', events: { chat: '1/m' }, store })
    const client = await app.connected()
    const told = new Promise<{ limit: number }>((resolve) => void client.once('rate_limited', resolve))
    client.emit('constructor').emit('__proto__')
    expect(await told).toMatchObject({ event: '__proto__', limit: 1 })
  })

  test('are told of by the app, if it wants to; what it throws is an error of the socket and holds up nobody', async () => {
    const { store } = setUp()
    await using app = await chat({
      rate: '1/m',
      events: { settled: null },
      algorithm: 'fixed_window',
      store,
      onLimited({ socket, event, args }, { retryAfterMs }) {
        if (args[0] === 'throw') throw new Error('mine')
        socket.emit('slower', event, retryAfterMs)
      },
    })
    const client = await app.connected()
    const slower = new Promise((resolve) => void client.once('slower', (...told) => resolve(told)))
    for (const text of ['a', 'b', 'throw']) client.emit('chat', text)
    expect(await slower).toEqual(['chat', 60_000 - (START % 60_000)])
    await settled(client)
    expect(app.errors.map(({ message }) => message)).toEqual(['Rate limit exceeded. Try again in 60 seconds.', 'mine'])
    expect(app.handled).toEqual(['a'])
  })

  test.each(whens)('that the limiter fails on (%s) are not handled, and the client is told nothing of why', async (when) => {
    const { store } = make(when)
    void store.close()
    await using app = await chat({ rate: '1/m', store, onStoreError: 'throw' })
    const client = await app.connected()
    expect(await client.emitWithAck('chat', 'a')).toEqual({
      error: { code: 'UNAVAILABLE', message: 'The service is short of capacity.', remaining: 0 },
    })
    expect(app.handled).toEqual([])
    expect(app.errors).toMatchObject([{ code: 'ERR_RATELIMIT_STORE_CLOSED' }])
  })

  test('of a client that has left meanwhile are not handled', async () => {
    const { store } = setUp()
    let asked: () => void = () => {}
    let answer: (key: string) => void = () => {}
    const asking = new Promise<void>((resolve) => void (asked = resolve))
    await using app = await chat({
      rate: '9/m',
      store,
      key: () => {
        asked()
        return new Promise((resolve) => void (answer = resolve))
      },
    })
    const client = await app.connected()
    const [socket] = [...app.server.sockets.sockets.values()]
    const left = once(socket as ServerSocket, 'disconnect')
    client.emit('chat', 'a')
    await asking
    client.disconnect()
    await left
    answer('ada')
    await new Promise((resolve) => setImmediate(resolve))
    expect(app.handled).toEqual([])
  })

  test('of a socket that was limited twice by one limiter count once, by io.use as well', async () => {
    const { store } = setUp()
    const limit = rateLimitMessages({ rate: '9/m', store })
    const left: number[] = []
    const second = rateLimitMessages({ rate: '5/m', store, observers: [{ onDecision: (one) => void left.push(one.remaining) }] })
    await using app = await start((server) => {
      server.use(limit)
      server.use(second)
      server.on('connection', second)
      server.on('connection', (socket) => void socket.on('settled', (done: () => void) => done()))
    })
    const client = await app.connected()
    await settled(client)
    await settled(client)
    expect(left).toEqual([4, 3])
  })
})

test.each<[string, () => unknown, RegExp]>([
  ['no options', () => rateLimitConnections(undefined as never), /rateLimitConnections/],
  ['a misspelt option', () => rateLimitConnections({ rate: '1/m', onlimited: 1 } as never), /rateLimitConnections\.onlimited/],
  ['an option about a status', () => rateLimitMessages({ rate: '1/m', skipFailedRequests: true } as never), /skipFailedRequests/],
  ['header sets', () => rateLimitConnections({ rate: '1/m', headers: 'ietf' } as never), /rateLimitConnections\.headers/],
  ['block for messages', () => rateLimitMessages({ rate: '1/m', block: false } as never), /rateLimitMessages\.block/],
  ['no rate', () => rateLimitMessages({} as never), /rateLimitMessages\.rate/],
  [
    'a bad rate of an event',
    () => rateLimitMessages({ rate: '1/m', events: { chat: '5' } }),
    /rateLimitMessages\.events\["chat"\]/,
  ],
  ['an event without any rate', () => rateLimitMessages({ rate: null, events: { chat: { cost: 2 } } }), /events\["chat"\]\.rate/],
  ['events that are a list', () => rateLimitMessages({ rate: '1/m', events: [] as never }), /rateLimitMessages\.events/],
  ['a bad common option', () => rateLimitMessages({ rate: null, key: 'nobody' as never }), /rateLimitMessages\.key/],
  ['a socket where options belong', () => rateLimitConnections({ on() {} } as never), /call it.*rateLimitConnections\(/],
  ['an onLimited that is no function', () => rateLimitConnections({ rate: '1/m', onLimited: 'x' as never }), /a function/],
])('%s is refused at construction', (_, build, message) => {
  expect(build).toThrow(ConfigError)
  expect(build).toThrow(message)
})
