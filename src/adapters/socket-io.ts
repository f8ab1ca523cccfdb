// Socket.IO 4: who may connect, and how fast each client may send. Promise: a refused connection is a `connect_error` with data, a refused
// message an error for its acknowledgement or a `rate_limited` event; handlers run once, in the order the messages came.
// Next: socket-io-messages.ts, ../http/gatekeeper.ts.

import type { Socket } from 'socket.io'
import type { Decision } from '../core/decision.ts'
import { isPromise } from '../core/maybe.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper } from '../http/gatekeeper.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { type StatusOptions, socketOptionsOf, warnOfMissingKey } from './socket-exchange.ts'
import { ConnectionExchange, type SocketLike, type SocketNext, marks } from './socket-io-exchange.ts'
import { SocketRefusalError, UNCHECKED } from './socket-refusal.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'
export type { SocketLike, SocketNext } from './socket-io-exchange.ts'
export { type MessageLimit, type SocketIoMessage, type SocketIoMessageOptions, rateLimitMessages } from './socket-io-messages.ts'
export { type RefusalData, SocketRefusalError } from './socket-refusal.ts'

/** Options of {@link rateLimitConnections}. Functions are called with the socket. */
export interface SocketIoConnectionOptions<S = Socket> extends Omit<GateOptions<S>, 'headers' | StatusOptions> {
  /** Makes the error of a refusal itself; what it returns goes to the client as `connect_error`, with its `data`. */
  readonly onLimited?: (socket: S, decision: Decision) => Error
}

/** A middleware of a server or a namespace. */
export type ConnectionLimit = (socket: SocketLike, next: SocketNext) => void

const GO = Symbol('go')
const go = (): typeof GO => GO

/**
 * A middleware that limits connections to a namespace: `io.use(rateLimitConnections({ rate: '10/m' }))`. Should the limiter itself fail,
 * the client is told no more than that, and the observers' `onError` is told why.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimitConnections<S = Socket>(options: SocketIoConnectionOptions<S>): ConnectionLimit {
  const option = 'rateLimitConnections'
  const own = socketOptionsOf(options, option, { functions: ['onLimited'], lacking: ['headers'] })
  const { onLimited } = options
  const keeper = new Gatekeeper<ConnectionExchange>({ ...own, headers: false }, option, {
    headersAfter: true,
    refuse: ({ raw }, answer, decision) => onLimited?.(raw as S, decision) ?? new SocketRefusalError(decision, answer),
  })
  return (socket, next) => {
    const passed = (found: unknown): void => (found === GO ? next() : next(found as Error))
    const failed = (error: unknown): void => {
      keeper.report(error, option)
      warnOfMissingKey(error)
      next(Object.assign(new Error(UNCHECKED.message, { cause: error }), { data: UNCHECKED }))
    }
    let found: unknown
    try {
      found = keeper.pass(new ConnectionExchange(socket), go)
    } catch (error) {
      failed(error)
      return
    }
    if (isPromise(found)) void found.then(passed, failed)
    else passed(found)
  }
}

/** How a connection stands with the connection limiters it has passed; undefined before, or where none applies to it. */
export function rateLimitOf(socket: SocketLike): RequestRateLimit | undefined {
  return marks.get(socket)
}
