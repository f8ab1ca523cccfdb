// The stores that decide, and how they are as far as this process knows without asking them. Promise: no store is kept alive by being
// watched; at most so many are remembered. Next: ask-stores.ts, which asks them.

import type { ObservedStore } from '../core/observer.ts'

/** How the breaker of a store stands; the order is that of the numbers in metrics. */
export const BREAKER_STATES = ['closed', 'open', 'half_open', 'returning'] as const

/** One of {@link BREAKER_STATES}. */
export type BreakerStateName = (typeof BREAKER_STATES)[number]

/** How a store is. */
export interface StoreFigures {
  readonly name: string
  readonly state: BreakerStateName
  /** Whether it is asked. */
  readonly healthy: boolean
  /** Counters it holds, where it knows. */
  readonly activeKeys: number | undefined
  /** The latest failure's message, which holds no secret. */
  readonly lastError: string | undefined
}

/** What a store made of stores tells of them. */
interface MadeOfStores {
  readonly stores: readonly { readonly name: string; readonly state: BreakerStateName; readonly lastError: string | undefined }[]
  readonly members: readonly { readonly name: string; readonly store: ObservedStore }[]
}

const MOST_STORES = 256

/** Remembers stores. */
export class StoresSeen {
  readonly #known = new WeakSet<ObservedStore>()
  #list: WeakRef<ObservedStore>[] = []

  note(store: ObservedStore): void {
    if (this.#known.has(store)) return
    if (this.#list.length >= MOST_STORES) this.#list = this.#list.filter((one) => one.deref() !== undefined)
    if (this.#list.length >= MOST_STORES) return
    this.#known.add(store)
    this.#list.push(new WeakRef(store))
  }

  /** Those that are still there. */
  all(): readonly ObservedStore[] {
    return this.#list.flatMap((one) => one.deref() ?? [])
  }

  /** How they are, one entry per name: of several the worst, with all their keys. */
  figures(): readonly StoreFigures[] {
    const byName = new Map<string, StoreFigures>()
    for (const one of this.all().flatMap(figuresOf)) {
      const before = byName.get(one.name)
      byName.set(one.name, before === undefined ? one : merged(before, one))
    }
    return [...byName.values()]
  }
}

/** Whether a store is one made of stores. */
export function isMadeOfStores(store: object): store is MadeOfStores {
  const { stores, members } = store as Partial<MadeOfStores>
  return Array.isArray(stores) && Array.isArray(members)
}

function figuresOf(store: ObservedStore): readonly StoreFigures[] {
  if (isMadeOfStores(store)) {
    return store.stores.map(({ name, state, lastError }, at) => {
      const healthy = state === 'closed' || state === 'returning'
      return { name, state, healthy, lastError, activeKeys: sizeOf(store.members[at]?.store) }
    })
  }
  // Of a store that answers later, only its safety net knows how it is.
  if (!store.sync) return []
  return [{ name: store.name, state: 'closed', healthy: true, activeKeys: sizeOf(store), lastError: undefined }]
}

function sizeOf(store: object | undefined): number | undefined {
  const size = (store as { readonly size?: unknown } | undefined)?.size
  return typeof size === 'number' ? size : undefined
}

function merged(a: StoreFigures, b: StoreFigures): StoreFigures {
  const worse = a.healthy ? b : a
  const keys = a.activeKeys === undefined && b.activeKeys === undefined ? undefined : (a.activeKeys ?? 0) + (b.activeKeys ?? 0)
  return { ...worse, activeKeys: keys, lastError: worse.lastError ?? a.lastError ?? b.lastError }
}
