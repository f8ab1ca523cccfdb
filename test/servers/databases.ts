// Databases for tests, made and dropped on a server that may hold others' as well. Next: ../servers.ts.

import { randomBytes } from 'node:crypto'
import type { ServerKind } from './programs.ts'

/** Makes an empty database on the server at `serverUrl` and resolves to its address. */
export async function createDatabase(kind: ServerKind, serverUrl: string): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await run(kind, serverUrl, `CREATE DATABASE ${name}`)
  const url = new URL(serverUrl)
  url.pathname = name
  return url.href
}

/** Drops a database made here. Sessions that are left in it are ended. */
export async function dropDatabase(kind: ServerKind, serverUrl: string, url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1)
  await run(kind, serverUrl, `DROP DATABASE IF EXISTS ${name}${kind === 'postgres' ? ' WITH (FORCE)' : ''}`)
}

// Drivers are loaded when needed: a file that tests Redis pays for no database's.
async function run(kind: ServerKind, url: string, statement: string): Promise<void> {
  if (kind === 'postgres') {
    const { default: pg } = await import('pg')
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      await client.query(statement)
    } finally {
      await client.end()
    }
  } else if (kind === 'mariadb') {
    const { createConnection } = await import('mysql2/promise')
    const connection = await createConnection(url)
    try {
      await connection.query(statement)
    } finally {
      await connection.end()
    }
  } else throw new Error(`${kind} has no databases to make: use server.prefix`)
}
