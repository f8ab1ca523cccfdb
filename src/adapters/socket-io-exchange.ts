// Sockets of Socket.IO as gatekeepers see them. Promise: the address is the connection's own and no header's; a token that browsers can
// only send in `auth` is found where others send it. Next: socket-exchange.ts.

import type { IncomingHttpHeaders } from 'node:http'
import { ownerId } from '../http/exchange.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { SocketExchange } from './socket-exchange.ts'

/** Goes on, or refuses. */
export type SocketNext = (error?: Error) => void

/** What is needed of a socket, whatever its events are. */
export interface SocketLike {
  readonly handshake: {
    readonly headers: IncomingHttpHeaders
    readonly address: string
    readonly url: string
    readonly auth: Readonly<Record<string, unknown>>
  }
  readonly request: object
  readonly data: unknown
  use(middleware: (event: unknown[], next: SocketNext) => void): unknown
  emit(event: never, ...args: never[]): unknown
}

/** How connections stand. Beside the socket and not in its `data`, which outlives it where connections are recovered. */
export const marks = new WeakMap<object, RequestRateLimit>()

/** A handshake, or a message of the connection it opened. */
export class SocketIoExchange<Raw extends object> extends SocketExchange<Raw> {
  readonly #socket: SocketLike

  constructor(raw: Raw, socket: SocketLike) {
    super(raw, { headers: socket.handshake.headers, url: socket.handshake.url })
    this.#socket = socket
  }

  override get peer(): string | undefined {
    return this.#socket.handshake.address || undefined
  }

  override get user(): string | undefined {
    const { data, request } = this.#socket
    return ownerId((data as { user?: unknown } | null | undefined)?.user) ?? ownerId((request as { user?: unknown }).user)
  }

  override get session(): string | undefined {
    const { sessionID, session } = this.#socket.request as { sessionID?: unknown; session?: unknown }
    return typeof sessionID === 'string' ? sessionID : ownerId(session)
  }

  /** Browsers cannot set header fields for a WebSocket: their token comes as `auth.token`. */
  override header(name: string): string | undefined {
    const found = super.header(name)
    if (found !== undefined || name !== 'authorization') return found
    const { token } = this.#socket.handshake.auth
    return typeof token === 'string' ? `Bearer ${token}` : undefined
  }
}

/** A connection, which keeps its standing. */
export class ConnectionExchange extends SocketIoExchange<SocketLike> {
  constructor(socket: SocketLike) {
    super(socket, socket)
  }

  override get mark(): RequestRateLimit | undefined {
    return marks.get(this.raw)
  }

  override set mark(mark: RequestRateLimit | undefined) {
    if (mark !== undefined) marks.set(this.raw, mark)
  }
}
