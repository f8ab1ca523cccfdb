// Where a Redis is, as settings say it. Promise: each is checked when the store is made, an error names it and never shows a password,
// and an address that asks for TLS never gets less. Next: connect.ts, which makes a client of it.

import { ConfigError } from '../../core/errors.ts'

/** A Redis by its address. */
export interface RedisAddress {
  /** `redis://user:password@host:port/db`, or `rediss://` for TLS. It wins over the settings that name the same. */
  readonly url?: string
  /** Default `localhost`. */
  readonly host?: string
  /** Default 6379. */
  readonly port?: number
  /** Number of the database (default 0; a cluster has no other). */
  readonly db?: number
  readonly username?: string
  readonly password?: string
  /** true, or options of Node's `tls.connect`; certificates are verified unless these say otherwise (default: TLS for `rediss:` alone). */
  readonly tls?: boolean | object
  /** Ms without an answer, or without a connection, after which the connection is made anew (default 5000). */
  readonly socketTimeoutMs?: number
  /** Some nodes of a cluster: `host:port` or URLs. The others are found through them. */
  readonly cluster?: readonly string[]
  /** Sentinels that know where the primary is. */
  readonly sentinel?: RedisSentinelAddress
  /** Which package connects (default: `ioredis` if it is installed, else `redis`). */
  readonly client?: 'ioredis' | 'redis'
}

/** Sentinels and what they call the primary. */
export interface RedisSentinelAddress {
  /** What the Sentinels call it, such as `mymaster`. */
  readonly name: string
  /** `host:port` of each Sentinel. */
  readonly nodes: readonly string[]
  /** Of the Sentinels themselves, if they ask for them. */
  readonly username?: string
  readonly password?: string
}

/** A place to connect to. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Who connects. */
export interface Login {
  readonly username: string | undefined
  readonly password: string | undefined
}

/** A {@link RedisAddress}, checked, with every default in place. */
export interface CheckedAddress extends HostPort, Login {
  readonly db: number
  readonly tls: object | undefined
  readonly socketTimeoutMs: number
  readonly cluster: readonly HostPort[] | undefined
  readonly sentinel: ({ readonly name: string; readonly nodes: readonly HostPort[] } & Login) | undefined
  readonly client: 'ioredis' | 'redis' | undefined
}

const NAMES = ['url', 'host', 'port', 'db', 'username', 'password', 'tls', 'socketTimeoutMs', 'cluster', 'sentinel', 'client']
const SENTINEL_NAMES = ['name', 'nodes', 'username', 'password']
const DEFAULT_PORT = 6379
const SENTINEL_PORT = 26_379
const SOCKET_TIMEOUT_MS = 5000
/** Received values that may hold a password are not shown. */
const HIDDEN = undefined

/** @throws ConfigError naming the setting */
export function checkAddress(address: RedisAddress, option: string): CheckedAddress {
  known(address, NAMES, option)
  const { url, db, tls, socketTimeoutMs = SOCKET_TIMEOUT_MS, cluster, sentinel, client } = address
  const named = url === undefined ? undefined : parseUrl(url, `${option}.url`)
  if (cluster !== undefined && sentinel !== undefined)
    throw new ConfigError(`${option}.sentinel`, 'to be left out with cluster', HIDDEN)
  if (client !== undefined && client !== 'ioredis' && client !== 'redis')
    throw new ConfigError(`${option}.client`, '"ioredis" or "redis"', client)
  const chosenDb = named?.db ?? whole(db ?? 0, 0, 1_000_000, `${option}.db`)
  if (cluster !== undefined && chosenDb !== 0)
    throw new ConfigError(`${option}.db`, '0, the only database of a cluster', chosenDb)
  const nodes = cluster === undefined ? undefined : places(cluster, DEFAULT_PORT, `${option}.cluster`)
  return {
    host: named?.host ?? text(address.host, `${option}.host`) ?? 'localhost',
    port: named?.port ?? whole(address.port ?? DEFAULT_PORT, 1, 65_535, `${option}.port`),
    db: chosenDb,
    username: named?.username ?? nodes?.login.username ?? text(address.username, `${option}.username`),
    password: named?.password ?? nodes?.login.password ?? text(address.password, `${option}.password`),
    tls: tlsOf(tls, named?.secure === true || nodes?.secure === true, `${option}.tls`),
    socketTimeoutMs: whole(socketTimeoutMs, 1, 3_600_000, `${option}.socketTimeoutMs`),
    cluster: nodes?.list,
    sentinel: sentinel === undefined ? undefined : checkSentinel(sentinel, `${option}.sentinel`),
    client,
  }
}

function checkSentinel(sentinel: RedisSentinelAddress, option: string): CheckedAddress['sentinel'] {
  known(sentinel, SENTINEL_NAMES, option)
  const name = text(sentinel.name, `${option}.name`)
  if (name === undefined) throw new ConfigError(`${option}.name`, 'what the Sentinels call the primary', name)
  const { list } = places(sentinel.nodes, SENTINEL_PORT, `${option}.nodes`)
  return {
    name,
    nodes: list,
    username: text(sentinel.username, `${option}.username`),
    password: text(sentinel.password, `${option}.password`),
  }
}

function known(value: object, names: readonly string[], option: string): void {
  if (typeof value !== 'object' || value === null) throw new ConfigError(option, 'an object', HIDDEN)
  for (const key of Object.keys(value)) {
    if (!names.includes(key)) throw new ConfigError(`${option}.${key}`, `one of ${names.join(', ')}`, HIDDEN)
  }
}

function places(
  nodes: readonly string[],
  port: number,
  option: string,
): { readonly list: readonly HostPort[]; readonly login: Login; readonly secure: boolean } {
  if (!Array.isArray(nodes) || nodes.length === 0) throw new ConfigError(option, 'a list of one or more "host:port"', HIDDEN)
  const urls = nodes.map((node: unknown, i) => {
    const at = `${option}[${i}]`
    if (typeof node !== 'string') throw new ConfigError(at, '"host:port"', node)
    return parseUrl(node.includes('://') ? node : `redis://${node}`, at)
  })
  const login = urls.find(({ password }) => password !== undefined)
  return {
    list: urls.map((url) => ({ host: url.host ?? 'localhost', port: url.port ?? port })),
    login: { username: login?.username, password: login?.password },
    secure: urls.some(({ secure }) => secure),
  }
}

interface Url extends Login {
  readonly host: string | undefined
  readonly port: number | undefined
  readonly db: number | undefined
  readonly secure: boolean
}

/** The last `@` ends the password, so that one with `@:/?#` needs no escapes; those that are there are decoded. */
const URL_FORM = /^(rediss?):\/\/(?:([^]*)@)?(\[[\da-f:.]+\]|[^\s:/?#@[\]]*)(?::(\d{1,5}))?(?:\/(\d*))?$/i

function parseUrl(url: string, option: string): Url {
  const [, scheme, user, host = '', port, db] = (typeof url === 'string' && URL_FORM.exec(url)) || []
  if (scheme === undefined)
    throw new ConfigError(option, 'redis://user:password@host:port/db, or rediss:// for TLS, without query', HIDDEN)
  const colon = user?.indexOf(':') ?? -1
  const username = user === undefined ? undefined : decoded(colon < 0 ? user : user.slice(0, colon))
  const password = user === undefined || colon < 0 ? undefined : decoded(user.slice(colon + 1))
  return {
    host: host === '' ? undefined : host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? undefined : whole(Number(port), 1, 65_535, option),
    db: db === undefined || db === '' ? undefined : whole(Number(db), 0, 1_000_000, option),
    username: username === '' ? undefined : username,
    password: password === '' ? undefined : password,
    secure: scheme.toLowerCase() === 'rediss',
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    // A `%` of its own.
    return part
  }
}

function tlsOf(tls: unknown, secure: boolean, option: string): object | undefined {
  if (tls === false && secure)
    throw new ConfigError(option, 'not false with rediss://: TLS that was asked for is not left out', tls)
  if (tls !== undefined && typeof tls !== 'boolean' && (typeof tls !== 'object' || tls === null))
    throw new ConfigError(option, 'true, false or options of tls.connect', tls)
  if (typeof tls === 'object') return tls as object
  return tls === true || secure ? {} : undefined
}

function text(value: unknown, option: string): string | undefined {
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw new ConfigError(option, 'a text', HIDDEN)
  return value
}

function whole(value: unknown, least: number, most: number, option: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most)
    throw new ConfigError(option, `a whole number from ${least} to ${most}`, value)
  return value as number
}
