// A request that an app keeps in a context object, as tRPC and GraphQL apps do: one call, operation or field as a gatekeeper sees it.
// Promise: what the context does not have reads as undefined, and never becomes a text. Next: response-quota.ts, trpc.ts, graphql.ts.

import { type Exchange, ownerId } from '../http/exchange.ts'
import { warnOnce } from '../http/gate.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { lookAtExpress, lookAtFastify } from './proxy-trust.ts'
import type { ResponseHeaders } from './response-quota.ts'

/** What warnings say of the app whose requests come in a context. */
const UNDERNEATH = ' of the app underneath'

/** What is read of a request, be it of the fetch standard, of node:http or of a framework on it. */
export interface ContextRequest {
  readonly headers?: unknown
  readonly method?: unknown
  readonly url?: unknown
  readonly originalUrl?: unknown
  readonly ip?: unknown
  readonly app?: unknown
  readonly server?: unknown
  readonly routeOptions?: unknown
  readonly socket?: { readonly remoteAddress?: string | undefined } | null | undefined
  readonly user?: unknown
  readonly session?: unknown
  readonly sessionID?: unknown
}

/** How a limiter finds things in a context. */
export interface ContextReading<Raw> {
  /** What errors and warnings call the limiter. */
  readonly option: string
  /** The app's own notion of the client address. */
  readonly ip?: ((raw: Raw) => string | null | undefined) | undefined
  /** The app's own place for the request (default: `req` or `request` of the context). */
  readonly request?: ((context: never) => object | null | undefined) | undefined
  /** Whether the app says which proxies are trusted, so that the framework's setting does not matter. */
  readonly proxiesAreKnown: boolean
}

/** The request in a context: `req`, or `request`. Undefined where neither has headers. */
export function requestIn(context: unknown): ContextRequest | undefined {
  const { req, request } = (context ?? {}) as { req?: unknown; request?: unknown }
  for (const one of [req, request]) {
    if (typeof (one as ContextRequest | null | undefined)?.headers === 'object') return one as ContextRequest
  }
  return undefined
}

interface ContextResponse extends Partial<ResponseHeaders> {
  readonly headersSent?: unknown
  readonly sent?: unknown
  header?(name: string, value: string): unknown
}

/** Where header fields go, by a context: `resHeaders`, or `res` (of node:http or Fastify). Undefined without, or once they are sent. */
export function headersIn(context: unknown): ResponseHeaders | undefined {
  const { resHeaders, res } = (context ?? {}) as { resHeaders?: Headers; res?: ContextResponse }
  if (typeof resHeaders?.set === 'function') {
    return { setHeader: (name, value) => resHeaders.set(name, value), removeHeader: (name) => resHeaders.delete(name) }
  }
  if (res === undefined || res === null || res.headersSent === true || res.sent === true) return undefined
  if (typeof res.removeHeader !== 'function') return undefined
  if (typeof res.setHeader === 'function') return res as ResponseHeaders
  if (typeof res.header !== 'function') return undefined
  return { setHeader: (name, value) => res.header?.(name, value), removeHeader: (name) => res.removeHeader?.(name) }
}

/** One call, operation or field. */
export class ContextExchange<Raw extends object = object> implements Exchange {
  readonly raw: Raw
  readonly once: object
  readonly request: ContextRequest | undefined
  readonly #context: { readonly user?: unknown; readonly session?: unknown; readonly sessionId?: unknown }
  readonly #reading: ContextReading<Raw>
  mark: RequestRateLimit | undefined
  /** What is to be told of the outcome's status. */
  sent: ((status: number) => void) | undefined
  /** What came of it, for `countWhen`. */
  outcome: unknown

  /**
   * @param once what is counted once, however often a limiter meets it
   * @param mark what the limiters before have noted of it
   */
  constructor(raw: Raw, context: unknown, reading: ContextReading<Raw>, once: object, mark?: RequestRateLimit) {
    this.raw = raw
    this.once = once
    this.mark = mark
    this.#context = typeof context === 'object' && context !== null ? context : {}
    this.#reading = reading
    this.request =
      reading.request === undefined ? requestIn(context) : ((reading.request(context as never) ?? undefined) as ContextRequest)
  }

  /** Header fields are written when all is known. */
  get open(): undefined {
    return undefined
  }

  whenSent(call: (status: number) => void): void {
    this.sent = call
  }

  /** Tells what came of it, once. */
  settle(status: number, outcome: unknown): void {
    const { sent } = this
    this.sent = undefined
    this.outcome = outcome
    sent?.(status)
  }

  get method(): string {
    const method = this.request?.method
    return typeof method === 'string' ? method : 'POST'
  }

  get url(): string {
    const url = this.request?.originalUrl ?? this.request?.url
    return typeof url === 'string' ? url : '/'
  }

  get route(): string | undefined {
    return undefined
  }

  get ip(): string | undefined {
    const { request } = this
    const { ip, option, proxiesAreKnown } = this.#reading
    const own = ip?.(this.raw)
    if (own !== undefined && own !== null) return own
    if (request === undefined) {
      if (ip === undefined) warnOnce(`${option}: the context has no request, so clients have no address; ${REMEDY}`)
      return undefined
    }
    if (!proxiesAreKnown) lookAtSettings(request)
    return typeof request.ip === 'string' ? request.ip : request.socket?.remoteAddress
  }

  get peer(): string | undefined {
    return this.request?.socket?.remoteAddress ?? this.ip
  }

  get user(): string | undefined {
    const { user, session } = this.#context
    return ownerId(user) ?? ownerId((session as { user?: unknown } | null | undefined)?.user) ?? ownerId(this.request?.user)
  }

  get session(): string | undefined {
    const { session, sessionId } = this.#context
    const id = sessionId ?? this.request?.sessionID
    return typeof id === 'string' ? id : (ownerId(session) ?? ownerId(this.request?.session))
  }

  header(name: string): string | undefined {
    const headers = this.request?.headers as Record<string, unknown> | undefined
    if (headers === undefined) return undefined
    const value = typeof headers['get'] === 'function' ? (headers as unknown as Headers).get(name) : headers[name]
    return Array.isArray(value) ? value.join(', ') : ((value ?? undefined) as string | undefined)
  }
}

const REMEDY = 'put it there as req (or request), or give the option ip or request, or another key'

const looked = new WeakSet()

/** Whether the app behind a request believes everybody: once per app. */
function lookAtSettings(request: ContextRequest): void {
  const { app, server, routeOptions } = request
  const owner = (routeOptions === undefined ? app : server) as object | null | undefined
  if (owner === undefined || owner === null || looked.has(owner)) return
  looked.add(owner)
  if (routeOptions === undefined) lookAtExpress(app, UNDERNEATH)
  else lookAtFastify(request as never, UNDERNEATH)
}
