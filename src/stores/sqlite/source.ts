// Where the counters are: a file that the store opens itself, or a database handed in. Promise: what cannot be is said when the store is
// built, and a runtime without SQLite is told so there. Next: connection.ts.

import { resolve } from 'node:path'
import type * as NodeSqlite from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { ConfigError } from '../../core/errors.ts'
import { type SqliteDatabase, flawOf } from './database.ts'

/** A file, by its path or `file:` URL, or an open database, which `close()` leaves open. */
export type SqliteSource = string | URL | { readonly file: string | URL } | SqliteDatabase

/** A database of this store's own, which it closes. */
export interface OwnDatabase extends SqliteDatabase {
  close(): void
}

/** A source that has been looked at. */
export type Place =
  | { readonly kind: 'file'; readonly file: string; open(): OwnDatabase }
  | { readonly kind: 'database'; readonly database: SqliteDatabase }

/** In the folder the app is started in. */
export const DEFAULT_FILE = 'smart-ratelimit.sqlite'

const OPTION = 'sqliteStore.source'
const EXPECTED = 'a path, { file }, or an open database of node:sqlite, better-sqlite3 or libsql'

/** @throws ConfigError for what is no source */
export function placeOf(source: SqliteSource): Place {
  if (typeof source === 'string' || source instanceof URL) return filePlace(source, OPTION)
  if (typeof source !== 'object' || source === null) throw new ConfigError(OPTION, EXPECTED, source)
  if (!('file' in source) || 'prepare' in source) return databasePlace(source as SqliteDatabase)
  for (const key of Object.keys(source)) if (key !== 'file') throw new ConfigError(`${OPTION}.${key}`, 'file', undefined)
  return filePlace(source.file, `${OPTION}.file`)
}

function databasePlace(database: SqliteDatabase): Place {
  const flaw = flawOf(database)
  if (flaw !== undefined) throw new ConfigError(OPTION, `${EXPECTED} (${flaw})`, database)
  return { kind: 'database', database }
}

function filePlace(given: string | URL, option: string): Place {
  const path = pathOf(given, option)
  if (path === '' || path.includes('\0')) throw new ConfigError(option, EXPECTED, given)
  if (path === ':memory:')
    throw new ConfigError(option, 'a file (a database in memory serves one process; memoryStore() does that better)', given)
  // Later changes of the working directory move nothing.
  const file = resolve(path)
  const sqlite = nodeSqlite()
  if (sqlite === undefined)
    throw new ConfigError(
      'sqliteStore.source',
      'Node 22.13 or newer to open a file, or an open database of better-sqlite3 or libsql handed in',
      `Node ${process.version}`,
    )
  return { kind: 'file', file, open: () => new sqlite.DatabaseSync(file) }
}

function pathOf(given: string | URL, option: string): string {
  if (typeof given !== 'string' && !(given instanceof URL)) throw new ConfigError(option, EXPECTED, given)
  const text = String(given)
  if (!text.startsWith('file:')) {
    if (given instanceof URL) throw new ConfigError(option, 'a file: URL', text)
    return text
  }
  // `file:counters.sqlite` is no URL of the standard, but what other tools call a file beside the app.
  if (!text.startsWith('file:/')) return text.slice('file:'.length)
  try {
    return fileURLToPath(text)
  } catch {
    throw new ConfigError(option, 'a file: URL of this machine', text)
  }
}

/** Asked for when a file is to be opened, so that the package loads on every Node. */
function nodeSqlite(): typeof NodeSqlite | undefined {
  return process.getBuiltinModule('node:sqlite') as typeof NodeSqlite | undefined
}
