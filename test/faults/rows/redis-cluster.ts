// What can befall a Redis Cluster of three masters. Next: redis.ts.

import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { startRedis, startRedisCluster } from '../../servers.ts'
import { askRedis } from '../../servers/answers.ts'
import type { OwnCluster } from '../../servers/redis.ts'
import type { Heard } from '../processes.ts'
import type { FaultRow, Stage } from '../row.ts'
import { type Session, session } from './redis.ts'
import { repeatedly } from './repeatedly.ts'

interface ClusterOptions extends Pick<Stage, 'check'> {
  /** Of each of its servers. */
  readonly args?: readonly string[]
  /** Whether each master has a replica. */
  readonly replicas?: boolean
}

async function clustered(
  inject: (cluster: OwnCluster) => ReturnType<Stage['inject']>,
  { check, ...options }: ClusterOptions = {},
): Promise<Stage> {
  const [cluster, standby] = await Promise.all([startRedisCluster(options), startRedis()])
  const { urls } = cluster
  return {
    setups: [
      { name: 'cluster', stores: [{ kind: 'redis-cluster', urls, client: 'address' }] },
      {
        name: 'cluster + redis',
        stores: [
          { kind: 'redis-cluster', urls, client: 'ioredis' },
          { kind: 'redis', url: standby.url, client: 'address' },
        ],
      },
    ],
    inject: () => inject(cluster),
    ...(check !== undefined && { check }),
    async close() {
      await Promise.all([cluster.stop(), standby.stop()])
    },
  }
}

/** Two of three masters are well all the time: what they decide about, they decide about all the time. */
function othersGoOn(heard: readonly Heard[]): void {
  const elsewhere = new Map<string, boolean>()
  for (const { setup, process, key, policy, source } of heard) {
    if (policy !== 'ample') continue
    const name = `${setup} ${process} ${key}`
    elsewhere.set(name, elsewhere.get(name) === true || source !== 'primary')
  }
  const kept = [...elsewhere.values()].filter((moved) => !moved).length
  expect(kept / elsewhere.size, 'keys that were never decided about elsewhere').toBeGreaterThan(0.4)
}

/** As it should be set for limits: that some slots have no server is no reason not to serve the others. */
const GOES_ON = { args: ['--cluster-require-full-coverage', 'no'], check: othersGoOn } as const

/** The first master dies, and comes back with nothing. */
async function killFirst(cluster: OwnCluster): ReturnType<Stage['inject']> {
  const [first] = cluster.nodes
  await first?.kill('SIGKILL')
  return async () => {
    await first?.restart()
    await well(cluster)
  }
}

/** Until the others know another master in the place of the first. */
async function takenOver({ nodes: [first, second] }: OwnCluster): Promise<void> {
  for (;;) {
    const view = await askRedis(second?.port ?? 0, 'CLUSTER', 'NODES')
    if (view.split('\n').some((line) => line.includes(`:${first?.port}@`) && !/ \d+-\d+/.test(line))) return
    await delay(20)
  }
}

/** Until every master says that all is well. */
async function well({ nodes }: OwnCluster): Promise<void> {
  for (;;) {
    const views = await Promise.all(nodes.map(({ port }) => askRedis(port, 'CLUSTER', 'INFO')))
    if (views.every((view) => view.includes('cluster_state:ok'))) return
    await delay(20)
  }
}

/** Moves every slot that holds a counter to the next master, one after the other. */
async function reshard(cluster: OwnCluster): Promise<void> {
  const masters = await Promise.all(
    cluster.nodes.map(async (node) => {
      const tell = await session(node)
      return { tell, port: node.port, id: String(await tell('CLUSTER', 'MYID')) }
    }),
  )
  for (const [i, from] of masters.entries()) {
    const to = masters[(i + 1) % masters.length] as (typeof masters)[number]
    const keys = (await from.tell('KEYS', '*')) as string[]
    const slots = new Set(await Promise.all(keys.map((key) => from.tell('CLUSTER', 'KEYSLOT', key))))
    for (const slot of slots) {
      await move(String(slot), from, to)
      for (const { tell } of masters) await tell('CLUSTER', 'SETSLOT', String(slot), 'NODE', to.id)
      await delay(5)
    }
  }
}

interface Master {
  readonly tell: Session
  readonly port: number
  readonly id: string
}

async function move(slot: string, from: Master, to: Master): Promise<void> {
  await to.tell('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
  await from.tell('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
  // For a moment the slot is in two places.
  await delay(20)
  for (;;) {
    const keys = (await from.tell('CLUSTER', 'GETKEYSINSLOT', slot, '10')) as string[]
    if (keys.length === 0) break
    await from.tell('MIGRATE', '127.0.0.1', `${to.port}`, '', '0', '5000', 'KEYS', ...keys)
  }
  await to.tell('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
}

export const CLUSTER_ROWS: readonly FaultRow[] = [
  {
    fault: 'every slot in use is moved to another master',
    answer: 'nothing',
    prepare: () =>
      clustered(async (cluster) => {
        const done = reshard(cluster)
        return () => done
      }),
  },
  {
    fault: 'one of three masters is killed, and restarted without data',
    faultMs: 4000,
    prepare: () => clustered(killFirst, GOES_ON),
  },
  {
    fault: 'the same, and the others refuse to go on (CLUSTERDOWN)',
    faultMs: 4000,
    prepare: () => clustered(killFirst),
  },
  {
    fault: 'one of three masters is killed, and its replica takes over',
    faultMs: 0,
    prepare: () =>
      clustered(
        async (cluster) => {
          const [first] = cluster.nodes
          await first?.kill('SIGKILL')
          return async () => {
            await delay(100)
            await well({ ...cluster, nodes: cluster.nodes.slice(1) })
            await takenOver(cluster)
          }
        },
        { ...GOES_ON, replicas: true },
      ),
  },
  {
    fault: 'one of three masters stops for 1 s',
    faultMs: 1000,
    prepare: () =>
      clustered(async (cluster) => {
        const [first] = cluster.nodes
        await first?.kill('SIGSTOP')
        return async () => {
          await first?.kill('SIGCONT')
          await well(cluster)
        }
      }, GOES_ON),
  },
  {
    fault: 'SCRIPT FLUSH on every master every 30 ms',
    answer: 'nothing',
    prepare: () =>
      clustered(async ({ nodes }) => {
        const sessions = await Promise.all(nodes.map(session))
        return repeatedly(30, () => Promise.all(sessions.map((tell) => tell('SCRIPT', 'FLUSH'))))
      }),
  },
]
