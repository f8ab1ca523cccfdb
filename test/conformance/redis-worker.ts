// What the other processes of a race over Redis make their stores with. Next: race-worker.ts.

import { Cluster, Redis } from 'ioredis'
import { redisStore } from '../../src/stores/redis/index.ts'
import type { AsyncStore } from '../../src/stores/store.ts'
import type { SharedStoreOptions } from './shared-store.ts'

export async function makeStore(
  argument: { readonly url: string; readonly cluster: boolean },
  options: SharedStoreOptions,
): Promise<AsyncStore> {
  const { url, cluster } = argument
  const client = cluster ? new Cluster([url]) : new Redis(url)
  return redisStore(client, { deadlineMs: 10_000, rememberRefusalsMs: false, ...options })
}
