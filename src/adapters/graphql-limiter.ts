// One limiter on GraphQL operations; what the Envelop and Apollo plugins share. Promise: every operation counts, also those of a batch, the
// start of a subscription like a query; a refused one is not executed. Next: graphql-envelop.ts, graphql-apollo.ts, graphql-refusal.ts.

import type { DocumentNode, GraphQLSchema } from 'graphql'
import type { Decision } from '../core/decision.ts'
import { type MaybePromise, andThen } from '../core/maybe.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper, gateOptionsOf } from '../http/gatekeeper.ts'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { ContextExchange, type ContextReading } from './context-exchange.ts'
import { refusalErrorOf } from './graphql-refusal.ts'
import type { ResponseQuota } from './response-quota.ts'

/** One operation, as the options' functions get it. */
export interface GraphqlOperation<Context = unknown> {
  /** What resolvers get as their context. */
  readonly context: Context
  readonly document: DocumentNode
  /** As the client or the document names it; undefined for one without a name. */
  readonly operationName: string | undefined
  /** As the client sent them. */
  readonly variables: Readonly<Record<string, unknown>>
  readonly schema: GraphQLSchema
}

/** What came of an operation. */
export interface GraphqlResult {
  readonly data?: unknown
  readonly errors?: readonly unknown[] | undefined
}

/** Options of a limiter on operations. Functions are called with the operation. */
export interface GraphqlOptions<Context = unknown> extends GateOptions<GraphqlOperation<Context>> {
  /** The client's address (default: the one of the request in the context). */
  readonly ip?: (operation: GraphqlOperation<Context>) => string | null | undefined
  /** Where the context has the request (default: `req` or `request`). */
  readonly request?: (context: Context) => object | null | undefined
  /** Returns the error that a refused operation is answered with, or nothing for the usual one. */
  readonly onLimited?: (operation: GraphqlOperation<Context>, decision: Decision) => MaybePromise<Error | undefined>
  /** False: the operation was not worth counting, and its cost is given back. Called with its result; for streams at their start. */
  readonly countWhen?: (result: GraphqlResult, operation: GraphqlOperation<Context>) => boolean
}

/** By operation: servers may use a context for several. */
const standings = new WeakMap<object, RequestRateLimit>()
/** By context, or a field's info. */
const marks = new WeakMap<object, RequestRateLimit>()
const quotas = new WeakMap<object, ResponseQuota>()

/** How an operation (by its context) or a field (by its `info`) stands with the limiters it has passed; undefined where none applies. */
export function rateLimitOf(contextOrInfo: object): RequestRateLimit | undefined {
  return marks.get(contextOrInfo)
}

/** Notes how an operation or a field stands. */
export function setMark(contextOrInfo: object, mark: RequestRateLimit): void {
  marks.set(contextOrInfo, mark)
}

/** The header fields of the response that an operation is part of, where a plugin sends them. */
export function quotaOfContext(context: unknown): ResponseQuota | undefined {
  return typeof context === 'object' && context !== null ? quotas.get(context) : undefined
}

/** What a server knows beside the operation. */
export interface Surroundings {
  /** What is the same for all plugins that meet the operation, and for no other operation. */
  readonly once: object
  readonly quota: ResponseQuota
  /** The server's own view of the request, where the context may lack one. */
  readonly http?: { readonly method?: string; readonly headers: { get(name: string): string | null | undefined } } | undefined
}

/** One operation, as a gatekeeper sees it. */
export class OperationExchange extends ContextExchange<GraphqlOperation> {
  readonly #http: Surroundings['http']

  constructor(operation: GraphqlOperation, reading: ContextReading<GraphqlOperation>, { once, http }: Surroundings) {
    super(operation, operation.context, reading, once, standings.get(once))
    this.#http = http
  }

  override get method(): string {
    return this.#http?.method ?? super.method
  }

  override header(name: string): string | undefined {
    return this.#http?.headers.get(name) ?? super.header(name)
  }
}

/** One limiter. */
export class GraphqlLimiter {
  readonly #keeper: Gatekeeper<OperationExchange>
  readonly #reading: ContextReading<GraphqlOperation>

  /** @throws ConfigError for anything that is wrong with the options */
  constructor(options: GraphqlOptions<never>, option: string) {
    const own = gateOptionsOf(options, option, ['ip', 'request', 'onLimited', 'countWhen'])
    const { ip, request, onLimited, countWhen } = options
    this.#reading = { option, ip: ip as never, request, proxiesAreKnown: options.trustedProxies !== undefined }
    this.#keeper = new Gatekeeper(own, option, {
      headersAfter: true,
      countWhen: countWhen && (({ outcome, raw }) => countWhen(outcome as GraphqlResult, raw as never)),
      refuse: (exchange, answer, decision) => {
        const { raw } = exchange
        this.#note(exchange, answer.headers)
        const error = (): Error => refusalErrorOf(raw.schema, decision, answer, true)
        return onLimited === undefined ? error() : andThen(onLimited(raw as never, decision), (other) => other ?? error())
      },
    })
  }

  /**
   * Asks whether an operation may be executed.
   * @returns the error that it is answered with; else how to tell what came of it
   */
  ask(operation: GraphqlOperation, around: Surroundings): MaybePromise<Error | ((result: GraphqlResult) => void)> {
    const context = operation.context as object
    quotas.set(context, around.quota)
    const exchange = new OperationExchange(operation, this.#reading, around)
    if (exchange.mark === undefined && marks.delete(context)) Reflect.set(context, 'rateLimit', undefined)
    return this.#keeper.pass(exchange, () => {
      this.#note(exchange, [])
      return (result: GraphqlResult) => exchange.settle(result.errors?.length ? 500 : 200, result)
    }) as MaybePromise<Error | ((result: GraphqlResult) => void)>
  }

  /** Notes the decision where resolvers and the response find it. */
  #note(exchange: OperationExchange, others: readonly (readonly [string, string])[]): void {
    const { mark, once, raw } = exchange
    if (mark === undefined) return
    const context = raw.context as object
    standings.set(once, mark)
    setMark(context, mark)
    // A context that cannot be written to keeps its decision for `rateLimitOf`.
    Reflect.set(context, 'rateLimit', mark)
    quotas.get(context)?.note(mark.decision, (target) => {
      this.#keeper.write(exchange, target)
      for (const [name, value] of others) target.setHeader(name, value)
    })
  }
}
