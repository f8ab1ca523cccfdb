// Upgrade requests of ws as gatekeepers see them. Promise: header fields are kept until there is a response to put them on.
// Next: socket-exchange.ts, ws-connections.ts.

import type { HeaderTarget } from '../http/headers.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { type HandshakeRequest, SocketExchange } from './socket-exchange.ts'

/** Names and values of header fields, each name once. */
export class HeaderList implements HeaderTarget {
  readonly fields = new Map<string, string>()

  setHeader(name: string, value: string): void {
    this.fields.set(name, value)
  }
}

/** How connections stand. */
export const marks = new WeakMap<object, RequestRateLimit>()

/** What the handshake's response is to say. */
export const headers = new WeakMap<object, HeaderList>()

/** A request that asks for a connection. */
export class UpgradeExchange extends SocketExchange<HandshakeRequest> {
  constructor(request: HandshakeRequest) {
    super(request, request)
  }

  override get mark(): RequestRateLimit | undefined {
    return marks.get(this.raw)
  }

  override set mark(mark: RequestRateLimit | undefined) {
    if (mark !== undefined) marks.set(this.raw, mark)
  }

  override get open(): HeaderList {
    let list = headers.get(this.raw)
    if (list === undefined) headers.set(this.raw, (list = new HeaderList()))
    return list
  }
}
