// The front door of the limiter floor: the one place here that knows stores by name, the default one and the net under the others.
// Next: limiter.ts.

import { ConfigError } from '../core/errors.ts'
import { withSafetyNet } from '../stores/failover/multi-store.ts'
import { type MemoryStore, memoryStore } from '../stores/memory/memory-store.ts'
import type { Store } from '../stores/store.ts'
import { type Limiter, buildLimiter } from './limiter.ts'
import { type LimiterOptions, checkOptions } from './options.ts'

/**
 * Builds a limiter. Without a `store` it gets a memory store of its own and answers synchronously.
 * @throws ConfigError for anything wrong with the options, naming the option
 */
export function createLimiter<Subject = unknown>(
  options: LimiterOptions<MemoryStore, Subject> & { readonly store?: undefined },
): Limiter<MemoryStore, Subject>
export function createLimiter<S extends Store, Subject = unknown>(
  options: LimiterOptions<S, Subject> & { readonly store: S },
): Limiter<S, Subject>
export function createLimiter(options: LimiterOptions): Limiter {
  checkOptions(options as LimiterOptions<Store, never>, 'createLimiter')
  return buildLimiter({ ...options, store: storeFor(options) }, 'createLimiter', withSafetyNet)
}

/** The store an options object asks for: its own, or a new memory store on its clock. */
function storeFor(options: LimiterOptions): Store {
  const { store, clock } = options
  if (store === undefined) return memoryStore(clock === undefined ? {} : { clock })
  if (clock !== undefined && 'clock' in store && store.clock !== clock) {
    throw new ConfigError('createLimiter.clock', "the store's own clock (two clocks cannot both be right)", clock)
  }
  return store
}

export { withSafetyNet }

let shared: MemoryStore | undefined

/** The memory store that everything in this process uses which names no other, so that limits of one group are one. */
export function defaultStore(): MemoryStore {
  return (shared ??= memoryStore())
}
