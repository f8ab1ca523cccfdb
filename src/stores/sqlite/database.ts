// What the store needs of a SQLite database: what node:sqlite, better-sqlite3 and libsql have in common. Promise: no driver's types are
// needed to use this package, and no database that answers with promises is taken for one of these. Next: source.ts.

/** What statements are given here. */
export type SqliteValue = string | number

/** A prepared statement. */
export interface SqliteStatement {
  all(...values: SqliteValue[]): unknown[]
  run(...values: SqliteValue[]): unknown
}

/** An open database of `node:sqlite`, `better-sqlite3` or `libsql`. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
}

/** Why this is no such database; undefined if it is one. Reads nothing from its file. */
export function flawOf(database: SqliteDatabase): string | undefined {
  if (typeof database.exec !== 'function' || typeof database.prepare !== 'function') return 'it has no exec() and prepare()'
  try {
    const statement: unknown = database.prepare('SELECT 1 AS one')
    const found = isPromise(statement) ? statement : (statement as SqliteStatement).all()
    if (isPromise(found)) {
      // Nobody else waits for it.
      found.then(undefined, () => {})
      return 'it answers with promises'
    }
    return Array.isArray(found) && columnOf(found[0], 'one', 0) === 1 ? undefined : 'its statements answer nothing'
  } catch (error) {
    return error instanceof Error ? error.message : 'its statements fail'
  }
}

/** Whether the app has closed it. Statements of some drivers go on working then, and keep the file open. */
export function isClosed(database: SqliteDatabase): boolean {
  // `open` is what better-sqlite3 and libsql call it.
  const { open, isOpen } = database as { open?: unknown; isOpen?: unknown }
  return open === false || isOpen === false
}

/** A column of a row, which is an object, or a list where the database is set so. Integers may be bigints. */
export function columnOf(row: unknown, name: string, at: number): string | number | undefined {
  if (typeof row !== 'object' || row === null) return undefined
  const value: unknown = Array.isArray(row) ? row[at] : (row as Record<string, unknown>)[name]
  if (typeof value === 'bigint') return Number(value)
  return typeof value === 'string' || typeof value === 'number' ? value : undefined
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function'
}
