// Makes tables. Promise: of several databases each is set up, also when another one fails; then that failure is told. Next: cleanup.ts.

import type { OpenStore } from '../config/open-stores.ts'

/** A store with a table. */
export type OpenTable = Extract<OpenStore, { readonly table: string }>

/** What is said of a store that has no table. */
export function withoutTable({ name, kind }: OpenStore): string {
  const why = kind === 'redis' ? 'Redis forgets expired counters by itself' : 'counters are in the memory of the app'
  return `${name}: no database, ${why}; nothing to do`
}

export function hasTable(store: OpenStore): store is OpenTable {
  return 'table' in store
}

/**
 * Sets up each store that has a table.
 * @throws the first failure, when all have been tried
 */
export async function setUp(stores: readonly OpenStore[], print: (line: string) => void): Promise<void> {
  const failures: unknown[] = []
  for (const store of stores) {
    if (!hasTable(store)) {
      print(withoutTable(store))
      continue
    }
    try {
      await store.store.setup()
      print(`${store.name}: table ${store.table} is ready (${store.kind}, ${store.place})`)
    } catch (error) {
      failures.push(error)
      if (stores.length > 1) print(`${store.name}: failed`)
    }
  }
  if (failures.length > 0) throw failures[0]
}

/** What {@link setUp} would run, with the other lines as comments. */
export function setupSql(stores: readonly OpenStore[]): string[] {
  return stores.map((store) =>
    hasTable(store)
      ? `-- ${store.name} (${store.kind}, ${store.place})\n${store.store.setupSql().trimEnd()}`
      : `-- ${withoutTable(store)}`,
  )
}
