// The GraphQL plugins against the real servers over HTTP: Yoga and Apollo play the same cases; Envelop alone has its own.
// Next: graphql-directive.test.ts, graphql-cost.test.ts.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApolloServer } from '@apollo/server'
import { startStandaloneServer } from '@apollo/server/standalone'
import { envelop, useEngine, useSchema } from '@envelop/core'
import { createSchema, createYoga } from 'graphql-yoga'
import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  type GraphqlOptions,
  type RequestRateLimit,
  costByFields,
  rateLimitOf,
  rateLimitPlugin,
  useRateLimit,
} from '../../src/adapters/graphql.ts'
import type { Decision } from '../../src/core/decision.ts'
import { ConfigError, StoreError } from '../../src/core/errors.ts'
import { RefusalError } from '../../src/http/refusal-error.ts'
import { START, later, setUp } from './contract.ts'
import { graphql } from './graphql-copy.ts'
import { warningsDuring } from './warnings.ts'

const { GraphQLError, execute, parse, specifiedRules, subscribe, validate } = graphql

interface Running extends AsyncDisposable {
  /** Sends operations: one, or a batch. */
  post(body: object | readonly object[], headers?: Record<string, string>): Promise<Answer>
  get(query: string): Promise<Answer>
}

interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: Body & readonly Body[]
}

interface Body {
  readonly data?: Record<string, unknown> | null
  readonly errors?: readonly { readonly message: string; readonly extensions: Record<string, unknown> }[]
}

interface Context {
  readonly rateLimit?: RequestRateLimit
}

/** Runs of the resolver of `runs`, and what each found. */
function schemaOf(seen: unknown[] = []) {
  return createSchema<Context>({
    typeDefs: `
      type Query { a: Int, b: Int, told: String, mine: Int, users(first: Int): [User!]! }
      type User { name: String }
      type Mutation { add: Int }
      type Subscription { ticks: Int }
    `,
    resolvers: {
      Query: {
        a: () => seen.push('a') && 1,
        b: () => 2,
        told: (_source, _args, context) => {
          expect(rateLimitOf(context)).toBe(context.rateLimit)
          return context.rateLimit === undefined ? 'none' : `${context.rateLimit.allowed} ${context.rateLimit.remaining}`
        },
        mine: () => {
          seen.push('mine')
          throw new GraphQLError('mine', { extensions: { code: 'MINE' } })
        },
        users: () => [{ name: 'ada' }],
      },
      Mutation: { add: () => seen.push('add') && 1 },
      Subscription: {
        ticks: {
          subscribe: async function* () {
            for (let ticks = 0; ticks < 3; ticks++) yield { ticks }
          },
        },
      },
    },
  })
}

type Options = GraphqlOptions<never>
type Serve = (options: Options | readonly Options[], seen?: unknown[]) => Promise<Running>

function client(url: string, stop: () => Promise<unknown>): Running {
  const read = async (response: Response): Promise<Answer> => ({
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: (await response.json()) as Body & readonly Body[],
  })
  return {
    post: async (body, headers = {}) =>
      read(
        await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/json', connection: 'close', ...headers },
          body: JSON.stringify(body),
        }),
      ),
    get: async (query) =>
      read(
        await fetch(`${url}?query=${encodeURIComponent(query)}`, {
          headers: { 'apollo-require-preflight': 'yes', accept: 'application/json', connection: 'close' },
        }),
      ),
    [Symbol.asyncDispose]: async () => void (await stop()),
  }
}

const many = (options: Options | readonly Options[]): readonly Options[] => [options].flat() as readonly Options[]

const serveYoga: Serve = async (options, seen) => {
  const plugins = many(options).map((one) => useRateLimit(one))
  const yoga = createYoga<object>({ schema: schemaOf(seen), plugins, batching: true, logging: false })
  const server = createServer((request, response) => void yoga(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return client(
    `http://127.0.0.1:${port}/graphql`,
    () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  )
}

const serveApollo: Serve = async (options, seen) => {
  const plugins = many(options).map((one) => rateLimitPlugin(one))
  const server = new ApolloServer<object>({ schema: schemaOf(seen), plugins, allowBatchedHttpRequests: true })
  const { url } = await startStandaloneServer(server, {
    listen: { port: 0, host: '127.0.0.1' },
    context: async ({ req }) => ({ req }),
  })
  return client(url, () => server.stop())
}

const limited = (headers: Answer['headers']): string[] =>
  Object.keys(headers).filter((name) => /ratelimit|^retry-after$/.test(name))
const batch = (size: number): object[] => Array.from({ length: size }, () => ({ query: '{ a }' }))

describe.each<[string, Serve]>([
  ['GraphQL Yoga', serveYoga],
  ['Apollo Server', serveApollo],
])('in %s', (_, serve) => {
  test.each(['at once', 'later'])(
    'operations pass up to the limit with headers; then an error, 429 and an exact Retry-After (store answers %s)',
    async (when) => {
      const { clock, store } = setUp()
      const seen: unknown[] = []
      const own = { rate: '2/m', algorithm: 'fixed_window', store: when === 'later' ? later(store) : store } as const
      await using server = await serve(own, seen)
      const first = await server.post({ query: '{ a }' })
      expect(first).toMatchObject({ status: 200, body: { data: { a: 1 } } })
      expect(first.headers).toMatchObject({
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': '1',
        'ratelimit-policy': '"2-per-m";q=2;w=60',
      })
      expect(first.headers['retry-after']).toBeUndefined()
      await server.post({ query: '{ a }' })
      const refused = await server.post({ query: '{ a }' })
      const wait = 60 - (START % 60_000) / 1000
      expect(refused.status).toBe(429)
      expect(refused.headers).toMatchObject({
        'retry-after': String(wait),
        'x-ratelimit-remaining': '0',
        'cache-control': 'no-store',
      })
      const message = `Rate limit exceeded. Try again in ${wait} seconds.`
      expect(refused.body.data).toBeUndefined()
      expect(refused.body.errors).toHaveLength(1)
      expect(refused.body.errors?.[0]).toMatchObject({ message, extensions: { code: 'RATE_LIMITED', retryAfterMs: wait * 1000 } })
      expect(refused.body.errors?.[0]?.extensions['http']).toBeUndefined()
      expect(seen).toEqual(['a', 'a'])
      clock.advance(wait * 1000 - 1)
      expect((await server.post({ query: '{ a }' })).status).toBe(429)
      clock.advance(1)
      expect((await server.get('{ a }')).status).toBe(200)
    },
  )

  test('the newer media type gets 429 too', async () => {
    const { store } = setUp()
    await using server = await serve({ rate: '0/m', store })
    const refused = await server.post({ query: '{ a }' }, { accept: 'application/graphql-response+json' })
    expect(refused.status).toBe(429)
    expect(refused.headers['content-type']).toContain('application/graphql-response+json')
    expect(refused.headers['retry-after']).toBeUndefined()
    expect(refused.body.errors?.[0]?.extensions).not.toHaveProperty('retryAfterMs')
  })

  test('each operation of a batch counts; those that fit are answered, headers are those of the tightest', async () => {
    const { store } = setUp()
    const seen: unknown[] = []
    await using server = await serve({ rate: '10/m', store }, seen)
    expect((await server.post(batch(4))).headers['x-ratelimit-remaining']).toBe('6')
    const mixed = await server.post(batch(10))
    expect(mixed.status).toBe(200)
    expect(mixed.body.filter(({ data }) => data?.['a'] === 1)).toHaveLength(6)
    expect(mixed.body.filter(({ errors }) => errors?.[0]?.extensions['code'] === 'RATE_LIMITED')).toHaveLength(4)
    expect(mixed.headers).toMatchObject({ 'x-ratelimit-remaining': '0', 'retry-after': expect.any(String) as unknown })
    expect(seen).toHaveLength(10)
    const refused = await server.post(batch(3))
    expect(refused.body).toHaveLength(3)
    expect(seen).toHaveLength(10)
  })

  test('the fields of a batch are those of its tightest operation, wherever that stands, and of no other', async () => {
    const { store } = setUp()
    const rate = ({ operationName }: { operationName: string | undefined }) => (operationName === 'Tight' ? '2/m' : '9/h')
    const [tight, loose] = [{ query: 'query Tight { a }' }, { query: 'query Loose { a }' }]
    for (const operations of [
      [tight, loose],
      [loose, tight],
    ]) {
      const key = ['static:all', `static:${operations.indexOf(tight)}`] as const
      await using server = await serve({ rate, key, algorithm: 'fixed_window', store })
      const { headers } = await server.post(operations)
      expect(headers).toMatchObject({
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': '1',
        'ratelimit-policy': '"2-per-m";q=2;w=60',
      })
    }
  })

  test('one operation costs one however many fields it has, unless cost says otherwise', async () => {
    const { store } = setUp()
    await using plain = await serve({ rate: '9/m', store })
    expect((await plain.post({ query: '{ a b x: a y: a z: a }' })).headers['x-ratelimit-remaining']).toBe('8')
    await using byFields = await serve({ rate: '100/m', cost: costByFields({ multipliers: ['first'] }), store })
    const left = async (body: object) => (await byFields.post(body)).headers['x-ratelimit-remaining']
    expect(await left({ query: '{ a b x: a y: a z: a }' })).toBe('95')
    expect(
      await left({
        query: 'query Q ($n: Int) { users(first: $n) { name } } query R { a }',
        operationName: 'Q',
        variables: { n: 20 },
      }),
    ).toBe('74')
    expect((await byFields.post(batch(10))).headers['x-ratelimit-remaining']).toBe('64')
    const heavy = await byFields.post({ query: '{ users(first: 1000) { name } }' })
    expect(heavy.status).toBe(429)
    expect(heavy.headers['retry-after']).toBeUndefined()
    expect(heavy.body.errors?.[0]?.message).toContain('costs more than the limit ever allows')
    expect(await left({ query: '{ a }' })).toBe('63')
  })

  test('two limiters count once each, the headers are those of the tighter, and an earlier refusal stays', async () => {
    const { store } = setUp()
    await using server = await serve([
      { name: 'tight', rate: '1/m', block: false, store },
      { name: 'wide', rate: '9/m', block: false, store },
    ])
    const first = await server.post({ query: '{ told }' })
    expect(first.body.data).toEqual({ told: 'true 0' })
    expect(first.headers).toMatchObject({ 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0' })
    const second = await server.post({ query: '{ told }' })
    expect(second).toMatchObject({ status: 200, body: { data: { told: 'false 0' } } })
    expect(second.headers).toMatchObject({ 'x-ratelimit-limit': '1' })
    expect(second.headers['retry-after']).toBeUndefined()
  })

  test('a batch with block: false tells each operation its own standing', async () => {
    const { store } = setUp()
    await using server = await serve({ rate: '2/m', block: false, store })
    const { body } = await server.post(Array.from({ length: 3 }, () => ({ query: '{ told }' })))
    expect(body.map(({ data }) => data?.['told'])).toEqual(['true 1', 'true 0', 'false 0'])
  })

  test('shadow counts and shows nothing; what is exempt is not counted', async () => {
    const { store } = setUp()
    const seen: string[] = []
    const observers = [{ onDecision: ({ kind, allowed }: Decision) => void seen.push(`${kind} ${allowed}`) }]
    await using shadow = await serve({ rate: '1/m', shadow: true, observers, store })
    const replies = [await shadow.post({ query: '{ told }' }), await shadow.post({ query: '{ told }' })]
    for (const reply of replies) {
      expect(reply).toMatchObject({ status: 200, body: { data: { told: 'none' } } })
      expect(limited(reply.headers)).toEqual([])
    }
    expect(seen).toEqual(['granted true', 'refused true'])
    for (const options of [
      { rate: '1/m', skipIf: () => true, store },
      { rate: '1/m', allowList: ['127.0.0.1'], store },
      { rate: () => null, store },
      { rate: '1/m', enabled: false, store },
    ]) {
      await using exempt = await serve(options)
      for (let i = 0; i < 3; i++) {
        const reply = await exempt.post({ query: '{ told }' })
        expect(reply).toMatchObject({ status: 200, body: { data: { told: 'none' } } })
        expect(limited(reply.headers)).toEqual([])
      }
    }
  })

  test('a resolver that throws runs once, its error is its own and the operation stays counted', async () => {
    const { store } = setUp()
    const seen: unknown[] = []
    await using server = await serve({ rate: '5/m', store }, seen)
    const reply = await server.post({ query: '{ mine }' })
    expect(reply).toMatchObject({ status: 200, body: { data: { mine: null }, errors: [{ extensions: { code: 'MINE' } }] } })
    expect(seen).toEqual(['mine'])
    expect((await server.post({ query: '{ a }' })).headers['x-ratelimit-remaining']).toBe('3')
  })

  test('an operation that is not valid is not counted, as it is not executed', async () => {
    const { store } = setUp()
    await using server = await serve({ rate: '5/m', store })
    for (const query of ['{ nowhere }', '{ a ']) {
      const reply = await server.post({ query })
      expect(limited(reply.headers)).toEqual([])
    }
    expect((await server.post({ query: '{ a }' })).headers['x-ratelimit-remaining']).toBe('4')
  })

  test.each([
    ['a key function that throws', () => ({ key: () => fail('no key') })],
    ['one that rejects', () => ({ key: async () => fail('no key') })],
    ['a store that throws', () => ({ store: Object.assign(Object.create(setUp().store) as object, { take: broken }) })],
    ['one that rejects', () => ({ store: { ...later(setUp().store), take: async () => broken() }, onStoreError: 'throw' })],
  ])('%s is an error of the server, and nothing is executed', async (__, make) => {
    const seen: unknown[] = []
    await using server = await serve({ rate: '1/m', store: setUp().store, ...make() } as Options, seen)
    const reply = await server.post({ query: '{ a }' })
    expect(reply.status).toBe(500)
    expect(reply.body.errors?.[0]?.extensions['code']).toBe('INTERNAL_SERVER_ERROR')
    expect(seen).toEqual([])
  })

  test('a store that fails leaves the process to decide alone; to deny is 503 and SERVICE_UNAVAILABLE', async () => {
    const store = { ...later(setUp().store), take: async () => broken() }
    await using alone = await serve({ rate: '1/m', store })
    expect([(await alone.post({ query: '{ a }' })).status, (await alone.post({ query: '{ a }' })).status]).toEqual([200, 429])
    await using open = await serve({ rate: '1/m', store, onStoreError: 'allow' })
    expect([(await open.post({ query: '{ a }' })).status, (await open.post({ query: '{ a }' })).status]).toEqual([200, 200])
    await using closed = await serve({ rate: '1/m', store, onStoreError: 'deny' })
    const reply = await closed.post({ query: '{ a }' })
    expect(reply).toMatchObject({ status: 503, body: { errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE' } }] } })
    expect(reply.body.errors?.[0]?.extensions).not.toHaveProperty('http')
  })

  test('skipFailedRequests, skipSuccessfulRequests and countWhen give the cost back', async () => {
    const { store } = setUp()
    const left = async (options: object, query: string) => {
      await using server = await serve({ rate: '5/m', store, ...options })
      await server.post({ query })
      return (await server.post({ query })).headers['x-ratelimit-remaining']
    }
    expect(await left({ name: 'a', skipFailedRequests: true }, '{ mine }')).toBe('4')
    expect(await left({ name: 'b', skipFailedRequests: true }, '{ a }')).toBe('3')
    expect(await left({ name: 'c', skipSuccessfulRequests: true }, '{ a }')).toBe('4')
    const countWhen = ({ errors }: { errors?: unknown }, { operationName }: { operationName: string | undefined }) =>
      errors === undefined && operationName === 'Counted'
    expect(await left({ name: 'd', countWhen }, 'query Counted { mine }')).toBe('4')
    expect(await left({ name: 'e', countWhen }, 'query Counted { a }')).toBe('3')
    expect(await left({ name: 'f', countWhen }, '{ a }')).toBe('4')
  })

  test('clients are told apart by address, header and context; strangers’ headers change nothing', async () => {
    const { store } = setUp()
    const post = (server: Running, headers: Record<string, string>) => server.post({ query: '{ a }' }, headers)
    await using byAddress = await serve({ rate: '1/m', store })
    expect((await post(byAddress, { 'x-forwarded-for': '203.0.113.1' })).status).toBe(200)
    expect((await post(byAddress, { 'x-forwarded-for': '203.0.113.2' })).status).toBe(429)
    await using behind = await serve({ rate: '1/m', trustedProxies: ['loopback'], store })
    expect((await post(behind, { 'x-forwarded-for': '203.0.113.1' })).status).toBe(200)
    expect((await post(behind, { 'x-forwarded-for': '203.0.113.2' })).status).toBe(200)
    await using byKey = await serve({ rate: '1/m', key: 'header:x-team', store })
    expect((await post(byKey, { 'x-team': 'a' })).status).toBe(200)
    expect((await post(byKey, { 'x-team': 'a' })).status).toBe(429)
    expect((await post(byKey, { 'x-team': 'b' })).status).toBe(200)
    const ip = ({ context }: { context: { req: { headers: Record<string, string> } } }) => context.req.headers['x-team']
    await using byIp = await serve({ rate: '1/m', ip: ip as never, store })
    expect((await post(byIp, { 'x-team': '192.0.2.1' })).status).toBe(200)
    expect((await post(byIp, { 'x-team': '192.0.2.1' })).status).toBe(429)
    expect((await post(byIp, { 'x-team': '192.0.2.2' })).status).toBe(200)
  })

  test('credentials are in no answer and no mark', async () => {
    const { store } = setUp()
    const secret = 's3cr3t@:/?#'
    const keys: (string | undefined)[] = []
    const observers = [{ onDecision: (_decision: Decision, key: string) => void keys.push(key) }]
    await using server = await serve({ rate: '1/m', key: 'header:authorization', observers, store })
    const replies = [
      await server.post({ query: '{ told }' }, { authorization: secret }),
      await server.post({ query: '{ told }' }, { authorization: secret }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([200, 429])
    expect(keys).toHaveLength(2)
    expect(JSON.stringify([replies, keys])).not.toContain('s3cr3t')
  })

  test('onLimited may answer with an error of its own; the cause of the usual one has the decision', async () => {
    const { store } = setUp()
    const onLimited = (operation: { operationName: string | undefined }, { limit }: Decision) =>
      operation.operationName === 'Own'
        ? new GraphQLError('own', { extensions: { code: 'OWN', limit, http: { status: 418 } } })
        : undefined
    await using server = await serve({ rate: '0/m', onLimited, store })
    expect(await server.post({ query: 'query Own { a }' })).toMatchObject({
      status: 418,
      body: { errors: [{ message: 'own', extensions: { code: 'OWN', limit: 0 } }] },
    })
    expect(await server.post({ query: '{ a }' })).toMatchObject({
      status: 429,
      body: { errors: [{ extensions: { code: 'RATE_LIMITED' } }] },
    })
  })

  test('queries and mutations share the counter, by whatever method and name they come', async () => {
    const { store } = setUp()
    await using server = await serve({ rate: '3/m', store })
    await server.get('{ a }')
    await server.post({ query: 'query One { a }' })
    await server.post({ query: 'mutation { add }' })
    expect((await server.post({ query: 'query Two { a }' })).status).toBe(429)
  })
})

function fail(message: string): never {
  throw new Error(message)
}

function broken(): never {
  throw new StoreError('broken', 'is broken')
}

describe('GraphQL Yoga', () => {
  test('counts the start of a subscription, not its events, and refuses with 429', async () => {
    const { store } = setUp()
    const yoga = createYoga({
      schema: schemaOf(),
      plugins: [useRateLimit({ rate: '1/m', key: 'static:x', store })],
      logging: false,
    })
    const start = () =>
      yoga.fetch('http://localhost/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        body: JSON.stringify({ query: 'subscription { ticks }' }),
      })
    const first = await start()
    expect([first.status, first.headers.get('x-ratelimit-remaining')]).toEqual([200, '0'])
    expect((await first.text()).match(/"ticks":\d/g)).toEqual(['"ticks":0', '"ticks":1', '"ticks":2'])
    const second = await start()
    expect(second.status).toBe(429)
    expect(second.headers.get('retry-after')).not.toBeNull()
    expect(await second.text()).toContain('"RATE_LIMITED"')
  })

  test('has the fetch request in its context, so without node:http clients are told apart by `ip`', async () => {
    const { store } = setUp()
    const ip = ({ context }: { context: { request: Request } }) => context.request.headers.get('x-address')
    const yoga = createYoga({ schema: schemaOf(), plugins: [useRateLimit({ rate: '1/m', ip, store })], logging: false })
    const ask = async (address: string) =>
      (await yoga.fetch('http://localhost/graphql?query={a}', { headers: { 'x-address': address } })).status
    expect([await ask('192.0.2.1'), await ask('192.0.2.2'), await ask('192.0.2.1')]).toEqual([200, 200, 429])
  })

  test('leaves pages and pre-flight requests alone', async () => {
    const { store } = setUp()
    const yoga = createYoga({ schema: schemaOf(), plugins: [useRateLimit({ rate: '0/m', store })], logging: false })
    const page = await yoga.fetch('http://localhost/graphql', { headers: { accept: 'text/html' } })
    expect([page.status, page.headers.has('x-ratelimit-limit')]).toEqual([200, false])
    expect((await yoga.fetch('http://localhost/graphql', { method: 'OPTIONS' })).status).toBe(204)
  })

  test('types: a plugin for any context, functions get the operation', () => {
    createYoga<{ user: { id: string } }>({
      schema: schemaOf() as never,
      plugins: [
        useRateLimit<{ user: { id: string } }>({
          rate: '1/m',
          key: ({ context, operationName }) => {
            expectTypeOf(context.user.id).toBeString()
            expectTypeOf(operationName).toEqualTypeOf<string | undefined>()
            return context.user.id
          },
        }),
      ],
    })
    expectTypeOf(rateLimitPlugin<{ user: string }>)
      .parameter(0)
      .toEqualTypeOf<GraphqlOptions<{ user: string }>>()
  })
})

describe('Apollo Server', () => {
  test('without a request in the context explains what is missing, and takes another key', async () => {
    const { store } = setUp()
    const server = new ApolloServer({ schema: schemaOf(), plugins: [rateLimitPlugin({ rate: '1/m', store })] })
    const heard = await warningsDuring(async () => {
      const { body } = await server.executeOperation({ query: '{ a }' })
      expect(body).toMatchObject({
        singleResult: { errors: [{ message: expect.stringContaining('nothing for "ip"') as unknown }] },
      })
    })
    expect(heard).toEqual([expect.stringMatching(/rateLimitPlugin: the context has no request.*req/)])
    await server.stop()
    const keyed = new ApolloServer<{ user?: { id: string } }>({
      schema: schemaOf() as never,
      plugins: [rateLimitPlugin({ rate: '1/m', key: 'user', store })],
    })
    const ask = async (id: string) => {
      const { http } = await keyed.executeOperation({ query: '{ a }' }, { contextValue: { user: { id } } })
      return [http.status, http.headers.get('x-ratelimit-remaining')]
    }
    expect([await ask('ada'), await ask('bob'), await ask('ada')]).toEqual([
      [undefined, '0'],
      [undefined, '0'],
      [429, '0'],
    ])
    await keyed.stop()
  })

  test('answers a batch that is refused as a whole with 429', async () => {
    const { store } = setUp()
    await using server = await serveApollo({ rate: '2/m', store })
    expect((await server.post(batch(2))).status).toBe(200)
    expect((await server.post(batch(2))).status).toBe(429)
  })

  test('shows error handlers on the server the decision', async () => {
    const { store } = setUp()
    const seen: unknown[] = []
    const server = new ApolloServer({
      schema: schemaOf(),
      plugins: [
        rateLimitPlugin({ rate: '0/m', key: 'static:x', store }),
        { requestDidStart: async () => ({ didEncounterErrors: async ({ errors }) => void seen.push(...errors) }) },
      ],
    })
    const { body } = await server.executeOperation({ query: '{ a }' })
    expect(seen).toHaveLength(1)
    expect(seen[0]).toBeInstanceOf(GraphQLError)
    expect((seen[0] as Error).cause).toBeInstanceOf(RefusalError)
    expect((seen[0] as Error).cause).toMatchObject({ decision: { limit: 0 } })
    expect(JSON.stringify(body)).not.toContain('decision')
    await server.stop()
  })
})

describe('Envelop without a server', () => {
  const engine = { parse, validate, execute, subscribe, specifiedRules }

  test('refuses before execution, with the decision on the context', async () => {
    const { store } = setUp()
    const seen: unknown[] = []
    const getEnveloped = envelop({
      plugins: [useEngine(engine), useSchema(schemaOf(seen)), useRateLimit({ rate: '1/m', key: 'static:x', store })],
    })
    const run = async (query: string, contextValue?: object) => {
      const { schema, parse: read, execute: start } = getEnveloped(contextValue ?? {})
      return (await start({ schema, document: read(query), contextValue })) as Body
    }
    const context = {}
    expect(await run('{ told }', context)).toEqual({ data: { told: 'true 0' } })
    expect(context).toMatchObject({ rateLimit: { allowed: true, limit: 1 } })
    const refused = await run('{ a }')
    expect(refused.data).toBeUndefined()
    expect(refused.errors?.[0]).toBeInstanceOf(GraphQLError)
    expect(refused.errors?.[0]).toMatchObject({ extensions: { code: 'RATE_LIMITED', http: { status: 429 } } })
    expect(seen).toEqual([])
  })

  test('counts each execution, also of a context that serves for several, as over one connection', async () => {
    const { store } = setUp()
    let enabled = true
    const limit: Options = { rate: '2/m', key: 'static:x', store, enabled: () => enabled }
    const own = useRateLimit(limit)
    const seen: string[] = []
    const shadow: Options = { name: 'shadow', rate: '9/m', key: 'static:x', shadow: true, store }
    const watched = useRateLimit({ ...shadow, observers: [{ onDecision: ({ kind }: Decision) => void seen.push(kind) }] })
    const plugins = [useEngine(engine), useSchema(schemaOf()), own, own, watched, watched]
    const { schema, parse: read, execute: start } = envelop({ plugins })({})
    const contextValue = {}
    const run = async () => (await start({ schema, document: read('{ told }'), contextValue })) as Body
    expect(await run()).toEqual({ data: { told: 'true 1' } })
    expect(await run()).toEqual({ data: { told: 'true 0' } })
    expect((await run()).errors?.[0]).toMatchObject({ extensions: { code: 'RATE_LIMITED' } })
    enabled = false
    expect(await run()).toEqual({ data: { told: 'none' } })
    expect(seen).toEqual(['granted', 'granted', 'granted'])
    const frozen = Object.freeze({})
    expect(await start({ schema, document: read('{ a }'), contextValue: frozen })).toEqual({ data: { a: 1 } })
  })

  test('writes headers to context.res, where there is one, the tightest of several operations', async () => {
    const { store } = setUp()
    const getEnveloped = envelop({
      plugins: [useEngine(engine), useSchema(schemaOf()), useRateLimit({ rate: '2/m', store })],
    })
    const server = createServer((req, res) => {
      const run = async () => {
        for (let i = 0; i < 3; i++) {
          const context = { req, res }
          const { schema, parse: read, execute: start } = getEnveloped(context)
          await start({ schema, document: read('{ a }'), contextValue: context })
        }
        res.end('done')
      }
      void run()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    expect(response.headers.get('x-ratelimit-remaining')).toBe('0')
    expect(response.headers.get('retry-after')).not.toBeNull()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
})

test.each([
  ['useRateLimit', useRateLimit],
  ['rateLimitPlugin', rateLimitPlugin],
])('%s refuses options that are wrong at construction, naming them', (name, make) => {
  for (const [options, expected] of [
    [{ rate: '1/m', rates: 1 }, `${name}.rates`],
    [{ rate: 'often' }, `${name}.rate`],
    [{ rate: '1/m', key: 'users' }, `${name}.key`],
    [{ rate: '1/m', ip: '127.0.0.1' }, `${name}.ip`],
    [undefined, name],
  ] as const) {
    expect(() => make(options as never)).toThrow(ConfigError)
    expect(() => make(options as never)).toThrow(expected)
  }
})
