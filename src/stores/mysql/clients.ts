// The pools of mysql2 in one shape. Promise: what is handed in is recognised by what it can do, not by its class, so that two copies of
// the driver are no problem, and no type of the driver is needed to use this package. Next: borrowing.ts.

import { ConfigError } from '../../core/errors.ts'

/** A query as mysql2 takes it; what the pool is set to does not matter then. */
export interface MysqlQuery {
  sql: string
  values: never[]
  rowsAsArray: boolean
  nestTables: boolean
  typeCast: (field: unknown, next: () => unknown) => unknown
  namedPlaceholders: boolean
}

/** A pool of `mysql2/promise`. */
export interface MysqlPromisePool {
  getConnection(): Promise<{
    query(query: MysqlQuery): Promise<readonly [unknown, ...unknown[]]>
    release(): void
    destroy(): void
  }>
  /** What tells it from a single connection. */
  readonly pool: object
}

/** A pool of `mysql2`, which calls back. */
export interface MysqlCallbackPool {
  getConnection(
    callback: (
      error: Error | null,
      connection: {
        query(query: MysqlQuery, callback: (error: Error | null, result: unknown) => void): unknown
        release(): void
        destroy(): void
      },
    ) => void,
  ): void
  /** What tells it from the other kind. */
  promise(): object
}

/** A pool of mysql2, of either kind. */
export type MysqlPool = MysqlPromisePool | MysqlCallbackPool

/** A connection, and the one thing asked of it. */
export interface Connection {
  /** Sends a text; resolves to all rows it brings back, as arrays. */
  query(sql: string): Promise<readonly ResultRow[]>
  release(): void
  destroy(): void
}

/** Values by position. */
export type ResultRow = readonly (string | number | bigint | null)[]

/** Where connections come from. */
export interface Connections {
  acquire(): Promise<Connection>
  /** Ends what the store made itself. */
  close(): Promise<void>
}

/** @throws ConfigError if it is no pool of mysql2 */
export function connectionsOf(source: MysqlPool, option: string): Connections {
  const close = async (): Promise<void> => {}
  if (has(source, 'getConnection')) {
    if (has(source, 'promise')) return { acquire: () => fromCallbacks(source as MysqlCallbackPool), close }
    if (has(source, 'query')) return { acquire: () => fromPromises(source as MysqlPromisePool), close }
  }
  const what = has(source, 'query')
    ? 'a pool (createPool) rather than a single connection'
    : 'a pool of mysql2, or { url } or { host }'
  throw new ConfigError(option, what, source)
}

function has(source: unknown, method: string): boolean {
  return typeof source === 'object' && source !== null && typeof (source as Record<string, unknown>)[method] === 'function'
}

/** `values` keeps the driver from looking for placeholders, which keys may look like; a pool's `typeCast` yields to a function alone. */
function asQuery(sql: string): MysqlQuery {
  return { sql, values: [], rowsAsArray: true, nestTables: false, typeCast: (_, next) => next(), namedPlaceholders: false }
}

async function fromPromises(pool: MysqlPromisePool): Promise<Connection> {
  const connection = await pool.getConnection()
  return {
    query: async (sql) => rowsOf((await connection.query(asQuery(sql)))[0]),
    release: () => connection.release(),
    destroy: () => connection.destroy(),
  }
}

/** Also how pools of our own are used: no promise per call beside ours. */
export function fromCallbacks(pool: MysqlCallbackPool): Promise<Connection> {
  return new Promise((resolve, reject) => {
    pool.getConnection((failure, connection) => {
      if (failure !== null && failure !== undefined) return reject(failure)
      resolve({
        query: (sql) =>
          new Promise((answer, fail) => {
            connection.query(asQuery(sql), (error, result) => {
              if (error === null || error === undefined) answer(rowsOf(result))
              else fail(error)
            })
          }),
        release: () => connection.release(),
        destroy: () => connection.destroy(),
      })
    })
  })
}

/** One statement brings rows or a header; several bring a list of those. Headers are no arrays, rows are. */
function rowsOf(result: unknown): readonly ResultRow[] {
  if (!Array.isArray(result)) return []
  const isRow = (value: unknown): boolean => Array.isArray(value) && !Array.isArray(value[0])
  const rows: ResultRow[] = []
  for (const part of result as unknown[]) {
    if (!Array.isArray(part)) continue
    if (isRow(part) && part.length > 0) rows.push(part as unknown as ResultRow)
    else rows.push(...(part as ResultRow[]))
  }
  return rows
}
