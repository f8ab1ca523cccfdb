// The stores and limiters of a setup, made as an app would make them. Next: load-worker.ts, which asks them.

import { Cluster, Redis } from 'ioredis'
import mysql from 'mysql2'
import pg from 'pg'
import { createClient, createSentinel } from 'redis'
import { createLimiter, withSafetyNet } from '../../src/limiter/create-limiter.ts'
import type { Limiter } from '../../src/limiter/limiter.ts'
import { multiStore } from '../../src/stores/failover/multi-store.ts'
import type { FailoverStore } from '../../src/stores/failover/failover-store.ts'
import { memoryStore } from '../../src/stores/memory/memory-store.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { AsyncStore, Store } from '../../src/stores/store.ts'
import { AMPLE, type LoadOrder, POLICIES, type PolicyName, type Setup, type StorePlan } from './load.ts'
import { ProbeCount } from './probe-count.ts'

/** What the load needs of a setup. */
export interface Limiters {
  readonly limiters: Readonly<Record<PolicyName, Limiter<AsyncStore>>>
  /** Among how many processes it would share a limit. */
  readonly instances: () => number
  /** What its stores said went wrong since the last call. */
  readonly takeErrors: () => string[]
  /** Takes all connections of the app's pools for so long. */
  readonly occupy: (ms: number) => Promise<void>
  /** The most probes of one store that were on their way at once, if the setup wants it known. */
  readonly probesAtOnce: () => number
  readonly close: () => Promise<void>
}

interface Made {
  readonly store: Store
  occupy?(ms: number): Promise<void>
  /** Ends what the app has made. */
  end?(): unknown
}

/** Makes what a setup says. */
export async function buildLimiters(setup: Setup, order: LoadOrder): Promise<Limiters> {
  const options = {
    deadlineMs: order.deadlineMs,
    keyPrefix: `${order.prefix}${setup.name.length}${setup.name.replaceAll(/\W/g, '')}:`,
  }
  const probes: ProbeCount[] = []
  const made = await Promise.all(
    setup.stores.map(async (plan) => {
      const one = await make(plan, options)
      if (setup.countsProbes !== true) return one
      const count = new ProbeCount()
      probes.push(count)
      return { ...one, store: count.watch(one.store) }
    }),
  )
  const names = setup.stores.map(({ kind }, i) => (i === 0 ? kind : `${kind}${i + 1}`))
  const seen = new Set<string>()
  const errors: string[] = []
  const hear = (text: string): void => {
    if (!seen.has(text)) errors.push(text)
    seen.add(text)
  }
  const [only] = made as [Made]
  const multi = made.length > 1 || setup.options !== undefined
  const store = multi
    ? multiStore(
        made.map((one, i) => ({ name: names[i] as string, store: one.store })),
        {
          deadlineMs: order.deadlineMs,
          ...setup.options,
          onStoreEvent: ({ kind, store: name, error }) =>
            hear(`${name} ${kind}${error === undefined ? '' : `: ${error.message}`}`),
        },
      )
    : (only.store as AsyncStore)
  const net: FailoverStore = withSafetyNet(store as AsyncStore)
  const limiter = (name: PolicyName): Limiter<AsyncStore> =>
    createLimiter({ ...(name === 'ample' ? AMPLE : POLICIES[name]), name, store: store as AsyncStore })
  return {
    limiters: { sliding: limiter('sliding'), fixed: limiter('fixed'), bucket: limiter('bucket'), ample: limiter('ample') },
    instances: () => net.instances,
    takeErrors() {
      for (const { name, lastError } of net.stores) if (lastError !== undefined) hear(`${name}: ${lastError}`)
      return errors.splice(0)
    },
    async occupy(ms) {
      await Promise.all(made.map(async (one) => one.occupy?.(ms)))
    },
    probesAtOnce: () => Math.max(0, ...probes.map(({ most }) => most)),
    async close() {
      if (net !== (store as unknown)) await net.close()
      await store.close()
      for (const one of made) await one.end?.()
    },
  }
}

interface CommonOptions {
  readonly deadlineMs: number
  readonly keyPrefix: string
}

async function make(plan: StorePlan, options: CommonOptions): Promise<Made> {
  switch (plan.kind) {
    case 'memory':
      return { store: memoryStore() }
    case 'sqlite':
      return { store: sqliteStore(plan.file, options) }
    case 'redis':
      return makeRedis(plan.url, plan.client, options)
    case 'redis-sentinel':
      return makeSentinel(plan, options)
    case 'redis-cluster': {
      if (plan.client === 'address') return { store: redisStore({ cluster: plan.urls }, options) }
      const cluster = new Cluster([...plan.urls])
      cluster.on('error', () => undefined)
      return { store: redisStore(cluster, options), end: () => cluster.disconnect() }
    }
    case 'postgres':
      return makePostgres(plan.url, plan.pool, options)
    case 'mysql':
      return makeMysql(plan.url, plan.pool, options)
  }
}

async function makeRedis(url: string, client: 'address' | 'ioredis' | 'node-redis', options: CommonOptions): Promise<Made> {
  if (client === 'address') return { store: redisStore({ url }, options) }
  if (client === 'ioredis') {
    const redis = new Redis(url)
    redis.on('error', () => undefined)
    return { store: redisStore(redis, options), end: () => redis.disconnect() }
  }
  const redis = createClient({ url })
  redis.on('error', () => undefined)
  await redis.connect()
  return { store: redisStore(redis, options), end: () => redis.destroy() }
}

async function makeSentinel(
  { name, urls, client }: Extract<StorePlan, { kind: 'redis-sentinel' }>,
  options: CommonOptions,
): Promise<Made> {
  const nodes = urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) }))
  if (client === 'address') {
    const places = nodes.map(({ host, port }) => `${host}:${port}`)
    return { store: redisStore({ sentinel: { name, nodes: places } }, options) }
  }
  if (client === 'ioredis') {
    const redis = new Redis({ sentinels: nodes, name })
    redis.on('error', () => undefined)
    return { store: redisStore(redis, options), end: () => redis.disconnect() }
  }
  const redis = createSentinel({ name, sentinelRootNodes: nodes })
  redis.on('error', () => undefined)
  await redis.connect()
  return { store: redisStore(redis, options), end: () => redis.destroy() }
}

async function makePostgres(url: string, size: number | undefined, options: CommonOptions): Promise<Made> {
  if (size === undefined) return { store: postgresStore({ url }, options) }
  const pool = new pg.Pool({ connectionString: url, max: size })
  pool.on('error', () => undefined)
  return {
    store: postgresStore(pool, options),
    async occupy(ms) {
      await Promise.all(Array.from({ length: size }, async () => pool.query(`SELECT pg_sleep(${ms / 1000})`)))
    },
    end: () => pool.end(),
  }
}

async function makeMysql(url: string, size: number | undefined, options: CommonOptions): Promise<Made> {
  if (size === undefined) return { store: mysqlStore({ url }, options) }
  const pool = mysql.createPool({ uri: url, connectionLimit: size })
  return {
    store: mysqlStore(pool, options),
    async occupy(ms) {
      await Promise.all(Array.from({ length: size }, async () => pool.promise().query(`DO SLEEP(${ms / 1000})`)))
    },
    end: () => pool.end(() => undefined),
  }
}
