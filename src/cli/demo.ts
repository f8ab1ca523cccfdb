// `smart-ratelimit demo`: a small server with differently limited routes, and every decision shown as it is made.
// Promise: it limits real HTTP traffic with the adapter users have; Ctrl-C ends it cleanly. Next: ../adapters/express.ts.

import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { styleText } from 'node:util'
import { type RateLimitHandler, rateLimit } from '../adapters/express.ts'
import type { Decision } from '../core/decision.ts'
import { RateLimitError } from '../core/errors.ts'
import { type MemoryStore, memoryStore } from '../stores/memory/memory-store.ts'

/** What {@link startDemo} takes. */
export interface DemoOptions {
  /** TCP port (0: any free one). */
  readonly port: number
  readonly host: string
  /** Where lines go. */
  readonly print: (line: string) => void
  /** Whether lines may be coloured. */
  readonly colour: boolean
}

/** A demo that runs. */
export interface Demo {
  readonly url: string
  /** Stops serving; open connections are ended. Resolves to what was counted. */
  stop(): Promise<{ readonly allowed: number; readonly refused: number }>
}

interface Route {
  readonly path: string
  readonly about: string
  readonly curl: string
  readonly limiter: RateLimitHandler
  readonly answer: string
}

/**
 * Starts the demo.
 * @throws RateLimitError `ERR_RATELIMIT_PORT` when the port is taken or may not be used
 */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const store = memoryStore()
  const counted = { allowed: 0, refused: 0 }
  const observer = {
    onDecision(decision: Decision, key: string): void {
      counted[decision.allowed ? 'allowed' : 'refused']++
      options.print(decisionLine(decision, key, options.colour))
    },
  }
  const routes = demoRoutes(store, observer)
  const server = createServer((request, response) => serve(routes, request, response))
  const port = await listen(server, options)
  const url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`
  for (const line of welcome(url, routes, options.colour)) options.print(line)
  return {
    url,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      store.close()
      return counted
    },
  }
}

function demoRoutes(store: MemoryStore, observer: { onDecision(decision: Decision, key: string): void }): readonly Route[] {
  const common = { store, key: 'ip', observers: [observer] } as const
  return [
    {
      path: '/login',
      about: '5 per minute, fixed window from the first try: strict, for passwords',
      curl: 'for i in $(seq 7); do curl -si URL/login | head -1; done',
      limiter: rateLimit({
        ...common,
        name: 'login',
        rate: '5/m',
        algorithm: 'fixed_window',
        algorithmConfig: { align: 'first' },
      }),
      answer: 'Welcome back.',
    },
    {
      path: '/api',
      about: '60 per minute, token bucket of 20: bursts pass, the average holds',
      curl: 'for i in $(seq 25); do curl -s -o /dev/null -w "%{http_code} " URL/api; done',
      limiter: rateLimit({
        ...common,
        name: 'api',
        rate: '60/m',
        algorithm: 'token_bucket',
        algorithmConfig: { bucketSize: 20 },
      }),
      answer: '{"data":[1,2,3]}',
    },
    {
      path: '/search',
      about: '3 per second and 30 per minute, sliding windows: smooth, never over either in any interval',
      curl: 'for i in $(seq 5); do curl -s -o /dev/null -w "%{http_code} " URL/search?q=x; done',
      limiter: rateLimit({ ...common, name: 'search', rate: '3/s, 30/m' }),
      answer: '{"results":[]}',
    },
    {
      path: '/upload',
      about: '1 every 10 seconds, gcra: evenly paced, no bursts',
      curl: 'curl -si URL/upload | grep -i -e "^HTTP" -e ratelimit -e retry',
      limiter: rateLimit({ ...common, name: 'upload', rate: '6/m', algorithm: 'gcra' }),
      answer: 'Stored.',
    },
  ]
}

function serve(routes: readonly Route[], request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '/').split('?', 1)[0]
  const route = routes.find((one) => one.path === path)
  if (route === undefined) {
    response.statusCode = path === '/' ? 200 : 404
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.end(`${routes.map((one) => `${one.path.padEnd(9)} ${one.about}`).join('\n')}\n`)
    return
  }
  route.limiter(request, response, (error?: unknown) => {
    response.statusCode = error === undefined ? 200 : 500
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.end(error === undefined ? `${route.answer}\n` : 'Something went wrong.\n')
  })
}

function listen(server: Server, { port, host }: DemoOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === 'EADDRINUSE'
          ? `is in use; choose another with --port, or 0 for any free one`
          : cause.code === 'EACCES'
            ? 'may not be used by this user; choose one above 1023 with --port'
            : `cannot be opened (${cause.code ?? cause.message})`
      reject(new RateLimitError('ERR_RATELIMIT_PORT', `port ${port} on ${host} ${why}`, { cause }))
    })
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

function welcome(url: string, routes: readonly Route[], colour: boolean): readonly string[] {
  const strong = (text: string): string => (colour ? styleText('bold', text) : text)
  return [
    `${strong('smart-ratelimit demo')} at ${url}, limiting by client address in memory`,
    '',
    ...routes.flatMap((route) => [
      `  ${strong(route.path.padEnd(9))} ${route.about}`,
      `            ${route.curl.replaceAll('URL', url)}`,
    ]),
    '',
    'Every decision shows below. Ctrl-C ends.',
    '',
  ]
}

function decisionLine(decision: Decision, key: string, colour: boolean): string {
  const time = new Date(decision.now).toISOString().slice(11, 23)
  const word = decision.allowed ? 'allowed' : 'REFUSED'
  const shown = colour ? styleText(decision.allowed ? 'green' : 'red', word) : word
  const left = `${decision.remaining} left of ${decision.limit}`
  const wait = decision.retryAfterMs === undefined ? '' : `, again in ${(decision.retryAfterMs / 1000).toFixed(3)} s`
  return `${time}  ${shown}  ${key.padEnd(18)} ${decision.policy.padEnd(7)} ${left}${wait}`
}
