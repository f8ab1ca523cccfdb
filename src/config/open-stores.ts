// Settings → stores. Promise: a store's code and its driver are loaded only where it is asked for; each of several stores is where its own
// entry says; nothing connects before the first question. Next: from-settings.ts.

import { type MultiStoreOptions, multiStore } from '../stores/failover/multi-store.ts'
import type { TableStore } from '../stores/maintenance.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import type { Store } from '../stores/store.ts'
import { asSettings } from './check-settings.ts'
import { DATABASE_SETTINGS, pick, revealed, sourceOf } from './check-values.ts'
import { databasePlace } from './database-url.ts'
import { ofSection } from './origins.ts'
import type { DatabaseSettings, MemorySettings, RedisSettings, Settings, SettingsInput, SharedStoreSettings } from './settings.ts'
import { FAILOVER, MEMORY, REDIS_ADDRESS, SHARED } from './vocabulary.ts'

/** One store that settings ask for. */
export type OpenStore = {
  readonly name: string
  /** Where it is, without what is secret. */
  readonly place: string
  /** Within how many ms it decides, as settings say. */
  readonly deadlineMs: number
} & (
  | { readonly kind: 'memory' | 'redis'; readonly store: Store }
  | { readonly kind: 'sqlite' | 'postgres' | 'mysql'; readonly store: TableStore; readonly table: string }
)

/** How one store is made. */
type Options = SharedStoreSettings & { readonly name?: string }

/** One store, as settings describe it. */
interface Wanted {
  readonly name: string
  /** Where the settings have it. */
  readonly section: string
  readonly store: 'memory' | 'redis' | 'database'
  readonly config: RedisSettings | DatabaseSettings | MemorySettings
}

/**
 * Makes the store that settings ask for. It connects when it is first asked; close it when it is no longer needed.
 * @param settings as `loadSettings` gives them, or as they are written, which are checked then
 * @throws ConfigError (as a rejection) for settings that cannot be
 */
export async function storeFromSettings(settings: Settings | SettingsInput): Promise<Store> {
  const checked = asSettings(settings)
  const [first, ...others] = await openStores(checked)
  if (first === undefined) return memoryStore()
  const watched = pick(checked, FAILOVER)
  if (checked.store !== 'multi' && (Object.keys(watched).length === 0 || first.store.sync)) return first.store
  const options: MultiStoreOptions = {
    ...watched,
    ...pick(checked, { strategy: true, deadlineMs: true }),
    ...(checked.store !== 'multi' && { name: first.name }),
  }
  return multiStore(
    [first, ...others].map(({ name, store }) => ({ name, store })),
    options,
  )
}

/**
 * Makes each store that settings ask for, by itself.
 * @param over what is to be otherwise than in the settings
 */
export async function openStores(settings: Settings, over: SharedStoreSettings = {}): Promise<readonly OpenStore[]> {
  const opened: OpenStore[] = []
  try {
    for (const wanted of wantedBy(settings)) opened.push(await openNamed(wanted, pick(settings, SHARED), over))
  } catch (error) {
    await closeStores(opened)
    throw error
  }
  return opened
}

/** Closes them all; none keeps the others from it. */
export async function closeStores(stores: readonly OpenStore[]): Promise<void> {
  await Promise.allSettled(stores.map(async ({ store }) => store.close()))
}

function wantedBy(settings: Settings): readonly Wanted[] {
  const { store, redis = {}, database = {}, stores = [] } = settings
  const configs = { redis, database, memory: pick(settings, MEMORY) as MemorySettings }
  if (store !== 'multi') return [{ name: '', section: store, store, config: configs[store] }]
  return stores.map(({ name, store: kind, config }, i) => {
    const section = config === undefined ? kind : `stores[${i}].config`
    return { name, section, store: kind, config: config ?? configs[kind] }
  })
}

/** @throws ConfigError naming the setting, for what is only seen when a store is made */
async function openNamed(wanted: Wanted, shared: SharedStoreSettings, over: SharedStoreSettings): Promise<OpenStore> {
  try {
    return await open(wanted, shared, over)
  } catch (error) {
    throw ofSection(error, wanted.section)
  }
}

async function open({ name, store, config }: Wanted, shared: SharedStoreSettings, over: SharedStoreSettings): Promise<OpenStore> {
  const said: SharedStoreSettings = { ...shared, ...pick(config, SHARED) }
  const options: Options = { ...said, ...over, ...(name !== '' && { name }) }
  const { deadlineMs = DEADLINE_MS } = said
  switch (store) {
    case 'memory': {
      const made = memoryStore(pick(config, MEMORY))
      return { name: name || 'memory', kind: 'memory', place: 'this process', deadlineMs, store: made }
    }
    case 'redis': {
      const { redisStore } = await import('../stores/redis/index.ts')
      const made = redisStore(revealed(pick(config, REDIS_ADDRESS)) as object, options)
      return { name: name || 'redis', kind: 'redis', place: redisPlace(config as RedisSettings), deadlineMs, store: made }
    }
    case 'database':
      return { deadlineMs, ...(await openDatabase(name, config as DatabaseSettings, options)) }
  }
}

/** The stores' own default. */
const DEADLINE_MS = 100

type OpenTable = Omit<Extract<OpenStore, { readonly table: string }>, 'deadlineMs'>

async function openDatabase(name: string, database: DatabaseSettings, shared: Options): Promise<OpenTable> {
  const where = databasePlace(revealed(database.url) as string | undefined, 'database.url')
  const { table = 'smart_ratelimit' } = database
  const options = { ...shared, table, ...pick(database, DATABASE_SETTINGS[where.kind].options) }
  switch (where.kind) {
    case 'sqlite': {
      const { DEFAULT_FILE } = await import('../stores/sqlite/source.ts')
      const { sqliteStore } = await import('../stores/sqlite/index.ts')
      const file = where.file ?? DEFAULT_FILE
      const store = sqliteStore(file, options)
      return { name: name || 'sqlite', kind: 'sqlite', place: file, table, store }
    }
    case 'postgres': {
      const { postgresStore } = await import('../stores/postgres/index.ts')
      const store = postgresStore(sourceOf(database, where), options)
      return { name: name || 'postgres', kind: 'postgres', place: String(database.url), table, store }
    }
    case 'mysql': {
      const { mysqlStore } = await import('../stores/mysql/index.ts')
      const store = mysqlStore(sourceOf(database, where), options)
      return { name: name || 'mysql', kind: 'mysql', place: String(database.url), table, store }
    }
  }
}

function redisPlace({ url, host = 'localhost', port = 6379, db = 0, cluster, sentinel }: RedisSettings): string {
  if (cluster !== undefined) return `cluster of ${cluster.join(', ')}`
  if (sentinel !== undefined) return `${sentinel.name} of ${sentinel.nodes.join(', ')}`
  return url === undefined ? `${host}:${port}/${db}` : String(url)
}
