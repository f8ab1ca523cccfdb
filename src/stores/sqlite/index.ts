// Counters in a SQLite file: the database that needs no server. Promise: the same decisions as every other store, from any number of
// processes on one machine; what was counted survives restarts and kill -9. docs/stores/sqlite.md is for users. Next: driver.ts.

import { ConfigError } from '../../core/errors.ts'
import { type CounterPage, PAGE_SIZE } from '../listing.ts'
import { type CleanupOptions, type CleanupReport, type TableStore, cleanupSettings } from '../maintenance.ts'
import { type RemoteOptions, type RemoteSettings, remoteSettings } from '../remote-options.ts'
import { RemoteStore } from '../remote.ts'
import type { UpdatableStore } from '../update.ts'
import { Connection } from './connection.ts'
import { counters } from './counters.ts'
import { SqliteDriver } from './driver.ts'
import { setupSql } from './set-up.ts'
import { DEFAULT_FILE, type SqliteSource, placeOf } from './source.ts'
import { Sweeper } from './sweeper.ts'

export type { SqliteDatabase, SqliteStatement, SqliteValue } from './database.ts'
export type { SqliteSource } from './source.ts'
export type { CounterPage, ListingStore, StoredCounter } from '../listing.ts'
export type { CleanupOptions, CleanupReport, TableStore } from '../maintenance.ts'
export type { RemoteOptions } from '../remote-options.ts'
export type { CounterRecord } from '../record.ts'
export type { Change, Entry, UpdatableStore, Updated } from '../update.ts'

/** Options of {@link sqliteStore}. */
export interface SqliteStoreOptions extends RemoteOptions {
  /** The table's name, also `schema.table` (default `smart_ratelimit`): letters, digits and `_`. */
  readonly table?: string
  /** Ms between looks for expired rows, a thousand at a time (default 10 000); false leaves them to `sweep()` and `cleanup()`. */
  readonly sweepIntervalMs?: number | false
}

const OWN = ['table', 'sweepIntervalMs'] satisfies readonly (keyof SqliteStoreOptions)[]
const NAME = /^[A-Za-z_]\w{0,63}$/
const SWEEP_INTERVAL_MS = 10_000
const SETUP_PATIENCE_MS = 10_000

/**
 * Makes a store on a SQLite file, which is opened, and its table made, with the first question.
 * @param source a path (default: `smart-ratelimit.sqlite` in the working directory), or an open database that `close()` leaves open
 * @throws ConfigError naming what is wrong; also where a file is named and Node has no SQLite of its own
 */
export function sqliteStore(source: SqliteSource = DEFAULT_FILE, options: SqliteStoreOptions = {}): TableStore & UpdatableStore {
  const settings = remoteSettings(options, 'sqliteStore.options', OWN, 'sqlite')
  const { table = 'smart_ratelimit', sweepIntervalMs = SWEEP_INTERVAL_MS } = options
  const names = typeof table === 'string' ? table.split('.') : []
  if (names.length < 1 || names.length > 2 || !names.every((name) => NAME.test(name) && !/^sqlite_/i.test(name)))
    throw new ConfigError(
      'sqliteStore.options.table',
      'a table, or schema.table, of letters, digits and _, not beginning with sqlite_',
      table,
    )
  if (
    sweepIntervalMs !== false &&
    !(Number.isSafeInteger(sweepIntervalMs) && sweepIntervalMs >= 10 && sweepIntervalMs <= 86_400_000)
  )
    throw new ConfigError('sqliteStore.options.sweepIntervalMs', 'a whole number from 10 to 86400000, or false', sweepIntervalMs)
  const connection = new Connection(settings.name, placeOf(source), table, settings.deadlineMs)
  return new SqliteStore(connection, new Sweeper(connection, settings, sweepIntervalMs), settings)
}

class SqliteStore extends RemoteStore implements TableStore {
  readonly #connection: Connection
  readonly #sweeper: Sweeper
  readonly #settings: RemoteSettings

  constructor(connection: Connection, sweeper: Sweeper, settings: RemoteSettings) {
    super(new SqliteDriver(connection, sweeper, settings), settings)
    this.#connection = connection
    this.#sweeper = sweeper
    this.#settings = settings
  }

  setup(): Promise<void> {
    return this.#connection.setUp(SETUP_PATIENCE_MS)
  }

  setupSql(): string {
    return setupSql(this.#connection.table)
  }

  async cleanup(options: CleanupOptions = {}): Promise<CleanupReport> {
    return this.#sweeper.cleanUp(cleanupSettings(options))
  }

  counters(pageSize = PAGE_SIZE): AsyncIterable<CounterPage> {
    return counters(this.#connection, this.#settings, pageSize)
  }
}
