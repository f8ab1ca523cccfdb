// What the server's and the drivers' errors mean for a decision, and what to do about them.
// Promise: what may have been charged is never called not executed; no message and no cause holds a secret. Next: calls.ts.

import { StoreError, type StoreErrorCode, type StoreErrorKind } from '../../core/errors.ts'

interface Meaning {
  readonly kind: StoreErrorKind
  readonly message: string
  readonly code?: StoreErrorCode
}

const SETUP = 'call setup() or run `npx smart-ratelimit setup`'
const NO_TABLE: Meaning = { kind: 'misconfigured', code: 'ERR_RATELIMIT_STORE_SETUP', message: 'has no table {table}' }
const NO_FUNCTION: Meaning = {
  kind: 'misconfigured',
  code: 'ERR_RATELIMIT_STORE_SETUP',
  message: 'has no function of this release for table {table}',
}
const READ_ONLY: Meaning = {
  kind: 'wrong_node',
  message: 'the server is read-only (a standby, or default_transaction_read_only): connect to the primary',
}
const PASSWORD: Meaning = {
  kind: 'misconfigured',
  message: 'wrong user or password, or pg_hba.conf lets this user not in from here',
}
const POOLER: Meaning = {
  kind: 'misconfigured',
  message: 'a pooler between here and the server loses prepared statements: set `prepare` to false',
}
const FULL: Meaning = { kind: 'unavailable', message: 'the server’s disk is full' }

/** By SQLSTATE; where a state is not here, by its class of two characters. */
const BY_STATE: Readonly<Record<string, Meaning>> = {
  '40001': { kind: 'not_executed', message: 'kept giving way to other transactions (serialization failure)' },
  '40P01': { kind: 'not_executed', message: 'kept giving way to other transactions (deadlock)' },
  '40003': { kind: 'ambiguous', message: 'the server does not know whether it was charged' },
  '25006': READ_ONLY,
  '57P03': { kind: 'wrong_node', message: 'the server takes no sessions now (it starts, stops or recovers)' },
  '57P01': { kind: 'unavailable', message: 'the server is being shut down, or has ended this session' },
  '57P02': { kind: 'ambiguous', message: 'the server crashed: it may have been charged' },
  '57P05': { kind: 'unavailable', message: 'the server has ended this session as idle' },
  '53300': {
    kind: 'unavailable',
    message: 'the server has no connection left: lower maxConnections, or raise max_connections there',
  },
  '53100': FULL,
  '58030': { kind: 'unavailable', message: 'the server cannot read or write its files' },
  '55P03': { kind: 'unavailable', message: 'another session holds the counter for longer than the deadline' },
  '57014': { kind: 'unavailable', message: 'the statement was cancelled, or took longer than statement_timeout' },
  '25P03': { kind: 'unavailable', message: 'the server has ended this session as idle in a transaction' },
  '25P04': { kind: 'unavailable', message: 'the statement took longer than transaction_timeout' },
  '25P02': { kind: 'unavailable', message: 'a connection of the pool is in a failed transaction: some code gave it back in one' },
  '42P01': NO_TABLE,
  '3F000': NO_TABLE,
  '42703': { ...NO_TABLE, message: 'table {table} is not one of this package: choose another `table`, or remove it' },
  '42883': NO_FUNCTION,
  SR001: {
    kind: 'misconfigured',
    code: 'ERR_RATELIMIT_STORE_SETUP',
    message: 'table {table} was made by a newer release of smart-ratelimit: update this one',
  },
  '42501': {
    kind: 'misconfigured',
    message: 'the user lacks a right on table {table} (SELECT, INSERT, UPDATE, DELETE; for setup(): CREATE on its schema)',
  },
  '26000': POOLER,
  '42P05': POOLER,
  '28P01': PASSWORD,
  '28000': PASSWORD,
  '3D000': { kind: 'misconfigured', message: 'there is no such database' },
  '40': { kind: 'not_executed', message: 'kept being rolled back by the server' },
  '08': { kind: 'ambiguous', message: 'the connection failed: it may have been charged' },
  '08001': { kind: 'unavailable', message: 'the server cannot be reached' },
  '08004': { kind: 'unavailable', message: 'the server refused the connection' },
  '53': { kind: 'unavailable', message: 'the server lacks memory or another resource' },
  '57': { kind: 'unavailable', message: 'somebody intervened at the server' },
  '58': { kind: 'unavailable', message: 'the server’s system failed' },
  XX: { kind: 'unavailable', message: 'the server has an internal error' },
}

/** By the code of a driver's error: nothing was sent. */
const UNSENT: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused: is the server running there?',
  ENOENT: 'there is no such socket: is the server running?',
  ENOTFOUND: 'the host’s name was not found',
  EAI_AGAIN: 'the host’s name could not be looked up',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  CONNECT_TIMEOUT: 'no connection in time',
  CONNECTION_ENDED: 'the pool has been ended',
}

/** Whether the server has rolled back what may succeed at once. */
export function isNotExecuted(error: unknown): boolean {
  return !(error instanceof StoreError) && ofState(codeOf(error))?.kind === 'not_executed'
}

/** Whether the server gave up on a row that another session holds. */
export function isHeld(error: unknown): boolean {
  return error instanceof StoreError && codeOf(error.cause) === '55P03'
}

/** Whether a change had been made before, under the same entry. */
export function isMadeAlready(error: unknown): boolean {
  return error instanceof StoreError && codeOf(error.cause) === 'SR002'
}

/** Whether the server takes no writes. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof StoreError && codeOf(error.cause) === '25006'
}

/**
 * A failure as a StoreError.
 * @param isSent whether the statement may have left this process
 */
export function storeError(error: unknown, store: string, table: string, isSent = true): StoreError {
  if (error instanceof StoreError) return error
  const found = meaningOf(error)
  const { kind, message, code } = isSent || found.kind !== 'ambiguous' ? found : unsent(error)
  const advice = code !== undefined && !/newer|another/.test(message) ? `: ${SETUP}` : ''
  const cause = withoutValues(error)
  return new StoreError(store, `${message.replace('{table}', table)}${advice}`, {
    cause,
    kind,
    ...(code !== undefined && { code }),
  })
}

function meaningOf(error: unknown): Meaning {
  const code = codeOf(error)
  const known = ofState(code)
  if (known !== undefined) return known
  const text = textOf(error)
  if (UNSENT[code] !== undefined) return { kind: 'unavailable', message: UNSENT[code] }
  if (/timeout exceeded when trying to connect|due to connection timeout/.test(text))
    return { kind: 'unavailable', message: 'no free connection in time' }
  if (/after calling end on the pool/.test(text)) return { kind: 'unavailable', message: 'the pool has been ended' }
  if (/does not support SSL|SSLMODE|certificate|self.signed/i.test(text) || /^ERR_(TLS|SSL)|CERT|SELF_SIGNED/.test(code))
    return { kind: 'misconfigured', message: `the TLS connection failed: ${text}` }
  if (/SASL|password must be a string/i.test(text))
    return { kind: 'misconfigured', message: 'no password was given, or it is no text' }
  // A statement that the server refused is refused again.
  if (isState(code)) return { kind: 'misconfigured', message: text }
  return { kind: 'ambiguous', message: 'the connection was lost, or did not answer: it may have been charged' }
}

/** The handshake failed, or a connection that was there turned out to be gone. */
function unsent(error: unknown): Meaning {
  return { kind: 'unavailable', message: `the connection was lost before anything was sent: ${textOf(error)}` }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'failed'
}

function ofState(code: string): Meaning | undefined {
  return BY_STATE[code] ?? (isState(code) ? BY_STATE[code.slice(0, 2)] : undefined)
}

function isState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code)
}

function codeOf(error: unknown): string {
  const { code, errors } = (error ?? {}) as { code?: unknown; errors?: readonly unknown[] }
  if (typeof code === 'string') return code
  // Several addresses were tried.
  return Array.isArray(errors) && errors.length > 0 ? codeOf(errors[0]) : ''
}

/** The error without what drivers hang on it: the statement's values, and the client with its settings. */
function withoutValues(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined
  const bare = new Error(error.message)
  if (error.name !== 'Error') bare.name = error.name
  const code = codeOf(error)
  return code === '' ? bare : Object.assign(bare, { code })
}
