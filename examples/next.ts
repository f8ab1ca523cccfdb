// Next.js: a route handler and a proxy, as they stand in an app; here a small server takes the place of Next.js.

import { serve } from '@hono/node-server'
import { rateLimitProxy, withRateLimit } from 'smart-ratelimit/next'

const port = Number(process.env['PORT'] ?? 3000)

// Next.js has no client address of its own. Behind one proxy, `trustedProxies: 1` reads it from X-Forwarded-For.
const trustedProxies = 1

// app/api/search/route.ts: `export const GET = …`
const GET = withRateLimit((request: Request) => Response.json({ found: new URL(request.url).searchParams.get('q') }), {
  rate: '3/m',
  trustedProxies,
})

// proxy.ts (middleware.ts before Next.js 16): `export const proxy = …`
const proxy = rateLimitProxy({ defaultRate: null, rateLimits: { '/api': '100/m' }, trustedProxies })

// What Next.js does: ask the proxy, and go on where it says so.
async function app(request: Request): Promise<Response> {
  const answer = await proxy(request)
  return answer.headers.has('x-middleware-next') ? GET(request) : answer
}

serve({ fetch: app, port }, () => {
  console.log(`Listening. The fourth of these is refused:
  curl -i -H 'X-Forwarded-For: 192.0.2.1' 'http://localhost:${port}/api/search?q=cats'`)
})
