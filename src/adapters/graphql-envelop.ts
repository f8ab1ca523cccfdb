// GraphQL Yoga 5 and whatever else runs Envelop plugins. Promise: an operation is asked for once, before it is executed or subscribed to;
// in Yoga the response has the header fields, whatever it is. Next: graphql-limiter.ts.

import type { DocumentNode, GraphQLSchema } from 'graphql'
import { type MaybePromise, andThen } from '../core/maybe.ts'
import { withHeaders } from '../http/response-headers.ts'
import { headersIn } from './context-exchange.ts'
import { nameOf } from './graphql-document.ts'
import { GraphqlLimiter, type GraphqlOptions, type GraphqlResult } from './graphql-limiter.ts'
import { statusWithoutData } from './graphql-refusal.ts'
import { ResponseQuota } from './response-quota.ts'

interface ExecutionArgs {
  readonly schema: GraphQLSchema
  readonly document: DocumentNode
  readonly variableValues?: Readonly<Record<string, unknown>> | null | undefined
  readonly operationName?: string | null | undefined
}

interface Execution {
  readonly args: ExecutionArgs
  /** What resolvers get. */
  readonly context: object
  setResultAndStopExecution(this: void, result: { errors: never[] }): void
}

interface Done {
  readonly result: unknown
  setResult(this: void, result: never): void
}

type Eventually<T> = T | undefined | Promise<T | undefined>

interface Answered {
  readonly request: Request
  readonly response: Response
  setResponse(this: void, response: Response): void
}

/** A plugin for GraphQL Yoga and Envelop. */
export interface EnvelopRateLimitPlugin {
  onYogaInit(payload: object): void
  onExecute(payload: Execution): Eventually<{ onExecuteDone(done: Done): undefined }>
  onSubscribe(payload: Execution): Eventually<{ onSubscribeResult(done: Done): undefined }>
  onResponse(payload: Answered): void
}

/**
 * Limits operations: `createYoga({ schema, plugins: [useRateLimit({ rate: '100/m' })] })`. A refused operation is answered with an error
 * whose `extensions.code` is `RATE_LIMITED`, and in Yoga with status 429. The decision is on `context.rateLimit`.
 * @throws ConfigError for anything that is wrong with the options
 */
export function useRateLimit<Context = unknown>(options: GraphqlOptions<Context>): EnvelopRateLimitPlugin {
  const limiter = new GraphqlLimiter(options as GraphqlOptions<never>, 'useRateLimit')
  let inYoga = false
  const ask = ({
    args,
    context,
    setResultAndStopExecution,
  }: Execution): MaybePromise<((done: Done) => undefined) | undefined> => {
    const { schema, document, variableValues, operationName } = args
    const variables = variableValues ?? {}
    const operation = { context, schema, document, variables, operationName: nameOf(document, operationName) }
    return andThen(limiter.ask(operation, { once: args, quota: quotaFor(context, inYoga) }), (found) => {
      if (typeof found === 'function') return (done) => finish(found, done, inYoga)
      setResultAndStopExecution({ errors: [found as never] })
      return undefined
    })
  }
  return {
    onYogaInit: () => {
      inYoga = true
    },
    onExecute: (execution) => andThen(ask(execution), (done) => done && { onExecuteDone: done }) as Eventually<never>,
    onSubscribe: (execution) => andThen(ask(execution), (done) => done && { onSubscribeResult: done }) as Eventually<never>,
    onResponse: ({ request, response, setResponse }) => {
      const quota = quotas.get(request)
      if (quota === undefined) return
      const dressed = withHeaders(response, (target) => quota.copyTo(target))
      if (dressed !== response) setResponse(dressed)
    },
  }
}

const quotas = new WeakMap<object, ResponseQuota>()

/** In Yoga all operations of a request share a response, which has its fields at the end; elsewhere they are written to `context.res`. */
function quotaFor(context: object, inYoga: boolean): ResponseQuota {
  const { request, res } = context as { request?: object; res?: object }
  const owner = (inYoga ? request : undefined) ?? res
  if (owner === undefined) return new ResponseQuota()
  const known = quotas.get(owner)
  if (known !== undefined) return known
  const quota = inYoga ? new ResponseQuota() : new ResponseQuota(() => headersIn(context))
  quotas.set(owner, quota)
  return quota
}

function finish(settle: (result: GraphqlResult) => void, { result, setResult }: Done, inYoga: boolean): undefined {
  const streams = typeof (result as Partial<AsyncIterable<unknown>> | null)?.[Symbol.asyncIterator] === 'function'
  const single = (streams ? {} : (result ?? {})) as GraphqlResult & { extensions?: { http?: object } }
  settle(single)
  const status = inYoga ? statusWithoutData(single) : undefined
  if (status === undefined) return
  const { extensions } = single
  setResult({ ...single, extensions: { ...extensions, http: { ...extensions?.http, status } } } as never)
}
