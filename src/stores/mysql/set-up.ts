// The table: made, or brought up to date. Promise: two that set up at once do not meet; doing it again changes nothing; no counter is
// lost. Next: schema.sql.

import { StoreError } from '../../core/errors.ts'
import type { Connection } from './clients.ts'
import { isMissingTable, versionError } from './errors.ts'
import schema from './schema.sql'
import type { Server } from './server.ts'
import { VERSION, VERSION_KEY, literal } from './statements.ts'

/** Seconds that one waits for another who sets up. */
const WAIT_S = 60

/** What makes the table, for people who run it themselves. */
export function setupSql(table: string): string {
  return schema.replaceAll('{table}', table)
}

/** @throws StoreError where a newer release has made the table, or a right is missing */
export function setUp(server: Server): Promise<void> {
  const { table } = server.statements
  return server.unhurried(async (connection) => {
    const [lock] = await connection.query(`SELECT GET_LOCK(${lockName(table)}, ${WAIT_S})`)
    if (Number(lock?.[0]) !== 1)
      throw new StoreError(server.name, `another process has been setting up ${table} for ${WAIT_S} s`, { kind: 'unavailable' })
    try {
      const found = await versionOf(connection, table)
      if (found > VERSION) throw versionError(server.name, table, found, VERSION)
      // Each statement by itself: a client may not take several. Comments end with their line.
      const sql = setupSql(table).replace(/^--.*$/gm, '')
      for (const statement of sql.split(/;\s*$/m)) if (statement.trim() !== '') await connection.query(statement)
    } finally {
      await connection.query(`SELECT RELEASE_LOCK(${lockName(table)})`)
    }
  })
}

/** 0 for a table that is not there, or says no version. */
async function versionOf(connection: Connection, table: string): Promise<number> {
  try {
    const [row] = await connection.query(`SELECT state FROM ${table} WHERE \`key\` = ${literal(VERSION_KEY)}`)
    return Number(row?.[0] ?? 0)
  } catch (error) {
    if (isMissingTable(error)) return 0
    throw error
  }
}

/** Locks are the server's and not the database's, and their names short. */
function lockName(table: string): string {
  return `CONCAT('ratelimit:', MD5(CONCAT_WS('.', DATABASE(), ${literal(table)})))`
}
