// One limiter on tRPC procedures. Promise: a gatekeeper per procedure, so that procedures share no counter by accident; a call that meets
// a limiter twice counts once. Next: context-exchange.ts, ../http/gatekeeper.ts.

import type { Decision } from '../core/decision.ts'
import { type MaybePromise, andThen } from '../core/maybe.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper, gateOptionsOf } from '../http/gatekeeper.ts'
import { RefusalError } from '../http/refusal-error.ts'
import type { Refusal } from '../http/refusal.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { ContextExchange, type ContextReading, headersIn } from './context-exchange.ts'
import { ResponseQuota } from './response-quota.ts'

/** One call of a procedure, as the options' functions get it. */
export interface TrpcCall<Context = unknown> {
  readonly ctx: Context
  /** Such as `post.byId`. */
  readonly path: string
  readonly type: 'query' | 'mutation' | 'subscription'
  /** As far as it has been validated when the limiter runs. */
  readonly input: unknown
  readonly meta: unknown
  getRawInput(): Promise<unknown>
}

/** What came of a call. */
export type TrpcResult =
  | { readonly ok: true; readonly data: unknown }
  | { readonly ok: false; readonly error: Error & { readonly code: string } }

/** The class `TRPCError` of `@trpc/server`. */
export type TRPCErrorClass = new (options: {
  code: 'TOO_MANY_REQUESTS' | 'SERVICE_UNAVAILABLE'
  message: string
  cause: unknown
}) => Error

/** Options of `rateLimit`. Functions are called with the call. */
export interface TrpcOptions<Context = object> extends GateOptions<TrpcCall<Context>> {
  /** `TRPCError`, if refusals are to be instances of it (default: an error that tRPC knows by its name). */
  readonly throw?: TRPCErrorClass
  /** The client's address (default: the one of the request in the context). */
  readonly ip?: (call: TrpcCall<Context>) => string | null | undefined
  /** Where the context has the request (default: `req` or `request`). */
  readonly request?: (context: Context) => object | null | undefined
  /** Returns the error that a refused call fails with, or nothing for the usual one. */
  readonly onLimited?: (call: TrpcCall<Context>, decision: Decision) => MaybePromise<Error | undefined>
  /** False: the call was not worth counting, and its cost is given back. Called when the procedure is done. */
  readonly countWhen?: (result: TrpcResult, call: TrpcCall<Context>) => boolean
}

/** What tRPC calls a middleware with. */
interface Middleware extends TrpcCall {
  next(options: { ctx: object }): Promise<TrpcResult>
}

/** What limiters leave in the context for those after them: contexts are shared by the calls of a batch, so it is not looked for elsewhere. */
interface Standing {
  mark: RequestRateLimit | undefined
}

const STANDING = Symbol('smart-ratelimit')

class TrpcExchange extends ContextExchange<Middleware> {
  readonly standing: Standing

  constructor(call: Middleware, reading: ContextReading<Middleware>) {
    const standing = (call.ctx as { [STANDING]?: Standing } | null | undefined)?.[STANDING] ?? { mark: undefined }
    super(call, call.ctx, reading, standing, standing.mark)
    this.standing = standing
  }

  override get route(): string {
    return this.raw.path
  }
}

const quotas = new WeakMap<object, ResponseQuota>()

/** The header fields of the response to a request. */
export function quotaOf(request: object): ResponseQuota | undefined {
  return quotas.get(request)
}

let unnamed = 0

/** One limiter. */
export class TrpcLimiter {
  readonly #build: (path: string) => Gatekeeper<TrpcExchange>
  readonly #reading: ContextReading<Middleware>
  /** The limiter's one gatekeeper, where procedures share it. */
  readonly #shared: Gatekeeper<TrpcExchange> | undefined
  /** Paths are those of procedures that exist, so there is an end of them. */
  readonly #keepers = new Map<string, Gatekeeper<TrpcExchange>>()

  /** @throws ConfigError for anything that is wrong with the options */
  constructor(options: TrpcOptions<never>, option: string) {
    const own = gateOptionsOf(options, option, ['throw', 'ip', 'request', 'onLimited', 'countWhen'])
    const { throw: Class = UnboundTRPCError, ip, request, onLimited, countWhen } = options
    this.#reading = { option, ip: ip as never, request, proxiesAreKnown: options.trustedProxies !== undefined }
    const base = options.name ?? `trpc-${++unnamed}`
    const build = (name: string, group: string): Gatekeeper<TrpcExchange> =>
      new Gatekeeper<TrpcExchange>({ ...own, name, group }, option, {
        headersAfter: true,
        countWhen: countWhen && (({ outcome, raw }) => countWhen(outcome as TrpcResult, raw as never)),
        refuse: (exchange, answer, decision) => {
          this.#note(exchange, answer)
          const code = answer.status === 503 ? 'SERVICE_UNAVAILABLE' : 'TOO_MANY_REQUESTS'
          const error = (): Error => new Class({ code, message: answer.sentence, cause: new RefusalError(decision, answer) })
          if (onLimited === undefined) throw error()
          return andThen(onLimited(exchange.raw as never, decision), (other) => {
            throw other ?? error()
          })
        },
      })
    this.#build = (path) => build(options.name ?? nameOf(path), `${base}:${path}`)
    // Built in any case, so that what is wrong with the options is said now.
    const first = build(base, options.group ?? base)
    this.#shared = options.group === undefined ? undefined : first
  }

  handle(call: Middleware): Promise<TrpcResult> {
    const exchange = new TrpcExchange(call, this.#reading)
    const keeper = this.#keeperOf(call.path)
    return keeper.pass(exchange, () => {
      const { standing, mark } = exchange
      standing.mark = mark
      this.#note(exchange)
      return call.next({ ctx: { rateLimit: mark, [STANDING]: standing } }).then((result) => {
        exchange.settle(result.ok ? 200 : 500, result)
        return result
      })
    }) as Promise<TrpcResult>
  }

  #keeperOf(path: string): Gatekeeper<TrpcExchange> {
    if (this.#shared !== undefined) return this.#shared
    const known = this.#keepers.get(path)
    if (known !== undefined) return known
    const keeper = this.#build(path)
    this.#keepers.set(path, keeper)
    return keeper
  }

  /** Writes header fields, as far as there is a response to have them. */
  #note(exchange: TrpcExchange, answer?: Refusal): void {
    const { mark } = exchange
    if (mark === undefined) return
    this.#quotaFor(exchange).note(mark.decision, (target) => {
      this.#keeperOf(exchange.raw.path).write(exchange, target)
      for (const [name, value] of answer?.headers ?? []) target.setHeader(name, value)
    })
  }

  #quotaFor({ raw: { ctx }, request }: TrpcExchange): ResponseQuota {
    const { resHeaders, res } = (ctx ?? {}) as { resHeaders?: object; res?: object }
    const owner = request ?? resHeaders ?? res
    const known = owner === undefined ? undefined : quotas.get(owner)
    if (known !== undefined) return known
    const quota = new ResponseQuota(() => headersIn(ctx))
    if (owner !== undefined) quotas.set(owner, quota)
    return quota
  }
}

/** A policy's name: printable, and not too long for a header. */
function nameOf(path: string): string {
  return path.replace(/[^\x20-\x7e]/g, '?').slice(0, 128) || 'procedure'
}

/** What tRPC takes for a TRPCError, by its name, as it does with those of another copy of `@trpc/server`. */
class UnboundTRPCError extends Error {
  readonly code: string

  constructor({ code, message, cause }: { code: string; message: string; cause: unknown }) {
    super(message, { cause })
    this.code = code
  }

  override get name(): string {
    return 'TRPCError'
  }
}
