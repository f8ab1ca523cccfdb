// What can befall a process that limits, and its way of using stores. Next: redis.ts.

import { startRedis } from '../../servers.ts'
import type { FaultRow } from '../row.ts'
import { redisStage, redisSetups } from './redis.ts'
import { repeatedly } from './repeatedly.ts'
import type { Stage } from '../row.ts'

/** Nothing befalls the stores. */
async function wellStores(inject: Stage['inject']): Promise<Stage> {
  const [redis, standby] = await Promise.all([startRedis(), startRedis()])
  return {
    setups: redisSetups(redis.url, standby.url),
    inject,
    async close() {
      await Promise.all([redis.stop(), standby.stop()])
    },
  }
}

export const PROCESS_ROWS: readonly FaultRow[] = [
  {
    fault: 'nothing, to compare with',
    answer: 'nothing',
    prepare: () => wellStores(async () => async () => {}),
  },
  {
    fault: 'one process is stopped for 3 s (kill -STOP)',
    answer: 'either',
    prepare: () =>
      wellStores(async (run) => {
        await run.signal('SIGSTOP', 0)
        return () => run.signal('SIGCONT', 0)
      }),
  },
  {
    fault: 'all processes are stopped for 3 s',
    answer: 'either',
    prepare: () =>
      wellStores(async (run) => {
        await run.signal('SIGSTOP')
        return () => run.signal('SIGCONT')
      }),
  },
  {
    fault: 'the event loop is blocked for 200 ms, every 500 ms',
    answer: 'either',
    prepare: () => wellStores(async (run) => repeatedly(500, async () => run.tell({ kind: 'block', ms: 200 }))),
  },
  {
    fault: 'the event loop is blocked, and Redis is stopped',
    prepare: () =>
      redisStage(async (redis) => {
        await redis.kill('SIGSTOP')
        return () => redis.kill('SIGCONT')
      }).then((stage) => ({
        ...stage,
        async inject(run) {
          const unblock = repeatedly(500, async () => run.tell({ kind: 'block', ms: 200 }))
          const heal = await stage.inject(run)
          return async () => {
            await unblock()
            await heal()
          }
        },
      })),
  },
  {
    fault: 'each key has one of two Redis (round_robin), one is killed',
    prepare: async () => {
      const [redis, other] = await Promise.all([startRedis(), startRedis()])
      return {
        setups: [
          {
            name: 'redis or redis',
            stores: [
              { kind: 'redis', url: redis.url, client: 'address' },
              { kind: 'redis', url: other.url, client: 'ioredis' },
            ],
            options: { strategy: 'round_robin' },
          },
        ],
        async inject() {
          await redis.kill('SIGKILL')
          return () => redis.restart()
        },
        async close() {
          await Promise.all([redis.stop(), other.stop()])
        },
      }
    },
  },
]
