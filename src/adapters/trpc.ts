// tRPC 11: a middleware for procedures. Promise: each call counts, also those of a batch; the procedure runs exactly once, or the call
// fails with an error that tRPC answers as 429. Next: trpc-limiter.ts.

import type { TRPCMiddlewareFunction } from '@trpc/server'
import type { RequestRateLimit } from '../http/request-rate-limit.ts'
import { requestIn } from './context-exchange.ts'
import { TrpcLimiter, type TrpcOptions, quotaOf } from './trpc-limiter.ts'

export type { RequestRateLimit } from '../http/request-rate-limit.ts'
export type { TRPCErrorClass, TrpcCall, TrpcOptions, TrpcResult } from './trpc-limiter.ts'

/** What the middleware adds to the context; undefined for calls that no limit applies to. */
export interface RateLimitContext {
  rateLimit: RequestRateLimit | undefined
}

/**
 * Limits procedures: `t.procedure.use(rateLimit({ rate: '5/m' }))`. Each procedure has a counter of its own per client, unless `group` joins
 * them. A refused call fails with `TOO_MANY_REQUESTS`, or `SERVICE_UNAVAILABLE` where calls are denied because no store answers; its
 * `cause` is a `RefusalError` with the decision.
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimit<Context = object>(
  options: TrpcOptions<Context>,
): TRPCMiddlewareFunction<Context, unknown, object, RateLimitContext, unknown> {
  const limiter = new TrpcLimiter(options as TrpcOptions<never>, 'rateLimit')
  return ((call) => limiter.handle(call)) as TRPCMiddlewareFunction<Context, unknown, object, RateLimitContext, unknown>
}

/**
 * The header fields of a response, for apps whose context has neither `res` nor `resHeaders`: `responseMeta: rateLimitMeta`. Empty where
 * they are on the response already.
 * @param request finds the request in the context, as the limiter's option of that name
 */
export function rateLimitMeta<Context = unknown>(
  { ctx }: { readonly ctx?: Context },
  request: (context: Context) => object | null | undefined = requestIn,
): { headers?: Record<string, string> } {
  const found = ctx === undefined ? undefined : request(ctx)
  const quota = found ? quotaOf(found) : undefined
  if (quota === undefined || quota.written) return {}
  const headers: Record<string, string> = {}
  quota.copyTo({ setHeader: (name, value) => (headers[name] = value) })
  return { headers }
}
