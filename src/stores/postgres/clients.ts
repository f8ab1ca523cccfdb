// The pool of pg and the sql function of postgres.js in one shape. Promise: what is handed in is recognised by what it can do, not by
// its class, so no type of a driver is needed to use this package; every value comes back as the text the server sent, whatever parsers
// and transforms a client was given. Next: calls.ts.

import { ConfigError } from '../../core/errors.ts'
import type { Statement } from './statements.ts'

/** A query as pg takes it. */
export interface PgQuery {
  name?: string
  text: string
  values: unknown[]
  rowMode: 'array'
  types: { getTypeParser(): (text: string) => string }
  query_timeout?: number
}

/** A `Pool` of pg. */
export interface PgPool {
  query(query: PgQuery): PromiseLike<{ rows: unknown[][] }>
  query(text: string): PromiseLike<unknown>
  end(): PromiseLike<void>
  /** What tells it from a single client. */
  readonly totalCount: number
  readonly options?: { readonly max?: number | undefined }
}

/** The `sql` function of postgres.js. */
export interface PostgresJsSql {
  unsafe(text: string, values?: never[], options?: { prepare?: boolean }): PostgresJsQuery
  end(options?: { timeout?: number }): PromiseLike<void>
  readonly options: { readonly max: number }
}

/** A query of postgres.js that has not been sent. */
export interface PostgresJsQuery extends PromiseLike<unknown> {
  raw(): PromiseLike<unknown>
}

/** One value of a row. */
export type Value = string | null

/** Values by position. */
export type Row = readonly Value[]

/** What is asked of a client. */
export interface PostgresClient {
  /** Connections it has at most. */
  readonly size: number
  /**
   * Sends a statement, on any connection. The values are read when it is sent, not before.
   * @param giveUpMs so long after it was sent the connection is taken for dead, where the client can do that
   */
  query(statement: Statement, values: Value[], giveUpMs: number): Promise<readonly Row[]>
  /** Sends several statements as one transaction. */
  script(text: string): Promise<void>
  /** Ends what the store made itself. */
  close(): Promise<void>
}

/** Seconds that closing waits for answers. */
const CLOSE_S = 1

/** How a client is used. */
export interface ClientSettings {
  /** Whether connections remember the statements. */
  readonly prepare: boolean
}

const EXPECTED = 'a Pool of pg, an sql function of postgres.js, or { url } or { host }'

/** @throws ConfigError if it is no client of ours */
export function clientOf(source: unknown, option: string, settings: ClientSettings): PostgresClient {
  const close = async (): Promise<void> => {}
  if (isPostgresJs(source)) return { ...fromPostgresJs(source, settings), close }
  if (isPgPool(source)) return { ...fromPg(source, settings), close }
  const expected = has(source, 'query') && has(source, 'connect') ? 'a Pool of pg rather than a single Client' : EXPECTED
  throw new ConfigError(option, expected, typeof source === 'string' ? HIDDEN : source)
}

/** A text may be a URL with a password. */
const HIDDEN = Symbol('a text')

function isPgPool(source: unknown): source is PgPool {
  return has(source, 'query') && has(source, 'connect') && typeof (source as PgPool).totalCount === 'number'
}

function isPostgresJs(source: unknown): source is PostgresJsSql {
  return typeof source === 'function' && has(source, 'unsafe') && has(source, 'begin')
}

function has(source: unknown, method: string): boolean {
  if ((typeof source !== 'object' && typeof source !== 'function') || source === null) return false
  return typeof (source as Record<string, unknown>)[method] === 'function'
}

/** Texts stay texts: a process may have set other parsers for all of pg. */
const AS_TEXT = { getTypeParser: () => (text: string) => text }

export function fromPg(pool: PgPool, { prepare }: ClientSettings): PostgresClient {
  return {
    size: pool.options?.max ?? 10,
    async query({ name, text }, values, giveUpMs) {
      const query: PgQuery = { text, values, rowMode: 'array', types: AS_TEXT, query_timeout: giveUpMs }
      if (prepare) query.name = name
      return (await pool.query(query)).rows as Value[][]
    },
    async script(text) {
      await pool.query(text)
    },
    async close() {
      await pool.end()
    },
  }
}

export function fromPostgresJs(sql: PostgresJsSql, { prepare }: ClientSettings): PostgresClient {
  return {
    size: sql.options.max,
    async query({ text }, values) {
      const rows = (await sql.unsafe(text, values as never[], { prepare }).raw()) as readonly (readonly (Uint8Array | null)[])[]
      return rows.map((row) => row.map((value) => (value === null ? null : Buffer.from(value).toString())))
    },
    async script(text) {
      await sql.unsafe(text)
    },
    async close() {
      // Calls that are not answered by then are dropped.
      await sql.end({ timeout: CLOSE_S })
    },
  }
}
