// A call, as gatekeepers see it. Promise: headers go through the app's HTTP adapter, and nowhere once the response has begun or where there
// is none; a GraphQL request that asks for a field twice is counted twice. Next: call.ts, ../../http/gatekeeper.ts.

import type { ExecutionContext } from '@nestjs/common'
import type { HttpAdapterHost } from '@nestjs/core'
import { type Exchange, ownerId } from '../../http/exchange.ts'
import type { HeaderTarget } from '../../http/headers.ts'
import { RequestRateLimit } from '../../http/request-rate-limit.ts'
import { type Call, type RequestParts, type ResponseParts, callOf } from './call.ts'

type Adapter = HttpAdapterHost['httpAdapter'] | undefined

/** How calls other than HTTP requests stand, as several share a request or a client. */
const marks = new WeakMap<ExecutionContext, RequestRateLimit>()
/** Where headers go that nobody is to see. */
const NOWHERE: HeaderTarget = { setHeader: () => undefined }

export class NestExchange implements Exchange, HeaderTarget {
  readonly context: ExecutionContext
  /** `http`, `graphql`, `ws`, `rpc` or what an app's own transport says. */
  readonly kind: string
  readonly #call: Call
  readonly #adapter: Adapter

  constructor(context: ExecutionContext, adapter: Adapter) {
    this.context = context
    this.kind = context.getType<string>()
    this.#call = callOf(context, this.kind)
    this.#adapter = adapter
  }

  get raw(): object {
    return this.#call.subject
  }

  get once(): object | undefined {
    // One context goes through all guards of a handler.
    return this.kind === 'http' ? undefined : this.context
  }

  get mark(): RequestRateLimit | undefined {
    const found: unknown =
      this.kind === 'http' ? (this.#call.holder as { rateLimit?: unknown }).rateLimit : marks.get(this.context)
    return found instanceof RequestRateLimit ? found : undefined
  }

  set mark(mark: RequestRateLimit | undefined) {
    if (this.kind !== 'http' && mark !== undefined) marks.set(this.context, mark)
    else this.#publish(mark)
  }

  /** Always open: a refusal is thrown whatever has been sent, and what cannot be written is not. */
  get open(): HeaderTarget {
    const { mark } = this
    if (this.kind === 'http' || mark === undefined) return this
    // The limiters have had their say: what they found is joined with what other fields of the same request have met.
    const { holder } = this.#call
    const shared: unknown = this.kind === 'graphql' ? (holder as { rateLimit?: unknown } | undefined)?.rateLimit : undefined
    if (!(shared instanceof RequestRateLimit)) {
      this.#publish(mark)
      return this
    }
    if (shared !== mark && !shared.has(mark)) shared.add(mark, mark.decision, mark.key)
    return shared.decision === mark.decision ? this : NOWHERE
  }

  setHeader(name: string, value: string): void {
    const { response } = this.#call
    if (response === undefined) return
    const adapter = this.#adapter
    if (this.kind === 'http' && adapter !== undefined) {
      if (!adapter.isHeadersSent(response)) adapter.setHeader(response, name, value)
    } else if (!hasBegun(response)) {
      if (response.setHeader === undefined) response.header?.(name, value)
      else response.setHeader(name, value)
    }
  }

  whenSent(call: (status: number) => void): void {
    const { response } = this.#call
    const sent = response?.raw ?? response
    sent?.once?.('finish', () => call(sent.statusCode ?? 200))
  }

  /** The HTTP response, for the app's functions. */
  get response(): ResponseParts | undefined {
    return this.#call.response
  }

  get method(): string {
    const method: unknown = this.#ofHttp((adapter, request) => adapter.getRequestMethod?.(request)) ?? this.#request.method
    return typeof method === 'string' ? method : 'POST'
  }

  get url(): string {
    const url: unknown = this.#ofHttp((adapter, request) => adapter.getRequestUrl?.(request)) ?? this.#request.url
    return typeof url === 'string' ? url : '/'
  }

  get route(): string | undefined {
    const { route, baseUrl, routeOptions } = this.#request as {
      route?: { path?: unknown }
      baseUrl?: unknown
      routeOptions?: { url?: unknown }
    }
    const path = route?.path ?? routeOptions?.url
    return typeof path === 'string' ? (typeof baseUrl === 'string' ? baseUrl : '') + path : undefined
  }

  get ip(): string | undefined {
    return textOf(this.#request.ip) ?? this.peer
  }

  get peer(): string | undefined {
    return textOf(this.#request.socket?.remoteAddress)
  }

  get user(): string | undefined {
    return ownerId(this.#request.user)
  }

  get session(): string | undefined {
    const { sessionID, session } = this.#request
    const own = (session as { sessionId?: unknown } | null | undefined)?.sessionId
    return textOf(sessionID) ?? textOf(own) ?? ownerId(session)
  }

  header(name: string): string | undefined {
    const { headers } = this.#request
    // Some GraphQL servers hand over the request of the fetch standard.
    if (typeof (headers as Headers | undefined)?.get === 'function') return (headers as Headers).get(name) ?? undefined
    const value: unknown = (headers as Record<string, unknown> | undefined)?.[name]
    return Array.isArray(value) ? value.join(', ') : textOf(value)
  }

  get #request(): RequestParts {
    return this.#call.request ?? {}
  }

  #ofHttp(read: (adapter: NonNullable<Adapter>, request: object) => unknown): unknown {
    return this.kind === 'http' && this.#adapter !== undefined ? read(this.#adapter, this.#call.subject) : undefined
  }

  #publish(mark: RequestRateLimit | undefined): void {
    // A holder that takes no properties goes without.
    if (this.#call.holder !== undefined) Reflect.set(this.#call.holder, 'rateLimit', mark)
  }
}

function hasBegun(response: ResponseParts): boolean {
  return response.headersSent === true || response.sent === true || response.raw?.headersSent === true
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
