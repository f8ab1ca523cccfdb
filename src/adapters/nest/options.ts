// What the module and the decorators take. Types, and the split of a limit into its parts. Next: limits.ts, which builds them.

import type { ExecutionContext } from '@nestjs/common'
import type { Decision } from '../../core/decision.ts'
import { ConfigError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/maybe.ts'
import type { GateOptions } from '../../http/gate.ts'
import type { PathMiddlewareOptions } from '../../http/path-gates.ts'
import type { RequestRateLimit } from '../../http/request-rate-limit.ts'

type Store = NonNullable<GateOptions['store']>

/**
 * What is sure of a request on every platform. Functions may name their platform's own type instead. In other contexts they get: GraphQL
 * the HTTP request, or the context where there is none; WebSockets the client; microservices `{ data, context }`.
 */
export interface NestRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly method?: string
  readonly url?: string
  readonly ip?: string | undefined
  readonly user?: unknown
  /** How the request stands with the limits it has met. */
  rateLimit?: RequestRateLimit
}

/** Options of one limit. Functions are called with the platform's request. */
export interface NestOptions<Request = NestRequest> extends GateOptions<Request> {
  /** Makes the error that is thrown for a refused request; anything but an Error: the usual one is. */
  readonly onLimited?: (context: ExecutionContext, decision: Decision) => unknown
  /** False: the request was not worth counting, and its cost is given back. Called when the HTTP response has been sent. */
  readonly countWhen?: (response: unknown, request: Request) => boolean
}

/** A limit by its rate alone, or by options. */
export type NestLimitInput<Request = NestRequest> = NestOptions<Request>['rate'] | NestOptions<Request>

/** What `@RateLimit` takes: a rate, or options over those of the limit (`name`) or scope (`scope`) they are for. */
export type NestRouteLimit<Request = NestRequest> =
  | NestOptions<Request>['rate']
  | (Partial<NestOptions<Request>> & {
      /** Which limit of the module this one replaces here; a name of its own: one more limit (default `'default'`). */
      readonly name?: string
      /** Which scope of the module applies here. */
      readonly scope?: string
    })

/** Options of the module. Those of a limit are inherited by all limits. */
export type RateLimitModuleOptions<Request = NestRequest> = Omit<
  PathMiddlewareOptions<NestOptions<Request>>,
  'store' | 'defaultRate'
> & {
  /** The limit of all requests that nothing else limits, together (default `'100/m'`, or none where there are `limits`); null for none. */
  readonly defaultRate?: NestOptions<Request>['rate'] | null
  /** Where the counters live. A function makes a store that is closed with the app. */
  readonly store?: Store | (() => Store)
  /** Further limits of all requests, by name: each counts a client's requests together. */
  readonly limits?: Readonly<Record<string, NestLimitInput<Request>>>
  /** Limits that apply where `@RateLimit({ scope })` says so: each counts a client's requests to all such places together. */
  readonly scopes?: Readonly<Record<string, NestLimitInput<Request>>>
}

/** Options of a limit, as plain data. */
export type LimitParts = Readonly<Record<string, unknown>>

/** The limit that a rate without a name is. */
export const DEFAULT_NAME = 'default'

/**
 * A rate, or options, as options.
 * @throws ConfigError for what is neither
 */
export function partsOf(input: unknown, option: string): LimitParts {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input as LimitParts
  if (typeof input === 'string' || typeof input === 'function' || Array.isArray(input)) return { rate: input }
  throw new ConfigError(option, 'a rate such as "100/m", or options', input)
}

/** @throws ConfigError for a name that is none */
export function checkedName(name: unknown, option: string): string {
  // No dots, slashes or colons, so that no name reads as a route, a path, or a part of either.
  if (typeof name === 'string' && /^[A-Za-z][\w-]{0,63}$/.test(name)) return name
  throw new ConfigError(option, 'a name of letters, digits, _ and -, a letter first', name)
}

/** What makes the options, for `forRootAsync({ useClass })`. */
export interface RateLimitOptionsFactory {
  createRateLimitOptions(): MaybePromise<RateLimitModuleOptions>
}
