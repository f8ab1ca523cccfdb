// What can befall a Redis with a replica: the address of the primary leads to another server, with what it knows. Next: redis.ts.

import { setTimeout as delay } from 'node:timers/promises'
import { type OwnServer, startRedis } from '../../servers.ts'
import { FaultProxy } from '../proxy.ts'
import type { FaultRow, Stage } from '../row.ts'
import { type Session, redisSetups, session } from './redis.ts'

interface Replicated {
  readonly primary: OwnServer
  readonly replica: OwnServer
  /** The address that the app knows. */
  readonly proxy: FaultProxy
  /** The way of the replica to its primary. */
  readonly link: FaultProxy
  readonly tellPrimary: Session
  readonly tellReplica: Session
}

async function replicated(inject: (servers: Replicated) => ReturnType<Stage['inject']>): Promise<Stage> {
  const [primary, replica, standby] = await Promise.all([startRedis(), startRedis(), startRedis()])
  const proxy = await FaultProxy.start(primary.port)
  const link = await FaultProxy.start(primary.port)
  const [tellPrimary, tellReplica] = await Promise.all([session(primary), session(replica)])
  await tellReplica('REPLICAOF', '127.0.0.1', `${link.port}`)
  while (!String(await tellReplica('INFO', 'replication')).includes('master_link_status:up')) await delay(20)
  return {
    setups: redisSetups(proxy.addressOf(primary.url), standby.url),
    inject: () => inject({ primary, replica, proxy, link, tellPrimary, tellReplica }),
    async close() {
      await Promise.all([proxy.stop(), link.stop()])
      await Promise.all([primary.stop(), replica.stop(), standby.stop()])
    },
  }
}

const LAG_MS = 1000

export const REPLICA_ROWS: readonly FaultRow[] = [
  {
    fault: 'FAILOVER; the address moves 500 ms later',
    faultMs: 500,
    prepare: () =>
      replicated(async ({ tellPrimary, tellReplica, proxy, replica }) => {
        await tellPrimary('FAILOVER')
        while (!String(await tellReplica('INFO', 'replication')).includes('role:master')) await delay(10)
        return async () => proxy.retarget(replica.port)
      }),
  },
  {
    fault: 'primary killed, replica promoted, address moved',
    faultMs: 1000,
    prepare: () =>
      replicated(async ({ primary, replica, proxy, tellReplica }) => {
        await primary.kill('SIGKILL')
        return async () => {
          await tellReplica('REPLICAOF', 'NO', 'ONE')
          proxy.retarget(replica.port)
        }
      }),
  },
  {
    fault: 'the same, with a replica that is 1 s behind',
    faultMs: 1000,
    prepare: () =>
      replicated(async ({ primary, replica, proxy, link, tellReplica }) => {
        link.set({ kind: 'hold' })
        await delay(LAG_MS)
        await primary.kill('SIGKILL')
        return async () => {
          await tellReplica('REPLICAOF', 'NO', 'ONE')
          proxy.retarget(replica.port)
        }
      }),
  },
  {
    fault: 'the same, with a replica that is empty',
    faultMs: 1000,
    prepare: () =>
      replicated(async ({ primary, replica, proxy, tellReplica }) => {
        await primary.kill('SIGKILL')
        return async () => {
          await tellReplica('REPLICAOF', 'NO', 'ONE')
          await tellReplica('FLUSHALL')
          proxy.retarget(replica.port)
        }
      }),
  },
  {
    fault: 'demoted primary stays connected (READONLY), then the address moves',
    faultMs: 1500,
    prepare: () =>
      replicated(async ({ replica, proxy, tellPrimary, tellReplica }) => {
        await tellReplica('REPLICAOF', 'NO', 'ONE')
        await tellPrimary('REPLICAOF', '127.0.0.1', `${replica.port}`)
        // Connections that are there stay with the old one: the client must notice by itself.
        return async () => proxy.retarget(replica.port)
      }),
  },
  {
    fault: 'READONLY for a while, on the same connection',
    prepare: () =>
      replicated(async ({ replica, tellPrimary }) => {
        await tellPrimary('REPLICAOF', '127.0.0.1', `${replica.port}`)
        return async () => void (await tellPrimary('REPLICAOF', 'NO', 'ONE'))
      }),
  },
]
