// The guard. Promise: where the store answers at once, so does the guard; without its module it says so when the app starts.
// Next: limits.ts.

import { type CanActivate, type ExecutionContext, Inject, Injectable, Optional } from '@nestjs/common'
import { ConfigError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/maybe.ts'

/** The token of the app's limits. */
export const LIMITS = Symbol('RateLimitModule')

interface Limits {
  pass(context: ExecutionContext): MaybePromise<true>
}

/**
 * Limits what it guards: `{ provide: APP_GUARD, useClass: RateLimitGuard }` for a whole app, or `@UseGuards(RateLimitGuard)`. A refused
 * request is a `RateLimitException`, a message of a gateway or a microservice that framework's exception, a field a GraphQL error.
 */
export class RateLimitGuard implements CanActivate {
  readonly #limits: Limits

  /**
   * Called by Nest; `app.get(RateLimitGuard)` has one.
   * @throws ConfigError in an app without `RateLimitModule`
   */
  constructor(limits?: Limits) {
    if (typeof limits?.pass !== 'function')
      throw new ConfigError(
        'RateLimitGuard',
        'RateLimitModule.forRoot() among the imports of the app, and Nest to make the guard',
        limits,
      )
    this.#limits = limits
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    return this.#limits.pass(context) as true | Promise<true>
  }
}

// As functions: the library's own source has no decorators, which need a compiler flag.
Injectable()(RateLimitGuard)
Inject(LIMITS)(RateLimitGuard, undefined, 0)
Optional()(RateLimitGuard, undefined, 0)
