// A pool that the store makes itself, when the first decision needs it. Promise: the driver is loaded then and not before; a missing one
// is told with what to install; a pool that fails while it is idle does not end the process. Next: clients.ts for pools handed in.

import { StoreError } from '../../core/errors.ts'
import { type ClientSettings, type PgPool, type PostgresClient, type PostgresJsSql, fromPg, fromPostgresJs } from './clients.ts'
import type { ConnectionSettings } from './connection-options.ts'
import { dialling } from './dialling.ts'

/** What is used of the drivers. */
interface Pg {
  readonly Pool: new (options: object) => PgPool & { on(event: 'error', listener: () => void): unknown }
}
type PostgresJs = (options: object) => PostgresJsSql

/** Not literals, so that no bundler looks for a driver that is not installed. */
const PG: string = 'pg'
const POSTGRES_JS: string = 'postgres'

/** Ms after which an attempt to connect is given up: a server that is back is tried anew. Decisions do not wait for it. */
const CONNECT_MS = 3000
const APPLICATION = 'smart-ratelimit'

/** A client whose pool is made on first use. */
export function ownClient(settings: ConnectionSettings, store: string, use: ClientSettings): PostgresClient {
  let made: Promise<PostgresClient> | undefined
  const client = async (): Promise<PostgresClient> => {
    made ??= connect(settings, store, use)
    try {
      return await made
    } catch (error) {
      made = undefined
      throw error
    }
  }
  return {
    size: settings.maxConnections,
    query: async (statement, values, giveUpMs) => (await client()).query(statement, values, giveUpMs),
    script: async (text) => (await client()).script(text),
    close: async () => {
      const opened = await made?.catch(() => undefined)
      await opened?.close()
    },
  }
}

async function connect(settings: ConnectionSettings, store: string, use: ClientSettings): Promise<PostgresClient> {
  let missing: unknown
  if (settings.client !== 'postgres') {
    const loaded = await load(PG)
    if ('module' in loaded) return fromPg(pgPool(loaded.module as Pg, settings), use)
    missing = loaded.error
  }
  if (settings.client !== 'pg') {
    const loaded = await load(POSTGRES_JS)
    if ('module' in loaded) return fromPostgresJs(postgresJs(loaded.module as PostgresJs, settings), use)
    missing = loaded.error
  }
  const wanted = settings.client === undefined ? 'pg (or postgres)' : settings.client
  throw new StoreError(store, `needs a driver for a connection of its own: npm install ${wanted}`, {
    kind: 'misconfigured',
    cause: missing,
  })
}

async function load(name: string): Promise<{ readonly module: unknown } | { readonly error: unknown }> {
  try {
    return { module: ((await import(name)) as { default: unknown }).default }
  } catch (error) {
    return { error }
  }
}

function pgPool({ Pool }: Pg, { maxConnections, host, port, database, user, password, ssl }: ConnectionSettings): PgPool {
  const pool = new Pool({
    host,
    port,
    database,
    user,
    password,
    ssl,
    max: maxConnections,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    application_name: APPLICATION,
    // The connections of a store that is not closed do not keep a process alive.
    allowExitOnIdle: true,
  })
  // An idle connection was lost: the next decision makes another.
  pool.on('error', () => {})
  return pool
}

function postgresJs(
  connectTo: PostgresJs,
  { maxConnections, host, port, database, user, password, ssl }: ConnectionSettings,
): PostgresJsSql {
  const address = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
  return connectTo({
    ...address,
    socket: dialling(address),
    ...(database !== undefined && { database }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    // What it calls true is TLS with verification.
    ssl: ssl === true ? 'verify-full' : ssl,
    max: maxConnections,
    connect_timeout: CONNECT_MS / 1000,
    // One trip less for each connection: nothing here is an array to a driver.
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: APPLICATION },
  })
}
