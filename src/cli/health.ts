// The health of the stores that settings ask for, for the command line. Next: ../monitor/ask-stores.ts, which asks them.

import type { OpenStore } from '../config/open-stores.ts'
import type { Settings } from '../config/settings.ts'
import { type Health, askStores } from '../monitor/ask-stores.ts'
import { healthJson as toJson } from '../monitor/health-json.ts'

/** What the command ends with. */
export const EXIT_CODES = { healthy: 0, degraded: 1, down: 2 } as const

/** Asks all stores at once. */
export async function healthOf(stores: readonly OpenStore[], timeoutMs: number): Promise<Health> {
  // The clock must go on while nothing else does.
  const held = setInterval(() => {}, timeoutMs)
  try {
    return await askStores(stores, timeoutMs)
  } finally {
    clearInterval(held)
  }
}

/** For programs to read. */
export function healthJson(health: Health, { store, strategy, enabled }: Settings): object {
  return toJson({ ...health, strategy }, { multi: store === 'multi', add: { enabled } })
}

/** For people to read. */
export function healthText({ status, stores }: Health, settings: Settings, verbose: boolean): string[] {
  const lines = stores.map(({ name, kind, place, healthy, latencyMs, error }) => {
    const latency = latencyMs === undefined ? '' : ` (${latencyMs.toFixed(2)} ms)`
    const more = verbose ? `, ${kind} at ${place ?? 'an unknown place'}` : ''
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
