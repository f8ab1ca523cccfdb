// Counters in a table of PostgreSQL. Promise: the same decisions as every other store, from any number of processes; one trip to the
// server for all decisions of an event-loop turn. Next: driver.ts.

import { ConfigError } from '../../core/errors.ts'
import { type CounterPage, PAGE_SIZE } from '../listing.ts'
import { type CleanupOptions, type CleanupReport, type TableStore, cleanupSettings } from '../maintenance.ts'
import { type RemoteOptions, remoteSettings } from '../remote-options.ts'
import { RemoteStore } from '../remote.ts'
import type { UpdatableStore } from '../update.ts'
import { Calls } from './calls.ts'
import { type PgPool, type PostgresClient, type PostgresJsSql, clientOf } from './clients.ts'
import { type PostgresConnection, connectionSettings, isConnection } from './connection-options.ts'
import { counters } from './counters.ts'
import { type DriverSettings, PostgresDriver } from './driver.ts'
import { cleanUp, setUp } from './housekeeping.ts'
import { ownClient } from './own-pool.ts'
import { LONGEST_TABLE, Statements } from './statements.ts'

export type { PgPool, PgQuery, PostgresJsQuery, PostgresJsSql } from './clients.ts'
export type { PostgresConnection } from './connection-options.ts'
export type { CounterPage, ListingStore, StoredCounter } from '../listing.ts'
export type { CleanupOptions, CleanupReport, TableStore } from '../maintenance.ts'
export type { CounterRecord } from '../record.ts'
export type { RemoteOptions } from '../remote-options.ts'
export type { Change, Entry, UpdatableStore, Updated } from '../update.ts'

/** Options of {@link postgresStore}. */
export interface PostgresStoreOptions extends RemoteOptions {
  /** The table's name, also `schema.table` (default `smart_ratelimit`): letters, digits and `_`, each at most 48 of them. */
  readonly table?: string
  /** Most trips on their way at once, each on a connection of its own (default: 4, or the pool's size if that is less). */
  readonly concurrency?: number
  /**
   * The server's `synchronous_commit` for decisions (default `off`: a crash of the server may forget its last moment; stopping it
   * forgets nothing).
   */
  readonly synchronousCommit?: SynchronousCommit
  /**
   * Whether `setup()` makes the table unlogged: faster to write, and empty after a crash of the server (default: a new table is
   * logged, and one that is there stays as it is).
   */
  readonly unlogged?: boolean
  /** Whether connections remember the statements (default true). False behind a pooler that does not know them. */
  readonly prepare?: boolean
}

/** What PostgreSQL waits for before it answers. */
export type SynchronousCommit = 'off' | 'local' | 'remote_write' | 'on' | 'remote_apply'

const OWN = ['table', 'concurrency', 'synchronousCommit', 'unlogged', 'prepare'] satisfies readonly (keyof PostgresStoreOptions)[]
const COMMITS: readonly SynchronousCommit[] = ['off', 'local', 'remote_write', 'on', 'remote_apply']
const NAME = /^[A-Za-z_]\w*$/
const CONCURRENCY = 4

/**
 * Makes a store on PostgreSQL (12 or later). It connects when it is first asked.
 * @param source a `Pool` of pg, the `sql` function of postgres.js, or where the server is; `close()` ends only what the store made itself
 * @throws ConfigError naming what is wrong
 */
export function postgresStore(
  source: PgPool | PostgresJsSql | PostgresConnection,
  options: PostgresStoreOptions = {},
): TableStore & UpdatableStore {
  const remote = remoteSettings(options, 'postgresStore.options', OWN, 'postgres')
  const { table = 'smart_ratelimit', concurrency, synchronousCommit = 'off', unlogged, prepare = true } = options
  const names = typeof table === 'string' ? table.split('.') : []
  if (names.length < 1 || names.length > 2 || !names.every((name) => NAME.test(name) && name.length <= LONGEST_TABLE))
    throw new ConfigError(
      'postgresStore.options.table',
      `a table, or schema.table, of letters, digits and _, each at most ${LONGEST_TABLE} of them`,
      table,
    )
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 100))
    throw new ConfigError('postgresStore.options.concurrency', 'a whole number from 1 to 100', concurrency)
  if (!COMMITS.includes(synchronousCommit))
    throw new ConfigError('postgresStore.options.synchronousCommit', `one of ${COMMITS.join(', ')}`, synchronousCommit)
  for (const [key, value] of Object.entries({ unlogged, prepare })) {
    if (value !== undefined && typeof value !== 'boolean')
      throw new ConfigError(`postgresStore.options.${key}`, 'true or false', value)
  }
  const client = isConnection(source)
    ? ownClient(connectionSettings(source, 'postgresStore.source'), remote.name, { prepare })
    : clientOf(source, 'postgresStore.source', { prepare })
  const settings = { ...remote, synchronousCommit, concurrency: concurrency ?? Math.min(CONCURRENCY, client.size) }
  return new PostgresStore(client, new Statements(table), settings, unlogged)
}

class PostgresStore extends RemoteStore implements TableStore {
  readonly #calls: Calls
  readonly #statements: Statements
  readonly #settings: DriverSettings
  readonly #unlogged: boolean | undefined

  constructor(client: PostgresClient, statements: Statements, settings: DriverSettings, unlogged: boolean | undefined) {
    const calls = new Calls(client, settings.name, statements.name, settings.deadlineMs, settings.concurrency)
    super(new PostgresDriver(calls, statements, settings), settings)
    this.#calls = calls
    this.#statements = statements
    this.#settings = settings
    this.#unlogged = unlogged
  }

  setup(): Promise<void> {
    return setUp(this.#calls, this.#statements, this.name, this.#unlogged)
  }

  setupSql(): string {
    return `BEGIN;\n${this.#statements.setup(this.#unlogged)}COMMIT;\n`
  }

  async cleanup(options: CleanupOptions = {}): Promise<CleanupReport> {
    return cleanUp(this.#calls, this.#statements, this.#settings, cleanupSettings(options))
  }

  counters(pageSize = PAGE_SIZE): AsyncIterable<CounterPage> {
    return counters(this.#calls, this.#statements, this.#settings, pageSize)
  }
}
