// What is sent to the server, as text: the .sql files for one table. Promise: nothing from outside is put into a statement but the
// table's name, which is letters, digits and `_`; all else travels as parameters. Next: take.sql, update.sql, setup.sql, cleanup.sql.

import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { base64url } from '../../core/base64url.ts'
import cleanupText from './cleanup.sql'
import setupText from './setup.sql'
import takeText from './take.sql'
import updateText from './update.sql'

/** The version of the table and of the function's arguments. */
export const VERSION = 1
/** The key of the row that tells it. */
export const VERSION_KEY = ' version'
/** Names are cut at 63; the longest that is made of a table's is `…_update_v1`. */
export const LONGEST_TABLE = 48

/** A statement that is sent over and over. */
export interface Statement {
  /** Under which a connection remembers it: short, and different where the text is. */
  readonly name: string
  readonly text: string
  /** Values that make it do nothing, for a statement that nobody waits for any more but that may still be sent. */
  readonly nothing: readonly string[]
}

/** All statements about one table. */
export class Statements {
  /** The table as people write it. */
  readonly name: string
  readonly take: Statement
  readonly forget: Statement
  /** Writes a counter that was changed here, if nobody else has. */
  readonly update: Statement
  /** A counter's state, that of the row beside it, and the time. */
  readonly readBeside: Statement
  readonly read: Statement
  /** Which of some keys have rows that another session holds. */
  readonly held: Statement
  readonly ready: Statement
  readonly cleanup: Statement
  /** A page of rows with their states, by key. */
  readonly counters: Statement
  readonly installed: Statement
  readonly #table: string
  readonly #take: string
  readonly #update: string

  /** @param table `table` or `schema.table`, checked */
  constructor(table: string) {
    this.name = table
    this.#table = quoted(table)
    this.#take = quoted(`${table}_take_v${VERSION}`)
    this.#update = quoted(`${table}_update_v${VERSION}`)
    const clock = "floor(date_part('epoch', clock_timestamp()) * 1000)::bigint::text"
    const call = `${this.#take}($1::text::text[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[], $5::text::bigint, $6::text, $7::text)::text`
    this.take = named(`SELECT ${call}`, ['{}', '{}', '{}', '{}', '0', '1', 'off'])
    this.ready = named(`SELECT ${call}, current_setting('transaction_read_only')`, ['{}', '{}', '{}', '{}', '0', '1', 'off'])
    this.forget = named(`DELETE FROM ${this.#table} WHERE key = $1::text`, [''])
    this.read = named(`SELECT (SELECT state::text FROM ${this.#table} WHERE key = $1::text), ${clock}`, [''])
    const state = (n: number): string => `(SELECT state::text FROM ${this.#table} WHERE key = $${n}::text)`
    this.readBeside = named(`SELECT ${state(1)}, ${state(2)}, ${clock}`, ['', ''])
    const changed = `${this.#update}($1::text, $2::text::bigint[], $3::text::bigint[], $4::text::bigint, $5::text::bigint, $6::text, $7::text::bigint, $8::text, $9::text)::text`
    // A counter of no name that was nothing else before: no row is like that.
    this.update = named(`SELECT ${changed}`, ['', '{-1}', '{-1}', '0', '0', '', '0', '1', 'off'])
    const some = `FROM ${this.#table} WHERE key = ANY ($1::text::text[])`
    this.held = named(
      `WITH free AS MATERIALIZED (SELECT key ${some} FOR UPDATE SKIP LOCKED) SELECT key ${some} EXCEPT SELECT key FROM free`,
      ['{}'],
    )
    this.cleanup = named(cleanupText.replaceAll('{{table}}', this.#table), ['', '', '0', '', '0', '0', 'false'])
    this.counters = named(
      `SELECT key, updated_at::text, expires_at::text, state::text, ${clock} FROM ${this.#table} WHERE key > $1::text AND key < $2::text ORDER BY key LIMIT $3::text::int`,
      ['', '', '0'],
    )
    this.installed = named(INSTALLED, ['', ''])
  }

  /** What makes the table and the function. */
  setup(unlogged: boolean | undefined): string {
    const body = `${takeText}\n${updateText}`
    return setupText
      .replaceAll('{{function}}', () => body)
      .replaceAll('{{digest}}', FUNCTIONS_DIGEST)
      .replaceAll('{{take}}', this.#take)
      .replaceAll('{{update}}', this.#update)
      .replaceAll('{{table}}', this.#table)
      .replaceAll('{{name}}', this.name)
      .replaceAll('{{version}}', String(VERSION))
      .replaceAll('{{unlogged}}', unlogged === true ? 'UNLOGGED' : '')
      .replaceAll('{{persistence}}', unlogged === undefined ? '' : unlogged ? 'u' : 'p')
      .replaceAll('{{logging}}', unlogged === true ? 'UNLOGGED' : 'LOGGED')
  }

  /** For {@link Statements.installed}. */
  installedValues(): string[] {
    return [this.#table, `${this.#take}(text[], bigint[], bigint[], bigint[], bigint, text, text)`]
  }

  /** The table's version, with what makes it. */
  version(): Statement {
    return named(`SELECT state[1]::text FROM ${this.#table} WHERE key = '${VERSION_KEY}' AND $1::text <> ''`, [''])
  }
}

/** The server's version, how the table is stored, and which text the function was made of; NULL for what is not there. */
const INSTALLED = `SELECT current_setting('server_version_num'), (SELECT relpersistence::text FROM pg_class WHERE oid = to_regclass($1::text)),
 obj_description(to_regprocedure($2::text), 'pg_proc')`

/** What a function's comment says if the functions are those of this release. */
export const FUNCTIONS_DIGEST: string = digest(takeText + updateText)

function named(text: string, nothing: readonly string[]): Statement {
  return { name: `ratelimit_${digest(text)}`, text, nothing }
}

function digest(text: string): string {
  return base64url(sha256(utf8ToBytes(text))).slice(0, 16)
}

function quoted(table: string): string {
  return table
    .split('.')
    .map((name) => `"${name}"`)
    .join('.')
}
