// node:http without a framework: a request listener, wrapped.

import { createServer } from 'node:http'
import { withRateLimit } from 'smart-ratelimit/node'

const port = Number(process.env['PORT'] ?? 3000)

const listener = withRateLimit((_request, response) => response.end('hello\n'), { rate: '3/m' })

createServer(listener).listen(port, () => {
  console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/`)
})
