// Who may look. Promise: nobody is let in by default: outside development a dashboard without an `auth` decision is not built, in
// development it answers this machine alone. Next: same-origin.ts, for requests that change something.

import { ConfigError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/maybe.ts'
import { parseAddress } from '../../http/parse-address.ts'
import { comparerTo } from './same-origin.ts'

/**
 * Decides about one request, also of those for data and of those that lift a ban (POST): true lets it in, false is a bare 403, a Response is sent
 * as it is (a redirect to the login, a 401). What it throws is for the framework's error handler.
 * @param native the framework's own request where it has one (Express's `req` with its `user`), else the Request
 */
export type DashboardAuth<Native = unknown> = (request: Request, native: Native) => MaybePromise<boolean | Response>

/** What is known of who asks. */
export interface Asker {
  readonly request: Request
  readonly native: unknown
  /** Address of the socket's peer; undefined where the runtime does not tell. */
  readonly peer: string | undefined
}

/** Lets a request in (undefined), or answers it. */
export type Doorkeeper = (asker: Asker) => MaybePromise<Response | undefined>

const LEAST_TOKEN = 16

/**
 * @param auth a function; false where something in front has decided already
 * @throws ConfigError for anything else, and for no decision at all unless `NODE_ENV` is `development`
 */
export function doorkeeper(auth: DashboardAuth | false | undefined, option: string): Doorkeeper {
  if (auth === false) return () => undefined
  if (typeof auth === 'function') {
    return async ({ request, native }) => {
      const decision: unknown = await auth(request, native)
      if (decision instanceof Response) return decision
      return decision === true ? undefined : new Response('Forbidden\n', { status: 403 })
    }
  }
  if (auth !== undefined || !isDevelopment()) {
    throw new ConfigError(
      `${option}.auth`,
      'a function of the request, such as tokenAuth(…); false if something in front of it decides; it may be left out with NODE_ENV=development alone',
      auth,
    )
  }
  return (asker) =>
    isThisMachine(asker) ? undefined : new Response('Without auth it answers this machine alone.\n', { status: 403 })
}

/**
 * Lets in whoever knows the token: as `Authorization: Bearer <token>`, or as the password a browser asks for (any user name). Compared in a time
 * that does not depend on what is right about a guess.
 * @param token at least 16 characters
 * @throws ConfigError for a shorter one; the message does not show it
 */
export function tokenAuth(token: string): (request: Request) => boolean | Response {
  if (typeof token !== 'string' || token.length < LEAST_TOKEN) {
    const received = typeof token === 'string' ? `${token.length} characters` : token
    throw new ConfigError('tokenAuth(token)', `a text of at least ${LEAST_TOKEN} characters`, received)
  }
  const isToken = comparerTo(token)
  return ({ headers }) => {
    if (isToken(givenToken(headers.get('authorization') ?? ''))) return true
    return new Response('Unauthorized\n', {
      status: 401,
      headers: { 'WWW-Authenticate': 'Basic realm="smart-ratelimit dashboard", charset="UTF-8"' },
    })
  }
}

function givenToken(authorization: string): string {
  const [, scheme = '', credentials = ''] = /^(\w+) +(\S+) *$/.exec(authorization) ?? []
  if (/^bearer$/i.test(scheme)) return credentials
  if (!/^basic$/i.test(scheme)) return ''
  try {
    const bytes = Uint8Array.from(atob(credentials), (char) => char.charCodeAt(0))
    const text = new TextDecoder().decode(bytes)
    return text.slice(text.indexOf(':') + 1)
  } catch {
    return ''
  }
}

function isDevelopment(): boolean {
  return typeof process === 'object' && process.env?.['NODE_ENV'] === 'development'
}

/**
 * Whether a request comes from this machine and means it: a page elsewhere can point a name of its own at 127.0.0.1, and then the host is that
 * name.
 */
export function isThisMachine({ request, peer }: Pick<Asker, 'request' | 'peer'>): boolean {
  const { hostname } = new URL(request.url)
  const isHost = hostname === 'localhost' || hostname.endsWith('.localhost') || isLoopback(hostname.replace(/^\[|\]$/g, ''))
  return isHost && (peer === undefined || isLoopback(peer))
}

function isLoopback(text: string): boolean {
  const address = parseAddress(text)
  return address?.version === 4 ? (address.words[0] as number) >>> 24 === 127 : address?.text === '::1'
}
