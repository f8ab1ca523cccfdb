// Requests and responses of node:http, its HTTP/2 twin included, as gatekeepers see them; what Express and the plain server share.
// Promise: one object per request, and nothing waits that need not. Next: express.ts, node-http.ts, ../http/gatekeeper.ts.

import type { IncomingHttpHeaders } from 'node:http'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { isPromise } from '../core/maybe.ts'
import { type Exchange, ownerId } from '../http/exchange.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper, gateOptionsOf } from '../http/gatekeeper.ts'
import type { HeaderTarget } from '../http/headers.ts'
import { RequestRateLimit } from '../http/request-rate-limit.ts'
import type { Around } from '../http/wrap.ts'

/** What is needed of a request; those of node:http and node:http2 are such. */
export interface NodeRequest {
  readonly headers: IncomingHttpHeaders
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly originalUrl?: string | undefined
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined
  rateLimit?: unknown
}

/** What is needed of a response; those of node:http and node:http2 are such. */
export interface NodeResponse extends HeaderTarget {
  statusCode: number
  readonly headersSent: boolean
  readonly writableEnded: boolean
  // oxlint-disable-next-line typescript/no-explicit-any -- the two modules give `end` different parameters and results
  end(body?: any): any
  once(event: 'finish', call: () => void): unknown
}

/** Goes on to the next handler; with an error, to the error handlers. */
export type Next = (error?: unknown) => void

/** An exchange on node:http. */
export class NodeExchange<Request extends NodeRequest = NodeRequest> implements Exchange {
  readonly raw: Request
  readonly response: NodeResponse
  readonly next: Next

  constructor(raw: Request, response: NodeResponse, next: Next) {
    this.raw = raw
    this.response = response
    this.next = next
  }

  get mark(): RequestRateLimit | undefined {
    const found = this.raw.rateLimit
    return found instanceof RequestRateLimit ? found : undefined
  }

  set mark(mark: RequestRateLimit | undefined) {
    this.raw.rateLimit = mark
  }

  get open(): HeaderTarget | undefined {
    const { response } = this
    return response.headersSent || response.writableEnded ? undefined : response
  }

  whenSent(call: (status: number) => void): void {
    const { response } = this
    response.once('finish', () => call(response.statusCode))
  }

  get method(): string {
    return this.raw.method ?? 'GET'
  }

  get url(): string {
    return this.raw.originalUrl ?? this.raw.url ?? '/'
  }

  get route(): string | undefined {
    return undefined
  }

  get ip(): string | undefined {
    return this.peer
  }

  get peer(): string | undefined {
    return this.raw.socket?.remoteAddress
  }

  get user(): string | undefined {
    return ownerId((this.raw as { user?: unknown }).user)
  }

  get session(): string | undefined {
    const { sessionID, session } = this.raw as { sessionID?: unknown; session?: unknown }
    return typeof sessionID === 'string' ? sessionID : ownerId(session)
  }

  header(name: string): string | undefined {
    const value = this.raw.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
}

/** Options of a limiter on node:http, as they come in: functions get the request and the response of the framework. */
interface NodeOptions extends GateOptions<never> {
  readonly onLimited?: (request: never, response: never, next: Next, decision: Decision) => void
  readonly countWhen?: (response: never, request: never) => boolean
}

/** Makes the exchange of a request. */
export type MakeExchange = (request: NodeRequest, response: NodeResponse, next: Next) => NodeExchange

/** The exchange of a server that has nothing to add. */
export const plainExchange: MakeExchange = (request, response, next) => new NodeExchange(request, response, next)
const GO = Symbol('go')
const go = (): typeof GO => GO

/** One limiter on node:http. */
export class NodeLimiter {
  readonly #keeper: Gatekeeper<NodeExchange>
  readonly #make: MakeExchange
  /** Nobody above would hear of an error. */
  readonly #alone: boolean

  /**
   * @param make makes the exchange of a framework that hears of errors (default: a bare server, which does not)
   * @throws ConfigError for anything that is wrong with the options
   */
  constructor(options: NodeOptions, option: string, make?: MakeExchange) {
    this.#alone = make === undefined
    const own = gateOptionsOf(options, option, ['onLimited', 'countWhen'])
    const { onLimited, countWhen } = options
    this.#make = make ?? plainExchange
    this.#keeper = new Gatekeeper(own, option, {
      countWhen: countWhen && (({ response, raw }) => countWhen(response as never, raw as never)),
      refuse({ raw, response, next }, answer, decision) {
        response.statusCode = answer.status
        for (const [name, value] of answer.headers) response.setHeader(name, value)
        if (onLimited !== undefined) {
          onLimited(raw as never, response as never, next, decision)
          return
        }
        response.setHeader('Content-Type', answer.contentType)
        response.end(raw.method === 'HEAD' ? undefined : answer.body)
      },
    })
  }

  /** As a middleware: goes on, or answers. */
  handle(request: NodeRequest, response: NodeResponse, next: Next): void {
    let passed: unknown
    try {
      passed = this.#keeper.pass(this.#make(request, response, next), go)
    } catch (error) {
      next(error)
      return
    }
    if (passed === GO) next()
    else if (isPromise(passed)) void passed.then((value) => (value === GO ? next() : undefined), next)
  }

  /** Whether the handler is to go on; false when the request has been answered. */
  admits(request: NodeRequest, response: NodeResponse): boolean | PromiseLike<boolean> {
    const passed = this.#keeper.pass(this.#make(request, response, rethrow), go)
    return isPromise(passed) ? passed.then((value) => value === GO) : passed === GO
  }

  /**
   * Around one handler, wherever among its arguments the request and the response are. What the limiter itself fails with goes to `next`
   * where there is one, as not every framework hears of rejected promises.
   */
  readonly around: Around = (parameters, run) => {
    const at = requestAt(parameters)
    if (at < 0) throw new ConfigError('the rate limited handler', 'a request and a response among its arguments', parameters[0])
    const third = parameters[at + 2]
    const next = typeof third === 'function' ? (third as Next) : undefined
    const exchange = this.#make(parameters[at] as NodeRequest, parameters[at + 1] as NodeResponse, next ?? rethrow)
    let ran = false
    const failed = (error: unknown): undefined => {
      if (ran) throw error
      if (next !== undefined) next(error)
      else if (this.#alone) this.#answerError(exchange, error)
      else throw error
    }
    try {
      const passed = this.#keeper.pass(exchange, () => {
        ran = true
        return run()
      })
      return !ran && isPromise(passed) ? passed.then(undefined, failed) : passed
    } catch (error) {
      return failed(error)
    }
  }

  #answerError({ response }: NodeExchange, error: unknown): void {
    this.#keeper.report(error, 'limiter')
    if (!response.headersSent) response.statusCode = 500
    if (!response.writableEnded) response.end()
  }
}

function rethrow(error?: unknown): void {
  throw error
}

function requestAt(parameters: readonly unknown[]): number {
  return parameters.findIndex(
    (one, i) =>
      typeof (one as NodeRequest | null)?.headers === 'object' &&
      typeof (parameters[i + 1] as NodeResponse | null)?.setHeader === 'function',
  )
}
