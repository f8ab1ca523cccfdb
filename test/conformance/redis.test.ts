// Redis and Valkey, one server and a cluster, by both clients: the suite of all shared stores. What is particular to Redis is in
// ../stores/redis.test.ts.

import { join } from 'node:path'
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { afterAll } from 'vitest'
import { redisStore } from '../../src/stores/redis/index.ts'
import { describeWithServer } from '../servers.ts'
import { sharedStoreSuite } from './shared-store.ts'

const module = join(import.meta.dirname, 'redis-worker.ts')
const patient = { deadlineMs: 10_000, rememberRefusalsMs: false } as const

for (const kind of ['redis', 'valkey', 'redis-cluster'] as const) {
  describeWithServer(kind, 'the Redis store', async ({ url, urls, prefix }) => {
    const isCluster = kind === 'redis-cluster'
    const ioredis = isCluster ? new Cluster([...urls]) : new Redis(url)
    const nodeRedis = isCluster ? createCluster({ rootNodes: urls.map((each) => ({ url: each })) }) : createClient({ url })
    await nodeRedis.connect()
    afterAll(async () => {
      ioredis.disconnect()
      nodeRedis.destroy()
    })

    sharedStoreSuite(`by ioredis`, prefix, {
      make: async (options) => redisStore(ioredis, { ...patient, ...options }),
      worker: { module, argument: { url, cluster: isCluster } },
      poisons: {
        'a NaN': async (keyPrefix, key) => void (await ioredis.set(keyPrefix + key, '-nan')),
        'half a number': async (keyPrefix, key) => void (await ioredis.set(keyPrefix + key, '1e+17,3')),
        'too large a number': async (keyPrefix, key) => void (await ioredis.set(keyPrefix + key, '9007199254740993,1')),
        'a list': async (keyPrefix, key) => void (await ioredis.rpush(keyPrefix + key, '1', '2')),
        'a hash': async (keyPrefix, key) => void (await ioredis.hset(keyPrefix + key, 'a', '2')),
      },
    })
    sharedStoreSuite(`by node-redis`, prefix, {
      make: async (options) => redisStore(nodeRedis, { ...patient, ...options }),
      worker: { module, argument: { url, cluster: isCluster } },
    })
  })
}
