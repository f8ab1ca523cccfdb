// The fetch standard (Bun, Deno, Workers, …): a handler from Request to Response, wrapped.

import { serve } from '@hono/node-server'
import { withRateLimit } from 'smart-ratelimit/fetch'

const port = Number(process.env['PORT'] ?? 3000)

const handler = withRateLimit((request: Request) => new Response(`hello from ${new URL(request.url).pathname}\n`), {
  rate: '3/m',
  // A bare Request does not know its client's address. Platforms that do hand it over as the second argument; here an API key tells
  // clients apart, and whoever has none is refused.
  key: 'api_key',
  onMissingKey: 'deny',
})

// Elsewhere: `export default { fetch: handler }`, `Deno.serve(handler)`, `Bun.serve({ fetch: handler })`.
serve({ fetch: (request) => handler(request), port }, () => {
  console.log(`Listening. The fourth of these is refused:
  curl -i -H 'X-API-Key: mine' http://localhost:${port}/`)
})
