// node-redis as a connection: clients, pools, Sentinel and clusters. These never repeat a command whose answer was lost; what they
// keep while they are away is kept from them here. Promise: as in connection.ts. Next: driver.ts.

import { NotConnected, type RedisConnection, type RedisNode } from './connection.ts'
import { Readiness, type Watched } from './readiness.ts'

interface Common extends Watched {
  readonly isOpen: boolean
}

/** What is needed of `createClient()`. */
export interface NodeRedisClient extends Common {
  readonly isReady: boolean
  sendCommand(args: string[]): Promise<unknown>
}

/** What is needed of `createClientPool()`. */
export interface NodeRedisPool extends Common {
  sendCommand(args: string[]): Promise<unknown>
}

/** What is needed of `createSentinel()`. */
export interface NodeRedisSentinel extends Common {
  readonly isReady: boolean
  getMasterNode(): unknown
  sendCommand(isReadonly: boolean | undefined, args: string[]): Promise<unknown>
}

/** What is needed of `createCluster()`. */
export interface NodeRedisCluster extends Common {
  readonly isReady: boolean
  readonly slots: readonly { readonly master: { readonly address?: string } }[]
  readonly masters: readonly object[]
  nodeClient(node: never): Promise<unknown>
  sendCommand(firstKey: string | undefined, isReadonly: boolean | undefined, args: string[]): Promise<unknown>
}

/** Any of them. */
export type NodeRedis = NodeRedisClient | NodeRedisPool | NodeRedisSentinel | NodeRedisCluster

/** Whether this is a client of node-redis. */
export function isNodeRedis(source: object): source is NodeRedis {
  const { isOpen, sendCommand } = source as Partial<NodeRedisClient>
  return typeof isOpen === 'boolean' && typeof sendCommand === 'function'
}

/**
 * A connection by a client, of the app's or the store's own.
 * @param end ends the client, if it is the store's own
 */
export function nodeRedisConnection(client: NodeRedis, end?: () => void): RedisConnection {
  const own = end !== undefined
  const readiness = new Readiness(client, own, () => stateOf(client))
  const close = (): void => {
    readiness.stop()
    end?.()
  }
  const common = { ready: (patienceMs: number) => readiness.ready(patienceMs), keyPrefix: '', renew: (): void => {}, close }
  if (isCluster(client)) {
    return { ...common, send: (name, args, key) => client.sendCommand(key, false, [name, ...args]), ...clusterParts(client) }
  }
  if (isSentinel(client)) return { ...common, send: (name, args) => client.sendCommand(false, [name, ...args]) }
  return { ...common, send: (name, args) => client.sendCommand([name, ...args]) }
}

function isCluster(client: NodeRedis): client is NodeRedisCluster {
  return typeof (client as Partial<NodeRedisCluster>).nodeClient === 'function'
}

function isSentinel(client: NodeRedis): client is NodeRedisSentinel {
  return typeof (client as Partial<NodeRedisSentinel>).getMasterNode === 'function'
}

function stateOf(client: NodeRedis | Partial<NodeRedisClient>): 'ready' | 'waiting' | 'ended' {
  if (client.isOpen !== true) return 'ended'
  // A pool connects its clients when they are needed.
  return (client as Partial<NodeRedisClient>).isReady === false ? 'waiting' : 'ready'
}

function clusterParts(cluster: NodeRedisCluster): Pick<Required<RedisConnection>, 'nodeOf' | 'nodes' | 'addressOf'> {
  const known = new WeakMap<object, RedisNode>()
  const nodeOf = (node: object): RedisNode => {
    let found = known.get(node)
    if (found === undefined) known.set(node, (found = nodeParts(cluster, node)))
    return found
  }
  return {
    addressOf: (slot) => cluster.slots[slot]?.master.address,
    nodeOf(slot) {
      const master = cluster.slots[slot]?.master
      return master === undefined ? undefined : nodeOf(master)
    },
    nodes: () => cluster.masters.map(nodeOf),
  }
}

/** A node's client is made when it is first needed, and another one after it was lost for good. */
function nodeParts(cluster: NodeRedisCluster, node: object): RedisNode {
  const clientOf = (): NodeRedisClient | undefined => {
    const { client } = node as { client?: unknown }
    return typeof (client as Partial<NodeRedisClient> | undefined)?.sendCommand === 'function'
      ? (client as NodeRedisClient)
      : undefined
  }
  return {
    ready() {
      if (clientOf()?.isReady === true) return undefined
      return cluster.nodeClient(node as never).then((client) => {
        if ((client as Partial<NodeRedisClient>).isReady === false) throw new NotConnected('not connected')
      })
    },
    async send(name, args) {
      const client = clientOf()
      if (client === undefined) throw new NotConnected('not connected')
      return client.sendCommand([name, ...args])
    },
  }
}
