// One limiter on one field of a schema. Promise: at once where the store is in memory, so that a resolver that is not async stays so; what a
// resolver throws is its own. Next: graphql-directive.ts, graphql-limiter.ts.

import type { GraphQLFieldResolver, GraphQLResolveInfo } from 'graphql'
import { isPromise } from '../core/maybe.ts'
import type { RateInput } from '../core/limit-set.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper, gateOptionsOf } from '../http/gatekeeper.ts'
import { ContextExchange, type ContextReading } from './context-exchange.ts'
import { quotaOfContext, setMark } from './graphql-limiter.ts'
import { refusalErrorOf } from './graphql-refusal.ts'

/** One run of a resolver, as the options' functions get it. */
export interface GraphqlField<Context = unknown> {
  readonly source: unknown
  readonly args: Readonly<Record<string, unknown>>
  readonly context: Context
  readonly info: GraphQLResolveInfo
}

/** Options that all fields with the directive share. Functions are called with the field. */
export interface GraphqlFieldOptions<Context = unknown> extends Omit<GateOptions<GraphqlField<Context>>, 'rate'> {
  /** The client's address (default: the one of the request in the context). */
  readonly ip?: (field: GraphqlField<Context>) => string | null | undefined
  /** Where the context has the request (default: `req` or `request`). */
  readonly request?: (context: Context) => object | null | undefined
}

type Resolver = GraphQLFieldResolver<unknown, unknown>

/** One limiter. */
export class FieldLimiter {
  readonly #keeper: Gatekeeper<ContextExchange<GraphqlField>>
  readonly #reading: ContextReading<GraphqlField>

  /** @throws ConfigError for anything that is wrong with the options */
  constructor(options: GraphqlFieldOptions<never> & { readonly rate: RateInput }, option: string) {
    const own = gateOptionsOf(options, option, ['ip', 'request'])
    const { ip, request } = options
    this.#reading = { option, ip: ip as never, request, proxiesAreKnown: options.trustedProxies !== undefined }
    this.#keeper = new Gatekeeper(own, option, {
      headersAfter: true,
      refuse: (exchange, answer, decision) => {
        this.#note(exchange, answer.headers)
        throw refusalErrorOf(exchange.raw.info.schema, decision, answer, false)
      },
    })
  }

  /** A resolver that asks first; without one, the field is what its source has under its name. */
  around(resolve: Resolver | undefined, name: string): Resolver {
    const inner = resolve ?? ((source, args, context, info) => propertyOf(source, name, args, context, info))
    return (source, args, context, info) => {
      const exchange = new ContextExchange<GraphqlField>({ source, args, context, info }, context, this.#reading, info)
      return this.#keeper.pass(exchange, () => {
        this.#note(exchange, [])
        return settled(exchange, () => inner(source, args, context, info))
      })
    }
  }

  #note(exchange: ContextExchange<GraphqlField>, others: readonly (readonly [string, string])[]): void {
    const { mark, raw } = exchange
    if (mark === undefined) return
    setMark(raw.info, mark)
    quotaOfContext(raw.context)?.note(mark.decision, (target) => {
      this.#keeper.write(exchange, target)
      for (const [name, value] of others) target.setHeader(name, value)
    })
  }
}

/** Runs a resolver, and tells how it went if somebody wants to know. */
function settled(exchange: ContextExchange<GraphqlField>, run: () => unknown): unknown {
  if (exchange.sent === undefined) return run()
  const failed = (error: unknown): never => {
    exchange.settle(500, undefined)
    throw error
  }
  const done = (value: unknown): unknown => {
    exchange.settle(200, value)
    return value
  }
  let value: unknown
  try {
    value = run()
  } catch (error) {
    return failed(error)
  }
  return isPromise(value) ? value.then(done, failed) : done(value)
}

/** What graphql does for fields without a resolver. */
function propertyOf(source: unknown, name: string, args: unknown, context: unknown, info: GraphQLResolveInfo): unknown {
  if ((typeof source !== 'object' || source === null) && typeof source !== 'function') return undefined
  const property = (source as Record<string, unknown>)[name]
  return typeof property === 'function' ? (property.call(source, args, context, info) as unknown) : property
}
