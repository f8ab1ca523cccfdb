// What a limiter adds to a request of Express 5, in process and without sockets: real requests and responses of node:http,
// handed to the app, so that the network's noise is outside.

import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import express, { type RequestHandler } from 'express'
import { rateLimit as expressRateLimit } from 'express-rate-limit'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { rateLimit } from '../dist/adapters/express.js'
import { markdown, median } from './race.ts'

const LIMIT = 1_000_000_000
const WARM_UP = 20
const ROUNDS = 401
/** Requests of each contender per round. */
const REQUESTS = 200

function contenders(): Record<string, RequestHandler | undefined> {
  const counts = new Map<string, { count: number; resetMs: number }>()
  const flexible = new RateLimiterMemory({ points: LIMIT, duration: 3600 })
  return {
    'no limiter': undefined,
    'ideal: a Map and the same headers': (request, response, next) => {
      const now = Date.now()
      const key = request.ip as string
      let client = counts.get(key)
      if (client === undefined || now >= client.resetMs) counts.set(key, (client = { count: 0, resetMs: now + 3_600_000 }))
      client.count++
      response.setHeader('X-RateLimit-Limit', String(LIMIT))
      response.setHeader('X-RateLimit-Remaining', String(LIMIT - client.count))
      response.setHeader('X-RateLimit-Reset', String(Math.ceil(client.resetMs / 1000)))
      response.setHeader('RateLimit-Policy', '"1000000000-per-h";q=1000000000;w=3600')
      response.setHeader(
        'RateLimit',
        `"1000000000-per-h";r=${LIMIT - client.count};t=${Math.ceil((client.resetMs - now) / 1000)}`,
      )
      if (client.count > LIMIT) response.sendStatus(429)
      else next()
    },
    'smart-ratelimit': rateLimit({ rate: `${LIMIT}/h`, algorithm: 'fixed_window' }) as RequestHandler,
    'express-rate-limit': expressRateLimit({
      windowMs: 3_600_000,
      limit: LIMIT,
      legacyHeaders: true,
      standardHeaders: 'draft-8',
    }),
    'rate-limiter-flexible': (request, response, next) => {
      flexible.consume(request.ip as string).then(
        (found) => {
          response.setHeader('X-RateLimit-Limit', String(LIMIT))
          response.setHeader('X-RateLimit-Remaining', String(found.remainingPoints))
          response.setHeader('X-RateLimit-Reset', String(Math.ceil((Date.now() + found.msBeforeNext) / 1000)))
          next()
        },
        () => response.sendStatus(429),
      )
    },
  }
}

/** A request on a connection that is never written to; the response's headers are serialised as they would be. */
function handle(app: express.Express, socket: Socket): Promise<void> {
  const incoming = new IncomingMessage(socket)
  incoming.method = 'GET'
  incoming.url = '/'
  incoming.headers = { host: 'localhost', 'user-agent': 'bench', accept: '*/*' }
  const response = new ServerResponse(incoming)
  return new Promise((resolve) => {
    response.end = function end(this: ServerResponse): ServerResponse {
      this.writeHead(this.statusCode)
      resolve()
      return this
    } as ServerResponse['end']
    app(incoming, response)
  })
}

/** Microseconds of a request, and what each limiter adds, relative to the ideal. */
export async function expressRace(): Promise<string> {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: '203.0.113.7' })
  const apps = Object.entries(contenders()).map(([name, limiter]) => {
    const app = express()
    if (limiter !== undefined) app.use(limiter)
    app.get('/', (_request, response) => void response.end())
    return { name, app, us: [] as number[] }
  })
  // Many short rounds: where other work shares the machine, most of them meet none of it.
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    for (let i = 0; i < apps.length; i++) {
      const { app, us } = apps[(i + round) % apps.length] as (typeof apps)[number]
      const start = process.hrtime.bigint()
      for (let n = 0; n < REQUESTS; n++) await handle(app, socket)
      if (round >= WARM_UP) us.push(Number(process.hrtime.bigint() - start) / REQUESTS / 1000)
    }
  }
  const [bare, ideal] = apps as [(typeof apps)[number], (typeof apps)[number]]
  const rows = apps.map(({ name, us }) => {
    const added = median(us.map((own, i) => own - (bare.us[i] as number)))
    const idealAdded = median(ideal.us.map((own, i) => own - (bare.us[i] as number)))
    const whole = median(us.map((own, i) => own / (ideal.us[i] as number)))
    return [name, median(us).toFixed(1), added.toFixed(1), (added / idealAdded).toFixed(2), whole.toFixed(3)]
  })
  return markdown(['', 'µs a request', 'µs added', '× what the ideal adds', 'whole request × ideal'], rows)
}
