// What settings are, as types: what people write, and what is made of it. Promise: each name here is in the vocabulary, with its default
// and its environment variable. Next: vocabulary.ts.

import type { Secret } from '../core/secret.ts'
import type { OnStoreError } from '../limiter/outage.ts'
import type { GateOptions } from '../http/gate.ts'
import type { PathMiddlewareOptions } from '../http/path-gates.ts'
import type { RedisAddress } from '../stores/redis/address.ts'
import type { FailoverOptions, Strategy } from '../stores/failover/options.ts'
import type { MemoryStoreOptions } from '../stores/memory/memory-store.ts'
import type { MysqlConnection } from '../stores/mysql/connection-options.ts'
import type { PostgresStoreOptions } from '../stores/postgres/index.ts'
import type { PostgresConnection } from '../stores/postgres/connection-options.ts'
import type { RemoteOptions } from '../stores/remote-options.ts'
import type { SqliteStoreOptions } from '../stores/sqlite/index.ts'

/** Where counters live, by name. `database` is SQLite, PostgreSQL or MySQL, as its URL says. */
export type StoreKind = 'memory' | 'redis' | 'database' | 'multi'

/** How hidden values are written: a text or an object, or what loaded settings have in its place. */
interface Written {
  readonly text: string | Secret
  readonly object: object | Secret<object>
}

/** How loaded settings carry hidden values. */
interface Loaded {
  readonly text: Secret
  readonly object: Secret<object>
}

/** What every store behind a connection takes. */
export type SharedStoreSettings = Pick<
  RemoteOptions,
  'deadlineMs' | 'batchSize' | 'maxWaiting' | 'rememberRefusalsMs' | 'keyPrefix'
>

/** Where a Redis is, and how it is used. A `url` wins over `host` and `port`. */
export interface RedisSettings<As extends Written = Written>
  extends Omit<RedisAddress, 'url' | 'password' | 'tls' | 'cluster' | 'sentinel'>, SharedStoreSettings {
  readonly url?: As['text']
  readonly password?: As['text']
  readonly tls?: boolean | As['object']
  readonly cluster?: readonly As['text'][]
  readonly sentinel?: {
    readonly name: string
    readonly nodes: readonly As['text'][]
    readonly username?: string
    readonly password?: As['text']
  }
}

/** Where a database is, and how it is used. Its URL chooses the kind: `sqlite:`, `postgres:`, `mysql:`, `mariadb:`. */
export interface DatabaseSettings<As extends Written = Written>
  extends
    SharedStoreSettings,
    Pick<PostgresConnection, 'client'>,
    Pick<MysqlConnection, 'user' | 'maxConnections'>,
    Pick<PostgresStoreOptions, 'table' | 'concurrency' | 'synchronousCommit' | 'unlogged' | 'prepare'>,
    Pick<SqliteStoreOptions, 'sweepIntervalMs'> {
  readonly url?: As['text']
  readonly password?: As['text']
  readonly ssl?: boolean | As['object']
}

/** How many counters this process holds. */
export type MemorySettings = Pick<MemoryStoreOptions, 'memoryMaxKeys' | 'memoryMaxBytes'>

/** One of several stores. Without a `config` it is as the settings of its kind say. */
export type StoreEntry<As extends Written = Written> = { readonly name: string } & (
  | { readonly store: 'redis'; readonly config?: RedisSettings<As> }
  | { readonly store: 'database'; readonly config?: DatabaseSettings<As> }
  | { readonly store: 'memory'; readonly config?: MemorySettings }
)

/** Options of a limiter that settings may have: all but those that only code can give. */
type LimiterSettings<Request> = Omit<GateOptions<Request>, 'store' | 'observers'>

/** A named limit: the options of `rateLimit`, without a store. */
export type PolicySettings<Request = unknown> = LimiterSettings<Request>

/** The options of `rateLimitMiddleware`, without a store. */
export type MiddlewareSettings<Request = unknown> = PathMiddlewareOptions<LimiterSettings<Request>>

/** How several stores, or one and its stand-in, are watched. */
export type FailoverSettings = Pick<
  FailoverOptions,
  'healthCheckIntervalMs' | 'healthCheckTimeoutMs' | 'circuitBreaker' | 'expectedInstances' | 'rememberedKeys' | 'copyIntervalMs'
>

interface Common<As extends Written> extends MemorySettings, SharedStoreSettings, FailoverSettings {
  readonly redis?: RedisSettings<As>
  readonly database?: DatabaseSettings<As>
  readonly stores?: readonly StoreEntry<As>[]
  readonly strategy?: Strategy
  readonly onStoreError?: OnStoreError
  readonly trustedProxies?: number | readonly string[]
  readonly secret?: As['text']
}

/** What a settings file exports. Functions in it get the request of the framework that the limits are used with. */
export interface SettingsInput extends Common<Written> {
  readonly enabled?: boolean
  readonly store?: StoreKind
  readonly middleware?: MiddlewareSettings<never>
  /** Name → rate, or options. */
  readonly policies?: Readonly<Record<string, NonNullable<PolicySettings<never>['rate']> | PolicySettings<never>>>
}

/** Settings that were checked: frozen, with what is secret hidden. */
export interface Settings extends Common<Loaded> {
  readonly enabled: boolean
  readonly store: StoreKind
  readonly memoryMaxKeys: number
  readonly middleware: MiddlewareSettings
  readonly policies: Readonly<Record<string, PolicySettings>>
}

/** Gives a settings file its types: `export default defineSettings({ store: 'redis' })`. Checks nothing; loading does. */
export function defineSettings(settings: SettingsInput): SettingsInput {
  return settings
}
