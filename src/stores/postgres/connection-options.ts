// A connection described by data, checked. Promise: a wrong or misspelt part fails at construction, naming it; a URL's parts win over
// those beside it; no error shows a password, nor a URL that may hold one. Next: own-pool.ts, which connects.

import { ConfigError } from '../../core/errors.ts'
import { HIDDEN_URL, connectionParts, parseDatabaseUrl } from '../database-url.ts'

/** Where a server is, for a pool that the store makes itself. A `url` wins over the parts beside it. */
export interface PostgresConnection {
  /** `postgres://user:password@host:5432/database`; `?sslmode=require` or `verify-full` for TLS. Escape what is special in a password. */
  readonly url?: string
  /** A name, an address, or the folder of a Unix socket (default `localhost`). */
  readonly host?: string
  /** Default 5432. */
  readonly port?: number
  /** Default: the user's name. */
  readonly database?: string
  readonly user?: string
  readonly password?: string
  /** TLS: `true` (certificate and host name are verified), `false` (default), or Node's TLS options, such as `{ ca }`. */
  readonly ssl?: boolean | object
  /** Most connections at once (default 4), from 1 to 100. */
  readonly maxConnections?: number
  /** Which package connects (default: `pg` if it is installed, else `postgres`). */
  readonly client?: 'pg' | 'postgres'
}

/** What a pool needs. */
export interface ConnectionSettings {
  readonly host: string
  readonly port: number
  readonly database: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly ssl: boolean | object
  readonly maxConnections: number
  readonly client: 'pg' | 'postgres' | undefined
}

const KNOWN = [
  'url',
  'host',
  'port',
  'database',
  'user',
  'password',
  'ssl',
  'maxConnections',
  'client',
] satisfies readonly (keyof PostgresConnection)[]

/** By libpq's names for the ways of using TLS. */
const SSL_MODES: Readonly<Record<string, boolean | object>> = {
  disable: false,
  'no-verify': { rejectUnauthorized: false },
  require: { rejectUnauthorized: false },
  'verify-ca': { rejectUnauthorized: true, checkServerIdentity: () => undefined },
  'verify-full': true,
}

/** Whether it is a description rather than a client. */
export function isConnection(source: unknown): source is PostgresConnection {
  return typeof source === 'object' && source !== null && ('url' in source || 'host' in source) && !('query' in source)
}

/** @throws ConfigError naming the part that is wrong */
export function connectionSettings(source: PostgresConnection, option: string): ConnectionSettings {
  for (const key of Object.keys(source)) {
    if (!(KNOWN as readonly string[]).includes(key))
      throw new ConfigError(`${option}.${key}`, `one of ${KNOWN.join(', ')}`, undefined)
  }
  const given = { ...source, ...(source.url !== undefined && partsOf(source.url, `${option}.url`)) }
  const { ssl = false, client } = given
  const parts = connectionParts(given, 5432, option)
  if (typeof ssl !== 'boolean' && (typeof ssl !== 'object' || ssl === null))
    throw new ConfigError(`${option}.ssl`, 'true, false or TLS options', ssl)
  if (client !== undefined && client !== 'pg' && client !== 'postgres')
    throw new ConfigError(`${option}.client`, '"pg" or "postgres"', client)
  return {
    ...parts,
    ssl,
    client,
  }
}

/** The parts that a URL has. */
function partsOf(url: unknown, option: string): PostgresConnection {
  const { parts, parameters } = parseDatabaseUrl(url, ['postgres:', 'postgresql:'], 5432, option)
  const { host, ssl } = parametersOf(parameters, option)
  return { ...(host !== undefined && { host }), ...parts, ...(ssl !== undefined && { ssl }) }
}

function parametersOf(parameters: URLSearchParams, option: string): { host?: string; ssl?: boolean | object } {
  const found: { host?: string; ssl?: boolean | object } = {}
  for (const [key, value] of parameters) {
    if (key === 'host') found.host = value
    else if (key === 'sslmode' && SSL_MODES[value] !== undefined) found.ssl = SSL_MODES[value]
    else if (key === 'ssl' && ['true', 'false', '1', '0'].includes(value)) found.ssl = value === 'true' || value === '1'
    else
      throw new ConfigError(
        `${option}?${key}`,
        `no parameter but host (a socket's folder), ssl (true, false) and sslmode (${Object.keys(SSL_MODES).join(', ')})`,
        HIDDEN_URL,
      )
  }
  return found
}
