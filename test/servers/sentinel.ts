// Redis Sentinel: watches a primary and its replicas, and promotes one when the primary is gone. Promise: those that are handed out together
// know each other and the replica, so that they can act at once. Next: redis.ts, own-server.ts.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { askRedis } from './answers.ts'
import { type OwnServer, startServer } from './own-server.ts'
import { needProgram } from './programs.ts'

/** What the primary is called. */
export const SENTINEL_NAME = 'mymaster'

export interface SentinelOptions {
  /** How many of them must agree that the primary is gone (default 1). */
  readonly quorum?: number
  /** Since when it must have been silent (default 500). */
  readonly downAfterMs?: number
}

/** Starts one that watches the primary at a port of 127.0.0.1, and finds the others and the replicas by itself within some seconds. */
export async function startSentinel(
  primaryPort: number,
  { quorum = 1, downAfterMs = 500 }: SentinelOptions = {},
): Promise<OwnServer> {
  return startServer({
    name: 'redis-sentinel',
    program: await needProgram('redis-server'),
    init: async (folder) =>
      writeFile(
        join(folder, 'sentinel.conf'),
        [
          `sentinel monitor ${SENTINEL_NAME} 127.0.0.1 ${primaryPort} ${quorum}`,
          `sentinel down-after-milliseconds ${SENTINEL_NAME} ${downAfterMs}`,
          `sentinel failover-timeout ${SENTINEL_NAME} 3000`,
        ].join('\n'),
      ),
    args: (port, folder) => [
      `${folder}/sentinel.conf`,
      '--sentinel',
      '--port',
      `${port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      `${folder}/data`,
    ],
    url: (port) => `redis://127.0.0.1:${port}`,
    isReady: async (port) => (await askRedis(port, 'PING')).startsWith('+PONG'),
  })
}

const AT_ONCE = 3
const ACQUAINTED_LIMIT_MS = 30_000

/** Starts three, of which two must agree (3 s: they find each other and the replica by what the primary tells now and then). */
export async function startSentinels(primaryPort: number): Promise<readonly OwnServer[]> {
  const started = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => startSentinel(primaryPort, { quorum: 2 })))
  const sentinels = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  try {
    for (const each of started) if (each.status === 'rejected') throw each.reason
    const limit = performance.now() + ACQUAINTED_LIMIT_MS
    while (!(await Promise.all(sentinels.map(isAcquainted))).every(Boolean)) {
      if (performance.now() > limit) throw new Error('The Sentinels did not find each other and the replica within 30 s')
      await delay(50)
    }
  } catch (error) {
    await Promise.all(sentinels.map((each) => each.stop()))
    throw error
  }
  return sentinels
}

async function isAcquainted({ port }: OwnServer): Promise<boolean> {
  const [others, replicas] = await Promise.all([
    askRedis(port, 'SENTINEL', 'SENTINELS', SENTINEL_NAME),
    askRedis(port, 'SENTINEL', 'REPLICAS', SENTINEL_NAME),
  ])
  return others.startsWith(`*${AT_ONCE - 1}\r\n`) && replicas.startsWith('*1\r\n')
}

/** Until all of these say that the primary is at a port. */
export async function untilPrimaryIs(port: number, sentinels: readonly OwnServer[]): Promise<void> {
  const asked = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', SENTINEL_NAME] as const
  for (;;) {
    const answers = await Promise.all(sentinels.map((each) => askRedis(each.port, ...asked)))
    if (answers.every((answer) => answer.includes(`\r\n${port}\r\n`))) return
    await delay(20)
  }
}
