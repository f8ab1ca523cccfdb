// What a server is and what its connections allow, asked once. Promise: an unsupported server, a missing or other table is found before
// the first decision, and said. Next: statements.ts, which needs to know.

import { StoreError } from '../../core/errors.ts'
import type { Connection, ResultRow } from './clients.ts'
import { isSyntaxError, versionError } from './errors.ts'
import { type Dialect, type Statements, VERSION, VERSION_KEY } from './statements.ts'

const QUESTION = 'SELECT VERSION(), @@autocommit'

/** @throws StoreError, or what the driver throws */
export async function probe(connection: Connection, store: string, statements: Statements): Promise<Dialect> {
  const { rows, together } = await ask(connection)
  const [version, autocommit] = rows[0] ?? []
  const server = supported(String(version), store)
  if (Number(autocommit) !== 1) {
    const message = 'the pool’s sessions have autocommit off: hand in a pool that leaves it on'
    throw new StoreError(store, message, { kind: 'misconfigured' })
  }
  await checkVersion(connection, store, statements)
  return { server, travel: together ? 'together' : server === 'mariadb' ? 'block' : 'apart' }
}

/** The version of the table, checked. */
export async function checkVersion(connection: Connection, store: string, statements: Statements): Promise<void> {
  const rows = await connection.query(statements.read([VERSION_KEY]))
  const state = rows.find(([key]) => key === VERSION_KEY)?.[1]
  const found = state === undefined ? undefined : Number(state)
  if (found !== VERSION) throw versionError(store, statements.table, found, VERSION)
}

async function ask(connection: Connection): Promise<{ rows: readonly ResultRow[]; together: boolean }> {
  try {
    return { rows: await connection.query(`${QUESTION}; SELECT 1`), together: true }
  } catch (error) {
    if (!isSyntaxError(error)) throw error
    return { rows: await connection.query(QUESTION), together: false }
  }
}

/** `8.0.36`, `8.4.0-log`; `10.11.6-MariaDB-0+deb12u1`, with `5.5.5-` in front from some proxies. */
export function supported(version: string, store: string): Dialect['server'] {
  const [, major = '0', minor = '0'] = /^(?:5\.5\.5-)?(\d+)\.(\d+)/.exec(version) ?? []
  const isMariadb = /mariadb/i.test(version)
  const isOld = isMariadb ? Number(major) < 10 || (major === '10' && Number(minor) < 5) : Number(major) < 8
  if (!isOld) return isMariadb ? 'mariadb' : 'mysql'
  const message = `needs MySQL 8.0 or MariaDB 10.5, or later; this server says ${JSON.stringify(version.slice(0, 40))}`
  throw new StoreError(store, message, { kind: 'misconfigured' })
}
