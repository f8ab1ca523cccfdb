// What can befall a Redis that comes back with its data: it answers LOADING until it has read them. Next: redis.ts.

import { expect } from 'vitest'
import { type OwnServer, startRedis } from '../../servers.ts'
import type { Processes } from '../processes.ts'
import type { FaultRow, Stage } from '../row.ts'
import { session } from './redis.ts'

/** Less than a row of these takes to read. */
const LOADING_MS = 1500
const FILL = "for i = 1, 2000 do redis.call('SET', 'filler' .. i, 'so that there is something to read') end"

/** @param eachUs how long it takes over each key or command that it reads; in between clients get their LOADING */
async function slowlyRead(args: readonly string[], eachUs: number, end: (redis: OwnServer) => Promise<void>): Promise<Stage> {
  const slowly = ['--key-load-delay', `${eachUs}`, '--loading-process-events-interval-bytes', '1024']
  const [redis, standby] = await Promise.all([startRedis({ args: [...args, ...slowly] }), startRedis()])
  const tell = await session(redis)
  await tell('EVAL', FILL, '0')
  let loadedMs = 0
  let run: Processes | undefined
  return {
    setups: [
      // ioredis asks whether it is loading before it lets anything pass; node-redis does not.
      { name: 'redis', stores: [{ kind: 'redis', url: redis.url, client: 'address' }] },
      {
        name: 'redis + redis',
        stores: [
          { kind: 'redis', url: redis.url, client: 'node-redis' },
          { kind: 'redis', url: standby.url, client: 'ioredis' },
        ],
      },
    ],
    async inject(processes) {
      run = processes
      await end(redis)
      return async () => {
        const since = performance.now()
        await redis.restart()
        loadedMs = performance.now() - since
      }
    },
    check() {
      expect(loadedMs, 'so long it took to read').toBeGreaterThan(LOADING_MS)
      expect(run?.errors.flatMap((texts) => [...texts]).join('\n')).toContain('LOADING')
    },
    async close() {
      await Promise.all([redis.stop(), standby.stop()])
    },
  }
}

export const STARTUP_ROWS: readonly FaultRow[] = [
  {
    fault: 'LOADING for 2 s (RDB), after a restart in order',
    faultMs: 300,
    prepare: () => slowlyRead(['--save', '3600 1000000'], 1000, (redis) => redis.kill('SIGTERM')),
  },
  {
    fault: 'LOADING for 5 s and more (AOF), after kill -9',
    faultMs: 300,
    // It reads what each decision wrote, looks at its clients once in 1024 of them, and tells them that it will take long.
    prepare: () => slowlyRead(['--appendonly', 'yes'], 1000, (redis) => redis.kill('SIGKILL')),
  },
]
