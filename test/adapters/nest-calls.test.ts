// Calls in Nest that are no plain HTTP requests: fields of GraphQL, messages of WebSockets and microservices, and what nobody has heard of.
// Nest's own machinery runs the guards, as it does for @nestjs/graphql, @nestjs/websockets and @nestjs/microservices. Next: nest.test.ts.

import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { ApolloServer } from '@apollo/server'
import { type INestApplication, Injectable, SetMetadata, type Type, UseGuards } from '@nestjs/common'
import { ExternalContextCreator } from '@nestjs/core'
import type * as Graphql from 'graphql'
import { createYoga } from 'graphql-yoga'
import { Server as SocketServer } from 'socket.io'
import { io } from 'socket.io-client'
import { describe, expect, test, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { RateLimit, RateLimitGuard, type RateLimitModuleOptions } from '../../src/adapters/nest/index.ts'
import type { RequestRateLimit } from '../../src/adapters/nest/index.ts'
import type { Decision } from '../../src/core/decision.ts'
import { later, setUp } from './contract.ts'
import { PLATFORMS, decorateClass, decorateMethod, guardedModule, serveApp } from './nest-app.ts'
import { warningsDuring } from './warnings.ts'

// Node has one copy of this package, the test runner would load another beside that of the servers.
const { GraphQLObjectType, GraphQLSchema, GraphQLString } = createRequire(import.meta.url)('graphql') as typeof Graphql
vi.mock('graphql', () => createRequire(import.meta.url)('graphql') as typeof Graphql)

type Call = (...args: unknown[]) => Promise<unknown>

/** A provider whose methods are called as those of resolvers and gateways are. */
function provider(
  name: string,
  methods: Readonly<Record<string, readonly unknown[]>>,
  answer: (...args: never[]) => unknown,
): Type {
  const type = { [name]: class {} }[name] as Type
  for (const [method, decorators] of Object.entries(methods)) {
    const value = { [method]: (...args: never[]) => answer(...args) }[method]
    Object.defineProperty(type.prototype, method, { value, writable: true, configurable: true })
    decorateMethod(type, method, SetMetadata('some:handler', method), ...decorators)
  }
  decorateClass(type, Injectable())
  return type
}

/** The methods as Nest's packages call them: with guards and filters around. */
function callsOf(app: INestApplication, type: Type, kind: string): Record<string, Call> {
  const creator = app.get(ExternalContextCreator)
  const instance = app.get<Record<string, Call>>(type)
  const names = Object.getOwnPropertyNames(type.prototype).filter((name) => name !== 'constructor')
  const call = (name: string): Call =>
    creator.create(instance, instance[name] as Call, name, undefined, undefined, undefined, undefined, undefined, kind) as Call
  return Object.fromEntries(names.map((name) => [name, call(name)]))
}

const refusalOf = (error: unknown) => (error as { getError(): Record<string, unknown> }).getError()

describe('a field of GraphQL', () => {
  const windows = { algorithm: 'fixed_window' } as const

  function schemaOf(calls: Record<string, Call>): Graphql.GraphQLSchema {
    const fields = Object.fromEntries(
      Object.entries(calls).map(([name, call]) => [
        name,
        {
          type: GraphQLString,
          resolve: (root: unknown, args: unknown, context: unknown, info: unknown) => call(root, args, context, info),
        },
      ]),
    )
    return new GraphQLSchema({ query: new GraphQLObjectType({ name: 'Query', fields }) })
  }

  async function serveGraphql(platform: (typeof PLATFORMS)[number], options: RateLimitModuleOptions<never>, resolver: Type) {
    const server = await serveApp(platform, guardedModule(options, [], [resolver]), (app) => {
      // Resolvers are known before the app starts; they are wrapped when the first request comes.
      let yoga: ReturnType<typeof createYoga> | undefined
      app.use('/graphql', (request: never, response: never) => {
        yoga ??= createYoga({ schema: schemaOf(callsOf(app, resolver, 'graphql')), graphqlEndpoint: '*', logging: false })
        return yoga(request, response)
      })
    })
    const ask = async (query: string) => {
      const { status, headers, body } = await server.get(`/graphql?query=${encodeURIComponent(query)}`, {
        accept: 'application/json',
      })
      return { status, headers, ...(JSON.parse(body) as { data: unknown; errors?: { message: string; extensions: object }[] }) }
    }
    return Object.assign(server, { ask })
  }

  test.each(PLATFORMS)('is limited by itself on %s: aliases count, headers are those of the tightest', async (platform) => {
    const { store } = setUp()
    const finds = (_root: unknown, _args: unknown, { req }: { req: { rateLimit: RequestRateLimit } }) =>
      String(req.rateLimit.remaining)
    const resolver = provider(
      'SearchResolver',
      {
        search: [RateLimit({ rate: '3/m', ...windows }), UseGuards(RateLimitGuard)],
        other: [],
        slow: [RateLimit({ rate: '1/m', ...windows })],
      },
      finds as never,
    )
    await using server = await serveGraphql(platform, { defaultRate: '9/m', ...windows, store }, resolver)
    const first = await server.ask('{ a: search, b: search, other }')
    expect(first).toMatchObject({ status: 200, headers: { 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '1' } })
    const second = await server.ask('{ search }')
    expect(second).toMatchObject({ data: { search: '0' }, headers: { 'x-ratelimit-remaining': '0' } })
    const third = await server.ask('{ search, other }')
    expect(third).toMatchObject({ status: 429, data: { search: null, other: '0' }, headers: { 'retry-after': '60' } })
    expect(third.errors).toMatchObject([
      { message: 'Rate limit exceeded. Try again in 60 seconds.', extensions: { code: 'RATE_LIMITED', retryAfterMs: 60_000 } },
    ])
  })

  test('in shadow counts aliases too, and shows nothing', async () => {
    const { store } = setUp()
    const kinds: string[] = []
    const observers = [{ onDecision: ({ kind }: Decision) => void kinds.push(kind) }]
    const resolver = provider('ShadowResolver', { search: [] }, () => 'found')
    await using server = await serveGraphql('express', { defaultRate: '1/m', shadow: true, observers, store }, resolver)
    const { data, headers } = await server.ask('{ a: search, b: search }')
    expect(data).toEqual({ a: 'found', b: 'found' })
    expect(headers['x-ratelimit-limit']).toBeUndefined()
    expect(kinds).toEqual(['granted', 'refused'])
  })

  test('is refused in the words of Apollo Server', async () => {
    const { store } = setUp()
    const resolver = provider('ApolloResolver', { search: [RateLimit('0/m')] }, () => 'found')
    await using server = await serveApp('express', guardedModule({ store: later(store) }, [], [resolver]))
    const apollo = new ApolloServer<object>({ schema: schemaOf(callsOf(server.app, resolver, 'graphql')) })
    const contextValue = { req: { headers: {}, ip: '192.0.2.1' } }
    const { body, http } = await apollo.executeOperation({ query: '{ search }' }, { contextValue })
    expect(http.status).toBe(429)
    expect(body).toMatchObject({ singleResult: { errors: [{ extensions: { code: 'RATE_LIMITED' } }] } })
    await apollo.stop()
  })

  test('finds its client wherever drivers put the request; without one it is a call by nobody, and a warning says so', async () => {
    const { store } = setUp()
    const resolver = provider(
      'ContextResolver',
      { search: [RateLimit({ rate: '1/m' })], skipped: [RateLimit({ rate: '0/m', onMissingKey: 'skip' })] },
      () => 'found',
    )
    await using server = await serveApp('express', guardedModule({ store }, [], [resolver]))
    const { search, skipped } = callsOf(server.app, resolver, 'graphql') as { search: Call; skipped: Call }
    const passes = async (context: unknown) => {
      try {
        return await search({}, {}, context, {})
      } catch (error) {
        return (error as { extensions?: { code: string }; code?: string }).extensions?.code ?? (error as { code?: string }).code
      }
    }
    const request = (ip: string) => ({ headers: {}, ip })
    const set: string[] = []
    const contexts = [
      { req: request('192.0.2.1') },
      { request: request('192.0.2.2') },
      { reply: { request: request('192.0.2.3'), header: (name: string) => void set.push(name) } },
      { extra: { request: { headers: {}, socket: { remoteAddress: '192.0.2.4' } } } },
      { res: { headersSent: true, setHeader: () => expect.unreachable(), req: request('192.0.2.5') } },
      { req: { ...request('192.0.2.6'), res: { setHeader: (name: string) => void set.push(name) } } },
    ]
    for (const context of contexts) expect([await passes(context), await passes(context)]).toEqual(['found', 'RATE_LIMITED'])
    expect(set.filter((name) => name === 'Retry-After')).toHaveLength(2)
    const warnings = await warningsDuring(async () => {
      for (const context of [undefined, null, {}, Object.freeze({ req: 7 })])
        expect(await passes(context)).toBe('ERR_RATELIMIT_KEY_MISSING')
      expect(await skipped({}, {}, {}, {})).toBe('found')
    })
    expect(warnings).toEqual([expect.stringContaining('GraphQL context has no request')])
  })
})

describe('a message over WebSockets', () => {
  const gateway = () =>
    provider(
      'ChatGateway',
      { say: [RateLimit({ rate: '2/m' }), UseGuards(RateLimitGuard)] },
      ((client: { rateLimit: RequestRateLimit }) => client.rateLimit.remaining) as never,
    )
  const refused = {
    status: 'error',
    message: expect.stringContaining('Rate limit exceeded. Try again') as unknown,
    code: 'RATE_LIMITED',
    statusCode: 429,
    retryAfterMs: expect.any(Number) as unknown,
  }

  test('of socket.io is counted each, by the address of the handshake', async () => {
    const { store } = setUp()
    const type = gateway()
    await using server = await serveApp('express', guardedModule({ store }, [], [type]))
    const { say } = callsOf(server.app, type, 'ws') as { say: Call }
    const sockets = new SocketServer(0, { serveClient: false })
    sockets.on('connection', (client) => {
      client.on('say', (data: unknown, answer: (reply: unknown) => void) => {
        say(client, data, answer).then(answer, (error: unknown) => answer(refusalOf(error)))
      })
    })
    await once(sockets.httpServer, 'listening')
    const client = io(`http://127.0.0.1:${(sockets.httpServer.address() as AddressInfo).port}`, { transports: ['websocket'] })
    const replies = []
    for (let i = 0; i < 3; i++) replies.push((await client.emitWithAck('say', 'hello')) as unknown)
    client.close()
    await sockets.close()
    expect(replies).toEqual([1, 0, refused])
  })

  test('of ws is counted each, by the address of the socket', async () => {
    const { store } = setUp()
    const type = gateway()
    await using server = await serveApp('express', guardedModule({ store }, [], [type]))
    const { say } = callsOf(server.app, type, 'ws') as { say: Call }
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    sockets.on('connection', (client) => {
      client.on('message', (data) => {
        const answer = (reply: unknown): void => client.send(JSON.stringify(reply))
        say(client, data).then(answer, (error: unknown) => answer(refusalOf(error)))
      })
    })
    await once(sockets, 'listening')
    const client = new WebSocket(`ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`)
    await once(client, 'open')
    const replies = []
    for (let i = 0; i < 3; i++) {
      client.send('hello')
      const [data] = (await once(client, 'message')) as [Buffer]
      replies.push(JSON.parse(data.toString()) as unknown)
    }
    client.close()
    for (const one of sockets.clients) one.terminate()
    await new Promise((resolve) => sockets.close(resolve))
    expect(replies).toEqual([1, 0, refused])
  })

  test('is counted for the user of the client, where there is one', async () => {
    const { store } = setUp()
    const type = provider(
      'UserGateway',
      { say: [RateLimit({ rate: '1/m', key: ['user', 'header:x-room', 'query:tab'] })] },
      () => 'said',
    )
    await using server = await serveApp('express', guardedModule({ store }, [], [type]))
    const { say } = callsOf(server.app, type, 'ws') as { say: Call }
    const client = (id: string, room: string) => ({
      data: { user: { id } },
      handshake: { headers: { 'x-room': room }, url: '/?tab=1' },
    })
    const said = []
    for (const one of [client('a', 'x'), client('a', 'x'), client('b', 'x'), client('a', 'y')])
      said.push(await say(one, 'text').then(String, (error: unknown) => refusalOf(error)['code']))
    expect(said).toEqual(['said', 'RATE_LIMITED', 'said', 'said'])
  })
})

describe('a message of a microservice', () => {
  test('is counted by what its function says, or by the socket, and refused in an error that transports can send', async () => {
    const { store } = setUp()
    const key = ({ data }: { data: { team: string } }) => data.team
    const type = provider(
      'TaskController',
      { byTeam: [RateLimit<{ data: { team: string } }>({ rate: '1/m', key })], byPeer: [RateLimit('1/m')] },
      () => 'done',
    )
    await using server = await serveApp('express', guardedModule({ store }, [], [type]))
    const { byTeam, byPeer } = callsOf(server.app, type, 'rpc') as { byTeam: Call; byPeer: Call }
    expect(await byTeam({ team: 'a' }, {})).toBe('done')
    expect(await byTeam({ team: 'b' }, undefined)).toBe('done')
    const error: unknown = await byTeam({ team: 'a' }, Object.freeze({})).then(undefined, (found: unknown) => found)
    expect(error).toBeInstanceOf(Error)
    expect(refusalOf(error)).toMatchObject({ status: 'error', code: 'RATE_LIMITED', statusCode: 429 })
    expect(error).toMatchObject({ retryAfterMs: expect.any(Number) as unknown, decision: { allowed: false } })
    const context = { getSocketRef: () => ({ socket: { remoteAddress: '192.0.2.9' } }) }
    expect(await byPeer('text', context)).toBe('done')
    await expect(byPeer('text', context)).rejects.toThrow(/Rate limit exceeded/)
    await expect(byPeer('text', undefined)).rejects.toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_KEY_MISSING' }))
  })
})

test('a call of a kind nobody has heard of is limited by what can be seen of it', async () => {
  const { store } = setUp()
  const type = provider(
    'BotUpdate',
    { hear: [RateLimit({ rate: '1/m' })], heed: [RateLimit({ rate: '1/m', key: 'static:bot' })] },
    () => 'heard',
  )
  await using server = await serveApp('express', guardedModule({ store }, [], [type]))
  const { hear, heed } = callsOf(server.app, type, 'telegram') as { hear: Call; heed: Call }
  const seen = { headers: {}, socket: { remoteAddress: '192.0.2.1' } }
  expect(await hear('text', seen)).toBe('heard')
  await expect(hear('text', seen)).rejects.toThrow(/Rate limit exceeded/)
  await expect(hear()).rejects.toThrow(/key/)
  expect(await heed()).toBe('heard')
  await expect(heed(7, null)).rejects.toThrow(/Rate limit exceeded/)
})
