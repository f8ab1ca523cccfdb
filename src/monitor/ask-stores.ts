// Are the stores well? Promise: read from the stores themselves, each asked by itself and within a time; a store that is down is never told
// to be well; nothing that is told holds a secret. Next: health-json.ts (the shape), health-handler.ts (over HTTP).

import { monotonicMs, systemClock } from '../core/clock.ts'
import { systemScheduler } from '../core/scheduler.ts'
import { withSafetyNet } from '../stores/failover/multi-store.ts'
import type { Store } from '../stores/store.ts'
import { checkStores, checkWhole } from './exporter.ts'
import { checkNames } from '../core/check-names.ts'
import { type BreakerStateName, isMadeOfStores } from './stores-seen.ts'

/** How one store is. */
export interface StoreHealth {
  readonly name: string
  /** What kind it is: `redis`, `postgres`, …; its name where nobody says. */
  readonly kind: string
  /** Where it is, without what is secret; undefined where nobody says. */
  readonly place: string | undefined
  readonly healthy: boolean
  /** Well, but slower than decisions wait for. */
  readonly slow: boolean
  /** Of one answer, on a connection that is there. */
  readonly latencyMs: number | undefined
  /** Why it is not well. */
  readonly error: string | undefined
  /** How its breaker stands; undefined for one that is asked by no limiter of this process. */
  readonly breaker: BreakerStateName | undefined
  /** The latest failure that this process met, also where the store is well again. */
  readonly lastError: string | undefined
  /** ISO 8601. */
  readonly lastCheck: string
}

/** How all of them are: well, well enough to decide, or not. */
export interface Health {
  readonly status: 'healthy' | 'degraded' | 'down'
  readonly stores: readonly StoreHealth[]
  /** How several are chosen from; undefined where there is one. */
  readonly strategy: string | undefined
}

/** A store to be asked. */
export interface HealthTarget {
  readonly name: string
  readonly store: Store
  readonly kind?: string
  readonly place?: string
  /** Within how many ms decisions are made (default: the store's own). */
  readonly deadlineMs?: number
  readonly breaker?: BreakerStateName | undefined
  readonly lastError?: string | undefined
}

/** Options of {@link healthOf}. */
export interface HealthOptions {
  /** Within how many ms a store must answer (default 2000). */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 2000
const LONGEST_MESSAGE = 300

/**
 * Asks a store, or each of those a `multiStore` is made of.
 * @throws ConfigError for what is no store, or an option that is unknown or wrong; a store that is down is an answer
 */
export async function healthOf(store: Store, options: HealthOptions = {}): Promise<Health> {
  checkNames(options, ['timeoutMs'], 'healthOf')
  checkStores([store], 'healthOf(store)')
  const timeoutMs = checkWhole(options.timeoutMs ?? TIMEOUT_MS, 'healthOf.timeoutMs', 1, 600_000)
  const strategy = isMadeOfStores(store) ? (store as { readonly strategy?: string }).strategy : undefined
  return askStores(targetsOf(store), timeoutMs, strategy)
}

/** The stores behind a store, with what this process knows of them. */
function targetsOf(store: Store): readonly HealthTarget[] {
  // Of a store alone, its safety net knows how it did.
  const known = store.sync || isMadeOfStores(store) ? store : withSafetyNet(store)
  if (!isMadeOfStores(known)) return [{ name: store.name, store, breaker: 'closed' }]
  return known.stores.map(({ name, state, lastError }, at) => {
    const member = known.members[at]?.store as Store
    return { name, store: member, breaker: state, lastError }
  })
}

/** Asks all of them at once. For callers that know more about stores than the stores. */
export async function askStores(targets: readonly HealthTarget[], timeoutMs: number, strategy?: string): Promise<Health> {
  const stores = await Promise.all(targets.map((target) => ask(target, timeoutMs)))
  const well = stores.filter(({ healthy }) => healthy)
  const isGood = well.length === stores.length && stores.every(({ slow, breaker }) => !slow && (breaker ?? 'closed') === 'closed')
  return { status: well.length === 0 ? 'down' : isGood ? 'healthy' : 'degraded', stores, strategy }
}

async function ask(
  { name, kind, place, deadlineMs, store, breaker, lastError }: HealthTarget,
  timeoutMs: number,
): Promise<StoreHealth> {
  const same = {
    name,
    kind: kind ?? store.name,
    place,
    breaker,
    lastError: lastError === undefined ? undefined : withoutSecrets(lastError),
    lastCheck: new Date(systemClock.now()).toISOString(),
  }
  const ownMs = deadlineMs ?? (store as { readonly deadlineMs?: number }).deadlineMs ?? Infinity
  try {
    const latencyMs = await within(timeoutMs, async () => {
      await store.ping()
      // The first has also connected.
      const askedAt = monotonicMs()
      await store.ping()
      return monotonicMs() - askedAt
    })
    const slow = latencyMs > ownMs
    const error = slow ? `answers in ${latencyMs.toFixed(0)} ms, and decisions wait for ${ownMs}` : undefined
    return { ...same, healthy: true, slow, latencyMs, error }
  } catch (error) {
    const message = error instanceof Error ? withoutSecrets(error.message) : 'failed'
    return { ...same, healthy: false, slow: false, latencyMs: undefined, error: message }
  }
}

/** A message without the user and the password of an address in it; stores of our own have none there. */
function withoutSecrets(message: string): string {
  return message.replace(/:\/\/\S*@/g, '://…@').slice(0, LONGEST_MESSAGE)
}

async function within<T>(ms: number, question: () => Promise<T>): Promise<T> {
  let cancel = (): void => {}
  const late = new Promise<never>((_, reject) => {
    cancel = systemScheduler.after(ms, () => reject(new Error(`no answer within ${ms} ms`)))
  })
  try {
    return await Promise.race([question(), late])
  } finally {
    cancel()
  }
}
