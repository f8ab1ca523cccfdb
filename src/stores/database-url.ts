// A database's address as one text. Promise: what is wrong with it is told without showing it, as it may hold a password.
// Next: postgres/connection-options.ts, mysql/connection-options.ts.

import { ConfigError } from '../core/errors.ts'

/** Stands for a URL in errors. */
export const HIDDEN_URL = Symbol('a URL that is not shown')

/** The parts of a database's URL that all servers have. */
export interface DatabaseUrlParts {
  readonly host?: string
  readonly port?: number
  readonly database?: string
  readonly user?: string
  readonly password?: string
}

/**
 * Reads a URL.
 * @param protocols those it may have, each with its colon; the first is the one that errors show
 * @throws ConfigError for what is no such URL, without showing it
 */
export function parseDatabaseUrl(
  url: unknown,
  protocols: readonly string[],
  port: number,
  option: string,
): { readonly parts: DatabaseUrlParts; readonly parameters: URLSearchParams } {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !protocols.includes(parsed.protocol)) {
    const shape = `${protocols[0]}//user:password@host:${port}/database`
    const expected = `${shape} (special characters of a password written as %XX)`
    throw new ConfigError(option, expected, typeof url === 'string' ? HIDDEN_URL : url)
  }
  const parts = {
    ...(parsed.hostname !== '' && { host: decoded(parsed.hostname.replace(/^\[(.*)\]$/, '$1'), option) }),
    ...(parsed.port !== '' && { port: Number(parsed.port) }),
    ...(parsed.pathname.length > 1 && { database: decoded(parsed.pathname.slice(1), option) }),
    ...(parsed.username !== '' && { user: decoded(parsed.username, option) }),
    ...(parsed.password !== '' && { password: decoded(parsed.password, option) }),
  }
  return { parts, parameters: parsed.searchParams }
}

/** The parts of a connection that all servers have, checked and with their defaults. */
export interface ConnectionParts {
  readonly host: string
  readonly port: number
  readonly database: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly maxConnections: number
}

/**
 * Checks what all servers' connections have.
 * @param defaultPort the server's own
 * @throws ConfigError naming the part that is wrong; a password is not shown
 */
export function connectionParts(
  given: DatabaseUrlParts & { readonly maxConnections?: number },
  defaultPort: number,
  option: string,
): ConnectionParts {
  const text = (key: 'host' | 'database' | 'user' | 'password'): string | undefined => {
    const value: unknown = given[key]
    if (value === undefined || (typeof value === 'string' && (value !== '' || key === 'password'))) return value
    throw new ConfigError(`${option}.${key}`, 'a text', key === 'password' ? typeof value : value)
  }
  const { port = defaultPort, maxConnections = 4 } = given
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new ConfigError(`${option}.port`, 'a whole number from 1 to 65535', port)
  if (!Number.isInteger(maxConnections) || maxConnections < 1 || maxConnections > 100)
    throw new ConfigError(`${option}.maxConnections`, 'a whole number from 1 to 100', maxConnections)
  return {
    host: text('host') ?? 'localhost',
    port,
    database: text('database'),
    user: text('user'),
    password: text('password'),
    maxConnections,
  }
}

function decoded(text: string, option: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new ConfigError(option, 'special characters written as %XX, and % itself as %25', HIDDEN_URL)
  }
}
