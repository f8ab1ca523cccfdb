// ioredis as a connection: Redis, alone or by Sentinel, and Cluster. Promise: what was sent is not sent again by the client, and no
// queue of the client's holds a decision. A client of the app's that would do so is left to the app; the store opens one like it.
// Next: readiness.ts, which waits for a client; driver.ts, which asks.

import { monotonicMs } from '../../core/clock.ts'
import type { RedisConnection, RedisNode } from './connection.ts'
import { Readiness, type Watched } from './readiness.ts'

/** What is needed of an ioredis client. */
export interface IoredisClient extends Watched {
  /** `wait`, `connecting`, `connect`, `ready`, `close`, `reconnecting`, `end`. */
  readonly status: string
  readonly options: object
  call(command: string, args: string[]): Promise<unknown>
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  duplicate?(options?: object): unknown
}

/** What is needed of an ioredis Cluster. */
export interface IoredisCluster extends IoredisClient {
  readonly isCluster: boolean
  nodes(role?: 'master'): IoredisClient[]
  duplicate(nodes?: never[], options?: object): unknown
}

/** What the options of a client may say that matters here. */
interface Options {
  readonly autoResendUnfulfilledCommands?: boolean
  readonly keyPrefix?: string
  readonly retryDelayOnFailover?: number
  readonly redisOptions?: Options
  readonly sentinels?: readonly object[]
  readonly host?: string
  readonly port?: number
}

/** Between attempts to bring a client back that has ended. */
const REVIVE_PAUSE_MS = 500

/** How long a client waits before it looks again whether a server has loaded its data. */
const LOADING_PAUSE_MS = 500

/** Settings with which a client neither keeps nor repeats a command. */
export const STRICT = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  enableAutoPipelining: false,
  lazyConnect: true,
  stringNumbers: false,
  // 0: whoever waits for an answer is told when the connection ends, and does not wait for another.
  maxRetriesPerRequest: 0,
  maxLoadingRetryTime: LOADING_PAUSE_MS,
} as const

/** The same by Sentinel: a new primary is announced, so that nobody asks the old one until it hangs up. */
export const STRICT_SENTINEL = { ...STRICT, failoverDetector: true } as const

/** The same for a cluster. Its queue only keeps what a server redirects to one that is just being connected to: all else waits before. */
export const STRICT_CLUSTER = {
  enableOfflineQueue: true,
  enableAutoPipelining: false,
  lazyConnect: true,
  // 0: a command is not repeated when its node's connection ends.
  retryDelayOnFailover: 0,
  redisOptions: { autoResendUnfulfilledCommands: false, stringNumbers: false, maxLoadingRetryTime: LOADING_PAUSE_MS },
} as const

/** Whether this is a client of ioredis. */
export function isIoredis(source: object): source is IoredisClient {
  const { status, call, disconnect } = source as Partial<IoredisClient>
  return typeof status === 'string' && typeof call === 'function' && typeof disconnect === 'function'
}

/** A connection by a client of the app's. */
export function ioredisConnection(client: IoredisClient): RedisConnection {
  const own = strictLike(client)
  if (own === undefined) return connection(client, false)
  const made = ownIoredisConnection(own)
  // An app that ends its client does not know of the other one, which would keep the process alive.
  const end = (): void => void made.close()
  client.on('end', end)
  if (client.status !== 'wait') own.connect().catch(() => {})
  return {
    ...made,
    close() {
      client.off('end', end)
      return made.close()
    },
  }
}

/** A client like this one that repeats nothing; undefined if this one is such a client, or makes no others. */
function strictLike(client: IoredisClient): IoredisClient | undefined {
  if (!repeats(client) || client.duplicate === undefined) return undefined
  if (isCluster(client)) return client.duplicate([], STRICT_CLUSTER) as IoredisClient
  const { sentinels } = client.options as Options
  return client.duplicate(sentinels === undefined ? STRICT : STRICT_SENTINEL) as IoredisClient
}

/** A connection by a client that the store has made. */
export function ownIoredisConnection(client: IoredisClient): RedisConnection {
  return connection(client, true)
}

function isCluster(client: IoredisClient): client is IoredisCluster {
  return (client as Partial<IoredisCluster>).isCluster === true
}

/** Whether the client sends a command again whose answer was lost: both kinds do unless told otherwise. */
function repeats(client: IoredisClient): boolean {
  const options = client.options as Options
  if (isCluster(client)) return (options.retryDelayOnFailover ?? 100) > 0
  return options.autoResendUnfulfilledCommands !== false
}

function connection(client: IoredisClient, own: boolean): RedisConnection {
  let isOver = false
  let revivedAt = -Infinity
  // A client may end by itself, for good, when a Sentinel announces another primary while it is connecting.
  const revives = (): boolean => {
    if (!own || isOver || monotonicMs() - revivedAt < REVIVE_PAUSE_MS) return own && !isOver
    revivedAt = monotonicMs()
    client.connect().catch(() => {})
    return true
  }
  const readiness = readinessOf(client, own, revives)
  const options = client.options as Options
  return {
    ready: (patienceMs) => readiness.ready(patienceMs),
    send: (name, args) => client.call(name, args),
    ...(isCluster(client) && clusterParts(client)),
    keyPrefix: options.keyPrefix ?? options.redisOptions?.keyPrefix ?? '',
    renew() {
      if (!own || client.status !== 'ready') return
      readiness.renew()
      client.disconnect(true)
    },
    close() {
      isOver = true
      readiness.stop()
      if (own) client.disconnect()
    },
  }
}

/** @param revives brings a client that has ended back; whether it will be */
function readinessOf(client: IoredisClient, own: boolean, revives: () => boolean = () => false): Readiness {
  return new Readiness(client, own, () => {
    const { status } = client
    if (status === 'wait') client.connect().catch(() => {})
    if (status === 'ready') return 'ready'
    return status === 'end' && !revives() ? 'ended' : 'waiting'
  })
}

function clusterParts(cluster: IoredisCluster): Pick<Required<RedisConnection>, 'nodeOf' | 'nodes' | 'addressOf'> {
  const known = new WeakMap<IoredisClient, RedisNode>()
  const nodeOf = (client: IoredisClient): RedisNode => {
    let node = known.get(client)
    if (node === undefined) {
      const readiness = readinessOf(client, false)
      known.set(
        client,
        (node = { ready: (patienceMs) => readiness.ready(patienceMs), send: (name, args) => client.call(name, args) }),
      )
    }
    return node
  }
  /** Address → client, of the list of nodes it was made of. */
  let addresses = new Map<string, IoredisClient>()
  const clientAt = (address: string): IoredisClient | undefined => {
    const found = addresses.get(address)
    if (found !== undefined && found.status !== 'end') return found
    addresses = new Map(cluster.nodes('master').map((client) => [addressOf(client), client]))
    return addresses.get(address)
  }
  const addressIn = (slot: number): string | undefined =>
    (cluster as unknown as { slots?: readonly (readonly string[])[] }).slots?.[slot]?.[0]
  return {
    addressOf: addressIn,
    nodeOf(slot) {
      const address = addressIn(slot)
      const client = address === undefined ? undefined : clientAt(address)
      return client === undefined ? undefined : nodeOf(client)
    },
    nodes: () => cluster.nodes('master').map(nodeOf),
  }
}

function addressOf(client: IoredisClient): string {
  const { host = '', port = 0 } = client.options as Options
  return `${host}:${port}`
}
