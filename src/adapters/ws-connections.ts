// Connections of ws, before the handshake. Promise: a refusal is an HTTP response with everything one has; an accepted handshake says how
// the client stands; a client that leaves meanwhile harms nobody. Next: ws-exchange.ts, ../http/gatekeeper.ts.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Decision } from '../core/decision.ts'
import { isPromise } from '../core/maybe.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper } from '../http/gatekeeper.ts'
import { type HandshakeRequest, type StatusOptions, socketOptionsOf, warnOfMissingKey } from './socket-exchange.ts'
import { UpgradeExchange, headers } from './ws-exchange.ts'

/** Options of {@link rateLimitConnections}. Functions are called with the upgrade request. */
export interface WsConnectionOptions<Request = IncomingMessage> extends Omit<GateOptions<Request>, StatusOptions> {
  /** Told of each refusal; the answer is sent all the same. What it throws goes to the observers. */
  readonly onLimited?: (request: Request, decision: Decision) => void
}

/** Stands before a WebSocketServer's handshake. */
export interface ConnectionLimit {
  /** For the option of the same name: `new WebSocketServer({ verifyClient: limit.verifyClient })`. */
  readonly verifyClient: (info: { readonly req: HandshakeRequest }, done: VerifyDone) => void
  /**
   * For servers with an `upgrade` listener of their own: calls `go` if the request may be upgraded, which `handleUpgrade` does; else
   * answers on the socket and closes it.
   */
  readonly upgrade: (request: HandshakeRequest, socket: Duplex, go: () => void) => void
  /** Puts the quota on the handshake's response: `wss.on('headers', limit.writeHeaders)`. */
  readonly writeHeaders: (lines: string[], request: HandshakeRequest) => void
}

/** What ws wants to hear. */
export type VerifyDone = (verified: boolean, status?: number, body?: string, headers?: Record<string, string>) => void

interface Answer {
  readonly status: 429 | 503 | 500
  readonly body: string
  readonly headers: Record<string, string>
}

const GO = Symbol('go')
const go = (): typeof GO => GO
const REASONS = { 429: 'Too Many Requests', 500: 'Internal Server Error', 503: 'Service Unavailable' } as const
const FAILED: Answer = { status: 500, body: REASONS[500], headers: { 'Content-Type': 'text/plain; charset=utf-8' } }

/**
 * Limits connections before their handshake, which a refused client sees answered with 429. Should the limiter itself fail, the answer is a
 * bare 500, and the observers' `onError` is told why.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimitConnections<Request = IncomingMessage>(options: WsConnectionOptions<Request>): ConnectionLimit {
  const option = 'rateLimitConnections'
  const own = socketOptionsOf(options, option, { functions: ['onLimited'], lacking: [] })
  const { onLimited } = options
  const keeper: Gatekeeper<UpgradeExchange> = new Gatekeeper<UpgradeExchange>(own, option, {
    refuse({ raw, open }, answer, decision): Answer {
      try {
        onLimited?.(raw as Request, decision)
      } catch (error) {
        keeper.report(error, 'onLimited')
      }
      const fields = [...open.fields, ...answer.headers, ['Content-Type', answer.contentType] as const]
      return { status: answer.status, body: answer.body, headers: Object.fromEntries(fields) }
    },
  })

  const ask = (request: HandshakeRequest, pass: () => void, refuse: (answer: Answer) => void): void => {
    const settle = (found: unknown): void => (found === GO ? pass() : refuse(found as Answer))
    const failed = (error: unknown): void => {
      keeper.report(error, option)
      warnOfMissingKey(error)
      refuse(FAILED)
    }
    let found: unknown
    try {
      found = keeper.pass(new UpgradeExchange(request), go)
    } catch (error) {
      failed(error)
      return
    }
    if (isPromise(found)) void found.then(settle, failed)
    else settle(found)
  }

  return {
    // ws tells from the number of parameters that there is an answer to wait for.
    verifyClient({ req }, done) {
      ask(
        req,
        () => done(true),
        (answer) => done(false, answer.status, answer.body, answer.headers),
      )
    },
    upgrade(request, socket, then) {
      const leave = (): void => void socket.destroy()
      socket.on('error', leave)
      ask(
        request,
        () => {
          socket.off('error', leave)
          if (!socket.destroyed) then()
        },
        (answer) => send(socket, answer),
      )
    },
    writeHeaders(lines, request) {
      for (const [name, value] of headers.get(request)?.fields ?? []) lines.push(`${name}: ${value}`)
    },
  }
}

function send(socket: Duplex, { status, body, headers: fields }: Answer): void {
  if (socket.destroyed) return
  const length = new TextEncoder().encode(body).length
  const lines = Object.entries({ ...fields, Connection: 'close', 'Content-Length': String(length) })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${REASONS[status]}\r\n${head}\r\n${body}`)
}
