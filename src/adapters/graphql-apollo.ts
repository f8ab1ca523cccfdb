// Apollo Server 5. Promise: an operation is asked for once, when it is parsed, valid and known by name; a batch is refused as a
// whole by its status only if all of it is refused. Next: graphql-limiter.ts.

import type { DocumentNode, GraphQLSchema } from 'graphql'
import { nameOf } from './graphql-document.ts'
import { GraphqlLimiter, type GraphqlOptions, type GraphqlResult, type Surroundings } from './graphql-limiter.ts'
import { statusWithoutData } from './graphql-refusal.ts'
import { type ResponseHeaders, ResponseQuota } from './response-quota.ts'

interface ApolloHead {
  status?: number
  readonly headers: { set(name: string, value: string): unknown; delete(name: string): unknown }
}

/** What is needed of Apollo Server's GraphQLRequestContext. */
interface ApolloRequest {
  readonly schema: GraphQLSchema
  readonly contextValue: object
  readonly document?: DocumentNode
  readonly requestIsBatched: boolean
  readonly request: {
    readonly variables?: Readonly<Record<string, unknown>>
    readonly operationName?: string
    readonly http?: NonNullable<Surroundings['http']>
  }
  readonly response: {
    readonly http: ApolloHead
    readonly body?: { readonly kind: string; readonly singleResult?: GraphqlResult }
  }
}

/** A plugin for Apollo Server. */
export interface ApolloRateLimitPlugin {
  requestDidStart(): Promise<{
    didResolveOperation(request: ApolloRequest): Promise<void>
    willSendResponse(request: ApolloRequest): Promise<void>
  }>
}

/** A response, which the operations of a batch share. */
class Sharing {
  readonly quota: ResponseQuota
  /** Whether an operation of it was let through. */
  passed = false

  constructor({ headers }: ApolloHead) {
    const target: ResponseHeaders = {
      setHeader: (name, value) => headers.set(name, value),
      removeHeader: (name) => headers.delete(name),
    }
    this.quota = new ResponseQuota(() => target)
  }
}

const responses = new WeakMap<ApolloHead, Sharing>()

function sharingOf(head: ApolloHead): Sharing {
  const known = responses.get(head)
  if (known !== undefined) return known
  const made = new Sharing(head)
  responses.set(head, made)
  return made
}

/**
 * Limits operations: `new ApolloServer({ schema, plugins: [rateLimitPlugin({ rate: '100/m' })] })`. A refused operation is answered with
 * 429 and an error whose `extensions.code` is `RATE_LIMITED`. The decision is on `contextValue.rateLimit`. Apollo's context is the app's
 * own: put the request into it (`context: async ({ req }) => ({ req })`), or give `ip` or another `key`.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimitPlugin<Context = unknown>(options: GraphqlOptions<Context>): ApolloRateLimitPlugin {
  const limiter = new GraphqlLimiter(options as GraphqlOptions<never>, 'rateLimitPlugin')
  return {
    requestDidStart: async () => {
      let settle: ((result: GraphqlResult) => void) | undefined
      return {
        didResolveOperation: async (asked) => {
          const { schema, contextValue, document, request, response } = asked
          const { variables = {}, http } = request
          const sharing = sharingOf(response.http)
          const known = document as DocumentNode
          const operationName = nameOf(known, request.operationName)
          const operation = { context: contextValue, document: known, operationName, variables, schema }
          const found = await limiter.ask(operation, { once: asked, quota: sharing.quota, http })
          if (typeof found !== 'function') throw found
          sharing.passed = true
          settle = found
        },
        willSendResponse: async ({ requestIsBatched, response: { http, body } }) => {
          const result = body?.singleResult ?? {}
          settle?.(result)
          settle = undefined
          const refused = http.status === 429 || http.status === 503
          if (requestIsBatched) {
            if (refused && sharingOf(http).passed) http.status = 200
          } else if (http.status === undefined) {
            const status = statusWithoutData(result)
            if (status !== undefined) http.status = status
          }
        },
      }
    },
  }
}
