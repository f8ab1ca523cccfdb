// The messages of a Socket.IO client. Promise: each event counts once, by the rate of its name or that of all others; a refused one never
// reaches a handler, and the next one never overtakes it. Next: in-order.ts, socket-io.ts.

import type { Socket } from 'socket.io'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import type { RateInput } from '../core/limit-set.ts'
import type { MaybePromise } from '../core/maybe.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper } from '../http/gatekeeper.ts'
import { buildEntries } from '../http/path-gates.ts'
import { InOrder } from './in-order.ts'
import { type StatusOptions, socketOptionsOf, warnOfMissingKey } from './socket-exchange.ts'
import { SocketIoExchange, type SocketLike, type SocketNext } from './socket-io-exchange.ts'
import { type RefusalData, SocketRefusalError, UNCHECKED } from './socket-refusal.ts'

/** What the functions of {@link rateLimitMessages} are called with. */
export interface SocketIoMessage<S = Socket> {
  readonly socket: S
  readonly event: string
  /** What came with the event; the acknowledgement, if the client waits for one, is the last. */
  readonly args: readonly unknown[]
}

/** Options of one limit. */
interface LimitOptions<S> extends Omit<GateOptions<SocketIoMessage<S>>, 'headers' | 'block' | StatusOptions> {
  /**
   * Tells the client of a refusal itself (default: the acknowledgement is called with `{ error }`, or the event `rate_limited` is sent).
   * What it throws goes to the socket's `error` listeners, as every refusal does.
   */
  readonly onLimited?: (message: SocketIoMessage<S>, decision: Decision) => void
}

/** Options of {@link rateLimitMessages}. Functions are called with the message. */
export interface SocketIoMessageOptions<S = Socket> extends Omit<LimitOptions<S>, 'rate'> {
  /** The limit of all events that `events` does not name, together; null for none. */
  readonly rate: GateOptions<SocketIoMessage<S>>['rate'] | null
  /** Event → its own rate, or options over the common ones; null for none. Such an event does not count for `rate`. */
  readonly events?: Readonly<Record<string, RateInput | Partial<LimitOptions<S>> | null>>
}

/** Limits the messages of one socket. It fits `io.on('connection', …)`, and `io.use(…)` too. */
export type MessageLimit = (socket: SocketLike, next?: SocketNext) => void

/**
 * Limits what clients send: `io.on('connection', rateLimitMessages({ rate: '20/s', events: { chat: '2/s' } }))`, before the handlers are
 * added. A refused message also goes to the socket's own `error` listeners, as a {@link SocketRefusalError}.
 * @throws ConfigError for anything that is wrong with the options, naming the event
 */
export function rateLimitMessages<S = Socket>(options: SocketIoMessageOptions<S>): MessageLimit {
  const limiterOf = buildEvents(options as unknown as SocketIoMessageOptions<never>, 'rateLimitMessages')
  const limited = new WeakSet<SocketLike>()
  return (socket, next) => {
    if (!limited.has(socket)) {
      limited.add(socket)
      const order = new InOrder()
      socket.use((packet, goOn) => {
        // A client may send a number, which finds the listeners of its text.
        const event = String(packet[0])
        pass(limiterOf(event), { socket: socket as never, event, args: packet.slice(1) }, order, goOn)
      })
    }
    next?.()
  }
}

function pass(limiter: MessageLimiter | undefined, message: SocketIoMessage<SocketLike>, order: InOrder, goOn: SocketNext): void {
  const failed = (error: unknown): void => {
    warnOfMissingKey(error)
    tell(message, UNCHECKED)
    goOn(error instanceof Error ? error : new Error('The limiter failed.', { cause: error }))
  }
  let found: MaybePromise<SocketRefusalError | undefined>
  try {
    found = limiter?.refusalOf(message)
  } catch (error) {
    order.add(undefined, () => failed(error), failed)
    return
  }
  order.add(
    found,
    (refused) => (refused === undefined ? goOn() : refuse(limiter as MessageLimiter, message, refused, goOn)),
    failed,
  )
}

function refuse(
  { onLimited }: MessageLimiter,
  message: SocketIoMessage<SocketLike>,
  refused: SocketRefusalError,
  goOn: SocketNext,
): void {
  let error: Error = refused
  try {
    if (onLimited === undefined) tell(message, refused.data)
    else onLimited(message as never, refused.decision)
  } catch (thrown) {
    error = thrown as Error
  }
  goOn(error)
}

/** Who waits for an acknowledgement gets one; anybody else gets an event. */
function tell({ socket, event, args }: SocketIoMessage<SocketLike>, data: RefusalData): void {
  const acknowledge = args.at(-1)
  if (typeof acknowledge === 'function') acknowledge({ error: data })
  else socket.emit('rate_limited' as never, { event, ...data } as never)
}

const GO = (): undefined => undefined

/** One limit on messages. */
class MessageLimiter {
  readonly onLimited: LimitOptions<never>['onLimited']
  readonly #keeper: Gatekeeper<SocketIoExchange<SocketIoMessage<SocketLike>>>

  constructor(options: LimitOptions<never>, option: string) {
    const own = socketOptionsOf(options, option, { functions: ['onLimited'], lacking: ['headers', 'block'] })
    this.onLimited = options.onLimited
    this.#keeper = new Gatekeeper({ ...own, headers: false }, option, {
      headersAfter: true,
      refuse: (_, answer, decision) => new SocketRefusalError(decision, answer),
    })
  }

  /** The refusal, or undefined for a message that may be handled. */
  refusalOf(message: SocketIoMessage<SocketLike>): MaybePromise<SocketRefusalError | undefined> {
    return this.#keeper.pass(new SocketIoExchange(message, message.socket), GO) as MaybePromise<SocketRefusalError | undefined>
  }
}

function buildEvents(options: SocketIoMessageOptions<never>, option: string): (event: string) => MessageLimiter | undefined {
  if (typeof options !== 'object' || options === null) throw new ConfigError(option, 'an object', options)
  const { rate, events = {}, ...common } = options
  if (typeof events !== 'object' || events === null || Array.isArray(events))
    throw new ConfigError(`${option}.events`, 'a table of events', events)
  const build = (own: LimitOptions<never>, at: string): MessageLimiter => new MessageLimiter(own, at)
  // Without a rate for the rest, the common options are still checked, by a limiter that nobody asks.
  const rest = build({ ...common, rate: rate === null ? '1/s' : rate }, option)
  const entry = buildEntries<LimitOptions<never>, MessageLimiter>({ ...common, defaultRate: rate } as never, option, build)
  const table = new Map<string, MessageLimiter | undefined>()
  for (const [event, own] of Object.entries(events)) {
    const at = `${option}.events[${JSON.stringify(event)}]`
    if (rate === null && typeof own === 'object' && own !== null && !('rate' in own) && !Array.isArray(own))
      throw new ConfigError(`${at}.rate`, 'a rate, as there is no common one', undefined)
    table.set(event, entry(event, own, at))
  }
  const otherwise = rate === null ? undefined : rest
  return (event) => (table.has(event) ? table.get(event) : otherwise)
}
