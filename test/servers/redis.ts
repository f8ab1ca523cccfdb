// Redis and Valkey, alone or as a cluster of three masters. Promise: nothing is written to disk, and a cluster that is handed out
// serves all 16384 slots. Next: own-server.ts, answers.ts.

import { setTimeout as delay } from 'node:timers/promises'
import { askRedis } from './answers.ts'
import { type OwnServer, startServer } from './own-server.ts'
import { needProgram } from './programs.ts'

export interface RedisOptions {
  /** More of the server's own options: `['--maxmemory', '1mb']`. */
  readonly args?: readonly string[]
  /** More of its environment than this process has. */
  readonly env?: Readonly<Record<string, string>>
  /** Clients must give it; it is part of `url`. Default: none is asked for. */
  readonly password?: string
  /** Default `redis-server`. */
  readonly program?: 'redis-server' | 'valkey-server'
}

export interface OwnCluster extends AsyncDisposable {
  /** One address per master. Any one of them leads a client to the others. */
  readonly urls: readonly string[]
  /** The masters; slots are shared out in this order, a third each. */
  readonly nodes: readonly OwnServer[]
  stop(): Promise<void>
}

/** Starts a Redis (0.1 s). Throws `MissingServer` where it cannot be had. */
export async function startRedis({ args = [], env, password, program = 'redis-server' }: RedisOptions = {}): Promise<OwnServer> {
  return startServer({
    name: program,
    program: await needProgram(program),
    env,
    args: (port, folder) => [
      '--port',
      `${port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      `${folder}/data`,
      '--save',
      '',
      '--appendonly',
      'no',
      ...(password === undefined ? [] : ['--requirepass', password]),
      ...args,
    ],
    url: (port) => `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    // One that asks for a password is ready as well; one that is loading is not.
    isReady: async (port) => /^(\+PONG|-NOAUTH)/.test(await askRedis(port, 'PING')),
  })
}

const MASTERS = 3
/** When a silent master counts as down. Short, because joining takes longer with more. */
const NODE_TIMEOUT_MS = 2_000
const SLOTS = 16_384
const CLUSTER_LIMIT_MS = 30_000

export interface ClusterOptions extends Pick<RedisOptions, 'args'> {
  /** Whether each master has a replica (default no). */
  readonly replicas?: boolean
}

/** Starts three masters and joins them (2 s: a new master waits so long before it serves). Throws `MissingServer`. */
export async function startRedisCluster(options: ClusterOptions = {}): Promise<OwnCluster> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', `${NODE_TIMEOUT_MS}`, ...(options.args ?? [])]
  const count = options.replicas === true ? 2 * MASTERS : MASTERS
  const started = await Promise.allSettled(Array.from({ length: count }, () => startRedis({ args })))
  const servers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  const nodes = servers.slice(0, MASTERS)
  try {
    for (const each of started) if (each.status === 'rejected') throw each.reason
    const ports = nodes.map((node) => node.port)
    await join(ports)
    await replicate(
      ports,
      servers.slice(MASTERS).map((server) => server.port),
    )
  } catch (error) {
    await stop()
    throw error
  }
  return { urls: nodes.map((node) => node.url), nodes, stop, [Symbol.asyncDispose]: stop }
}

async function join(ports: readonly number[]): Promise<void> {
  const [first = 0] = ports
  for (const [index, port] of ports.entries()) {
    const from = Math.floor((index * SLOTS) / ports.length)
    const to = Math.floor(((index + 1) * SLOTS) / ports.length)
    const slots = Array.from({ length: to - from }, (_, slot) => `${from + slot}`)
    await order(port, 'CLUSTER', 'ADDSLOTS', ...slots)
    await order(port, 'CLUSTER', 'SET-CONFIG-EPOCH', `${index + 1}`)
    if (port !== first) await order(port, 'CLUSTER', 'MEET', '127.0.0.1', `${first}`)
  }
  await until(
    ports,
    (view) => view.includes('cluster_state:ok') && view.includes(`cluster_known_nodes:${ports.length}`),
    'CLUSTER',
  )
}

/** Gives each master a replica, as far as there are any. */
async function replicate(masters: readonly number[], replicas: readonly number[]): Promise<void> {
  for (const port of replicas) await order(port, 'CLUSTER', 'MEET', '127.0.0.1', `${masters[0]}`)
  const all = [...masters, ...replicas]
  await until(all, (view) => view.includes(`cluster_known_nodes:${all.length}`), 'CLUSTER')
  for (const [i, port] of replicas.entries()) {
    const id = /[\da-f]{40}/.exec(await askRedis(masters[i] as number, 'CLUSTER', 'MYID'))?.[0] ?? ''
    await order(port, 'CLUSTER', 'REPLICATE', id)
  }
  await until(replicas, (view) => view.includes('master_link_status:up'), 'replication')
}

/** Until all of them say that it is so, by CLUSTER INFO or a section of INFO. */
async function until(ports: readonly number[], holds: (view: string) => boolean, about: string): Promise<void> {
  const command = about === 'CLUSTER' ? ['CLUSTER', 'INFO'] : ['INFO', about]
  const limit = performance.now() + CLUSTER_LIMIT_MS
  for (;;) {
    const views = await Promise.all(ports.map((port) => askRedis(port, ...command)))
    if (views.every(holds)) return
    if (performance.now() > limit) throw new Error(`The cluster was not ready after 30 s:\n${views.join('\n')}`)
    await delay(20)
  }
}

async function order(port: number, ...command: readonly string[]): Promise<void> {
  const reply = await askRedis(port, ...command)
  if (!reply.startsWith('+OK')) throw new Error(`Redis answered ${JSON.stringify(reply)} to ${command.slice(0, 2).join(' ')}`)
}
