// Real servers for tests. Promise: each is started at most once per run, when the first test file asks for it, on a free port of
// 127.0.0.1 with its data in a temp folder, and nothing is left running or on disk afterwards. Shared servers must not be flushed,
// reconfigured or stopped; a test that needs that starts one of its own (startRedis, startRedisCluster, startPostgres, startMariadb).
// Next: servers/control.ts, which runs in the main process; servers/own-server.ts, how one is started; servers.test.ts, examples.

import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { askControl } from './servers/control.ts'
import { createDatabase, dropDatabase } from './servers/databases.ts'
import { type ProgramName, SERVER_VARIABLES, type ServerKind, findProgram, needProgram } from './servers/programs.ts'
import type { Found } from './servers/shared-servers.ts'

export { startMariadb } from './servers/mariadb.ts'
export { startPostgres } from './servers/postgres.ts'
export type { OwnServer } from './servers/own-server.ts'
export { startRedis, startRedisCluster } from './servers/redis.ts'

/** A running server, as a block of tests sees it. */
export interface TestServer {
  readonly kind: ServerKind
  /** With user, password and, of a database, the block's own database. Of a cluster: the first master's. */
  readonly url: string
  /** One address per master of a cluster; elsewhere `[url]`. */
  readonly urls: readonly string[]
  /** No other block of this or another run has it: letters, digits and a colon at the end. Begin Redis keys with it. */
  readonly prefix: string
  /** Makes an empty database and resolves to its address; it is dropped after the block. PostgreSQL and MariaDB alone. */
  freshDatabase(): Promise<string>
}

/**
 * A `describe` that needs a shared server, found or started before `body` is called; so `server.url` is there in `body` itself. Where
 * there is no such server the block is one skipped test that says why, and with `CI` set one failing test. A server that should be
 * there and is broken fails anywhere. Without Valkey a block for it registers nothing; let its file have other tests.
 */
export function describeWithServer(kind: ServerKind, title: string, body: (server: TestServer) => void | Promise<void>): void {
  if (kind === 'valkey' && process.env[SERVER_VARIABLES.valkey] === undefined && findProgram('valkey-server') === undefined)
    return
  // Asked for now and awaited below, so that the servers of a file's blocks start together.
  const asked = askControl(kind)
  asked.catch(() => undefined)
  describe(`${title} (${kind})`, async () => {
    const found = await asked
    if (found.kind !== 'running') return withoutServer(kind, found)
    const databases: string[] = []
    const freshDatabase = async (): Promise<string> => {
      const url = await createDatabase(kind, found.urls[0] ?? '')
      databases.push(url)
      return url
    }
    afterAll(async () => {
      for (const url of databases) await dropDatabase(kind, found.urls[0] ?? '', url)
    })
    const isDatabase = kind === 'postgres' || kind === 'mariadb'
    const urls = isDatabase ? [await freshDatabase()] : found.urls
    await body({ kind, url: urls[0] ?? '', urls, prefix: `t${randomBytes(6).toString('hex')}:`, freshDatabase })
  })
}

/** Kind of an own server → the program it needs. */
const OWN_PROGRAMS = { redis: 'redis-server', postgres: 'postgres', mariadb: 'mariadbd' } as const satisfies Record<
  string,
  ProgramName
>

/** A `describe` for tests that start servers of their own, skipped or failing like `describeWithServer`. It starts nothing. */
export function describeWithOwnServer(kind: keyof typeof OWN_PROGRAMS, title: string, body: () => void | Promise<void>): void {
  describe(`${title} (own ${kind})`, async () => {
    try {
      await needProgram(OWN_PROGRAMS[kind])
    } catch (error) {
      return withoutServer(kind, { kind: 'missing', reason: (error as Error).message })
    }
    await body()
  })
}

function withoutServer(kind: ServerKind, found: NotFound): void {
  withoutIt(kind, found, SERVER_VARIABLES[kind])
}

type NotFound = Extract<Found, { readonly reason: string }>

/** What stands in the place of tests that need something: skipped with the reason, and with `CI` failing. */
export function withoutIt(what: string, { kind: problem, reason }: NotFound, variable: string): void {
  const isCi = !['', undefined, 'false', '0'].includes(process.env['CI'])
  test(`needs ${what}`, ({ skip }) => {
    skip(problem === 'missing' && !isCi, reason)
    expect.fail(`No ${what}: ${reason}. ${variable} may name one that is there already.`)
  })
}
