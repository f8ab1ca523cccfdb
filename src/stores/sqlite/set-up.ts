// The table: made, or brought up to date. Promise: any number of processes may do it at once; doing it again changes nothing; a table of
// a newer release, or somebody else's, is left alone. Next: setup.sql.

import { type SqliteDatabase, columnOf } from './database.ts'
import { isMissingTable, versionError } from './errors.ts'
import schema from './setup.sql'
import { VERSION, VERSION_KEY, quoted } from './statements.ts'

/** What makes the table, for people who run it themselves. */
export function setupSql(table: string): string {
  return schema.replaceAll('{table}', quoted(table))
}

/** @throws StoreError for a table of a newer release, or SQLite's own error */
export function setUp(database: SqliteDatabase, table: string, store: string, title: string): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    const found = versionOf(database, table)
    if (found !== undefined && !(Number(found) <= VERSION)) throw versionError(store, title, table, found, VERSION)
    database.exec(setupSql(table))
    database.exec('COMMIT')
  } catch (error) {
    try {
      database.exec('ROLLBACK')
    } catch {
      // SQLite has done so itself.
    }
    throw error
  }
}

/** What the table says of itself; undefined where there is none, or none of this store. */
export function versionOf(database: SqliteDatabase, table: string): string | undefined {
  try {
    const row = database.prepare(`SELECT state FROM ${quoted(table)} WHERE key = ?`).all(VERSION_KEY)[0]
    const version = columnOf(row, 'state', 0)
    return version === undefined ? undefined : String(version)
  } catch (error) {
    if (isMissingTable(error)) return undefined
    throw error
  }
}
