// Counters for apps that keep @nestjs/throttler (version 6). Promise: never more than its limit in any `ttl`, on every store; a refused
// request is not charged; a block ends when it was said to end. Next: ../../limiter/limiter.ts.

import type { AlgorithmConfig, AlgorithmName } from '../../core/limit.ts'
import { ConfigError } from '../../core/errors.ts'
import type { GateOptions } from '../../http/gate.ts'
import { type Limiter, buildLimiter } from '../../limiter/limiter.ts'
import { checkNames } from '../../core/check-names.ts'
import type { Observer } from '../../core/observer.ts'

type Store = NonNullable<GateOptions['store']>

/** What @nestjs/throttler is told of a request. Times in whole seconds, rounded up. */
export interface ThrottlerRecord {
  /** Requests that count, this one included; a refused one counts for the answer alone. */
  readonly totalHits: number
  /** Seconds until the full limit is back. */
  readonly timeToExpire: number
  readonly isBlocked: boolean
  /** Seconds until the same request passes; 0 when it passes now. */
  readonly timeToBlockExpire: number
}

/** A `ThrottlerStorage` of @nestjs/throttler. Times in ms. */
export interface RateLimitThrottlerStorage {
  increment(key: string, ttl: number, limit: number, blockDuration: number, throttlerName: string): Promise<ThrottlerRecord>
}

/** Options of {@link rateLimitThrottlerStorage}. */
export interface ThrottlerStorageOptions {
  /** Default `sliding_window`. */
  readonly algorithm?: AlgorithmName
  readonly algorithmConfig?: AlgorithmConfig
  /** Who watches (default: nobody). */
  readonly observers?: readonly Observer[]
}

/**
 * Counters of @nestjs/throttler on a store: `ThrottlerModule.forRoot({ throttlers, storage: rateLimitThrottlerStorage(store) })`.
 * A `blockDuration` begins with the first refused request and is not prolonged by further ones; what counts goes on counting for its
 * `ttl`, so that a block shorter than that may be followed by another. The store stays yours to close.
 * @throws ConfigError for a store that is none, or an unknown option; `increment` rejects with what the store fails with
 */
export function rateLimitThrottlerStorage(store: Store, options: ThrottlerStorageOptions = {}): RateLimitThrottlerStorage {
  const option = 'rateLimitThrottlerStorage'
  // A text is a connection's address, and may hold a password.
  if (typeof (store as Store | undefined)?.take !== 'function')
    throw new ConfigError(option, 'a store, such as memoryStore()', typeof store === 'string' ? '(a text)' : store)
  checkNames(options, ['algorithm', 'algorithmConfig', 'observers'], option)
  const limiters = new Map<string, Limiter>()
  const limiterOf = (name: string): Limiter => {
    let limiter = limiters.get(name)
    // The rate comes with each call.
    if (limiter === undefined) {
      limiter = buildLimiter({ ...options, name: 'throttler', group: `throttler:${name}`, rate: () => null, store }, option)
      limiters.set(name, limiter)
    }
    return limiter
  }
  // Here, as an algorithm that cannot be is no matter of a request.
  limiterOf('default')
  return {
    async increment(key, ttl, limit, blockDuration, throttlerName) {
      const limiter = limiterOf(throttlerName)
      const rate = `${limit}/${ttl}ms`
      const decision = await limiter.check(key, { rate })
      const { allowed, remaining, resetAfterMs, retryAfterMs, reason } = decision
      if (allowed) {
        return { totalHits: limit - remaining, timeToExpire: seconds(resetAfterMs), isBlocked: false, timeToBlockExpire: 0 }
      }
      let waitMs = retryAfterMs ?? ttl
      if (blockDuration > 0 && reason === 'limit') {
        await limiter.ban(key, Math.ceil(blockDuration), { rate })
        waitMs = Math.max(waitMs, blockDuration)
      }
      return {
        totalHits: limit + 1,
        timeToExpire: seconds(Math.max(resetAfterMs, waitMs)),
        isBlocked: true,
        timeToBlockExpire: seconds(waitMs),
      }
    },
  }
}

function seconds(ms: number): number {
  return Number.isFinite(ms) ? Math.ceil(ms / 1000) : 0
}
