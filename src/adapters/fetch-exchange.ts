// Request and Response as gatekeepers see them; what the fetch and Next.js adapters share. Promise: a request that passed is either
// finished with its response or forgotten with the request: nothing is kept for long. Next: ../http/gatekeeper.ts.

import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, andThen, isPromise } from '../core/maybe.ts'
import type { Exchange } from '../http/exchange.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper, gateOptionsOf } from '../http/gatekeeper.ts'
import type { HeaderTarget } from '../http/headers.ts'
import type { Refusal } from '../http/refusal.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { withHeaders } from '../http/response-headers.ts'
import type { Around } from '../http/wrap.ts'

/**
 * What a platform tells about the connection, beside the Request: an address, an object with `ip`, Deno's (`remoteAddr`), Bun's server
 * (`requestIP`), Astro's context (`clientAddress`) or SvelteKit's event (`getClientAddress`).
 */
export type ConnectionInfo =
  | string
  | { readonly ip?: string | undefined }
  | { readonly remoteAddr: unknown }
  | { readonly clientAddress: string }
  | { getClientAddress(): string }
  | { requestIP(request: never): { readonly address: string } | null }

/** Options of a limiter on the fetch standard. */
export interface FetchLimiterOptions<R extends Request = Request> extends GateOptions<R> {
  /** The client's address (default: what the platform's info says). Take it from a header only if your platform sets that header. */
  readonly ip?: (request: R, info: unknown) => string | null | undefined
  /** Answers a refusal itself; gets the usual answer, whose headers are set on what it returns. */
  readonly onLimited?: (request: R, decision: Decision, response: Response) => MaybePromise<Response>
  /** False: the request was not worth counting, and its cost is given back. Called with the handler's response. */
  readonly countWhen?: (response: Response, request: R) => boolean
}

const marks = new WeakMap<object, RequestRateLimit>()

/** How a request stands with the limiters it has passed. */
export function markOf(request: object): RequestRateLimit | undefined {
  return marks.get(request)
}

type AddressOf = (request: never, info: unknown) => string | null | undefined

/** An exchange by the fetch standard. */
export class FetchExchange implements Exchange {
  readonly raw: Request
  readonly #info: unknown
  readonly #address: AddressOf
  /** What is to be told of the response's status. */
  sent: ((status: number) => void) | undefined
  /** The handler's response, once there is one. */
  response: Response | undefined

  constructor(raw: Request, info: unknown, address: AddressOf) {
    this.raw = raw
    this.#info = info
    this.#address = address
  }

  get mark(): RequestRateLimit | undefined {
    return marks.get(this.raw)
  }

  set mark(mark: RequestRateLimit | undefined) {
    if (mark !== undefined) marks.set(this.raw, mark)
  }

  /** There is no response yet. */
  get open(): undefined {
    return undefined
  }

  whenSent(call: (status: number) => void): void {
    this.sent = call
  }

  get method(): string {
    return this.raw.method
  }

  get url(): string {
    return this.raw.url
  }

  get route(): undefined {
    return undefined
  }

  get ip(): string | undefined {
    return this.#address(this.raw as never, this.#info) ?? undefined
  }

  get peer(): string | undefined {
    return this.ip
  }

  get user(): undefined {
    return undefined
  }

  get session(): undefined {
    return undefined
  }

  header(name: string): string | undefined {
    return this.raw.headers.get(name) ?? undefined
  }
}

const GO = Symbol('go')
const go = (): typeof GO => GO

/** One limiter on the fetch standard. */
export class FetchLimiter {
  readonly #keeper: Gatekeeper<FetchExchange>
  readonly #address: AddressOf
  /** Requests that may go on and whose response has not come by. */
  readonly #pending = new WeakMap<Request, FetchExchange>()

  /** @throws ConfigError for anything that is wrong with the options */
  constructor(options: FetchLimiterOptions<never>, option: string) {
    const own = gateOptionsOf(options, option, ['ip', 'onLimited', 'countWhen'])
    const { ip, onLimited, countWhen } = options
    this.#address = ip ?? addressIn
    this.#keeper = new Gatekeeper(own, option, {
      headersAfter: true,
      countWhen: countWhen && (({ response, raw }) => response === undefined || countWhen(response, raw as never)),
      refuse: (exchange, answer, decision) => {
        const { raw } = exchange
        const usual = this.#answer(exchange, answer)
        if (onLimited === undefined) return usual
        return andThen(onLimited(raw as never, decision, usual), (response) =>
          withHeaders(response, (target) => this.#describe(exchange, answer, target)),
        )
      },
    })
  }

  /** The refusal; undefined for a request that may go on. */
  refusalOf(request: Request, info: unknown): MaybePromise<Response | undefined> {
    const exchange = new FetchExchange(request, info, this.#address)
    return andThen(this.#keeper.pass(exchange, go), (passed) => {
      if (passed !== GO) return passed as Response
      // Passed a second time, it has been counted by the first, whose exchange is to be told.
      if (!this.#pending.has(request)) this.#pending.set(request, exchange)
      return undefined
    })
  }

  /** Finishes what `refusalOf` let go on. */
  finish(request: Request, response: Response): Response {
    const exchange = this.#pending.get(request)
    if (exchange === undefined) return response
    this.#pending.delete(request)
    return this.#finish(exchange, response)
  }

  /** Around one handler; the request is its first argument, or the first that is one. */
  readonly around: Around = (parameters, run) => {
    const at = parameters.findIndex(isFetchRequest)
    if (at < 0) throw new ConfigError('the rate limited handler', 'a Request among its arguments', parameters[0])
    const exchange = new FetchExchange(parameters[at] as Request, parameters[at + 1], this.#address)
    return this.#keeper.pass(exchange, () => {
      const failed = (error: unknown): never => {
        exchange.sent?.(500)
        throw error
      }
      let made: unknown
      try {
        made = run()
      } catch (error) {
        return failed(error)
      }
      if (!isPromise(made)) return this.#finish(exchange, made as Response)
      return made.then((response) => this.#finish(exchange, response as Response), failed)
    })
  }

  #finish(exchange: FetchExchange, response: Response): Response {
    // Not every platform's handler must return something.
    if (typeof response?.headers !== 'object') return response
    exchange.response = response
    exchange.sent?.(response.status)
    exchange.sent = undefined
    return withHeaders(response, (target) => this.#keeper.write(exchange, target))
  }

  #answer(exchange: FetchExchange, answer: Refusal): Response {
    const headers = new Headers({ 'Content-Type': answer.contentType })
    this.#describe(exchange, answer, { setHeader: (name, value) => headers.set(name, value) })
    return new Response(exchange.method === 'HEAD' ? null : answer.body, { status: answer.status, headers })
  }

  #describe(exchange: FetchExchange, answer: Refusal, target: HeaderTarget): void {
    this.#keeper.write(exchange, target)
    for (const [name, value] of answer.headers) target.setHeader(name, value)
  }
}

function isFetchRequest(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { headers, url } = value as { headers?: { get?: unknown }; url?: unknown }
  return typeof url === 'string' && typeof headers?.get === 'function'
}

/** The address in what platforms hand over beside the request. */
function addressIn(request: Request, info: unknown): string | undefined {
  if (typeof info === 'string') return info
  if (typeof info !== 'object' || info === null) return undefined
  const { ip, remoteAddr, requestIP, getClientAddress, clientAddress } = info as Partial<Record<string, unknown>>
  if (typeof ip === 'string') return ip
  if (typeof requestIP === 'function') return (requestIP.call(info, request) as { address?: string } | null)?.address
  if (typeof getClientAddress === 'function') return getClientAddress.call(info) as string
  if (typeof remoteAddr === 'object' && remoteAddr !== null) return (remoteAddr as { hostname?: string }).hostname
  return typeof clientAddress === 'string' ? clientAddress : undefined
}
