// Health as data and over HTTP, of stores that are well, slow, hanging and down. Next: ../../src/monitor/ask-stores.ts.

import type { IncomingMessage } from 'node:http'
import express from 'express'
import { describe, expect, it, vi } from 'vitest'
import { ConfigError, StoreError } from '../../src/core/errors.ts'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import { multiStore } from '../../src/stores/failover/multi-store.ts'
import { memoryStore } from '../../src/stores/memory/memory-store.ts'
import type { AsyncStore, Store } from '../../src/stores/store.ts'
import { healthHandler, healthJson, healthListener, healthOf } from '../../src/monitor/health.ts'
import { serve } from '../adapters/http.ts'

const PASSWORD = 's3cr3t@:/?#'

/** The memory store behind promises, with another ping. */
function remote(name: string, ping: () => Promise<void> = async () => {}): AsyncStore {
  const store = memoryStore({ sweepIntervalMs: false })
  const failing = async (): Promise<never> => {
    await ping()
    throw new StoreError(name, 'unreachable')
  }
  return {
    name,
    sync: false,
    take: failing,
    reset: async (...of) => store.reset(...of),
    ban: async (...of) => store.ban(...of),
    unban: async (...of) => store.unban(...of),
    read: async (...of) => store.read(...of),
    ping,
    sweep: async () => store.sweep(),
    close: async () => store.close(),
  }
}

const hang = (): Promise<never> => new Promise(() => {})
const down = async (): Promise<never> => {
  throw new Error(`connect ECONNREFUSED redis://user:${PASSWORD}@db.internal:6379`)
}

describe('healthOf', () => {
  it('of one store has the original’s shape, and more', async () => {
    const health = await healthOf(memoryStore())
    expect(health.status).toBe('healthy')
    expect(healthJson(health)).toEqual({
      type: 'single-backend',
      backend: 'memory',
      backend_class: 'memory',
      healthy: true,
      status: 'healthy',
      latency_ms: expect.any(Number) as number,
      breaker: 'closed',
      last_check: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
      error: null,
    })
  })

  it('of several asks each, and is degraded while one of them is well', async () => {
    const store = multiStore(
      [
        { name: 'far', store: remote('far', down) },
        { name: 'near', store: memoryStore() },
      ],
      { circuitBreaker: { failureThreshold: 1 } },
    )
    await createLimiter({ rate: '9/m', store }).check('k')
    const json = healthJson(await healthOf(store))
    expect(json).toMatchObject({
      type: 'multi-backend',
      healthy: true,
      status: 'degraded',
      stats: {
        total_backends: 2,
        healthy_backends: 1,
        fallback_strategy: 'first_healthy',
        backends: { far: false, near: true },
      },
      backends: {
        far: { healthy: false, backend_class: 'far', latency_ms: null, breaker: 'open' },
        near: { healthy: true, backend_class: 'memory', error: null, breaker: 'closed' },
      },
    })
    expect(JSON.stringify(json)).not.toContain('s3cr3t')
    expect(JSON.stringify(json)).toContain('db.internal')
    await store.close()
  })

  it('is down when none answers, and says why without a secret', async () => {
    const health = await healthOf(remote('redis', down))
    expect(health).toMatchObject({
      status: 'down',
      stores: [{ healthy: false, error: 'connect ECONNREFUSED redis://…@db.internal:6379' }],
    })
  })

  it('does not wait for one that hangs', async () => {
    vi.useFakeTimers()
    try {
      const asked = healthOf(remote('redis', hang), { timeoutMs: 700 })
      await vi.advanceTimersByTimeAsync(700)
      expect(await asked).toMatchObject({ status: 'down', stores: [{ error: 'no answer within 700 ms' }] })
    } finally {
      vi.useRealTimers()
    }
  })

  it('tells the last failure of one that is well again, and that its breaker is open', async () => {
    let isDown = true
    const store = remote('redis', async () => {
      if (isDown) throw new StoreError('redis', 'LOADING')
    })
    const limiter = createLimiter({ rate: '9/m', store })
    for (let i = 0; i < 5; i++) await limiter.check('k')
    isDown = false
    const health = await healthOf(store)
    expect(health).toMatchObject({ status: 'degraded', stores: [{ healthy: true, lastError: 'store redis: LOADING' }] })
    expect(health.stores[0]?.breaker).not.toBe('closed')
  })

  it.each([
    [undefined, {}, 'healthOf(store): expected a list of stores'],
    [memoryStore(), { timeout: 5 }, 'healthOf.timeout: expected one of timeoutMs'],
    [memoryStore(), { timeoutMs: 0 }, 'healthOf.timeoutMs: expected a whole number from 1 to 600000, received 0'],
  ])('refuses what is not right', async (store, options, message) => {
    await expect(healthOf(store as Store, options as never)).rejects.toThrow(message)
  })
})

describe('healthHandler', () => {
  const ask = async (handler: (request: Request) => Promise<Response>, method = 'GET', headers = {}) =>
    handler(new Request('http://localhost/health', { method, headers }))

  it('answers 200 while something can decide, and 503 when nothing can', async () => {
    const good = await ask(healthHandler(memoryStore()))
    expect([good.status, await good.json()]).toEqual([200, { healthy: true, status: 'healthy' }])
    expect(Object.fromEntries(good.headers)).toEqual({
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
      'x-content-type-options': 'nosniff',
    })
    const bad = await ask(healthHandler(remote('redis', down)))
    expect([bad.status, await bad.json()]).toEqual([503, { healthy: false, status: 'down' }])
    const store = multiStore([
      { name: 'far', store: remote('far', down) },
      { name: 'near', store: memoryStore() },
    ])
    const degraded = await ask(healthHandler(store))
    expect([degraded.status, await degraded.json()]).toEqual([200, { healthy: true, status: 'degraded' }])
    await store.close()
  })

  it('tells more only where that is wanted, and not where the app’s function fails', async () => {
    const isStaff = (request: Request): boolean => {
      if (request.headers.get('x-role') === null) throw new Error('no role')
      return request.headers.get('x-role') === 'staff'
    }
    const handler = healthHandler(remote('redis', down), { details: isStaff })
    expect(await (await ask(handler, 'GET', { 'x-role': 'staff' })).json()).toMatchObject({
      type: 'single-backend',
      backend: 'redis',
    })
    expect(await (await ask(handler, 'GET', { 'x-role': 'guest' })).json()).toEqual({ healthy: false, status: 'down' })
    expect(await (await ask(handler)).json()).toEqual({ healthy: false, status: 'down' })
    expect(await (await ask(healthHandler(memoryStore(), { details: true }))).json()).toMatchObject({ backend: 'memory' })
  })

  it('asks the stores no more than once in a while, however often it is asked', async () => {
    const ping = vi.fn(async () => {})
    const handler = healthHandler(remote('redis', ping), { cacheMs: 600_000 })
    await Promise.all(Array.from({ length: 50 }, () => ask(handler)))
    await ask(handler)
    expect(ping).toHaveBeenCalledTimes(2)
    const uncached = healthHandler(remote('redis', ping), { cacheMs: 0 })
    await ask(uncached)
    await ask(uncached)
    expect(ping).toHaveBeenCalledTimes(6)
  })

  it('as a liveness probe asks no store', async () => {
    const ping = vi.fn(down)
    const alive = await ask(healthHandler(remote('redis', ping), { probe: 'liveness' }))
    expect([alive.status, await alive.json()]).toEqual([200, { healthy: true, status: 'alive' }])
    expect(ping).not.toHaveBeenCalled()
  })

  it('answers HEAD without a body, and nothing that could change something', async () => {
    const handler = healthHandler(memoryStore())
    const head = await ask(handler, 'HEAD')
    expect([head.status, await head.text()]).toEqual([200, ''])
    const post = await ask(handler, 'POST')
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  it.each([
    [{ probe: 'startup' }, 'healthHandler.probe: expected readiness or liveness'],
    [{ details: 'yes' }, 'healthHandler.details: expected true, false or a function'],
    [{ cacheMs: -1 }, 'healthHandler.cacheMs'],
    [{ verbose: true }, 'healthHandler.verbose: expected one of'],
  ])('refuses %j', (options, message) => {
    expect(() => healthHandler(memoryStore(), options as never)).toThrow(message)
    expect(() => healthHandler('redis://:s3cr3t@h' as never)).toThrow(ConfigError)
    expect(() => healthHandler('redis://:s3cr3t@h' as never)).not.toThrow('s3cr3t')
  })
})

describe('healthListener', () => {
  it('serves the same on node:http and in Express', async () => {
    const app = express()
    const details = (request: IncomingMessage): boolean => request.headers['x-role'] === 'staff'
    app.get('/health', healthListener(memoryStore(), { details }))
    for (const listener of [app, healthListener(memoryStore(), { details })]) {
      await using server = await serve(listener as never)
      const reply = await server.get('/health')
      expect([reply.status, JSON.parse(reply.body)]).toEqual([200, { healthy: true, status: 'healthy' }])
      expect(reply.headers['cache-control']).toBe('no-store')
      expect(JSON.parse((await server.get('/health', { 'x-role': 'staff' })).body)).toMatchObject({ backend: 'memory' })
      expect((await server.get('/health', {}, 'HEAD')).body).toBe('')
    }
    await using broken = await serve(healthListener(remote('redis', down)))
    expect((await broken.get('/')).status).toBe(503)
  })
})
