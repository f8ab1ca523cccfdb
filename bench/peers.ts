// The peers' in-memory stores, each called as its own middleware calls it, and what of ours they are measured against.

import { createRequire } from 'node:module'
import { MemoryStore as ExpressStore } from 'express-rate-limit'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { type AlgorithmName, type Clock, createLimiter, memoryStore } from '../dist/index.js'
import type { Contender } from './race.ts'

const require = createRequire(import.meta.url)
const FastifyStore = require('@fastify/rate-limit/store/LocalStore.js') as new (
  continueExceeding: boolean,
  backoff: boolean,
  cache: number,
) => { incr(key: string, done: (error: unknown, found: { current: number }) => void, windowMs: number, max: number): void }
// Its type declarations need the DOM's.
const { MemoryStore: HonoStore } = (await import('hono-rate-limiter' as string)) as {
  MemoryStore: new () => {
    init(options: { windowMs: number }): void
    increment(key: string): { totalHits: number; resetTime: Date }
  }
}

/** The fastest peer, to which ratios are given. */
export const FASTEST = 'hono-rate-limiter'
const WINDOW_MS = 3_600_000
const LIMIT = 1_000_000_000

/** A key for a turn. */
export type KeyOf = (turn: number) => string

/** What nobody can be faster than who reads the clock in each decision: the key, the clock, and nothing else. */
export function floor(keyOf: KeyOf): Contender {
  return (turn) => keyOf(turn) !== '' && Date.now() > 0
}

/**
 * All peers, counting up to `limit`. Their stores are called, not their middleware; of the fastest one also what its middleware makes of the
 * call: it waits for the store, whichever it is, and builds what the handlers find.
 */
export function peers(keyOf: KeyOf, limit = LIMIT): Record<string, Contender> {
  const hono = new HonoStore()
  hono.init({ windowMs: WINDOW_MS })
  const awaited = new HonoStore()
  awaited.init({ windowMs: WINDOW_MS })
  const express = new ExpressStore()
  express.init({ windowMs: WINDOW_MS } as never)
  const fastify = new FastifyStore(false, false, 2_000_000)
  const flexible = new RateLimiterMemory({ points: limit, duration: WINDOW_MS / 1000 })
  let hits = 0
  const found = (_error: unknown, { current }: { current: number }): void => {
    hits = current
  }
  const noop = (): void => {}
  return {
    [FASTEST]: (turn) => hono.increment(keyOf(turn)).totalHits <= limit,
    [`${FASTEST}, awaited`]: async (turn) => {
      const { totalHits, resetTime } = await awaited.increment(keyOf(turn))
      const info = { limit, used: totalHits, remaining: Math.max(limit - totalHits, 0), resetTime }
      return info.used <= info.limit
    },
    'express-rate-limit': (turn) => express.increment(keyOf(turn)) !== undefined,
    '@fastify/rate-limit': (turn) => {
      fastify.incr(keyOf(turn), found, WINDOW_MS, limit)
      return hits <= limit
    },
    'rate-limiter-flexible': (turn) => {
      // Refusals are rejections, which somebody must take.
      flexible.consume(keyOf(turn)).catch(noop)
      return true
    },
  }
}

/** Ours: `check` with its whole decision. A rate that neither refuses nor drains in the time of a race, unless one is given. */
export function ours(algorithm: AlgorithmName, keyOf: KeyOf, clock?: Clock, rate = '4000000/d'): Contender {
  const store = memoryStore({ memoryMaxKeys: 4_000_000, memoryMaxBytes: 2 ** 32, ...(clock && { clock }) })
  const limiter = createLimiter({
    rate,
    algorithm,
    store,
    ...(algorithm === 'gcra' && { algorithmConfig: { burst: 4_000_000 } }),
  })
  return (turn) => limiter.check(keyOf(turn)).allowed
}
