// Clearing the table, a batch at a time. Promise: rows are looked for without a lock, and deleted by their keys in order, so that no
// decision waits for more than one batch and none for ever; what was used in between is looked at again and stays. Next: ../maintenance.ts.

import type { RemoteSettings } from '../remote-options.ts'
import { type CleanupReport, type CleanupSettings, likePattern } from '../maintenance.ts'
import type { Connection } from './clients.ts'
import type { Server } from './server.ts'
import { NOW_MS, among, literal } from './statements.ts'

const SWEEP_ROWS = 1000

/** Deletes some expired rows; tells how many. */
export function sweepExpired(server: Server, { keyPrefix, clock }: RemoteSettings): Promise<number> {
  return server.unhurried(async (connection) => {
    const now = clock?.now() ?? (await serverTime(connection))
    const expired = `expires_at <= ${now}`
    const keys = await select(
      connection,
      `SELECT \`key\` FROM ${server.statements.table} WHERE ${expired} AND ${like(['', ''], keyPrefix)} ORDER BY expires_at LIMIT ${SWEEP_ROWS}`,
    )
    return remove(connection, server, keys, expired)
  })
}

/** See {@link CleanupSettings}. Rows of other prefixes are not looked at. */
export function cleanUp(server: Server, remote: RemoteSettings, settings: CleanupSettings): Promise<CleanupReport> {
  const { dryRun, olderThanMs, batchSize, pattern, onProgress } = settings
  return server.unhurried(async (connection) => {
    const now = remote.clock?.now() ?? (await serverTime(connection))
    const dead = `expires_at <= ${now}${olderThanMs === undefined ? '' : ` OR updated_at <= ${now - olderThanMs}`}`
    const { table } = server.statements
    const named = like(pattern ?? ['', ''], remote.keyPrefix)
    let [found, deleted] = [0, 0]
    for (let after = ''; ;) {
      const keys = await select(
        connection,
        `SELECT \`key\` FROM ${table} WHERE \`key\` > ${literal(after)} AND ${named} AND (${dead}) ORDER BY \`key\` LIMIT ${batchSize}`,
      )
      const last = keys.at(-1)
      if (last === undefined) return { found, deleted }
      found += keys.length
      after = last
      if (dryRun) continue
      deleted += await remove(connection, server, keys, dead)
      onProgress(deleted)
    }
  })
}

/** The names that a pattern is about. */
export function like(pattern: readonly string[], prefix: string): string {
  return `\`key\` LIKE ${literal(likePattern(pattern, prefix))} ESCAPE ${literal('\\')}`
}

async function serverTime(connection: Connection): Promise<number> {
  const rows = await connection.query(`SELECT ${NOW_MS}`)
  return Number(rows[0]?.[0])
}

async function select(connection: Connection, sql: string): Promise<string[]> {
  return (await connection.query(sql)).map(([key]) => String(key))
}

/** Locks by key, as decisions do; what is dead no more is left. */
async function remove(connection: Connection, server: Server, keys: readonly string[], dead: string): Promise<number> {
  if (keys.length === 0) return 0
  await connection.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED')
  await connection.query('START TRANSACTION')
  const locked = await select(
    connection,
    `SELECT \`key\` FROM ${server.statements.table} FORCE INDEX (PRIMARY) WHERE ${among(keys)} AND (${dead})
 ORDER BY \`key\` FOR UPDATE`,
  )
  if (locked.length > 0) await connection.query(server.statements.delete(locked))
  await connection.query('COMMIT')
  return locked.length
}
