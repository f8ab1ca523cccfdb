// A connection described by data, checked. Promise: a wrong or misspelt part fails at construction, naming it; a URL's parts win over
// those beside it; no error shows a password, nor a URL that may hold one. Next: own-pool.ts, which connects.

import { ConfigError } from '../../core/errors.ts'
import { HIDDEN_URL, connectionParts, parseDatabaseUrl } from '../database-url.ts'

/** Where a server is, for a pool that the store makes itself. A `url` wins over the parts beside it. */
export interface MysqlConnection {
  /** `mysql://user:password@host:3306/database`, or `mariadb://…`; `?ssl=true` or `?ssl-mode=REQUIRED` for TLS. Escape what is special in a password. */
  readonly url?: string
  /** Default `localhost`. */
  readonly host?: string
  /** Default 3306. */
  readonly port?: number
  readonly database?: string
  readonly user?: string
  readonly password?: string
  /** TLS: `true` (certificate and host name are verified), `false` (default), or Node's TLS options, such as `{ ca }`. */
  readonly ssl?: boolean | object
  /** Most connections at once (default 4), from 1 to 100. */
  readonly maxConnections?: number
}

/** What a connection needs. */
export interface ConnectionSettings {
  readonly host: string
  readonly port: number
  readonly database: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly ssl: object | undefined
  readonly maxConnections: number
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
] satisfies readonly (keyof MysqlConnection)[]

/** By the names that MySQL's own clients give the ways of using TLS. */
const SSL_MODES: Readonly<Record<string, object | false>> = {
  DISABLED: false,
  REQUIRED: { rejectUnauthorized: false },
  VERIFY_CA: { rejectUnauthorized: true },
  VERIFY_IDENTITY: { rejectUnauthorized: true, verifyIdentity: true },
}

/** Whether it is a description rather than a client. */
export function isConnection(source: object): source is MysqlConnection {
  return 'url' in source || 'host' in source
}

/** @throws ConfigError naming the part that is wrong */
export function connectionSettings(source: MysqlConnection, option: string): ConnectionSettings {
  for (const key of Object.keys(source)) {
    if (!(KNOWN as readonly string[]).includes(key))
      throw new ConfigError(`${option}.${key}`, `one of ${KNOWN.join(', ')}`, undefined)
  }
  const given = { ...source, ...(source.url !== undefined && partsOf(source.url, `${option}.url`)) }
  const { ssl = false } = given
  const parts = connectionParts(given, 3306, option)
  if (typeof ssl !== 'boolean' && (typeof ssl !== 'object' || ssl === null))
    throw new ConfigError(`${option}.ssl`, 'true, false or TLS options', ssl)
  return {
    ...parts,
    ssl: ssl === true ? (SSL_MODES['VERIFY_IDENTITY'] as object) : ssl === false ? undefined : { verifyIdentity: true, ...ssl },
  }
}

/** The parts that a URL has. */
function partsOf(url: unknown, option: string): MysqlConnection {
  const { parts, parameters } = parseDatabaseUrl(url, ['mysql:', 'mariadb:'], 3306, option)
  const { host } = parts
  if (host === undefined) throw new ConfigError(option, 'a URL with a host', HIDDEN_URL)
  const ssl = sslOf(parameters, option)
  return { ...parts, host, ...(ssl !== undefined && { ssl }) }
}

function sslOf(parameters: URLSearchParams, option: string): MysqlConnection['ssl'] | undefined {
  let ssl: MysqlConnection['ssl'] | undefined
  for (const [key, value] of parameters) {
    if (key === 'ssl' && ['true', 'false', '1', '0'].includes(value)) ssl = value === 'true' || value === '1'
    else if (key === 'ssl-mode' && SSL_MODES[value.toUpperCase()] !== undefined)
      ssl = SSL_MODES[value.toUpperCase()] as object | false
    else
      throw new ConfigError(
        `${option}?${key}`,
        `no parameter but ssl (true, false) and ssl-mode (${Object.keys(SSL_MODES).join(', ')})`,
        HIDDEN_URL,
      )
  }
  return ssl
}
