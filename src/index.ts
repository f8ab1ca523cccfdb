// The front door: what `import … from 'smart-ratelimit'` gives. Start reading at limiter/limiter.ts.

export type { BanTerms } from './core/ban-terms.ts'
export { type Clock, type ManualClock, manualClock, systemClock, turnClock } from './core/clock.ts'
export { Decision, type DecisionKind, type Reason, type Source, type Standing } from './core/decision.ts'
export { ConfigError, ERROR_CODES, type ErrorCode, RateLimitError, RateLimitedError, StoreError } from './core/errors.ts'
export type { LimitInput, LimitSet, RateInput } from './core/limit-set.ts'
export { ALGORITHMS, type AlgorithmConfig, type AlgorithmName, type Limit } from './core/limit.ts'
export type { MaybePromise } from './core/maybe.ts'
export type {
  BanEvent,
  DecisionContext,
  ObservedRequest,
  ObservedStore,
  Observer,
  StoreEvent,
  UnbanEvent,
} from './core/observer.ts'
export { type CalendarUnit, type Rate, type RateText, formatRate, parseRate } from './core/rate.ts'
export type { RequestView } from './core/request.ts'
export { addObserver } from './core/watching.ts'
export { type Check, type ManyDecision, checkMany } from './limiter/check-many.ts'
export { createLimiter } from './limiter/create-limiter.ts'
export type { Answer, CheckOptions, Limiter, RefundOptions } from './limiter/limiter.ts'
export type { LimiterOptions, PenaltyOptions } from './limiter/options.ts'
export type { OnStoreError } from './limiter/outage.ts'
export { type TieredOptions, tiered } from './limiter/tiered.ts'
export type { BreakerOptions } from './stores/failover/breaker.ts'
export type { FailoverStore } from './stores/failover/failover-store.ts'
export type { ServerStatus, StoreStatus } from './stores/failover/servers.ts'
export { type MultiStoreOptions, multiStore } from './stores/failover/multi-store.ts'
export type { NamedStore, Strategy } from './stores/failover/options.ts'
export { type MemoryStore, type MemoryStoreOptions, memoryStore } from './stores/memory/memory-store.ts'
export type { AsyncStore, Mode, State, Store, SyncStore, Taken } from './stores/store.ts'
export type { AddressListInput, AddressTest } from './http/address-list.ts'
export { type BoundedLookupOptions, type RegionLookup, boundedLookup } from './http/bounded-lookup.ts'
export { type GeographyOptions, geography } from './http/geography.ts'
export type { HeaderSet } from './http/headers.ts'
export {
  type DeviceFingerprintOptions,
  type JwtClaimOptions,
  type TenantOptions,
  type TimeAwareOptions,
  apiKeyAware,
  deviceFingerprint,
  firstOf,
  jwtClaim,
  role,
  tenant,
  timeAware,
} from './http/key-functions.ts'
export type { KeyFunction, KeyInput, OnMissingKey, ReadyKey } from './http/keys.ts'
