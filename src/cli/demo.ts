// `smart-ratelimit demo`: a small server with differently limited routes, and every decision shown as it is made, in the terminal and on a
// dashboard. Promise: it limits real HTTP traffic with the adapter users have; Ctrl-C ends it cleanly. Next: ../adapters/express.ts,
// demo-traffic.ts.

import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import { styleText } from 'node:util'
import { type RateLimitHandler, rateLimit } from '../adapters/express.ts'
import type { Decision } from '../core/decision.ts'
import type { Observer } from '../core/observer.ts'
import { type Dashboard, dashboard } from '../monitor/dashboard/dashboard.ts'
import { isThisMachine } from '../monitor/dashboard/auth.ts'
import { type LiveView, liveView } from '../monitor/live-view.ts'
import { type MemoryStore, memoryStore } from '../stores/memory/memory-store.ts'
import { startTraffic } from './demo-traffic.ts'
import { listenOn, originOf } from './listen-on.ts'

/** What {@link startDemo} takes. */
export interface DemoOptions {
  /** TCP port (0: any free one). */
  readonly port: number
  readonly host: string
  /** Where lines go. */
  readonly print: (line: string) => void
  /** Whether lines may be coloured. */
  readonly colour: boolean
  /** Whether it makes some traffic itself (default false). */
  readonly traffic?: boolean
}

/** A demo that runs. */
export interface Demo {
  readonly url: string
  /** Address of its dashboard. */
  readonly dashboardUrl: string
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
  const observer: Observer = {
    onDecision(decision, key = '') {
      counted[decision.allowed ? 'allowed' : 'refused']++
      options.print(decisionLine(decision, key, options.colour))
    },
  }
  const view = liveView({ stores: [store] })
  const dash = demoDashboard(view)
  const routes = demoRoutes(store, observer)
  const server = createServer((request, response) => serve(routes, dash, request, response))
  const port = await listenOn(server, options).catch((error: unknown) => {
    view.close()
    throw error
  })
  const url = originOf(options.host, port)
  const dashboardUrl = `${url}${DASHBOARD}`
  for (const line of welcome(url, routes, options)) options.print(line)
  const stopTraffic = options.traffic === true ? startTraffic(port, options.host) : () => {}
  return {
    url,
    dashboardUrl,
    async stop() {
      stopTraffic()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      dash.close()
      view.close()
      store.close()
      return counted
    },
  }
}

const DASHBOARD = '/dashboard'

/** Without a password, and so for this machine alone, also where the demo listens on more. */
function demoDashboard(view: LiveView): Dashboard {
  return dashboard<IncomingMessage>({
    view,
    basePath: DASHBOARD,
    title: 'smart-ratelimit demo',
    auth: (request, { socket }) => isThisMachine({ request, peer: socket.remoteAddress }),
  })
}

function demoRoutes(store: MemoryStore, observer: Observer): readonly Route[] {
  // Whoever is on this machine may say which client it plays.
  const common = { store, key: 'ip', trustedProxies: ['127.0.0.0/8', '::1'] } as const
  const shown = { ...common, observers: [observer] } as const
  const strictly = rateLimit({ ...common, name: 'api-strict', rate: '20/m', shadow: true })
  return [
    {
      path: '/login',
      about: '5 per minute, fixed window from the first try: strict, for passwords',
      curl: 'for i in $(seq 7); do curl -si URL/login | head -1; done',
      limiter: rateLimit({
        ...shown,
        name: 'login',
        rate: '5/m',
        algorithm: 'fixed_window',
        algorithmConfig: { align: 'first' },
      }),
      answer: 'Welcome back.',
    },
    {
      path: '/code',
      about: '3 per minute, then out for 2 minutes: for one-time codes',
      curl: 'for i in $(seq 5); do curl -si URL/code | head -1; done',
      limiter: rateLimit({ ...shown, name: 'code', rate: '3/m', penalty: { durationMs: 120_000 } }),
      answer: 'The code is right.',
    },
    {
      path: '/api',
      about: '60 per minute, token bucket of 20: bursts pass, the average holds; 20 per minute is on trial',
      curl: 'for i in $(seq 25); do curl -s -o /dev/null -w "%{http_code} " URL/api; done',
      limiter: inTurn(
        strictly,
        rateLimit({ ...shown, name: 'api', rate: '60/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 20 } }),
      ),
      answer: '{"data":[1,2,3]}',
    },
    {
      path: '/search',
      about: '3 per second and 30 per minute, sliding windows: smooth, never over either in any interval',
      curl: 'for i in $(seq 5); do curl -s -o /dev/null -w "%{http_code} " URL/search?q=x; done',
      limiter: rateLimit({ ...shown, name: 'search', rate: '3/s, 30/m' }),
      answer: '{"results":[]}',
    },
    {
      path: '/upload',
      about: '1 every 10 seconds, gcra: evenly paced, no bursts',
      curl: 'curl -si URL/upload | grep -i -e "^HTTP" -e ratelimit -e retry',
      limiter: rateLimit({ ...shown, name: 'upload', rate: '6/m', algorithm: 'gcra' }),
      answer: 'Stored.',
    },
  ]
}

function inTurn(first: RateLimitHandler, second: RateLimitHandler): RateLimitHandler {
  return (request, response, next) =>
    first(request, response, (error?: unknown) => (error === undefined ? second(request, response, next) : next(error)))
}

function serve(routes: readonly Route[], dash: Dashboard, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
  if (path === DASHBOARD || path.startsWith(`${DASHBOARD}/`)) {
    dash(request, response)
    return
  }
  const route = routes.find((one) => one.path === path)
  if (route === undefined) {
    response.statusCode = path === '/' ? 200 : 404
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.end(`${routes.map((one) => `${one.path.padEnd(9)} ${one.about}`).join('\n')}\n`)
    return
  }
  // The dashboard tells routes apart as Express does.
  Object.assign(request, { route: { path: route.path } })
  route.limiter(request, response, (error?: unknown) => {
    response.statusCode = error === undefined ? 200 : 500
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.end(error === undefined ? `${route.answer}\n` : 'Something went wrong.\n')
  })
}

function welcome(url: string, routes: readonly Route[], { colour, traffic = false }: DemoOptions): readonly string[] {
  const strong = (text: string): string => (colour ? styleText('bold', text) : text)
  return [
    `${strong('smart-ratelimit demo')} at ${url}, limiting by client address in memory`,
    '',
    ...routes.flatMap((route) => [
      `  ${strong(route.path.padEnd(9))} ${route.about}`,
      `            ${route.curl.replaceAll('URL', url)}`,
    ]),
    '',
    `${strong('Dashboard')} at ${url}${DASHBOARD}, for this machine alone and without a password`,
    traffic ? 'It makes some traffic itself.' : 'With --traffic it makes some traffic itself.',
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
