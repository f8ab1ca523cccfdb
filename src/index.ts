// The front door: what `import … from 'smart-ratelimit'` gives. Start reading at limiter/limiter.ts.

import { ConfigError } from './core/errors.ts'
import { type Limiter, buildLimiter } from './limiter/limiter.ts'
import type { LimiterOptions } from './limiter/options.ts'
import { type MemoryStore, memoryStore } from './stores/memory/memory-store.ts'
import type { Store } from './stores/store.ts'

export type { BanTerms } from './core/ban-terms.ts'
export { type Clock, type ManualClock, manualClock, systemClock, turnClock } from './core/clock.ts'
export { Decision, type DecisionKind, type Reason, type Source, type Standing } from './core/decision.ts'
export { ConfigError, ERROR_CODES, type ErrorCode, RateLimitError, RateLimitedError, StoreError } from './core/errors.ts'
export type { LimitInput, LimitSet, RateInput } from './core/limit-set.ts'
export { ALGORITHMS, type AlgorithmConfig, type AlgorithmName, type Limit } from './core/limit.ts'
export type { MaybePromise } from './core/maybe.ts'
export type { Observer } from './core/observer.ts'
export { type CalendarUnit, type Rate, type RateText, formatRate, parseRate } from './core/rate.ts'
export type { RequestView } from './core/request.ts'
export { type Check, type ManyDecision, checkMany } from './limiter/check-many.ts'
export type { Answer, CheckOptions, Limiter, RefundOptions } from './limiter/limiter.ts'
export type { LimiterOptions, PenaltyOptions } from './limiter/options.ts'
export { type TieredOptions, tiered } from './limiter/tiered.ts'
export { type MemoryStore, type MemoryStoreOptions, memoryStore } from './stores/memory/memory-store.ts'
export type { AsyncStore, Mode, State, Store, SyncStore, Taken } from './stores/store.ts'

/**
 * Builds a limiter. Without a `store` it gets a memory store of its own and answers synchronously.
 * @throws ConfigError for anything wrong with the options, naming the option
 */
export function createLimiter<Subject = unknown>(
  options: LimiterOptions<MemoryStore, Subject> & { readonly store?: undefined },
): Limiter<MemoryStore, Subject>
export function createLimiter<S extends Store, Subject = unknown>(
  options: LimiterOptions<S, Subject> & { readonly store: S },
): Limiter<S, Subject>
export function createLimiter(options: LimiterOptions): Limiter {
  return buildLimiter({ ...options, store: storeFor(options) })
}

/** The store an options object asks for: its own, or a new memory store on its clock. */
function storeFor(options: LimiterOptions): Store {
  const { store, clock } = options ?? {}
  if (store === undefined) return memoryStore(clock === undefined ? {} : { clock })
  if (clock !== undefined && 'clock' in store && store.clock !== clock) {
    throw new ConfigError('createLimiter.clock', "the store's own clock (two clocks cannot both be right)", clock)
  }
  return store
}
