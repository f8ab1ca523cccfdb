// The pattern a request's path falls under. Promise: never a path as a client wrote it, so that nobody can make up patterns.
// Next: live-view.ts.

import type { ObservedRequest } from '../core/observer.ts'

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const LONGEST = 160

/**
 * `GET /orders/:id`: method and the framework's route; where it has none yet, as in an app-wide middleware, the entry that decided
 * (limiters of `rateLimits` are called after their paths); undefined where there is neither.
 */
export function patternOf({ method, route }: ObservedRequest, policy: string): string | undefined {
  const path = route ?? (policy.startsWith('/') ? policy : undefined)
  if (path === undefined) return undefined
  const pattern = `${METHODS.has(method) ? method : 'OTHER'} ${path}`
  return pattern.length > LONGEST ? `${pattern.slice(0, LONGEST - 1)}…` : pattern
}
