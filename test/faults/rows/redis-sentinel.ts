// What can befall a Redis that Sentinels watch: they promote its replica. Next: redis-replicas.ts, where nobody does.

import { setTimeout as delay } from 'node:timers/promises'
import { type OwnServer, startRedis } from '../../servers.ts'
import { askRedis } from '../../servers/answers.ts'
import { SENTINEL_NAME, startSentinels, untilPrimaryIs } from '../../servers/sentinel.ts'
import type { FaultRow, Stage } from '../row.ts'

interface Watched {
  readonly primary: OwnServer
  readonly replica: OwnServer
  readonly sentinels: readonly OwnServer[]
}

async function watched(inject: (servers: Watched) => ReturnType<Stage['inject']>): Promise<Stage> {
  const [primary, standby] = await Promise.all([startRedis(), startRedis()])
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] })
  const sentinels = await startSentinels(primary.port)
  const by = { kind: 'redis-sentinel', name: SENTINEL_NAME, urls: sentinels.map(({ url }) => url) } as const
  const before = { kind: 'redis', url: standby.url, client: 'address' } as const
  return {
    setups: [
      { name: 'sentinel', stores: [{ ...by, client: 'address' }] },
      { name: 'sentinel + redis', stores: [{ ...by, client: 'ioredis' }, before] },
      { name: 'sentinel (node-redis) + redis', stores: [{ ...by, client: 'node-redis' }, before] },
    ],
    inject: () => inject({ primary, replica, sentinels }),
    async close() {
      await Promise.all([primary, replica, standby, ...sentinels].map((server) => server.stop()))
    },
  }
}

/** Until a server says that it is one of these. */
async function untilIs(role: 'master' | 'slave', { port }: OwnServer): Promise<void> {
  while (!(await askRedis(port, 'INFO', 'replication')).includes(`role:${role}`)) await delay(20)
}

/** node-redis asks the Sentinels by itself, at its own pace. */
const FIND_MS = 3000

export const SENTINEL_ROWS: readonly FaultRow[] = [
  {
    fault: 'the primary is killed, Sentinels promote its replica',
    faultMs: 0,
    findMs: FIND_MS,
    prepare: () =>
      watched(async ({ primary, replica, sentinels }) => {
        await primary.kill('SIGKILL')
        return async () => {
          await untilIs('master', replica)
          await untilPrimaryIs(replica.port, sentinels)
        }
      }),
  },
  {
    fault: 'the primary and the first Sentinel are killed',
    faultMs: 0,
    findMs: FIND_MS,
    prepare: () =>
      watched(async ({ primary, replica, sentinels: [first, ...others] }) => {
        await Promise.all([primary.kill('SIGKILL'), first?.kill('SIGKILL')])
        return async () => {
          await untilIs('master', replica)
          await untilPrimaryIs(replica.port, others)
        }
      }),
  },
  {
    fault: 'SENTINEL FAILOVER; the old primary goes on until it is told',
    faultMs: 0,
    findMs: FIND_MS,
    // What the old one admits after the promotion is not replicated.
    losesMs: 1500,
    answer: 'either',
    prepare: () =>
      watched(async ({ primary, replica, sentinels }) => {
        const { port } = sentinels[0] as OwnServer
        const answer = await askRedis(port, 'SENTINEL', 'FAILOVER', SENTINEL_NAME)
        if (!answer.startsWith('+OK')) throw new Error(`Sentinel does not do it: ${answer}`)
        return async () => {
          await untilIs('master', replica)
          await untilPrimaryIs(replica.port, sentinels)
          await untilIs('slave', primary)
        }
      }),
  },
]
