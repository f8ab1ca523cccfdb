// What can befall the way to a server: a proxy between it and the processes. Next: ../proxy.ts; redis.ts, postgres.ts and mysql.ts, whose
// servers are at the end of the way.

import { expect } from 'vitest'
import { startRedis } from '../../servers.ts'
import { FaultProxy } from '../proxy.ts'
import type { FaultRow, Stage } from '../row.ts'
import { redisSetups } from './redis.ts'
import { repeatedly } from './repeatedly.ts'

type Break = (proxy: FaultProxy) => () => Promise<void>

async function proxied(cut: Break, check?: () => void): Promise<Stage> {
  const [redis, standby] = await Promise.all([startRedis(), startRedis()])
  const proxy = await FaultProxy.start(redis.port)
  return {
    setups: redisSetups(proxy.addressOf(redis.url), standby.url),
    inject: async () => cut(proxy),
    ...(check !== undefined && { check }),
    async close() {
      await proxy.stop()
      await Promise.all([redis.stop(), standby.stop()])
    },
  }
}

/** Until the way is open again. */
function broken(cut: (proxy: FaultProxy) => void): Break {
  return (proxy) => {
    cut(proxy)
    return async () => proxy.heal()
  }
}

export const BLACKHOLE_ROW: FaultRow = {
  fault: 'blackhole: nothing passes, all is delivered later',
  prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'hold' }))),
}

export const NETWORK_ROWS: readonly FaultRow[] = [
  BLACKHOLE_ROW,
  {
    fault: 'questions are held, answers pass',
    prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'hold' }, 'up'))),
  },
  {
    fault: 'answers are held, questions are carried out',
    prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'hold' }, 'down'))),
  },
  {
    fault: 'answers are lost, questions are carried out',
    prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'swallow' }, 'down'))),
  },
  {
    fault: 'questions are lost',
    prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'swallow' }, 'up'))),
  },
  {
    fault: 'each way takes 200 ms',
    prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'delay', ms: 200 }))),
  },
  {
    fault: 'each way takes 30 ms: slow, and in time',
    answer: 'either',
    prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'delay', ms: 30 }))),
  },
  {
    fault: 'one byte a second comes back',
    prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'drip', ms: 1000 }, 'down'))),
  },
  {
    fault: 'every byte travels by itself',
    answer: 'either',
    prepare: () => proxied(broken((proxy) => proxy.set({ kind: 'split' }))),
  },
  {
    fault: 'all connections are reset, once',
    answer: 'either',
    faultMs: 0,
    prepare: () => proxied(broken((proxy) => proxy.reset())),
  },
  {
    fault: 'all connections are reset every 200 ms',
    flaps: true,
    answer: 'either',
    prepare: () => proxied((proxy) => repeatedly(200, async () => proxy.reset())),
  },
  {
    fault: 'connections are accepted and reset',
    prepare: () => {
      let [before, attempts] = [0, 0]
      return proxied(
        (proxy) => {
          before = proxy.accepted
          proxy.refuse()
          return async () => {
            attempts = proxy.accepted - before
            proxy.heal()
          }
        },
        // Three processes with two clients each, for 3 s: each tries a few times a second, ever more rarely.
        () => expect(attempts).toBeLessThan(3 * 2 * 3 * 10),
      )
    },
  },
  {
    fault: 'the way breaks and heals every 700 ms',
    flaps: true,
    answer: 'either',
    faultMs: 6000,
    prepare: () =>
      proxied((proxy) => {
        let open = true
        const end = repeatedly(700, async () => {
          open = !open
          if (open) proxy.heal()
          else proxy.set({ kind: 'hold' })
        })
        return async () => {
          await end()
          proxy.heal()
        }
      }),
  },
]
