// What the server's and the driver's errors mean for a decision, and what to do about them.
// Promise: nothing that may have been charged is called not executed; no message holds a secret. Next: server.ts.

import { StoreError, type StoreErrorKind } from '../../core/errors.ts'

/** How far a trip had come: without a connection, with nothing sent that changes anything, or with the charge on its way. */
export type Stage = 'connecting' | 'reading' | 'writing'

interface Meaning {
  readonly kind: StoreErrorKind
  readonly message: string
}

const SETUP = 'call setup() or run `npx smart-ratelimit setup`'

/** By the server's number of the error. */
const BY_NUMBER: Readonly<Record<number, Meaning>> = {
  1213: { kind: 'not_executed', message: 'was chosen to give way to another transaction (deadlock)' },
  1205: { kind: 'not_executed', message: 'waited too long for a counter that another session holds' },
  1020: { kind: 'not_executed', message: 'found a counter changed by another session' },
  3101: { kind: 'not_executed', message: 'was rolled back for the sake of another server of the group' },
  1290: { kind: 'wrong_node', message: 'the server is read-only: connect to the primary' },
  1792: { kind: 'wrong_node', message: 'the session is read-only: connect to the primary' },
  1836: { kind: 'wrong_node', message: 'the server is read-only: connect to the primary' },
  1036: { kind: 'wrong_node', message: 'the table is read-only there (innodb_read_only): connect to the primary' },
  1040: {
    kind: 'unavailable',
    message: 'the server has no connection left: lower maxConnections, or raise max_connections there',
  },
  1203: {
    kind: 'unavailable',
    message: 'the user has no connection left: lower maxConnections, or raise max_user_connections there',
  },
  1226: { kind: 'unavailable', message: 'the user has used up a resource limit of the server' },
  1021: { kind: 'unavailable', message: 'the server’s disk is full' },
  1114: { kind: 'unavailable', message: 'the table is full' },
  1037: { kind: 'unavailable', message: 'the server is out of memory' },
  1041: { kind: 'unavailable', message: 'the server is out of memory' },
  1047: { kind: 'unavailable', message: 'the server is not ready (a cluster node that has no quorum, or starts)' },
  1030: { kind: 'unavailable', message: 'the server’s storage engine failed' },
  3032: { kind: 'unavailable', message: 'the server is in offline mode' },
  3100: { kind: 'unavailable', message: 'the server has lost its group, and takes no writes' },
  1129: { kind: 'unavailable', message: 'the server has blocked this host after too many failed connections' },
  1317: { kind: 'unavailable', message: 'the statement was interrupted' },
  1969: { kind: 'unavailable', message: 'the statement took longer than max_statement_time' },
  3024: { kind: 'unavailable', message: 'the statement took longer than max_execution_time' },
  1180: { kind: 'ambiguous', message: 'the commit failed, and the server does not know whether it was charged' },
  1044: { kind: 'misconfigured', message: 'the user may not use this database' },
  1045: { kind: 'misconfigured', message: 'wrong user or password' },
  1698: { kind: 'misconfigured', message: 'wrong user or password' },
  1049: { kind: 'misconfigured', message: 'there is no such database' },
  1046: { kind: 'misconfigured', message: 'no database is chosen: name one in the connection, or in `table` as schema.table' },
  1142: {
    kind: 'misconfigured',
    message: 'the user lacks a right on the table (SELECT, INSERT, UPDATE, DELETE; CREATE for setup)',
  },
  1227: { kind: 'misconfigured', message: 'the user lacks a right' },
  1665: {
    kind: 'misconfigured',
    message: 'the server writes its binary log by statement: set binlog_format to ROW or MIXED there',
  },
}

/** What may come when all has been done, and the session is being put back. */
const INTERRUPTED: readonly number[] = [1317, 1969, 3024]

/** By the code of the driver's error, for a server that was not reached. */
const BY_CODE: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: { kind: 'unavailable', message: 'the connection was refused: is the server running there?' },
  ENOENT: { kind: 'unavailable', message: 'there is no such socket: is the server running?' },
  ENOTFOUND: { kind: 'unavailable', message: 'the host’s name was not found' },
  EAI_AGAIN: { kind: 'unavailable', message: 'the host’s name could not be looked up' },
  EHOSTUNREACH: { kind: 'unavailable', message: 'the host cannot be reached' },
  ENETUNREACH: { kind: 'unavailable', message: 'the network cannot be reached' },
  ETIMEDOUT: { kind: 'unavailable', message: 'no connection in time' },
  HANDSHAKE_NO_SSL_SUPPORT: { kind: 'misconfigured', message: 'the server offers no TLS' },
}

/** A missing table, or one without the columns of this one. */
const NO_TABLE: readonly number[] = [1146, 1054]

/** Errors after which a connection belongs to a server that should not be asked again. */
export function isReadOnly(error: unknown): boolean {
  return [1036, 1290, 1792, 1836].includes(numberOf(error))
}

/** Whether the error is that of a client or server that takes one statement at a time. */
export function isSyntaxError(error: unknown): boolean {
  return numberOf(error) === 1064
}

/** Whether the table is not there. */
export function isMissingTable(error: unknown): boolean {
  return numberOf(error) === 1146
}

/** A failure as a StoreError. */
export function storeError(error: unknown, store: string, table: string, stage: Stage): StoreError {
  if (error instanceof StoreError) return error
  const number = numberOf(error)
  if (NO_TABLE.includes(number)) {
    const code = 'ERR_RATELIMIT_STORE_SETUP'
    return new StoreError(store, `has no table ${table}: ${SETUP}`, { cause: error, code, kind: 'misconfigured' })
  }
  const { kind, message } = meaningOf(error, number, stage)
  return new StoreError(store, message, { cause: error, kind })
}

function meaningOf(error: unknown, number: number, stage: Stage): Meaning {
  if (stage === 'writing' && INTERRUPTED.includes(number))
    return { kind: 'ambiguous', message: 'the charge was interrupted on the server: it may have been made' }
  return BY_NUMBER[number] ?? BY_CODE[codeOf(error)] ?? (isLost(error) ? lost(stage) : unknown(error, stage))
}

/** The table is of a version that this package cannot use. */
export function versionError(store: string, table: string, found: number | undefined, wanted: number): StoreError {
  const message =
    found !== undefined && found > wanted
      ? `table ${table} is of version ${found}, made by a newer release: this one knows version ${wanted}, update it`
      : `table ${table} is of version ${found ?? 'none'}, and version ${wanted} is needed: ${SETUP}`
  return new StoreError(store, message, { code: 'ERR_RATELIMIT_STORE_SETUP', kind: 'misconfigured' })
}

/** Without a connection it is the pool that says no: it is full, or closed. */
function unknown(error: unknown, stage: Stage): Meaning {
  const message = error instanceof Error ? error.message : 'failed'
  return { kind: stage === 'connecting' && numberOf(error) === 0 ? 'unavailable' : 'misconfigured', message }
}

/** Until the charge is sent nothing has happened: the server rolls back what it was told before. */
function lost(stage: Stage): Meaning {
  if (stage === 'connecting') return { kind: 'unavailable', message: 'the server closed the connection while it was being made' }
  if (stage === 'reading') return { kind: 'not_executed', message: 'the connection was lost' }
  return { kind: 'ambiguous', message: 'the connection was lost while the charge was on its way: it may have been made' }
}

/** 1053, 1927, 2006, 2013, 4031: shut down, killed, gone away, lost, idle for too long. */
function isLost(error: unknown): boolean {
  if ([1053, 1927, 2006, 2013, 4031].includes(numberOf(error))) return true
  if (['PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'ECONNABORTED', 'EPIPE'].includes(codeOf(error))) return true
  return error instanceof Error && /closed state/.test(error.message)
}

function numberOf(error: unknown): number {
  const number = (error as { errno?: unknown } | null)?.errno
  return typeof number === 'number' ? number : 0
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
