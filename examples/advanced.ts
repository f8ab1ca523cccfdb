// Advanced: several rates at once, costs, tiers, exemptions, penalties, shadow limits, answers of your own.

import express, { type Request } from 'express'
import { tiered } from 'smart-ratelimit'
import { rateLimit } from 'smart-ratelimit/express'

const port = Number(process.env['PORT'] ?? 3000)
const app = express()
const plan = (request: Request): string | null => request.get('x-plan') ?? null

// Both must grant, or neither is charged: bursts and a daily quota in one decision.
app.get('/burst', rateLimit({ rate: '3/10s, 1000/d' }), (_request, response) => {
  response.send('three in ten seconds, a thousand a day\n')
})

// A report of many pages costs more than one of few.
app.get(
  '/report',
  rateLimit({ rate: '10/m', cost: (request: Request) => Math.max(1, Number(request.query['pages'] ?? 1)) }),
  (_request, response) => {
    response.send('ten pages a minute\n')
  },
)

// The rate follows the plan; staff is not limited at all.
app.get(
  '/search',
  rateLimit({
    rate: tiered({ free: '2/m', pro: '5/m' }, { by: plan, default: 'free' }),
    key: ['ip', 'header:x-plan'],
    onMissingKey: 'ip',
    skipIf: (request: Request) => plan(request) === 'staff',
  }),
  (_request, response) => {
    response.send('found\n')
  },
)

// Only failed logins count, and whoever goes on is kept out for ever longer.
app.get(
  '/login',
  rateLimit({ name: 'login', rate: '3/m', skipSuccessfulRequests: true, penalty: { durationMs: 60_000, factor: 2 } }),
  (request, response) => {
    const right = request.query['password'] === 'swordfish'
    response.status(right ? 200 : 401).send(right ? 'welcome\n' : 'wrong\n')
  },
)

// Evenly paced: a token bucket of two, one token every ten seconds.
app.get(
  '/paced',
  rateLimit({ rate: '6/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 2 } }),
  (_request, response) => {
    response.send('paced\n')
  },
)

// A limit that is only tried out: it decides, it tells its observers, and refuses nobody.
const wouldRefuse = (kind: string): void => void (kind === 'refused' && console.log('the shadow limit would have refused this'))
app.get(
  '/shadow',
  rateLimit({ rate: '1/m', shadow: true, observers: [{ onDecision: ({ kind }) => wouldRefuse(kind) }] }),
  (_request, response) => {
    response.send('always\n')
  },
)

// An answer of your own. Status and headers are set already.
app.get(
  '/friendly',
  rateLimit({
    rate: '1/m',
    onLimited: (_request, response, _next, { retryAfterMs = 0 }) => {
      response.end(`Slow down, please: ${Math.ceil(retryAfterMs / 1000)} seconds.\n`)
    },
  }),
  (_request, response) => {
    response.send('hello\n')
  },
)

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. Try, several times each:
  curl -i http://localhost:${port}/burst
  curl -i 'http://localhost:${port}/report?pages=6'
  curl -i -H 'X-Plan: pro' http://localhost:${port}/search
  curl -i 'http://localhost:${port}/login?password=guess'
  curl -i http://localhost:${port}/paced
  curl -i http://localhost:${port}/shadow
  curl -i http://localhost:${port}/friendly`)
})
