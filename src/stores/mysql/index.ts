// Counters in a table of MySQL or MariaDB. Promise: the same decisions as every other store, from any number of processes; two trips to
// the server for all decisions of an event-loop turn. Next: driver.ts, how the server is asked; set-up.ts and clean-up.ts for the table.

import { ConfigError } from '../../core/errors.ts'
import { type CounterPage, PAGE_SIZE } from '../listing.ts'
import { type CleanupOptions, type CleanupReport, type TableStore, cleanupSettings } from '../maintenance.ts'
import { type RemoteOptions, type RemoteSettings, remoteSettings } from '../remote-options.ts'
import { RemoteStore } from '../remote.ts'
import type { UpdatableStore } from '../update.ts'
import { cleanUp } from './clean-up.ts'
import { type MysqlPool, connectionsOf } from './clients.ts'
import { type MysqlConnection, connectionSettings, isConnection } from './connection-options.ts'
import { counters } from './counters.ts'
import { MysqlDriver } from './driver.ts'
import { ownPool } from './own-pool.ts'
import { Server } from './server.ts'
import { setUp, setupSql } from './set-up.ts'
import { Statements } from './statements.ts'

export type { MysqlCallbackPool, MysqlPool, MysqlPromisePool, MysqlQuery } from './clients.ts'
export type { MysqlConnection } from './connection-options.ts'
export type { CounterPage, ListingStore, StoredCounter } from '../listing.ts'
export type { CleanupOptions, CleanupReport, TableStore } from '../maintenance.ts'
export type { CounterRecord } from '../record.ts'
export type { RemoteOptions } from '../remote-options.ts'
export type { Change, Entry, UpdatableStore, Updated } from '../update.ts'

/** Options of {@link mysqlStore}. */
export interface MysqlStoreOptions extends RemoteOptions {
  /** The table's name, also `schema.table` (default `smart_ratelimit`): letters, digits and `_`. */
  readonly table?: string
  /** Most trips on their way at once, each on a connection of its own (default: `maxConnections`, and 4 of a pool handed in). */
  readonly concurrency?: number
}

const OWN = ['table', 'concurrency'] satisfies readonly (keyof MysqlStoreOptions)[]
const NAME = /^[A-Za-z_]\w{0,63}$/
const CONCURRENCY = 4

/**
 * Makes a store on MySQL (8.0 or later) or MariaDB (10.5 or later). It connects when it is first asked.
 * @param source a pool of `mysql2` or `mysql2/promise`, or where the server is; `close()` ends only what the store made itself
 * @throws ConfigError naming what is wrong
 */
export function mysqlStore(source: MysqlPool | MysqlConnection, options: MysqlStoreOptions = {}): TableStore & UpdatableStore {
  const settings = remoteSettings(options, 'mysqlStore.options', OWN, 'mysql')
  if (typeof source !== 'object' || source === null)
    throw new ConfigError(
      'mysqlStore.source',
      'a pool of mysql2, or { url } or { host }',
      typeof source === 'string' ? HIDDEN : source,
    )
  const { table = 'smart_ratelimit', concurrency } = options
  const names = typeof table === 'string' ? table.split('.') : []
  if (names.length < 1 || names.length > 2 || !names.every((name) => NAME.test(name)))
    throw new ConfigError('mysqlStore.options.table', 'a table, or schema.table, of letters, digits and _', table)
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 100))
    throw new ConfigError('mysqlStore.options.concurrency', 'a whole number from 1 to 100', concurrency)
  if (!isConnection(source)) {
    const connections = connectionsOf(source, 'mysqlStore.source')
    const server = new Server(settings.name, new Statements(table), connections, settings.deadlineMs)
    return new MysqlStore(server, settings, concurrency ?? CONCURRENCY)
  }
  const connection = connectionSettings(source, 'mysqlStore.source')
  const server = new Server(settings.name, new Statements(table), ownPool(connection, settings.name), settings.deadlineMs)
  return new MysqlStore(server, settings, concurrency ?? connection.maxConnections)
}

/** A text may be a URL with a password. */
const HIDDEN = Symbol('a text')

class MysqlStore extends RemoteStore implements TableStore {
  readonly #server: Server
  readonly #remote: RemoteSettings

  constructor(server: Server, settings: RemoteSettings, concurrency: number) {
    super(new MysqlDriver(server, settings, concurrency), settings)
    this.#server = server
    this.#remote = settings
  }

  setup(): Promise<void> {
    return setUp(this.#server)
  }

  setupSql(): string {
    return setupSql(this.#server.statements.table)
  }

  async cleanup(options: CleanupOptions = {}): Promise<CleanupReport> {
    return cleanUp(this.#server, this.#remote, cleanupSettings(options))
  }

  counters(pageSize = PAGE_SIZE): AsyncIterable<CounterPage> {
    return counters(this.#server, this.#remote, pageSize)
  }
}
