// What can befall one Redis. Next: redis-replicas.ts, redis-cluster.ts, network.ts; ../row.ts, which plays them.

import { mkdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type OwnServer, startRedis } from '../../servers.ts'
import { askRedis } from '../../servers/answers.ts'
import type { Setup } from '../load.ts'
import type { FaultRow, Stage } from '../row.ts'
import { repeatedly } from './repeatedly.ts'

/** A Redis under load, alone and before a standby, with clients of several kinds. */
export async function redisStage(
  inject: (redis: OwnServer, tell: Session) => ReturnType<Stage['inject']>,
  { args = [] }: { readonly args?: readonly string[] } = {},
): Promise<Stage> {
  const [redis, standby] = await Promise.all([startRedis({ args }), startRedis()])
  return {
    setups: redisSetups(redis.url, standby.url),
    inject: async () => inject(redis, await session(redis)),
    async close() {
      await Promise.all([redis.stop(), standby.stop()])
    },
  }
}

/** The ways in which a Redis is used in these rows. */
export function redisSetups(url: string, standby: string): readonly Setup[] {
  return [
    { name: 'redis', stores: [{ kind: 'redis', url, client: 'address' }] },
    {
      name: 'redis + redis',
      stores: [
        { kind: 'redis', url, client: 'ioredis' },
        { kind: 'redis', url: standby, client: 'node-redis' },
      ],
    },
  ]
}

/** Sends a command and waits for its answer. */
export type Session = (...command: readonly string[]) => Promise<unknown>

/** A session of ours with a Redis, which stays when others are thrown out, and is ended with its server. */
export async function session({ port }: { readonly port: number }): Promise<Session> {
  const redis = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null })
  redis.on('error', () => undefined)
  await redis.connect()
  return (name = '', ...args) => redis.call(name, args)
}

const PAUSE_MS = 3000

const stopped: FaultRow = {
  fault: 'kill -STOP, kill -CONT with queued replies',
  prepare: () =>
    redisStage(async (redis) => {
      await redis.kill('SIGSTOP')
      return () => redis.kill('SIGCONT')
    }),
}

const killed: FaultRow = {
  fault: 'kill -9, restart without data',
  prepare: () =>
    redisStage(async (redis) => {
      await redis.kill('SIGKILL')
      return () => redis.restart()
    }),
}

const flushed: FaultRow = {
  fault: 'FLUSHALL under load',
  // It is back at once, and knows nothing.
  faultMs: 0,
  answer: 'either',
  prepare: () =>
    redisStage(async (_, tell) => {
      await tell('FLUSHALL')
      return async () => {}
    }),
}

/** Those that tell most, for every test run. */
export const BRIEF_REDIS_ROWS: readonly FaultRow[] = [stopped, killed, flushed]

/** Faults of a Redis itself. */
export const REDIS_ROWS: readonly FaultRow[] = [
  ...BRIEF_REDIS_ROWS,
  { ...stopped, fault: 'kill -STOP, 10 000 questions at once', surge: 10_000 },
  {
    fault: 'kill -9, restart with data',
    prepare: () =>
      redisStage(
        async (redis) => {
          await redis.kill('SIGKILL')
          return () => redis.restart()
        },
        { args: ['--appendonly', 'yes'] },
      ),
  },
  {
    fault: 'FLUSHALL every 400 ms',
    losses: 8,
    answer: 'either',
    prepare: () => redisStage(async (_, tell) => repeatedly(400, () => tell('FLUSHALL'))),
  },
  ...['ALL', 'WRITE'].map((what) => ({
    fault: `CLIENT PAUSE ${what}`,
    faultMs: PAUSE_MS,
    prepare: () =>
      redisStage(async (_, tell) => {
        await tell('CLIENT', 'PAUSE', `${PAUSE_MS}`, what)
        // Nobody can end it earlier: that would be paused as well.
        return async () => void (await tell('DEL', 'nothing'))
      }),
  })),
  {
    fault: 'CLIENT KILL of all every 300 ms',
    flaps: true,
    answer: 'either',
    prepare: () =>
      redisStage(async (_, tell) => repeatedly(300, () => tell('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))),
  },
  {
    fault: 'SCRIPT FLUSH every 20 ms',
    answer: 'nothing',
    prepare: () => redisStage(async (_, tell) => repeatedly(20, () => tell('SCRIPT', 'FLUSH'))),
  },
  {
    fault: 'maxmemory reached, noeviction; new keys come',
    surge: 300,
    // Counters that exist go on; new ones are refused by the store.
    answer: 'either',
    prepare: () =>
      redisStage(async (_, tell) => {
        await tell('CONFIG', 'SET', 'maxmemory', '1')
        return async () => void (await tell('CONFIG', 'SET', 'maxmemory', '0'))
      }),
  },
  {
    fault: 'MISCONF: snapshots fail',
    prepare: () =>
      redisStage(
        async ({ folder }, tell) => {
          // Its folder is gone when it wants to write there.
          await mkdir(join(folder, 'gone'))
          await tell('CONFIG', 'SET', 'save', '3600 1000000', 'dir', join(folder, 'gone'))
          await rmdir(join(folder, 'gone'))
          await tell('BGSAVE')
          while (!String(await tell('INFO', 'persistence')).includes('rdb_last_bgsave_status:err')) await delay(10)
          return async () => void (await tell('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no'))
        },
        { args: ['--enable-protected-configs', 'yes'] },
      ),
  },
  {
    fault: 'NOREPLICAS: too few replicas',
    prepare: () =>
      redisStage(async (_, tell) => {
        await tell('CONFIG', 'SET', 'min-replicas-to-write', '1')
        return async () => void (await tell('CONFIG', 'SET', 'min-replicas-to-write', '0'))
      }),
  },
  {
    fault: 'busy: an endless script, then BUSY errors',
    prepare: () =>
      redisStage(
        async (redis, tell) => {
          tell('EVAL', 'while true do end', '0').catch(() => undefined)
          return async () => void (await askRedis(redis.port, 'SCRIPT', 'KILL'))
        },
        { args: ['--busy-reply-threshold', '1000'] },
      ),
  },
  {
    fault: 'no room for connections (maxclients)',
    prepare: () =>
      redisStage(async (_, tell) => {
        await tell('CONFIG', 'SET', 'maxclients', '1')
        await tell('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        return async () => void (await tell('CONFIG', 'SET', 'maxclients', '1000'))
      }),
  },
  {
    fault: 'asks for a password we do not have',
    prepare: () =>
      redisStage(async (_, tell) => {
        await tell('CONFIG', 'SET', 'requirepass', 's3cr3t@:/?#')
        await tell('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        return async () => void (await tell('CONFIG', 'SET', 'requirepass', ''))
      }),
  },
]
