// A connection's handshake as gatekeepers see it: who connects with it, and on whose behalf each message comes. What Socket.IO and ws
// share. Promise: a connection keeps one standing, a message is a request of its own. Next: in-order.ts, socket-io.ts, ws.ts.

import type { IncomingHttpHeaders } from 'node:http'
import { ConfigError, RateLimitError } from '../core/errors.ts'
import { type Exchange, ownerId } from '../http/exchange.ts'
import { type GateOptions, warnOnce } from '../http/gate.ts'
import { gateOptionsOf } from '../http/gatekeeper.ts'
import type { HeaderTarget } from '../http/headers.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'

/** What is needed of the request that a connection began with; those of node:http are such. */
export interface HandshakeRequest {
  readonly headers: IncomingHttpHeaders
  readonly url?: string | undefined
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined
}

/** A handshake, or what came over the connection that it opened. */
export class SocketExchange<Raw extends object = object> implements Exchange {
  readonly raw: Raw
  readonly request: HandshakeRequest
  #mark: RequestRateLimit | undefined

  constructor(raw: Raw, request: HandshakeRequest) {
    this.raw = raw
    this.request = request
  }

  get mark(): RequestRateLimit | undefined {
    return this.#mark
  }

  set mark(mark: RequestRateLimit | undefined) {
    this.#mark = mark
  }

  /** Messages are answered by messages, which have no header fields. */
  get open(): HeaderTarget | undefined {
    return undefined
  }

  /** Nothing is given back: a socket has no status. */
  whenSent(): void {}

  get method(): string {
    return 'GET'
  }

  get url(): string {
    return this.request.url ?? '/'
  }

  get route(): undefined {
    return undefined
  }

  get ip(): string | undefined {
    return this.peer
  }

  get peer(): string | undefined {
    return this.request.socket?.remoteAddress
  }

  get user(): string | undefined {
    return ownerId((this.request as { user?: unknown }).user)
  }

  get session(): string | undefined {
    const { sessionID, session } = this.request as { sessionID?: unknown; session?: unknown }
    return typeof sessionID === 'string' ? sessionID : ownerId(session)
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
}

/** Options that speak of a response's status, which sockets do not have. */
export type StatusOptions = 'skipFailedRequests' | 'skipSuccessfulRequests'

const STATUS: readonly StatusOptions[] = ['skipFailedRequests', 'skipSuccessfulRequests']

/** The names of an adapter's own options, and of a gate's that mean nothing to it. */
export interface SocketOptionNames {
  /** Its own that are functions. */
  readonly functions?: readonly string[]
  /** Its other own ones, which it checks itself. */
  readonly others?: readonly string[]
  readonly lacking: readonly string[]
}

/**
 * The gate's part of the options of a socket's limiter.
 * @throws ConfigError for an unknown name, one that means nothing for sockets, or a socket where options belong
 */
export function socketOptionsOf(options: object, option: string, names: SocketOptionNames): GateOptions {
  const { functions = [], others = [], lacking } = names
  if (typeof (options as { on?: unknown } | null)?.on === 'function') {
    throw new ConfigError(option, `options: it makes the limiter, so call it (${option}({ rate: '10/s' }))`, 'a socket')
  }
  const own = gateOptionsOf(options, option, functions, others)
  for (const name of [...lacking, ...STATUS]) {
    if (name in own) throw new ConfigError(`${option}.${name}`, 'no such option, as it means nothing for sockets', name)
  }
  return own
}

/**
 * Tells the developer, once, of clients that have nothing to be counted by, such as an address on a unix socket: nobody else would see it,
 * as clients are not told and sockets swallow errors.
 */
export function warnOfMissingKey(error: unknown): void {
  if (error instanceof RateLimitError && error.code === 'ERR_RATELIMIT_KEY_MISSING') warnOnce(error.message)
}
