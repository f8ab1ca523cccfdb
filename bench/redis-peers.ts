// The peers' Redis stores, each called as its own middleware calls it, and what of ours they are measured against.

import { createRequire } from 'node:module'
import { RedisStore as ExpressStore } from 'rate-limit-redis'
import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { createClient } from 'redis'
import { type AlgorithmName, createLimiter } from '../dist/index.js'
import { redisStore } from '../dist/stores/redis/index.js'
import { upstashClient } from './upstash-client.ts'

const require = createRequire(import.meta.url)
const FastifyStore = require('@fastify/rate-limit/store/RedisStore.js') as new (
  continueExceeding: boolean,
  backoff: boolean,
  redis: Redis,
  prefix: string,
) => { incr(key: string, done: (error: unknown, found: { current: number }) => void, windowMs: number, max: number): void }
const { Ratelimit } = require('@upstash/ratelimit') as {
  Ratelimit: {
    new (options: object): { limit(key: string): Promise<{ success: boolean }> }
    fixedWindow(amount: number, window: string): object
    slidingWindow(amount: number, window: string): object
    tokenBucket(amount: number, window: string, size: number): object
  }
}

const WINDOW_MS = 3_600_000
const LIMIT = 1_000_000

/** What is asked. */
export interface Work {
  readonly keys: number
  /** Whether every key has spent its limit. */
  readonly refused: boolean
}

/** Somebody who decides. */
export interface Contender {
  readonly name: string
  readonly kind: 'ours' | 'peer' | 'floor'
  decide(key: number): Promise<unknown>
  /** Spends every key, if the work is to be refused. */
  prepare(): Promise<void>
  end(): unknown
}

/** All, each with a connection of its own. */
export async function contenders(url: string, work: Work): Promise<readonly Contender[]> {
  const keys = Array.from({ length: work.keys }, (_, i) => `client:${1_000_000 + i}:10.2`)
  const limit = work.refused ? 1 : LIMIT
  const add = (
    name: string,
    kind: Contender['kind'],
    decide: (key: string) => Promise<unknown>,
    end: () => unknown,
  ): Contender => {
    const byNumber = (key: number): Promise<unknown> => decide(keys[key] as string)
    return {
      name,
      kind,
      decide: byNumber,
      end,
      async prepare() {
        if (work.refused) for (let key = 0; key < work.keys; key++) await byNumber(key)
      },
    }
  }
  const ours =
    (algorithm: AlgorithmName, client: 'ioredis' | 'redis'): (() => Promise<Contender>) =>
    async () => {
      const source = client === 'ioredis' ? new Redis(url) : createClient({ url })
      if (!(source instanceof Redis)) await source.on('error', () => undefined).connect()
      const store = redisStore(source as Redis, { keyPrefix: `${client}:`, deadlineMs: 10_000 })
      const limiter = createLimiter({
        rate: `${limit}/h`,
        algorithm,
        ...(algorithm === 'gcra' && { algorithmConfig: { burst: limit } }),
        store,
        name: algorithm,
      })
      return add(
        `${algorithm}, ${client}`,
        'ours',
        (key) => limiter.check(key) as Promise<unknown>,
        async () => {
          await store.close()
          return source instanceof Redis ? source.disconnect() : source.destroy()
        },
      )
    }
  const peer = (name: string, make: (client: Redis) => (key: string) => Promise<unknown>, options = {}): Contender => {
    const client = new Redis(url, options)
    return add(name, 'peer', make(client), () => client.disconnect())
  }
  const flexible = (client: unknown, blocks: boolean): ((key: string) => Promise<unknown>) => {
    const limiter = new RateLimiterRedis({
      storeClient: client,
      points: limit,
      duration: WINDOW_MS / 1000,
      keyPrefix: 'rlf',
      ...(blocks && { inMemoryBlockOnConsumed: limit + 1, inMemoryBlockDuration: WINDOW_MS / 1000 }),
    })
    // Refusals are rejections, which somebody must take.
    return (key) => limiter.consume(key).catch(() => undefined)
  }
  const upstash = (client: Redis, algorithm: object, prefix: string): ((key: string) => Promise<unknown>) => {
    const limiter = new Ratelimit({
      redis: upstashClient(client),
      limiter: algorithm,
      prefix,
      analytics: false,
      ...(work.refused ? { ephemeralCache: new Map() } : { ephemeralCache: false }),
    })
    return (key) => limiter.limit(key)
  }
  const pipelining = { enableAutoPipelining: true }
  const own = (['fixed_window', 'sliding_window', 'token_bucket', 'gcra'] as const).map((name) => ours(name, 'ioredis'))
  const made = [
    ...(await Promise.all([...own, ours('fixed_window', 'redis'), ours('token_bucket', 'redis')].map(async (make) => make()))),
    peer('express-rate-limit', expressStore),
    peer('express-rate-limit, auto-pipelining', expressStore, pipelining),
    peer('@fastify/rate-limit', fastifyStore(limit)),
    peer('@fastify/rate-limit, auto-pipelining', fastifyStore(limit), pipelining),
    peer(`rate-limiter-flexible${work.refused ? ', in-memory block' : ''}`, (client) => flexible(client, work.refused)),
    peer(`rate-limiter-flexible, auto-pipelining`, (client) => flexible(client, work.refused), pipelining),
    peer('@upstash/ratelimit fixed', (client) => upstash(client, Ratelimit.fixedWindow(limit, '1 h'), 'uf')),
    peer('@upstash/ratelimit sliding', (client) => upstash(client, Ratelimit.slidingWindow(limit, '1 h'), 'us')),
    peer('@upstash/ratelimit bucket', (client) => upstash(client, Ratelimit.tokenBucket(limit, '1 h', limit), 'ub')),
  ]
  const floor = new Redis(url)
  return [
    ...made,
    add(
      'bare INCR',
      'floor',
      (key) => floor.incr(key),
      () => floor.disconnect(),
    ),
  ]
}

function expressStore(client: Redis): (key: string) => Promise<unknown> {
  const store = new ExpressStore({
    sendCommand: async (name: string, ...args: string[]) => client.call(name, ...args) as Promise<never>,
    prefix: 'erl:',
  })
  void store.init({ windowMs: WINDOW_MS } as never)
  return (key) => store.increment(key)
}

function fastifyStore(limit: number): (client: Redis) => (key: string) => Promise<unknown> {
  return (client) => {
    const store = new FastifyStore(false, false, client, 'frl:')
    return (key) =>
      new Promise((resolve, reject) => {
        store.incr(key, (error, found) => (error ? reject(error as Error) : resolve(found.current <= limit)), WINDOW_MS, limit)
      })
  }
}
