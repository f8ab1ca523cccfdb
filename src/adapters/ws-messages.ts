// The messages of a ws connection. Promise: each is counted once and handled once or not at all, in the order it came; a closed connection
// says so after its last message; a flood waits in the kernel and not in memory. Next: in-order.ts, ws.ts.

import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import type { MaybePromise } from '../core/maybe.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper } from '../http/gatekeeper.ts'
import type { Refusal } from '../http/refusal.ts'
import { InOrder } from './in-order.ts'
import {
  type HandshakeRequest,
  SocketExchange,
  type StatusOptions,
  socketOptionsOf,
  warnOfMissingKey,
} from './socket-exchange.ts'
import { type RefusalData, refusalData } from './socket-refusal.ts'

/** What is needed of a WebSocket; those of ws are such. */
export interface WebSocketLike {
  readonly readyState: number
  readonly isPaused: boolean
  emit(event: string | symbol, ...values: unknown[]): boolean
  close(code: number, reason: string): void
  pause(): void
  resume(): void
}

/** What the functions of {@link rateLimitMessages} are called with. */
export interface WsMessage<Socket = WebSocketLike, Request = HandshakeRequest> {
  readonly socket: Socket
  /** The request that the connection began with. */
  readonly request: Request
  /** As the `message` listeners get it: a Buffer, unless `binaryType` says otherwise. */
  readonly data: unknown
  readonly isBinary: boolean
}

/** Options of {@link rateLimitMessages}. Functions are called with the message. */
export interface WsMessageOptions<Socket = WebSocketLike, Request = HandshakeRequest> extends Omit<
  GateOptions<WsMessage<Socket, Request>>,
  'headers' | 'block' | StatusOptions
> {
  /**
   * What becomes of a refused message, which no listener sees: `'close'` closes the connection with 1008 and a reason in plain text
   * (default), `'drop'` forgets it, a function does what it likes, such as sending its `data`.
   */
  readonly onLimited?: 'close' | 'drop' | ((message: WsMessage<Socket, Request>, data: RefusalData, decision: Decision) => void)
}

/** Limits the messages of one connection. It fits `wss.on('connection', …)`. */
export type MessageLimit = (socket: WebSocketLike, request: HandshakeRequest) => void

interface Refused {
  readonly answer: Refusal
  readonly decision: Decision
}

type Message = WsMessage
const POLICY_VIOLATION = 1008
const INTERNAL_ERROR = 1011
/** Messages that may wait for their decision before the connection is read no further. */
const MOST_WAITING = 64
/** Bytes that fit into a close frame beside its code. */
const LONGEST_REASON = 123

const GO = (): undefined => undefined

/**
 * Limits what clients send: `wss.on('connection', rateLimitMessages({ rate: '20/s' }))`. Every `message` listener of the socket is behind it,
 * added before or after. Should the limiter itself fail, the connection is closed with 1011, and the observers' `onError` is told why.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimitMessages<Socket = WebSocketLike, Request = HandshakeRequest>(
  options: WsMessageOptions<Socket, Request>,
): MessageLimit {
  const option = 'rateLimitMessages'
  const own = socketOptionsOf(options, option, { others: ['onLimited'], lacking: ['headers', 'block'] })
  const { onLimited = 'close' } = options
  if (onLimited !== 'close' && onLimited !== 'drop' && typeof onLimited !== 'function')
    throw new ConfigError(`${option}.onLimited`, '"close", "drop" or a function', onLimited)
  const keeper = new Gatekeeper<SocketExchange<Message>>({ ...own, headers: false }, option, {
    headersAfter: true,
    refuse: (_, answer, decision): Refused => ({ answer, decision }),
  })

  const refuse = (message: Message, { answer, decision }: Refused): boolean => {
    if (onLimited === 'close') {
      message.socket.close(answer.status === 503 ? INTERNAL_ERROR : POLICY_VIOLATION, shortened(answer.sentence))
      return true
    }
    try {
      if (onLimited !== 'drop') onLimited(message as never, refusalData(decision, answer.sentence), decision)
    } catch (error) {
      keeper.report(error, 'onLimited')
    }
    return false
  }
  const decide = (message: Message): MaybePromise<Refused | undefined> => {
    try {
      return keeper.pass(new SocketExchange(message, message.request), GO) as MaybePromise<Refused | undefined>
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  const limited = new WeakSet<WebSocketLike>()
  return (socket, request) => {
    if (typeof request?.headers !== 'object')
      throw new ConfigError(`${option}(…)(socket, request)`, 'the request of the connection event', request)
    if (limited.has(socket)) return
    limited.add(socket)
    gateMessages(socket, {
      decide: (data, isBinary) => decide({ socket, request, data, isBinary }),
      refuse: (data, isBinary, refused) => refuse({ socket, request, data, isBinary }, refused),
      failed: (error) => {
        keeper.report(error, option)
        warnOfMissingKey(error)
        socket.close(INTERNAL_ERROR, '')
      },
    })
  }
}

interface Gate {
  decide(data: unknown, isBinary: boolean): MaybePromise<Refused | undefined>
  /** True where the connection is closed. */
  refuse(data: unknown, isBinary: boolean, refused: Refused): boolean
  failed(error: unknown): void
}

/** Puts a gate in front of a socket's listeners: `emit` is the one door that all messages come through. */
function gateMessages(socket: WebSocketLike, gate: Gate): void {
  const order = new InOrder()
  const emit = socket.emit.bind(socket)
  let paused = false
  let ended = false
  const turn = (): void => {
    if (!paused || order.waiting > MOST_WAITING / 2) return
    paused = false
    socket.resume()
  }
  const receive = (data: unknown, isBinary: boolean): void => {
    // What was on its way while this side closed the connection is neither counted nor handled.
    if (ended) return
    const decided = (refused: Refused | undefined): void => {
      turn()
      if (ended) return
      if (refused === undefined) emit('message', data, isBinary)
      else ended = gate.refuse(data, isBinary, refused)
    }
    const failed = (error: unknown): void => {
      turn()
      ended = true
      gate.failed(error)
    }
    order.add(gate.decide(data, isBinary), decided, failed)
    if (order.waiting < MOST_WAITING || socket.isPaused) return
    paused = true
    socket.pause()
  }
  socket.emit = (event, ...values) => {
    if (event === 'message') receive(values[0], values[1] === true)
    else if (event === 'close') order.add(undefined, () => void emit('close', ...values), ignore)
    else return emit(event, ...values)
    return true
  }
}

function ignore(): void {}

/** A text cut to what a close frame can hold. */
function shortened(sentence: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(sentence).subarray(0, LONGEST_REASON)).replace(/\uFFFD+$/, '')
}
