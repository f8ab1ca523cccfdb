// tRPC: a middleware for procedures; each call of a batch counts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { initTRPC } from '@trpc/server'
import { createHTTPServer } from '@trpc/server/adapters/standalone'
import { rateLimit } from 'smart-ratelimit/trpc'

const port = Number(process.env['PORT'] ?? 3000)

// The limiter finds the client's address, and the response for its headers, in the context.
const t = initTRPC.context<{ req: IncomingMessage; res: ServerResponse }>().create()

const router = t.router({
  hello: t.procedure.use(rateLimit({ rate: '3/m' })).query(({ ctx }) => ({ left: ctx.rateLimit?.remaining })),
  health: t.procedure.query(() => 'fine'),
})

const server = createHTTPServer({ router, createContext: ({ req, res }) => ({ req, res }) })

server.listen(port, () => {
  console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/hello
and so is the fourth call of a batch:
  curl -i 'http://localhost:${port}/hello,hello,hello,hello?batch=1'`)
})
