// What the values of settings say, alone and together. Promise: what a store, a limiter or a rate would refuse is refused here, by the
// same checks, before anything is opened. Next: open-stores.ts.

import { ConfigError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import { type GateOptions, buildGate } from '../http/gate.ts'
import { buildPathGates } from '../http/path-gates.ts'
import { checkMembers, failoverSettings } from '../stores/failover/options.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import { connectionSettings as mysqlConnection } from '../stores/mysql/connection-options.ts'
import { connectionSettings as postgresConnection } from '../stores/postgres/connection-options.ts'
import { checkAddress } from '../stores/redis/address.ts'
import { remoteSettings } from '../stores/remote-options.ts'
import type { Store } from '../stores/store.ts'
import { type DatabasePlace, databasePlace } from './database-url.ts'
import { isText } from './field.ts'
import { TOP } from './origins.ts'
import type { DatabaseSettings, MiddlewareSettings, RedisSettings, Settings, StoreEntry, StoreKind } from './settings.ts'
import { FAILOVER, REDIS_ADDRESS, SHARED } from './vocabulary.ts'

/** Parts of settings, by these names. */
export function pick(section: object, fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(section).filter(([name]) => Object.hasOwn(fields, name)))
}

/** What is hidden, as it is. */
export function revealed(section: unknown): unknown {
  if (section instanceof Secret) return section.reveal() as unknown
  if (Array.isArray(section)) return section.map(revealed)
  if (typeof section !== 'object' || section === null) return section
  return Object.fromEntries(Object.entries(section).map(([name, own]) => [name, revealed(own)]))
}

/** The store that settings ask for: by name, or by what is configured. */
export function storeOf(found: Readonly<Record<string, unknown>>): StoreKind {
  const named = found['store'] as StoreKind | undefined
  if (named === 'multi' && found['stores'] === undefined)
    throw new ConfigError('stores', 'a list of { name, store, config }, as the store is "multi"', undefined)
  if (named !== undefined) return named
  if (found['stores'] !== undefined) return 'multi'
  const configured = (['redis', 'database'] as const).filter((kind) => found[kind] !== undefined)
  if (configured.length > 1) throw new ConfigError('store', '"redis" or "database", as both are configured', undefined)
  return configured[0] ?? 'memory'
}

/** @throws ConfigError naming the setting */
export function checkValues(settings: Settings): void {
  const { redis, database, stores, middleware, policies } = settings
  remoteSettings(pick(settings, SHARED), TOP, [], 'store')
  failoverSettings({ ...pick(settings, FAILOVER), ...pick(settings, { deadlineMs: true }) }, TOP)
  if (redis !== undefined) checkRedis(redis, 'redis')
  if (database !== undefined) checkDatabase(database, 'database')
  if (stores !== undefined) checkEntries(stores)
  checkMiddleware(middleware)
  for (const [name, policy] of Object.entries(policies)) checkLimiter(policy, `policies[${JSON.stringify(name)}]`)
}

function checkEntries(stores: readonly StoreEntry[]): void {
  for (const [i, { name, store, config }] of stores.entries()) {
    isText(name, `stores[${i}].name`)
    if (config === undefined) continue
    if (store === 'redis') checkRedis(config, `stores[${i}].config`)
    else if (store === 'database') checkDatabase(config, `stores[${i}].config`)
  }
  // The names alone are looked at: nothing is opened yet.
  checkMembers(
    stores.map(({ name }) => ({ name, store: UNOPENED })),
    'stores',
  )
}

const UNOPENED = { take: () => undefined } as unknown as Store

function checkRedis(redis: RedisSettings, option: string): void {
  checkAddress(revealed(pick(redis, REDIS_ADDRESS)) as object, option)
  remoteSettings(pick(redis, SHARED), option, [], 'redis')
}

function checkDatabase(database: DatabaseSettings, option: string): void {
  remoteSettings(pick(database, SHARED), option, [], 'database')
  const place = databasePlace(revealed(database.url) as string | undefined, `${option}.url`)
  if (place.kind === 'postgres') postgresConnection(sourceOf(database, place), option)
  else if (place.kind === 'mysql') mysqlConnection(sourceOf(database, place), option)
}

const SERVER = { user: true, password: true, ssl: true, maxConnections: true }

/** The settings of each kind of database: where it is, and options of its store alone. The others are for all of them. */
export const DATABASE_SETTINGS = {
  sqlite: { source: {}, options: { sweepIntervalMs: true } },
  postgres: {
    source: { ...SERVER, client: true },
    options: { concurrency: true, synchronousCommit: true, unlogged: true, prepare: true },
  },
  mysql: { source: SERVER, options: { concurrency: true } },
} as const

/** What a store is told of where its server is. */
export function sourceOf(
  database: DatabaseSettings,
  { kind, url }: Extract<DatabasePlace, { url: string }>,
): { readonly url: string } {
  return { ...(revealed(pick(database, DATABASE_SETTINGS[kind].source)) as object), url }
}

function checkMiddleware(middleware: MiddlewareSettings): void {
  buildPathGates(middleware as MiddlewareSettings & { rate?: never }, 'middleware', (own, option) =>
    checkLimiter(own as GateOptions, option),
  )
}

/** Builds a limiter and throws it away. */
function checkLimiter(options: object, option: string): void {
  const store = memoryStore()
  buildGate({ ...(options as GateOptions), store }, option, () => {})
  store.close()
}
