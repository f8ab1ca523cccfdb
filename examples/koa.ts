// Koa: a middleware, and the decision on ctx.state.

import Koa from 'koa'
import { rateLimit } from 'smart-ratelimit/koa'

const port = Number(process.env['PORT'] ?? 3000)
const app = new Koa()

app.use(rateLimit({ rate: '3/m' }))

app.use((ctx) => {
  ctx.body = { left: ctx.state['rateLimit']?.remaining }
})

app.listen(port, () => {
  console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/`)
})
