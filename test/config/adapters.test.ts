// What settings give is what every adapter takes, by type and when it is built. Next: ../../src/config/from-settings.ts.

import { RateLimitModule } from '../../src/adapters/nest/index.ts'
import express from 'express'
import fastify from 'fastify'
import { expect, it } from 'vitest'
import * as expressAdapter from '../../src/adapters/express.ts'
import fastifyRateLimit from '../../src/adapters/fastify.ts'
import * as fetchAdapter from '../../src/adapters/fetch.ts'
import * as graphqlAdapter from '../../src/adapters/graphql.ts'
import * as honoAdapter from '../../src/adapters/hono.ts'
import * as koaAdapter from '../../src/adapters/koa.ts'
import * as nextAdapter from '../../src/adapters/next.ts'
import * as nodeAdapter from '../../src/adapters/node-http.ts'
import * as socketIoAdapter from '../../src/adapters/socket-io.ts'
import * as wsAdapter from '../../src/adapters/ws.ts'
import { checkSettings } from '../../src/config/check-settings.ts'
import { fromSettings } from '../../src/config/from-settings.ts'
import { serve } from '../adapters/http.ts'

const SETTINGS = {
  onStoreError: 'deny',
  middleware: { defaultRate: '2/m', rateLimits: { '/api/': '1/m' }, skipPaths: ['/health'] },
  policies: { login: { rate: '1/m', key: 'ip', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 2 } } },
} as const

it('a middleware and a policy are taken by every adapter', async () => {
  const { middleware, policy, close } = await fromSettings(checkSettings(SETTINGS))
  const login = policy('login')
  const built = [
    expressAdapter.rateLimit(login),
    expressAdapter.rateLimitMiddleware(middleware),
    fetchAdapter.rateLimit(login),
    fetchAdapter.rateLimitMiddleware(middleware),
    graphqlAdapter.useRateLimit(login),
    graphqlAdapter.rateLimitPlugin(login),
    // Hono and Next.js have no client address of their own.
    honoAdapter.rateLimit({ ...login, key: 'api_key' }),
    honoAdapter.rateLimitMiddleware({ ...middleware, key: 'api_key' }),
    koaAdapter.rateLimit(login),
    koaAdapter.rateLimitMiddleware(middleware),
    nextAdapter.withRateLimit(() => new Response(), { ...login, key: 'api_key' }),
    nodeAdapter.rateLimit(login),
    nodeAdapter.rateLimitMiddleware(middleware),
    socketIoAdapter.rateLimitConnections(login),
    wsAdapter.rateLimitConnections(login),
    RateLimitModule.forRoot(middleware),
  ]
  expect(built.every(Boolean)).toBe(true)
  const app = fastify()
  await app.register(fastifyRateLimit, middleware)
  app.get('/api/x', () => 'x')
  const statuses = [await app.inject('/api/x'), await app.inject('/api/x')].map(({ statusCode }) => statusCode)
  expect(statuses).toEqual([200, 429])
  await app.close()
  await close()
})

it('the policies of plain settings are options of rateLimit as they are', async () => {
  const { policies } = checkSettings(SETTINGS)
  const { login } = policies
  if (login === undefined) expect.fail('no policy')
  const app = express()
  app.get('/login', expressAdapter.rateLimit(login), (_request, response) => void response.send('welcome'))
  await using server = await serve(app)
  const replies = [await server.get('/login'), await server.get('/login'), await server.get('/login')]
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 429])
  expect(replies[0]?.headers).toMatchObject({ 'x-ratelimit-limit': '1', 'x-ratelimit-bucket-size': '2' })
})
