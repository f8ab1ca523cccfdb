// Fastify: a plugin for the whole server, options on the routes.

import Fastify from 'fastify'
import { rateLimit } from 'smart-ratelimit/fastify'

const port = Number(process.env['PORT'] ?? 3000)
const app = Fastify()

// Before the routes, and awaited: the plugin sees each route as it is added.
await app.register(rateLimit, { defaultRate: '100/m' })

app.get('/', () => ({ hello: 'world' }))

app.get('/login', { config: { rateLimit: { rate: '3/m' } } }, (request) => ({ left: request.rateLimit?.remaining }))

app.get('/health', { config: { rateLimit: false } }, () => 'fine')

await app.listen({ port })
console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/login`)
