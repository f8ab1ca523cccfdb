// Limits per field, in schemas of the real graphql, executed by itself, by Yoga and by Apollo over HTTP. Next: ../../src/adapters/graphql-directive.ts.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApolloServer } from '@apollo/server'
import { startStandaloneServer } from '@apollo/server/standalone'
import type { ExecutionResult, GraphQLResolveInfo } from 'graphql'
import { createSchema, createYoga } from 'graphql-yoga'
import { describe, expect, test } from 'vitest'
import {
  type GraphqlField,
  type GraphqlFieldOptions,
  rateLimitDirective,
  rateLimitOf,
  rateLimitPlugin,
  rateLimitTypeDefs,
  useRateLimit,
} from '../../src/adapters/graphql.ts'
import { ConfigError, StoreError } from '../../src/core/errors.ts'
import { RefusalError } from '../../src/http/refusal-error.ts'
import { later, setUp } from './contract.ts'
import { graphql } from './graphql-copy.ts'
import { warningsDuring } from './warnings.ts'

const {
  GraphQLError,
  GraphQLInt,
  GraphQLObjectType,
  GraphQLSchema,
  buildSchema,
  execute,
  extendSchema,
  graphqlSync,
  parse,
  subscribe,
  validateSchema,
} = graphql

type Run = (field: string, info: GraphQLResolveInfo) => void

/** A schema whose fields `search`, `add` and `User.secret` are limited; each run of a resolver is told. */
function schemaOf(options: GraphqlFieldOptions<never>, onRun: Run = () => {}, limits = {}) {
  const { search = 'rate: "2/m"', secret = 'rate: "3/m"', add = 'rate: "1/m"' } = limits as Record<string, string>
  const { typeDefs, apply } = rateLimitDirective(options)
  const run = (value: unknown) => (_source: unknown, _args: unknown, _context: unknown, info: GraphQLResolveInfo) => {
    onRun(`${info.parentType.name}.${info.fieldName}`, info)
    if (value instanceof Error) throw value
    return value
  }
  const schema = createSchema({
    typeDefs: [
      typeDefs,
      `type Query { search(text: String): Int @rateLimit(${search}) free: Int fails: Int @rateLimit(rate: "5/m") users: [User!]! user: User strict: Int! @rateLimit(rate: "1/m") }
       type User { name: String secret: String @rateLimit(${secret}) plain: String @rateLimit(rate: "1/m") method: String @rateLimit(rate: "1/m") }
       type Mutation { add: Int @rateLimit(${add}) }
       type Subscription { ticks: Int @rateLimit(rate: "1/m") }`,
    ],
    resolvers: {
      Query: {
        search: run(1),
        free: run(2),
        strict: run(3),
        fails: run(new Error('mine')),
        users: () => [{ name: 'a' }, { name: 'b' }],
        user: () => ({
          name: 'ada',
          plain: 'plain',
          method(args: unknown, context: unknown, info: GraphQLResolveInfo) {
            return `${this.name} ${typeof args} ${typeof context} ${info.fieldName}`
          },
        }),
      },
      User: { secret: run('hush') },
      Mutation: { add: run(1) },
      Subscription: {
        ticks: {
          subscribe: async function* () {
            for (let ticks = 0; ticks < 3; ticks++) yield { ticks }
          },
        },
      },
    },
  })
  return apply(schema)
}

const key = 'static:all'

describe('a field with @rateLimit', () => {
  test('is resolved up to its limit; then it is null, with an error at its path; others are not touched', () => {
    const { clock, store } = setUp()
    const runs: string[] = []
    const schema = schemaOf({ key, store }, (field) => void runs.push(field))
    const ask = (source: string) => graphqlSync({ schema, source, contextValue: {} })
    expect(ask('{ search free }')).toEqual({ data: { search: 1, free: 2 } })
    expect(ask('{ search free }').errors).toBeUndefined()
    const refused = ask('{ free search }')
    expect({ ...refused.data }).toEqual({ free: 2, search: null })
    expect(refused.errors).toHaveLength(1)
    const [error] = refused.errors ?? []
    expect(error).toMatchObject({
      message: expect.stringMatching(/^Rate limit exceeded\. Try again in \d+ seconds\.$/) as unknown,
      path: ['search'],
      extensions: { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) as unknown },
    })
    expect(error?.originalError).toBeInstanceOf(GraphQLError)
    expect(error?.originalError?.cause).toBeInstanceOf(RefusalError)
    expect(error?.extensions).not.toHaveProperty('http')
    expect(runs).toEqual(['Query.search', 'Query.free', 'Query.search', 'Query.free', 'Query.free'])
    clock.advance(error?.extensions['retryAfterMs'] as number)
    expect(ask('{ search }').errors).toBeUndefined()
  })

  test('counts each run: aliases, the items of lists, and operations alike', () => {
    const { store } = setUp()
    const schema = schemaOf({ key, store })
    const aliases = graphqlSync({ schema, source: '{ a: search b: search c: search }' })
    expect({ ...aliases.data }).toEqual({ a: 1, b: 1, c: null })
    const items = graphqlSync({ schema, source: '{ users { secret } user { a: secret b: secret } }' })
    expect(JSON.parse(JSON.stringify(items.data))).toEqual({
      users: [{ secret: 'hush' }, { secret: 'hush' }],
      user: { a: 'hush', b: null },
    })
    expect(items.errors?.map(({ path }) => path)).toEqual([['user', 'b']])
  })

  test('without a resolver is what its source has, as before; a method is called as such', () => {
    const { store } = setUp()
    const schema = schemaOf({ key, store })
    const source = '{ user { plain method } }'
    expect(JSON.parse(JSON.stringify(graphqlSync({ schema, source, contextValue: {} })))).toEqual({
      data: { user: { plain: 'plain', method: 'ada object object method' } },
    })
    expect(graphqlSync({ schema, source }).errors).toHaveLength(2)
  })

  test('waits for a store that answers later', async () => {
    const { store } = setUp()
    const schema = schemaOf({ key, store: later(store) })
    const ask = async () => (await execute({ schema, document: parse('{ search }') })) as ExecutionResult
    expect([(await ask()).data?.['search'], (await ask()).data?.['search'], (await ask()).data?.['search']]).toEqual([1, 1, null])
  })

  test('has a counter of its own, unless a group joins several; name, cost, message and key are its own', () => {
    const { store } = setUp()
    const own = 'rate: ["9/m", "100/h"], group: "joined", cost: 4, name: "n", message: "Slowly."'
    const schema = schemaOf({ key, store }, undefined, { search: own, secret: 'rate: ["9/m", "100/h"], group: "joined"' })
    const found = graphqlSync({ schema, source: '{ a: search b: search user { a: secret b: secret } }' })
    expect(JSON.parse(JSON.stringify(found.data))).toEqual({ a: 1, b: 1, user: { a: 'hush', b: null } })
    const refused = graphqlSync({ schema, source: '{ search }' })
    expect(refused.errors?.[0]).toMatchObject({
      message: 'Slowly.',
      originalError: { cause: { decision: { policy: 'n', cost: 4, asked: { limits: [{}, {}] } } } },
    })
    const users = schemaOf({ store }, undefined, { search: 'rate: "1/m", key: "user", algorithm: "fixed_window"' })
    const as = (id: string) =>
      graphqlSync({ schema: users, source: '{ search }', contextValue: { user: { id } } }).errors?.length ?? 0
    expect([as('ada'), as('bob'), as('ada')]).toEqual([0, 0, 1])
  })

  test('functions of the options get the field: its arguments, context and info', () => {
    const { store } = setUp()
    const options: GraphqlFieldOptions<{ team: string }> = {
      key: ({ context }) => context.team,
      cost: ({ args }) => (args['text'] === 'long' ? 2 : 1),
      skipIf: ({ info }: GraphqlField) => info.path.key === 'skipped',
      store,
    }
    const schema = schemaOf(options)
    const errors = (source: string, team: string) => graphqlSync({ schema, source, contextValue: { team } }).errors?.length ?? 0
    expect(errors('{ search(text: "long") }', 'a')).toBe(0)
    expect(errors('{ search }', 'a')).toBe(1)
    expect(errors('{ skipped: search }', 'a')).toBe(0)
    expect(errors('{ search }', 'b')).toBe(0)
  })

  test('with block: false is resolved, and finds how it stands by its info', () => {
    const { store } = setUp()
    const stands: unknown[] = []
    const schema = schemaOf({ key, store, block: false }, (_field, info) => {
      const mark = rateLimitOf(info)
      stands.push(mark && `${mark.allowed} ${mark.remaining}`)
    })
    expect(graphqlSync({ schema, source: '{ a: search b: search c: search free }' }).errors).toBeUndefined()
    expect(stands).toEqual(['true 1', 'true 0', 'false 0', undefined])
  })

  test('in shadow is counted and nothing shows', () => {
    const { store } = setUp()
    const seen: string[] = []
    const schema = schemaOf({ key, store, shadow: true, observers: [{ onDecision: ({ kind }) => void seen.push(kind) }] })
    expect(graphqlSync({ schema, source: '{ a: search b: search c: search }' }).errors).toBeUndefined()
    expect(seen).toEqual(['granted', 'granted', 'refused'])
  })

  test('that throws has run once, its error is its own, and skipFailedRequests gives it back', async () => {
    for (const skipFailedRequests of [false, true]) {
      const { store } = setUp()
      const runs: string[] = []
      const schema = schemaOf({ key, store, skipFailedRequests }, (field) => void runs.push(field))
      for (let i = 0; i < 6; i++) {
        const { errors = [] } = (await execute({ schema, document: parse('{ fails }') })) as ExecutionResult
        expect(errors[0]?.message).toMatch(i === 5 && !skipFailedRequests ? /Rate limit/ : /^mine$/)
      }
      expect(runs).toHaveLength(skipFailedRequests ? 6 : 5)
    }
  })

  test('whose key or store fails is an error of the field, and its resolver does not run', async () => {
    const { store } = setUp()
    const failing = Object.assign(Object.create(store) as typeof store, {
      take: () => {
        throw new StoreError('broken', 'is broken')
      },
    })
    const rejecting = { ...later(store), take: () => Promise.reject(new StoreError('broken', 'is broken')) }
    const broken: GraphqlFieldOptions<never>[] = [
      { key, store: failing },
      { key, store: rejecting, onStoreError: 'throw' },
      { key: () => Promise.reject(new Error('no key')), store },
    ]
    for (const options of broken) {
      const runs: string[] = []
      const schema = schemaOf(options, (field) => void runs.push(field))
      const { data, errors } = (await execute({ schema, document: parse('{ search free }') })) as ExecutionResult
      expect({ ...data }).toEqual({ search: null, free: 2 })
      expect(errors?.[0]?.message).toMatch(/is broken|no key/)
      expect(runs).toEqual(['Query.free'])
    }
  })

  test('of Subscription is counted at its start, not at its events', async () => {
    const { store } = setUp()
    const schema = schemaOf({ key, store })
    const start = () => subscribe({ schema, document: parse('subscription { ticks }') })
    const ticks: unknown[] = []
    for await (const { data } of (await start()) as AsyncGenerator<ExecutionResult>) ticks.push(data?.['ticks'])
    expect(ticks).toEqual([0, 1, 2])
    expect(await start()).toMatchObject({ errors: [{ extensions: { code: 'RATE_LIMITED' } }] })
  })
})

describe('a schema', () => {
  test('with the type definitions is valid, and takes a rate or a list of them', () => {
    const schema = buildSchema(
      `${rateLimitTypeDefs} type Query { a: Int @rateLimit(rate: "1/m") b: Int @rateLimit(rate: ["1/s", "9/m"]) }`,
    )
    expect(validateSchema(schema)).toEqual([])
    expect(rateLimitDirective().typeDefs).toBe(rateLimitTypeDefs)
  })

  test('made by code has the arguments in its extensions', () => {
    const { store } = setUp()
    const schema = new GraphQLSchema({
      query: new GraphQLObjectType({
        name: 'Query',
        fields: {
          a: { type: GraphQLInt, resolve: () => 1, extensions: { rateLimit: { rate: '1/m', name: 'a' } } },
          b: { type: GraphQLInt, resolve: () => 1 },
        },
      }),
    })
    rateLimitDirective({ key, store }).apply(schema)
    expect({ ...graphqlSync({ schema, source: '{ a x: a b y: b }' }).data }).toEqual({ a: 1, x: null, b: 1, y: 1 })
  })

  test('whose fields have limits of one name counts them apart', () => {
    const { store } = setUp()
    const limits = { search: 'rate: "1/m", name: "n"', secret: 'rate: "1/m", name: "n"' }
    const schema = schemaOf({ key, store }, undefined, limits)
    expect(graphqlSync({ schema, source: '{ search user { secret } }' }).errors).toBeUndefined()
    expect(graphqlSync({ schema, source: '{ search user { secret } }' }).errors).toHaveLength(2)
  })

  test('that extends a type is limited there too; applied twice, also by a schema made of it, it is limited once', () => {
    const { clock, store } = setUp()
    const limits = rateLimitDirective({ key, store })
    const schema = limits.apply(
      createSchema({
        typeDefs: [limits.typeDefs, 'type Query { a: Int }', 'extend type Query { b: Int @rateLimit(rate: "2/m") }'],
        resolvers: { Query: { b: () => 1 } },
      }),
    )
    expect(limits.apply(schema)).toBe(schema)
    const extended = limits.apply(extendSchema(schema, parse('extend type Query { c: Int }')))
    expect({ ...graphqlSync({ schema: extended, source: '{ a: b b c: b }' }).data }).toEqual({ a: 1, b: 1, c: null })
    limits.apply(schema)
    clock.advance(120_000)
    expect({ ...graphqlSync({ schema, source: '{ a: b b c: b }' }).data }).toEqual({ a: 1, b: 1, c: null })
  })

  test('whose Boolean is the app’s own is refused by an error that has the same extensions', () => {
    const { store } = setUp()
    const schema = schemaOf({ key, store }, undefined, { search: 'rate: "0/m"' })
    const boolean = schema.getType('Boolean') as { parseValue: unknown }
    const { parseValue } = boolean
    boolean.parseValue = (value: unknown) => value
    try {
      const [error] = graphqlSync({ schema, source: '{ search }' }).errors ?? []
      expect(error).toMatchObject({ extensions: { code: 'RATE_LIMITED' }, originalError: { name: 'GraphQLError' } })
      expect(error?.originalError).not.toBeInstanceOf(GraphQLError)
    } finally {
      boolean.parseValue = parseValue
    }
  })

  test('without the directive is warned about, once', async () => {
    const schema = buildSchema('type Query { a: Int }')
    const heard = await warningsDuring(() => {
      rateLimitDirective().apply(schema)
      rateLimitDirective().apply(schema)
    })
    expect(heard).toEqual([expect.stringContaining('no field of the schema has @rateLimit')])
  })

  test.each([
    ['a rate that is none', 'rate: "often"', /@rateLimit on Query\.a\.rate/],
    ['an algorithm that is none', 'rate: "1/m", algorithm: "magic"', /@rateLimit on Query\.a\.algorithm/],
    ['a key that is none', 'rate: "1/m", key: "users"', /@rateLimit on Query\.a\.key/],
    ['a cost that is none', 'rate: "1/m", cost: 0', /@rateLimit on Query\.a\.cost/],
    ['no rate', 'name: "a"', /@rateLimit on Query\.a\.rate/],
    ['an unknown argument', 'rate: "1/m", window: "1m"', /@rateLimit on Query\.a\.window/],
  ])('with %s is refused, naming the field', (_, args, message) => {
    const schema = buildSchema(`type Query { a: Int @rateLimit(${args}) }`, { assumeValidSDL: true })
    expect(() => rateLimitDirective().apply(schema)).toThrow(ConfigError)
    expect(() => rateLimitDirective().apply(schema)).toThrow(message)
  })

  test('with the directive on an interface is refused, as no resolver runs there', () => {
    const schema = buildSchema(
      `${rateLimitTypeDefs} interface Node { id: Int @rateLimit(rate: "1/m") } type Query implements Node { id: Int }`,
    )
    expect(() => rateLimitDirective().apply(schema)).toThrow(/@rateLimit on Node\.id.*object type/)
  })

  test.each([
    ['a rate, which is the directive’s to say', { rate: '1/m' }, /rateLimitDirective\.rate/],
    ['an unknown option', { keys: 'ip' }, /rateLimitDirective\.keys/],
    ['a key that is none', { key: 'users' }, /rateLimitDirective\.key/],
    ['null', null, /rateLimitDirective/],
  ])('options with %s are refused at construction', (_, options, message) => {
    expect(() => rateLimitDirective(options as never)).toThrow(ConfigError)
    expect(() => rateLimitDirective(options as never)).toThrow(message)
  })
})

type Serve = (
  options: GraphqlFieldOptions<never>,
  onRun?: Run,
) => Promise<{ post(body: unknown): Promise<Response> } & AsyncDisposable>

const poster = (url: string) => (body: unknown) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', connection: 'close' },
    body: JSON.stringify(body),
  })

const SERVERS: Record<string, Serve> = {
  'GraphQL Yoga': async (options, onRun) => {
    const plugins = [useRateLimit({ rate: '100/m', store: setUp().store })]
    const yoga = createYoga({ schema: schemaOf(options, onRun), plugins, batching: true, logging: false })
    const server = createServer((request, response) => void yoga(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return {
      post: poster(`http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`),
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  },
  'Apollo Server': async (options, onRun) => {
    const plugins = [rateLimitPlugin({ rate: '100/m', store: setUp().store })]
    const server = new ApolloServer<object>({ schema: schemaOf(options, onRun), plugins, allowBatchedHttpRequests: true })
    const { url } = await startStandaloneServer(server, {
      listen: { port: 0, host: '127.0.0.1' },
      context: async ({ req }) => ({ req }),
    })
    return { post: poster(url), [Symbol.asyncDispose]: () => server.stop() }
  },
}

describe.each(Object.entries(SERVERS))('in %s', (_, serve) => {
  test('a refused field beside others is an error with status 200; the headers are those of the tightest limit', async () => {
    const { store } = setUp()
    const runs: string[] = []
    await using server = await serve({ store }, (field) => void runs.push(field))
    const first = await server.post({ query: '{ search free }' })
    expect([first.status, first.headers.get('x-ratelimit-limit'), first.headers.get('x-ratelimit-remaining')]).toEqual([
      200,
      '2',
      '1',
    ])
    await server.post({ query: '{ search free }' })
    const refused = await server.post({ query: '{ search free }' })
    expect(refused.status).toBe(200)
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({
      data: { search: null, free: 2 },
      errors: [{ path: ['search'], extensions: { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) as unknown } }],
    })
    expect(runs).toHaveLength(5)
    const other = await server.post({ query: '{ free }' })
    expect([other.headers.get('x-ratelimit-limit'), other.headers.get('retry-after')]).toEqual(['100', null])
  })

  test('a response that has nothing but refused fields is 429', async () => {
    const { store } = setUp()
    await using server = await serve({ store })
    expect((await server.post({ query: 'mutation { add }' })).status).toBe(200)
    const refused = await server.post({ query: 'mutation { add }' })
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([429, true])
    expect(await refused.json()).toEqual({
      data: { add: null },
      errors: [expect.objectContaining({ extensions: expect.objectContaining({ code: 'RATE_LIMITED' }) as unknown })],
    })
    expect((await server.post({ query: '{ strict free }' })).status).toBe(200)
    const none = await server.post({ query: '{ strict free }' })
    expect(none.status).toBe(429)
    expect(await none.json()).toMatchObject({ data: null })
  })

  test('fields of a batch count each, and none makes a response 429 whose others are answered', async () => {
    const { store } = setUp()
    const runs: string[] = []
    await using server = await serve({ store }, (field) => void runs.push(field))
    const reply = await server.post(Array.from({ length: 4 }, () => ({ query: '{ search }' })))
    expect(reply.status).toBe(200)
    const bodies = (await reply.json()) as ExecutionResult[]
    expect(bodies.map(({ data }) => data?.['search'])).toEqual([1, 1, null, null])
    expect(runs).toHaveLength(2)
  })
})
