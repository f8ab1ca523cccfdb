// Health as JSON for programs to read. Promise: the fields that tools for django-smart-ratelimit read are there under their names, and more
// beside them. Next: ask-stores.ts.

import type { Health, StoreHealth } from './ask-stores.ts'

/** What is known beside the stores. */
export interface HealthJsonOptions {
  /** Whether there are several (default: whether a strategy is known). */
  readonly multi?: boolean
  /** Fields to add. */
  readonly add?: Readonly<Record<string, unknown>>
}

/** The document of one store, or of several. */
export function healthJson(
  health: Health,
  { multi = health.strategy !== undefined, add }: HealthJsonOptions = {},
): Record<string, unknown> {
  const { status, stores, strategy } = health
  const healthy = status !== 'down'
  const [only] = stores
  if (!multi && only !== undefined) {
    return { type: 'single-backend', backend: only.name, ...fieldsOf(only), healthy, status, ...add }
  }
  return {
    type: 'multi-backend',
    healthy,
    status,
    stats: {
      total_backends: stores.length,
      healthy_backends: stores.filter((store) => store.healthy).length,
      fallback_strategy: strategy ?? 'first_healthy',
      backends: Object.fromEntries(stores.map((store) => [store.name, store.healthy])),
    },
    backends: Object.fromEntries(stores.map((store) => [store.name, { healthy: store.healthy, ...fieldsOf(store) }])),
    ...add,
  }
}

function fieldsOf({ kind, place, latencyMs, lastCheck, error, breaker, lastError }: StoreHealth): Record<string, unknown> {
  return {
    backend_class: kind,
    ...(place !== undefined && { location: place }),
    latency_ms: latencyMs === undefined ? null : Math.round(latencyMs * 1000) / 1000,
    ...(breaker !== undefined && { breaker }),
    last_check: lastCheck,
    error: error ?? null,
    ...(lastError !== undefined && { last_error: lastError }),
  }
}
