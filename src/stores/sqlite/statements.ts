// What the store asks SQLite, prepared once per connection. Promise: a table's name is quoted, everything else is bound.
// Next: driver.ts, which decides with them.

import { type SqliteDatabase, type SqliteStatement, columnOf } from './database.ts'

/** The version of the table that this release reads and writes. */
export const VERSION = 1
/** Where the table tells its version. Keys of counters hold no blank. */
export const VERSION_KEY = ' version'

/** A table's name, also `schema.table`, as SQL writes it. Names have been checked: no quotes in them. */
export function quoted(table: string): string {
  return table
    .split('.')
    .map((part) => `"${part}"`)
    .join('.')
}

/** Prepared statements of one connection. */
export class Statements {
  readonly #touch: SqliteStatement
  readonly #find: SqliteStatement
  readonly #put: SqliteStatement
  readonly #drop: SqliteStatement
  readonly #page: SqliteStatement
  readonly #counters: SqliteStatement
  readonly #dropIf: SqliteStatement

  constructor(database: SqliteDatabase, table: string) {
    const name = quoted(table)
    const prepare = (sql: string): SqliteStatement => database.prepare(sql)
    this.#touch = prepare(`UPDATE ${name} SET updated_at = updated_at WHERE key = ?`)
    this.#find = prepare(`SELECT state FROM ${name} WHERE key = ?`)
    this.#put = prepare(
      `INSERT INTO ${name} (key, expires_at, updated_at, state) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at, updated_at = excluded.updated_at, state = excluded.state`,
    )
    this.#drop = prepare(`DELETE FROM ${name} WHERE key = ?`)
    this.#page = prepare(
      `SELECT rowid AS number, key, expires_at, updated_at FROM ${name} WHERE rowid > ? ORDER BY rowid LIMIT ?`,
    )
    this.#counters = prepare(
      `SELECT rowid AS number, key, expires_at, updated_at, state FROM ${name} WHERE rowid > ? ORDER BY rowid LIMIT ?`,
    )
    this.#dropIf = prepare(`DELETE FROM ${name} WHERE key = ? AND (expires_at <= ? OR updated_at <= ?) RETURNING key`)
  }

  /** Writes what is there already: fails where nothing can be written. */
  touch(): void {
    this.#touch.run(VERSION_KEY)
  }

  /** A counter's text; undefined where there is no row. */
  find(key: string): string | undefined {
    const state = columnOf(this.#find.all(key)[0], 'state', 0)
    return typeof state === 'number' ? String(state) : state
  }

  put(key: string, state: string, expiresAt: number, updatedAt: number): void {
    this.#put.run(key, expiresAt, updatedAt, state)
  }

  drop(key: string): void {
    this.#drop.run(key)
  }

  /** Rows in the order in which they came, the version's among them. */
  page(after: number, most: number): readonly Row[] {
    return this.#page.all(after, most).map(rowOf)
  }

  /** The same with their states. */
  counters(after: number, most: number): readonly (Row & { readonly state: string })[] {
    return this.#counters.all(after, most).map((row) => ({ ...rowOf(row), state: String(columnOf(row, 'state', 4)) }))
  }

  /** Deletes a row that has expired by an instant or not changed since another; tells whether it did. */
  dropIf(key: string, expiredAt: number, unchangedAt: number): boolean {
    return this.#dropIf.all(key, expiredAt, unchangedAt).length > 0
  }
}

/** A row without its state. */
export interface Row {
  readonly number: number
  readonly key: string
  readonly expiresAt: number
  readonly updatedAt: number
}

function rowOf(row: unknown): Row {
  return {
    number: Number(columnOf(row, 'number', 0)),
    key: String(columnOf(row, 'key', 1)),
    expiresAt: Number(columnOf(row, 'expires_at', 2)),
    updatedAt: Number(columnOf(row, 'updated_at', 3)),
  }
}
