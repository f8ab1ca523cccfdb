// Makes a client of an address, with the package that is installed. Promise: a client made here keeps no command while it is away,
// repeats none, and comes back at random moments, so that a fleet does not come back as one. Next: ioredis.ts, node-redis.ts.

import { StoreError } from '../../core/errors.ts'
import type { CheckedAddress } from './address.ts'
import type { RedisConnection } from './connection.ts'
import { type IoredisClient, STRICT, STRICT_CLUSTER, STRICT_SENTINEL, ownIoredisConnection } from './ioredis.ts'
import { type NodeRedis, nodeRedisConnection } from './node-redis.ts'

/** Longest pause between two attempts to connect. */
const LONGEST_PAUSE_MS = 1000

/** Ms to wait before the n-th attempt: anywhere from now to a bound that doubles. */
export function pauseMs(attempt: number): number {
  return Math.floor(Math.random() * Math.min(LONGEST_PAUSE_MS, 50 * 2 ** Math.min(attempt, 10)))
}

/** Loads a package and makes a connection of it, which connects when it is first used. */
export async function connectRedis(address: CheckedAddress, store: string): Promise<RedisConnection> {
  const loaded = await load(address.client, store)
  return loaded.kind === 'ioredis'
    ? ownIoredisConnection(makeIoredis(loaded.module, address))
    : makeNodeRedis(loaded.module, address)
}

interface IoredisModule {
  readonly Redis: new (options: object) => IoredisClient
  readonly Cluster: new (nodes: readonly object[], options: object) => IoredisClient
}

interface NodeRedisModule {
  createClient(options: object): MadeClient
  createCluster(options: object): MadeClient
  createSentinel(options: object): MadeClient
}

type MadeClient = NodeRedis & { connect(): Promise<unknown>; destroy(): unknown }

type Loaded =
  | { readonly kind: 'ioredis'; readonly module: IoredisModule }
  | { readonly kind: 'redis'; readonly module: NodeRedisModule }

async function load(client: 'ioredis' | 'redis' | undefined, store: string): Promise<Loaded> {
  let missing: unknown
  if (client !== 'redis') {
    try {
      return { kind: 'ioredis', module: (await import('ioredis')) as unknown as IoredisModule }
    } catch (error) {
      missing = error
    }
  }
  if (client !== 'ioredis') {
    try {
      return { kind: 'redis', module: (await import('redis')) as unknown as NodeRedisModule }
    } catch (error) {
      missing = error
    }
  }
  const wanted = client === undefined ? 'ioredis (or redis)' : client
  throw new StoreError(store, `connecting by address needs a client: npm install ${wanted}`, {
    kind: 'misconfigured',
    cause: missing,
  })
}

function makeIoredis({ Redis, Cluster }: IoredisModule, address: CheckedAddress): IoredisClient {
  const { host, port, db, username, password, tls, socketTimeoutMs, cluster, sentinel } = address
  const common = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls }),
    connectTimeout: socketTimeoutMs,
    socketTimeout: socketTimeoutMs,
  }
  if (cluster !== undefined) {
    return new Cluster(cluster, {
      ...STRICT_CLUSTER,
      clusterRetryStrategy: pauseMs,
      redisOptions: { ...common, ...STRICT_CLUSTER.redisOptions },
    })
  }
  if (sentinel !== undefined) {
    return new Redis({
      ...STRICT_SENTINEL,
      ...common,
      db,
      sentinels: sentinel.nodes,
      name: sentinel.name,
      ...(sentinel.username !== undefined && { sentinelUsername: sentinel.username }),
      ...(sentinel.password !== undefined && { sentinelPassword: sentinel.password }),
      ...(tls !== undefined && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
      sentinelRetryStrategy: pauseMs,
      retryStrategy: pauseMs,
    })
  }
  return new Redis({ ...STRICT, ...common, host, port, db, retryStrategy: pauseMs })
}

function makeNodeRedis(module: NodeRedisModule, address: CheckedAddress): RedisConnection {
  const { host, port, db, username, password, tls, socketTimeoutMs, cluster, sentinel } = address
  const login = { ...(username !== undefined && { username }), ...(password !== undefined && { password }) }
  const socket = {
    ...(tls !== undefined && { ...tls, tls: true }),
    connectTimeout: socketTimeoutMs,
    socketTimeout: socketTimeoutMs,
    reconnectStrategy: pauseMs,
  }
  // A socket that is silent is dropped, and an idle one is not to be: so it is asked now and then.
  const common = { ...login, disableOfflineQueue: true, pingInterval: Math.ceil(socketTimeoutMs / 3) }
  const made = ((): MadeClient => {
    if (cluster !== undefined) {
      return module.createCluster({
        rootNodes: cluster.map((node) => ({ socket: { ...node } })),
        defaults: { ...common, socket },
      })
    }
    if (sentinel !== undefined) {
      const { username: by, password: its } = sentinel
      const sentinelLogin = { ...(by !== undefined && { username: by }), ...(its !== undefined && { password: its }) }
      return module.createSentinel({
        name: sentinel.name,
        sentinelRootNodes: sentinel.nodes,
        nodeClientOptions: { ...common, database: db, socket },
        sentinelClientOptions: { ...sentinelLogin, socket: { ...(tls !== undefined && { ...tls, tls: true }) } },
      })
    }
    return module.createClient({ ...common, database: db, socket: { ...socket, host, port } })
  })()
  const connection = nodeRedisConnection(made, () => void made.destroy())
  made.connect().catch(() => {})
  return connection
}
