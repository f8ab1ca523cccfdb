// Assertions about limiters for an app's own tests, in any test framework.
// Promise: they ask through the limiter's public calls only, on any store. Next: assertion-error.ts.

import type { Decision } from '../core/decision.ts'
import type { CheckOptions, Limiter } from '../limiter/limiter.ts'
import type { Store, SyncStore } from '../stores/store.ts'
import { AssertionError } from './assertion-error.ts'

/** More calls than this do not exhaust a limit in a test; the limit is not the one that was meant. */
const MOST_CALLS = 100_000

/**
 * Spends all that a key has left, by calls of cost 1 (or the cost given).
 * @returns how many calls were granted (at once, or a promise, as the limiter answers)
 * @throws AssertionError when the key is exempt, the limiter is in shadow mode, or 100 000 calls do not exhaust it
 */
export function exhaust<S extends Store, Subject>(
  limiter: Limiter<S, Subject>,
  key: string,
  options?: CheckOptions<Subject>,
): S extends SyncStore ? number : Promise<number> {
  let granted = 0
  const goesOn = (decision: Decision): boolean => {
    if (decision.kind === 'refused' && !decision.allowed) return false
    if (decision.kind !== 'granted') {
      throw new AssertionError(`exhaust(${JSON.stringify(key)}): nothing to exhaust, ${told(decision)}`, decision.kind, 'refused')
    }
    if (++granted < MOST_CALLS) return true
    throw new AssertionError(`exhaust(${JSON.stringify(key)}): still granted after ${granted} calls`, 'granted', 'refused')
  }
  const first = limiter.check(key, options) as Decision | PromiseLike<Decision>
  if ('then' in first) {
    const rest = async (): Promise<number> => {
      let decision = await first
      while (goesOn(decision)) decision = await limiter.check(key, options)
      return granted
    }
    return rest() as never
  }
  let decision = first
  while (goesOn(decision)) decision = limiter.check(key, options) as Decision
  return granted as never
}

/**
 * Holds that a request may pass (granted, exempt or in shadow mode).
 * @throws AssertionError that tells what was decided and why
 */
export function assertAllowed(decision: Decision): void {
  if (!decision.allowed) throw new AssertionError(`expected an allowed request, ${told(decision)}`, false, true)
}

/**
 * Holds that a request was refused, and, if given, how long it has to wait.
 * @param retryAfterMs exact; leave it out to accept any
 * @throws AssertionError that tells what was decided
 */
export function assertRefused(decision: Decision, retryAfterMs?: number): void {
  if (decision.allowed) throw new AssertionError(`expected a refused request, ${told(decision)}`, true, false)
  if (retryAfterMs !== undefined && decision.retryAfterMs !== retryAfterMs) {
    throw new AssertionError(
      `expected a refusal with retryAfterMs ${retryAfterMs}, ${told(decision)}`,
      decision.retryAfterMs,
      retryAfterMs,
    )
  }
}

/**
 * Holds how many requests are left.
 * @throws AssertionError that tells what was decided
 */
export function assertRemaining(decision: Decision, remaining: number): void {
  if (decision.remaining !== remaining) {
    throw new AssertionError(`expected ${remaining} remaining, ${told(decision)}`, decision.remaining, remaining)
  }
}

function told(decision: Decision): string {
  const { kind, reason, policy, limit, remaining, retryAfterMs } = decision
  const why = reason === undefined ? '' : ` (${reason})`
  return `received ${kind}${why} by "${policy}": limit ${limit}, remaining ${remaining}, retryAfterMs ${retryAfterMs}`
}
