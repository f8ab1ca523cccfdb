// A running app's dashboard, shown on this machine. Promise: the app's password stays in this process; what is served here is for this machine
// alone, under a path that nobody can guess, and only what is the dashboard's own is passed on. Next: dashboard-command.ts,
// ../monitor/dashboard/dashboard.ts.

import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import { Readable } from 'node:stream'
import { ConfigError } from '../core/errors.ts'
import { isThisMachine } from '../monitor/dashboard/auth.ts'
import { randomText } from '../monitor/dashboard/same-origin.ts'
import { listenOn, originOf } from './listen-on.ts'

/** What {@link startViewer} takes. */
export interface ViewerOptions {
  /** Address of the dashboard. A password in it is used, and not shown. */
  readonly address: string
  /** Sent as a bearer token. */
  readonly token: string | undefined
  /** TCP port here (0: any free one). */
  readonly port: number
}

/** A viewer that runs. */
export interface Viewer {
  /** Where to look. Whoever on this machine knows it may look. */
  readonly url: string
  /** The dashboard's address, without a password. */
  readonly shown: string
  stop(): Promise<void>
}

interface Remote {
  /** Without a slash at its end. */
  readonly base: string
  readonly authorization: string | undefined
}

const HOST = '127.0.0.1'
/** The places a dashboard has. Nothing in them leads out of it, whoever reads them. */
const PLACES = /^\/(?:assets\/\w[\w.-]*|api\/[\w-]+(?:\/\w[\w.-]*)?)?(?:\?.*)?$/
const ANSWER_MS = 10_000
/** What of a request is the app's business. `host` and cookies are not: they are of this server. */
const PASSED_ON = ['accept', 'accept-encoding', 'last-event-id', 'sec-fetch-site', 'x-dashboard-token']
/** What belongs to one connection, or has been undone on the way. */
const KEPT_HERE = [
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-encoding',
  'content-length',
  'set-cookie',
  'www-authenticate',
]

/**
 * Starts a viewer, once the dashboard has answered.
 * @throws ConfigError for an address where no dashboard answers, or does not let us in; RateLimitError `ERR_RATELIMIT_PORT` for the port
 */
export async function startViewer({ address, token, port }: ViewerOptions): Promise<Viewer> {
  const remote = remoteOf(address, token)
  await mustAnswer(remote)
  const base = `/${randomText()}`
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    const isOurs =
      path.startsWith(`${base}/`) &&
      PLACES.test(path.slice(base.length)) &&
      isThisMachine({ request: asRequest(request), peer: request.socket.remoteAddress })
    if (isOurs) void passOn(remote, path.slice(base.length), request, response)
    else response.writeHead(404).end()
  })
  const origin = originOf(HOST, await listenOn(server, { port, host: HOST }))
  return {
    url: `${origin}${base}/`,
    shown: remote.base,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function remoteOf(address: string, token: string | undefined): Remote {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    // It may hold a password.
    throw new ConfigError('<url>', 'the address of a dashboard, such as https://app.internal/dashboard', '(not shown)')
  }
  const { username, password } = url
  const userinfo =
    username === '' && password === '' ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const basic = userinfo === undefined ? undefined : `Basic ${Buffer.from(userinfo).toString('base64')}`
  const base = `${url.origin}${url.pathname.replace(/\/$/, '')}`
  return { base, authorization: token === undefined ? basic : `Bearer ${token}` }
}

async function mustAnswer(remote: Remote): Promise<void> {
  const problem = (what: string): ConfigError => new ConfigError('<url>', `a dashboard that answers (${what})`, remote.base)
  let answer: Response
  try {
    answer = await ask(remote, '/api/snapshot', { signal: AbortSignal.timeout(ANSWER_MS) })
  } catch (error) {
    const { name, cause } = error as Error & { readonly cause?: { readonly code?: string } }
    throw problem(name === 'TimeoutError' ? `none within ${ANSWER_MS / 1000} s` : (cause?.code ?? 'no connection'))
  }
  await answer.body?.cancel()
  if (answer.status === 401 || answer.status === 403) throw problem(`it says ${answer.status}: the token is missing or wrong`)
  const isDashboard = answer.ok && answer.headers.get('content-type')?.startsWith('application/json') === true
  if (!isDashboard) throw problem(`it says ${answer.status}, and is no dashboard`)
}

async function passOn(remote: Remote, place: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const left = new AbortController()
  response.once('close', () => left.abort())
  try {
    const headers = Object.fromEntries(
      PASSED_ON.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, request.headers[name]]])),
    )
    const answer = await ask(remote, place, {
      method: request.method ?? 'GET',
      headers: headers as Record<string, string>,
      signal: left.signal,
    })
    response.statusCode = answer.status
    for (const [name, value] of answer.headers) if (!KEPT_HERE.includes(name)) response.setHeader(name, value)
    if (answer.body === null) response.end()
    else
      Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0])
        .on('error', () => response.destroy())
        .pipe(response)
  } catch {
    // The app is away, or the browser is.
    if (!response.headersSent) response.statusCode = 502
    response.end()
  }
}

function ask({ base, authorization }: Remote, place: string, init: RequestInit): Promise<Response> {
  const headers = {
    ...(init.headers as Record<string, string> | undefined),
    ...(authorization !== undefined && { authorization }),
  }
  // A redirect would take the password to where it is not meant for.
  return fetch(`${base}${place}`, { ...init, headers, redirect: 'manual' })
}

function asRequest({ headers: { host = '' } }: IncomingMessage): Request {
  return new Request(URL.canParse(`http://${host}`) ? `http://${host}` : 'http://unknown.invalid')
}
