// What SQLite's errors mean for a decision, and what to do about them. Promise: every driver's errors are told apart by SQLite's own
// codes; a message names the store and the file. Next: connection.ts.

import { StoreError, type StoreErrorKind } from '../../core/errors.ts'

interface Meaning {
  readonly kind: StoreErrorKind
  /** Follows the name of the file. */
  readonly message: string
}

/** SQLite's primary result codes, by number, as far as they are told apart here. */
const NAMES: Readonly<Record<number, string>> = {
  1: 'ERROR',
  3: 'PERM',
  5: 'BUSY',
  6: 'LOCKED',
  7: 'NOMEM',
  8: 'READONLY',
  10: 'IOERR',
  11: 'CORRUPT',
  13: 'FULL',
  14: 'CANTOPEN',
  15: 'PROTOCOL',
  17: 'SCHEMA',
  21: 'MISUSE',
  23: 'AUTH',
  26: 'NOTADB',
}

const LOCKED = 'is locked by another connection or process that holds a transaction open'

const MEANINGS: Readonly<Record<string, Meaning>> = {
  BUSY: { kind: 'not_executed', message: LOCKED },
  LOCKED: { kind: 'not_executed', message: LOCKED },
  PROTOCOL: { kind: 'not_executed', message: LOCKED },
  SCHEMA: { kind: 'not_executed', message: 'has just been changed by another process' },
  FULL: { kind: 'unavailable', message: 'cannot grow: the disk is full, or the database has reached its max_page_count' },
  IOERR: { kind: 'unavailable', message: 'cannot be read or written: look at the disk and at the limits of this process' },
  NOMEM: { kind: 'unavailable', message: 'cannot be used: SQLite has no memory left' },
  CORRUPT: { kind: 'unavailable', message: 'is damaged: move it away, and the store begins a new one' },
  READONLY: { kind: 'misconfigured', message: 'is read-only: give this process the right to write the file and its folder' },
  MOVED: { kind: 'unavailable', message: 'was moved or deleted while it was open: open it anew' },
  PERM: { kind: 'misconfigured', message: 'may not be used by this process: give it the right to the file and its folder' },
  AUTH: { kind: 'misconfigured', message: 'may not be used: the authorizer of the database handed in forbids it' },
  CANTOPEN: {
    kind: 'misconfigured',
    message: 'cannot be opened: its folder must exist, and this process must have the right to write there',
  },
  NOTADB: { kind: 'misconfigured', message: 'is not a SQLite database, or is encrypted: name another file' },
  CLOSED: { kind: 'unavailable', message: 'was closed by the app: close the store first' },
  NESTED: {
    kind: 'not_executed',
    message: 'has a transaction of the app open: hand in a connection that the store has for itself',
  },
}

/** Of a file that is not where it was opened: a kind of READONLY that no right helps against. */
const MOVED = 1032

/** SQLite's primary result code without `SQLITE_`; `MOVED`, and `CLOSED` and `NESTED` for what the drivers say themselves. */
export function sqliteCode(error: unknown): string {
  const { code, errcode, message } = error as { code?: unknown; errcode?: unknown; message?: unknown }
  const said = typeof message === 'string' ? message : ''
  if (/within a transaction/.test(said)) return 'NESTED'
  if (/is not open|statement has been finalized/.test(said)) return 'CLOSED'
  if (errcode === MOVED || code === 'SQLITE_READONLY_DBMOVED') return 'MOVED'
  if (typeof errcode === 'number') return NAMES[errcode & 0xff] ?? 'ERROR'
  return (typeof code === 'string' ? /^SQLITE_([A-Z]+)/.exec(code)?.[1] : undefined) ?? 'ERROR'
}

/** Whether nothing has happened and the same may succeed in a moment. */
export function isPassing(error: unknown): boolean {
  return error instanceof Error && !(error instanceof StoreError) && MEANINGS[sqliteCode(error)]?.kind === 'not_executed'
}

/** Whether a new handle may see more than this one: the file may be another now. */
export function isHandleSick(error: unknown): boolean {
  return ['IOERR', 'CORRUPT', 'NOTADB', 'READONLY', 'MOVED', 'CANTOPEN', 'CLOSED'].includes(sqliteCode(error))
}

/** Whether there is no such table, or one with other columns. */
export function isMissingTable(error: unknown): boolean {
  return /no such table|no such column|has no column|no such database|unknown database/.test(messageOf(error))
}

/**
 * A failure as a StoreError.
 * @param place the file, or what it is called that was handed in
 * @param ending whether the failure came while a transaction was being committed
 */
export function storeError(error: unknown, store: string, place: string, table: string, ending = false): StoreError {
  if (error instanceof StoreError) return error
  if (isMissingTable(error)) {
    return new StoreError(store, `${place} has no table ${table} of this store: call setup(), or choose another name (table)`, {
      cause: error,
      code: 'ERR_RATELIMIT_STORE_SETUP',
      kind: 'misconfigured',
    })
  }
  const code = sqliteCode(error)
  const meaning = MEANINGS[code]
  if (meaning === undefined)
    return new StoreError(store, `${place}: ${messageOf(error)}`, { cause: error, kind: 'misconfigured' })
  const kind = ending && code === 'IOERR' ? 'ambiguous' : meaning.kind
  return new StoreError(store, `${place} ${meaning.message}`, { cause: error, kind })
}

/** The table is of a version that this release does not know. */
export function versionError(store: string, place: string, table: string, found: string, wanted: number): StoreError {
  const message = `table ${table} of ${place} is of version ${found}, and this release knows version ${wanted}: update it, or choose another table`
  return new StoreError(store, message, { code: 'ERR_RATELIMIT_STORE_SETUP', kind: 'misconfigured' })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'failed'
}
