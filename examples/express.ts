// Express: limits for an app by path, and one for a route.

import express from 'express'
import { rateLimit, rateLimitMiddleware } from 'smart-ratelimit/express'

const port = Number(process.env['PORT'] ?? 3000)
const app = express()

// The whole app: a default, a stricter path, and a path that is never limited.
app.use(rateLimitMiddleware({ defaultRate: '100/m', rateLimits: { '/api/': '5/m' }, skipPaths: ['/health'] }))

app.get('/api/items', (_request, response) => {
  response.json(['one', 'two'])
})

// One route: three tries a minute for each address.
app.get('/login', rateLimit({ name: 'login', rate: '3/m' }), (_request, response) => {
  response.send('welcome\n')
})

app.get('/health', (_request, response) => {
  response.send('fine\n')
})

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/login
and the sixth of these:
  curl -i http://localhost:${port}/api/items`)
})
