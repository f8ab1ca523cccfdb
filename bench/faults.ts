// What a Redis that fails does to a limiter: ours and the peers' on the same Redis at the same time, each as its documentation sets it up.
// One client asks a hundred times a second and may a hundred times an hour; counted are waits, errors and what was let through beyond that.
// Next: ../test/faults/, where ours is held to its promises.

import { setTimeout as delay } from 'node:timers/promises'
import { createRequire } from 'node:module'
import { rateLimit } from 'express-rate-limit'
import { Redis } from 'ioredis'
import { RedisStore as ExpressStore } from 'rate-limit-redis'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { createLimiter, multiStore } from '../dist/index.js'
import { redisStore } from '../dist/stores/redis/index.js'
import { FaultProxy } from '../test/faults/proxy.ts'
import type { OwnServer } from '../test/servers/own-server.ts'
import { startRedis } from '../test/servers/redis.ts'
import { markdown } from './race.ts'
import { upstashClient } from './upstash-client.ts'

const require = createRequire(import.meta.url)
const { Ratelimit } = require('@upstash/ratelimit') as {
  Ratelimit: {
    new (options: object): { limit(key: string): Promise<{ success: boolean }> }
    fixedWindow(amount: number, window: string): object
  }
}

/** Its own would print every error. */
const SILENT = { error: () => undefined, warn: () => undefined }

const LIMIT = 100
const HOUR_MS = 3_600_000
const EVERY_MS = 10
const BEFORE_MS = 2500
const FAULT_MS = 3000
const AFTER_MS = 5000
/** How long answers are waited for after the last question. */
const PATIENCE_MS = 15_000

interface Contender {
  readonly name: string
  /** Whether a request of the client passes; rejects where an app would have to answer an error. */
  readonly ask: () => Promise<boolean>
  readonly end: () => unknown
}

interface Fault {
  readonly name: string
  inject(redis: OwnServer, proxy: FaultProxy): Promise<() => Promise<void>>
}

const FAULTS: readonly Fault[] = [
  {
    name: 'Redis is stopped for 3 s (kill -STOP)',
    async inject(redis) {
      await redis.kill('SIGSTOP')
      return () => redis.kill('SIGCONT')
    },
  },
  {
    name: 'Redis is killed, and restarted empty after 3 s (kill -9)',
    async inject(redis) {
      await redis.kill('SIGKILL')
      return () => redis.restart()
    },
  },
  {
    name: 'no packet passes for 3 s',
    async inject(_, proxy) {
      proxy.set({ kind: 'hold' })
      return async () => proxy.heal()
    },
  },
  {
    name: 'Redis loses its data (FLUSHALL)',
    async inject({ url }) {
      const client = new Redis(url)
      await client.flushall()
      client.disconnect()
      return async () => {}
    },
  },
]

/** Every fault, all contenders at once. */
export async function faultRace(): Promise<string> {
  const out: string[] = []
  for (const fault of FAULTS) out.push(`### ${fault.name}\n`, await play(fault), '')
  return out.join('\n')
}

/** What became of one contender's questions. */
class Tally {
  asked = 0
  allowed = 0
  failed = 0
  pending = 0
  longestMs = 0
  waited = 0

  async ask({ ask }: Contender): Promise<void> {
    this.asked++
    this.pending++
    const since = performance.now()
    try {
      if (await ask()) this.allowed++
    } catch {
      this.failed++
    }
    this.pending--
    const tookMs = performance.now() - since
    this.longestMs = Math.max(this.longestMs, tookMs)
    if (tookMs > 150) this.waited++
  }
}

async function play(fault: Fault): Promise<string> {
  await using redis = await startRedis()
  await using standby = await startRedis()
  await using proxy = await FaultProxy.start(redis.port)
  const all = contenders(proxy.addressOf(redis.url), standby.url)
  const tallies = all.map(() => new Tally())
  await delay(300)
  const load = setInterval(() => {
    for (const [i, contender] of all.entries()) void tallies[i]?.ask(contender)
  }, EVERY_MS)
  await delay(BEFORE_MS)
  const heal = await fault.inject(redis, proxy)
  await delay(FAULT_MS)
  await heal()
  await delay(AFTER_MS)
  clearInterval(load)
  const until = performance.now() + PATIENCE_MS
  while (tallies.some(({ pending }) => pending > 0) && performance.now() < until) await delay(50)
  const rows = all.map(({ name }, i) => {
    const { asked, allowed, failed, pending, longestMs, waited } = tallies[i] as Tally
    const longest = pending > 0 ? `never (${pending})` : `${(longestMs / 1000).toFixed(2)} s`
    return [name, `${asked}`, longest, `${waited}`, `${failed}`, `${Math.max(0, allowed - LIMIT)}`]
  })
  for (const { end } of all) await end()
  return markdown(['limiter', 'asked', 'longest wait', 'waited > 150 ms', 'errors', `let through beyond ${LIMIT}`], rows)
}

function contenders(url: string, standby: string): readonly Contender[] {
  const client = (options: object = {}): Redis => {
    const redis = new Redis(url, options)
    redis.on('error', () => undefined)
    return redis
  }
  return [
    ours('smart-ratelimit, one Redis', redisStore(client(), { keyPrefix: 'one:' })),
    ours(
      'smart-ratelimit, with a standby Redis',
      multiStore([
        { name: 'redis', store: redisStore(client(), { keyPrefix: 'two:' }) },
        { name: 'standby', store: redisStore({ url: standby }, { keyPrefix: 'two:' }) },
      ]),
    ),
    express('express-rate-limit + rate-limit-redis', client(), false),
    express('the same, passOnStoreError', client(), true),
    flexible('rate-limiter-flexible', client(), false),
    flexible('the same, insurance limiter in memory', client(), true),
    flexible('the same, and enableOfflineQueue: false', client({ enableOfflineQueue: false }), true),
    upstash('@upstash/ratelimit (timeout 5 s, its default)', client(), undefined),
    upstash('@upstash/ratelimit, timeout 100 ms', client(), 100),
  ]
}

function ours(name: string, store: Parameters<typeof createLimiter>[0]['store'] & object): Contender {
  const limiter = createLimiter({ rate: `${LIMIT}/h`, algorithm: 'fixed_window', store, name })
  return { name, ask: async () => (await limiter.check('client')).allowed, end: () => store.close() }
}

/** Through the middleware: what it does about errors is its own. */
function express(name: string, client: Redis, passOnStoreError: boolean): Contender {
  const store = new ExpressStore({
    sendCommand: async (command: string, ...args: string[]) => client.call(command, ...args) as Promise<never>,
    prefix: `erl${passOnStoreError}:`,
  })
  const middleware = rateLimit({
    windowMs: HOUR_MS,
    limit: LIMIT,
    store,
    passOnStoreError,
    legacyHeaders: false,
    keyGenerator: () => 'client',
    validate: false,
    handler: (_request, response) => void response.end('refused'),
    logger: SILENT,
  })
  const ask = (): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const response = { end: () => resolve(false), setHeader: () => undefined, headersSent: false, on: () => undefined }
      const request = { ip: '192.0.2.1', headers: {}, app: { get: () => undefined } }
      const next = (error?: unknown): void => (error === undefined ? resolve(true) : reject(error as Error))
      Promise.resolve(middleware(request as never, response as never, next)).catch(reject)
    })
  return { name, ask, end: () => client.disconnect() }
}

function flexible(name: string, client: Redis, insured: boolean): Contender {
  const options = { points: LIMIT, duration: HOUR_MS / 1000, keyPrefix: name }
  const insurance = insured ? { insuranceLimiter: new RateLimiterMemory(options) } : {}
  const limiter = new RateLimiterRedis({ ...options, ...insurance, storeClient: client })
  return {
    name,
    async ask() {
      try {
        await limiter.consume('client')
        return true
      } catch (error) {
        // A refusal is a rejection as well.
        if (error instanceof RateLimiterRes) return false
        throw error
      }
    },
    end: () => client.disconnect(),
  }
}

function upstash(name: string, client: Redis, timeout: number | undefined): Contender {
  const limiter = new Ratelimit({
    redis: upstashClient(client),
    limiter: Ratelimit.fixedWindow(LIMIT, '1 h'),
    prefix: name,
    analytics: false,
    ephemeralCache: false,
    ...(timeout !== undefined && { timeout }),
  })
  return { name, ask: async () => (await limiter.limit('client')).success, end: () => client.disconnect() }
}
