// Are the stores well? Promise: read from the stores themselves, each asked by its own and within a time; a store that is down is never told
// to be well; the answer has the same shape for every kind. Next: health-command.ts.

import { monotonicMs, systemClock } from '../core/clock.ts'
import { systemScheduler } from '../core/scheduler.ts'
import type { OpenStore } from '../config/open-stores.ts'
import type { Settings } from '../config/settings.ts'

/** How one store is. */
export interface StoreHealth {
  readonly name: string
  readonly kind: OpenStore['kind']
  readonly place: string
  readonly healthy: boolean
  /** Well, but slower than decisions wait for. */
  readonly slow: boolean
  /** Of one answer, on a connection that is there. */
  readonly latencyMs: number | undefined
  /** Why it is not well. */
  readonly error: string | undefined
  /** ISO 8601. */
  readonly lastCheck: string
}

/** How all of them are: well, well enough to decide, or not. */
export interface Health {
  readonly status: 'healthy' | 'degraded' | 'down'
  readonly stores: readonly StoreHealth[]
}

/** What the command ends with. */
export const EXIT_CODES = { healthy: 0, degraded: 1, down: 2 } as const

/** Asks all stores at once. */
export async function healthOf(stores: readonly OpenStore[], timeoutMs: number): Promise<Health> {
  const found = await Promise.all(stores.map((store) => look(store, timeoutMs)))
  const well = found.filter(({ healthy }) => healthy)
  const isGood = well.length === found.length && !found.some(({ slow }) => slow)
  return { status: well.length === 0 ? 'down' : isGood ? 'healthy' : 'degraded', stores: found }
}

async function look({ name, kind, place, deadlineMs, store }: OpenStore, timeoutMs: number): Promise<StoreHealth> {
  const lastCheck = new Date(systemClock.now()).toISOString()
  const same = { name, kind, place, lastCheck }
  try {
    const latencyMs = await within(timeoutMs, async () => {
      await store.ping()
      // The first has also connected.
      const askedAt = monotonicMs()
      await store.ping()
      return monotonicMs() - askedAt
    })
    const slow = latencyMs > deadlineMs
    const error = slow ? `answers in ${latencyMs.toFixed(0)} ms, and decisions wait for ${deadlineMs}` : undefined
    return { ...same, healthy: true, slow, latencyMs, error }
  } catch (error) {
    const message = error instanceof Error ? error.message : 'failed'
    return { ...same, healthy: false, slow: false, latencyMs: undefined, error: message }
  }
}

async function within<T>(ms: number, ask: () => Promise<T>): Promise<T> {
  let cancel = (): void => {}
  const late = new Promise<never>((_, reject) => {
    cancel = systemScheduler.after(ms, () => reject(new Error(`no answer within ${ms} ms`)))
  })
  // The clock must go on while nothing else does.
  const held = setInterval(() => {}, ms)
  try {
    return await Promise.race([ask(), late])
  } finally {
    cancel()
    clearInterval(held)
  }
}

/** For programs to read: the shape of the original, with latency and the last error. */
export function healthJson({ status, stores }: Health, settings: Settings): object {
  const healthy = status !== 'down'
  const [only] = stores
  if (settings.store !== 'multi' && only !== undefined) {
    return {
      type: 'single-backend',
      backend: only.name,
      backend_class: only.kind,
      location: only.place,
      healthy,
      status,
      enabled: settings.enabled,
      latency_ms: rounded(only.latencyMs),
      last_check: only.lastCheck,
      error: only.error ?? null,
    }
  }
  const backends = Object.fromEntries(
    stores.map((store) => [
      store.name,
      {
        healthy: store.healthy,
        backend_class: store.kind,
        location: store.place,
        latency_ms: rounded(store.latencyMs),
        last_check: store.lastCheck,
        error: store.error ?? null,
      },
    ]),
  )
  return {
    type: 'multi-backend',
    healthy,
    status,
    enabled: settings.enabled,
    stats: {
      total_backends: stores.length,
      healthy_backends: stores.filter((store) => store.healthy).length,
      fallback_strategy: settings.strategy ?? 'first_healthy',
      backends: Object.fromEntries(stores.map(({ name, healthy: well }) => [name, well])),
    },
    backends,
  }
}

/** For people to read. */
export function healthText({ status, stores }: Health, settings: Settings, verbose: boolean): string[] {
  const lines = stores.map(({ name, kind, place, healthy, latencyMs, error }) => {
    const latency = latencyMs === undefined ? '' : ` (${latencyMs.toFixed(2)} ms)`
    const more = verbose ? `, ${kind} at ${place}` : ''
    return `${name}: ${healthy ? '✓ healthy' : '✗ unhealthy'}${latency}${more}${error === undefined ? '' : `: ${error}`}`
  })
  const well = stores.filter(({ healthy }) => healthy).length
  return [
    ...lines,
    ...(settings.store === 'multi' ? [`${status}: ${well} of ${stores.length} stores are well`] : []),
    ...(verbose && settings.store === 'multi' ? [`strategy: ${settings.strategy ?? 'first_healthy'}`] : []),
    ...(settings.enabled ? [] : ['limits are switched off (enabled is false)']),
  ]
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 1000) / 1000
}
