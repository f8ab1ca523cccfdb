// The servers that a run shares. Promise: each is started at most once, at the first request, or taken from the environment where a
// variable names it. Next: control.ts, through which the workers ask.

import { askRedis, isListening } from './answers.ts'
import { startMariadb } from './mariadb.ts'
import { startPostgres } from './postgres.ts'
import { MissingServer, SERVER_VARIABLES, type ServerKind } from './programs.ts'
import { startRedis, startRedisCluster } from './redis.ts'

/** What a worker is told: where the server is, that it cannot be had here, or that it should be there and is not. */
export type Found =
  | { readonly kind: 'running'; readonly urls: readonly string[]; readonly ours: boolean }
  | { readonly kind: 'missing' | 'broken'; readonly reason: string }

interface Shared {
  readonly urls: readonly string[]
  readonly stop?: () => Promise<void>
}

const START: Readonly<Record<ServerKind, () => Promise<Shared>>> = {
  redis: async () => alone(await startRedis()),
  'redis-cluster': patientCluster,
  valkey: async () => alone(await startRedis({ program: 'valkey-server' })),
  postgres: async () => alone(await startPostgres()),
  mariadb: async () => alone(await startMariadb()),
}

/** On a busy machine a master may be silent for seconds, and tests that share the cluster are not about that. */
async function patientCluster(): Promise<Shared> {
  const cluster = await startRedisCluster()
  for (const { port } of cluster.nodes) await askRedis(port, 'CONFIG', 'SET', 'cluster-node-timeout', '15000')
  return cluster
}

const running = new Map<ServerKind, Promise<Shared>>()
const announced = new Set<string>()

/** Finds or starts a server. Never rejects; why a server is missing is written to stderr once. */
export async function sharedServer(kind: ServerKind): Promise<Found> {
  const shared = running.get(kind) ?? fromEnvironment(kind) ?? START[kind]()
  running.set(kind, shared)
  try {
    const { urls, stop } = await shared
    return { kind: 'running', urls, ours: stop !== undefined }
  } catch (error) {
    const found = { kind: error instanceof MissingServer ? 'missing' : 'broken', reason: (error as Error).message } as const
    const line = `test servers: no ${kind}: ${found.reason}\n`
    if (!announced.has(line)) process.stderr.write(line)
    announced.add(line)
    return found
  }
}

/** Stops those that were started. */
export async function stopSharedServers(): Promise<void> {
  const started = [...running.values()]
  running.clear()
  await Promise.allSettled(started.map(async (shared) => (await shared).stop?.()))
}

function fromEnvironment(kind: ServerKind): Promise<Shared> | undefined {
  const variable = SERVER_VARIABLES[kind]
  const urls = (process.env[variable] ?? '').split(',').filter((url) => url !== '')
  return urls.length === 0 ? undefined : reachable(variable, urls)
}

async function reachable(variable: string, urls: readonly string[]): Promise<Shared> {
  for (const url of urls) {
    const { hostname, port, protocol } = new URL(url)
    if (await isListening(hostname, Number(port || DEFAULT_PORTS[protocol]))) continue
    // The address may hold a password.
    throw new Error(`nothing listens at ${hostname}:${port}, which ${variable} names`)
  }
  return { urls }
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'redis:': 6379,
  'rediss:': 6379,
  'postgres:': 5432,
  'postgresql:': 5432,
  'mysql:': 3306,
  'mariadb:': 3306,
}

function alone(server: { readonly url: string; stop(): Promise<void> }): Shared {
  return { urls: [server.url], stop: async () => server.stop() }
}
