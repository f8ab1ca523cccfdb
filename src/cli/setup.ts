// Makes tables. Promise: of several databases each is set up, also when another one fails; then that failure is told. Next: cleanup.ts.

import { RateLimitError } from '../core/errors.ts'
import type { OpenStore } from '../config/open-stores.ts'

/** A store with a table. */
export type OpenTable = Extract<OpenStore, { readonly table: string }>

/** What came of one store. */
export interface SetUpStore {
  readonly store: OpenStore
  readonly failure: RateLimitError | undefined
}

/** What is said of a store that has no table. */
export function withoutTable({ name, kind }: OpenStore): string {
  const why = kind === 'redis' ? 'Redis forgets expired counters by itself' : 'counters are in the memory of the app'
  return `${name}: no database, ${why}; nothing to do`
}

export function hasTable(store: OpenStore): store is OpenTable {
  return 'table' in store
}

/** Sets up each store that has a table. */
export async function setUp(stores: readonly OpenStore[]): Promise<readonly SetUpStore[]> {
  const done: SetUpStore[] = []
  for (const store of stores) {
    let failure: RateLimitError | undefined
    try {
      if (hasTable(store)) await store.store.setup()
    } catch (error) {
      if (!(error instanceof RateLimitError)) throw error
      failure = error
    }
    done.push({ store, failure })
  }
  return done
}

/** For people to read. A failure of the only store is for its caller to tell. */
export function setupText(done: readonly SetUpStore[]): string[] {
  return done.flatMap(({ store, failure }) => {
    if (!hasTable(store)) return [withoutTable(store)]
    if (failure === undefined) return [`${store.name}: table ${store.table} is ready (${store.kind}, ${store.place})`]
    return done.length > 1 ? [`${store.name}: failed`] : []
  })
}

/** For programs to read. */
export function setupJson(done: readonly SetUpStore[]): object {
  return {
    stores: done.map(({ store, failure }) => ({
      name: store.name,
      kind: store.kind,
      location: store.place,
      table: hasTable(store) ? store.table : null,
      ready: failure === undefined,
      error: failure?.message ?? null,
      note: hasTable(store) ? null : withoutTable(store),
    })),
  }
}

/** What {@link setUp} would run, with the other lines as comments. */
export function setupSql(stores: readonly OpenStore[]): string[] {
  return stores.map((store) =>
    hasTable(store)
      ? `-- ${store.name} (${store.kind}, ${store.place})\n${store.store.setupSql().trimEnd()}`
      : `-- ${withoutTable(store)}`,
  )
}
