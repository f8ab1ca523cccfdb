// How much a process decides while its store is away. Next: all.fault.ts.

import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import type { Limiter } from '../../src/limiter/limiter.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { describeWithOwnServer, startRedis } from '../servers.ts'

const KEYS = Array.from({ length: 1000 }, (_, i) => `client ${i}`)
const OPTIONS = { rate: '1000000/h', name: 'throughput' } as const
const FOR_MS = 700

/** Decisions a second: all keys at once, time and again. */
async function speedOf(limiter: Pick<Limiter, 'check'>): Promise<number> {
  const since = performance.now()
  let decided = 0
  while (performance.now() - since < FOR_MS) {
    const answers = KEYS.map((key) => limiter.check(key))
    await Promise.all(answers)
    decided += answers.length
  }
  return decided / ((performance.now() - since) / 1000)
}

describeWithOwnServer('redis', 'while Redis is stopped, a process', () => {
  it('decides at least a third as fast as by memory alone', async () => {
    await using redis = await startRedis()
    const store = redisStore({ url: redis.url }, { keyPrefix: 'throughput:' })
    const limiter = createLimiter({ ...OPTIONS, store })
    const memory = createLimiter(OPTIONS)
    for (const key of KEYS) await limiter.check(key)
    await redis.kill('SIGSTOP')
    // Until it is known to be away.
    while ((await limiter.check('client 0')).source !== 'local');
    await delay(200)
    const [rounds, ratios]: [number, number[]] = [5, []]
    for (let i = 0; i < rounds; i++) {
      const alone = await speedOf(limiter)
      ratios.push(alone / (await speedOf(memory)))
    }
    await redis.kill('SIGCONT')
    await store.close()
    const median = ratios.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] as number
    process.stdout.write(`decisions during an outage, of those by memory alone: ${(median * 100).toFixed(0)} %\n`)
    expect(median).toBeGreaterThanOrEqual(1 / 3)
  })
})
