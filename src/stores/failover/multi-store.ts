// Several stores as one, and one store with a safety net. Promise: a store that is down is noticed, replaced and taken back without a
// restart, and no limit is forgotten on the way. Next: failover-store.ts.

import type { Clock } from '../../core/clock.ts'
import { ConfigError } from '../../core/errors.ts'
import { type MemoryStore, memoryStore } from '../memory/memory-store.ts'
import type { AsyncStore } from '../store.ts'
import { FailoverStore } from './failover-store.ts'
import { type FailoverOptions, type NamedStore, type Strategy, checkMembers, failoverSettings } from './options.ts'

/** Options of {@link multiStore}. */
export interface MultiStoreOptions extends FailoverOptions {
  /**
   * `first_healthy` (default): the first of the list that is well decides; the others stand by.
   * `round_robin`: each key has one of the stores for its own; the next in the list stands by for it.
   */
  readonly strategy?: Strategy
  /** Shown in errors, health and metrics (default `multi`). */
  readonly name?: string
}

const STRATEGIES: readonly Strategy[] = ['first_healthy', 'round_robin']

/**
 * A store made of several: `multiStore([{ name: 'redis', store: redisStore(client) }, { name: 'db', store: postgresStore(pool) }])`.
 * Closing it closes them. When none of them answers, limiters decide as their `onStoreError` says.
 * @throws ConfigError for a list, a name or an option that cannot be
 */
export function multiStore(members: readonly NamedStore[], options: MultiStoreOptions = {}): FailoverStore {
  const settings = failoverSettings(options, 'multiStore', ['strategy', 'name'])
  const { strategy = 'first_healthy', name = 'multi' } = options
  if (!STRATEGIES.includes(strategy)) throw new ConfigError('multiStore.strategy', `one of ${STRATEGIES.join(', ')}`, strategy)
  if (typeof name !== 'string' || !/^[\x20-\x7e]{1,64}$/.test(name))
    throw new ConfigError('multiStore.name', '1 to 64 printable ASCII characters', name)
  checkMembers(members, 'multiStore(stores)')
  const again = members.findIndex(({ store }, i) => members.some((other, at) => at < i && other.store === store))
  if (again >= 0) throw new ConfigError(`multiStore(stores)[${again}].store`, 'a store of its own', members[again]?.name)
  return new FailoverStore({ name, members, strategy, settings, makeLocal, closes: true })
}

/** As many keys as debts are kept for. */
const LOCAL_KEYS = 100_000
const makeLocal = (clock: Clock): MemoryStore => memoryStore({ clock, memoryMaxKeys: LOCAL_KEYS })

const nets = new WeakMap<AsyncStore, FailoverStore>()

/** A store with the safety net that every limiter on a shared store has: the same one for the same store. */
export function withSafetyNet(store: AsyncStore): FailoverStore {
  if (store instanceof FailoverStore) return store
  const known = nets.get(store)
  if (known !== undefined) return known
  const own = (store as { readonly deadlineMs?: number }).deadlineMs
  const settings = failoverSettings(own === undefined ? {} : { deadlineMs: own }, 'store')
  const name = /^[A-Za-z0-9_.-]{1,64}$/.test(store.name) ? store.name : 'store'
  const net = new FailoverStore({
    name: store.name,
    members: [{ name, store }],
    strategy: 'first_healthy',
    settings,
    makeLocal,
    closes: false,
  })
  nets.set(store, net)
  return net
}
