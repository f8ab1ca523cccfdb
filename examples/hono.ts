// Hono: a middleware that knows the client's address by the platform's getConnInfo.

import { serve } from '@hono/node-server'
import { getConnInfo } from '@hono/node-server/conninfo'
import { Hono } from 'hono'
import { rateLimit } from 'smart-ratelimit/hono'

const port = Number(process.env['PORT'] ?? 3000)
const app = new Hono()

app.get('/login', rateLimit({ rate: '3/m', getConnInfo }), (c) => c.json({ left: c.var.rateLimit?.remaining }))

serve({ fetch: app.fetch, port }, () => {
  console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/login`)
})
