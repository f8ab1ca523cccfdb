// ws, and what is built on it: who may connect, and how fast each client may send. Promise: nothing of ws is imported; a socket is
// whatever behaves as one. Next: ws-connections.ts (before the handshake), ws-messages.ts (after it).

import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import type { HandshakeRequest } from './socket-exchange.ts'
import { marks } from './ws-exchange.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'
export type { HandshakeRequest } from './socket-exchange.ts'
export type { RefusalData } from './socket-refusal.ts'
export { type ConnectionLimit, type VerifyDone, type WsConnectionOptions, rateLimitConnections } from './ws-connections.ts'
export { type MessageLimit, type WebSocketLike, type WsMessage, type WsMessageOptions, rateLimitMessages } from './ws-messages.ts'

/** How a connection stands with the connection limiters that its request has passed; undefined before, or where none applies. */
export function rateLimitOf(request: HandshakeRequest): RequestRateLimit | undefined {
  return marks.get(request)
}
