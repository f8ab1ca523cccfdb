// Metrics in a registry of prom-client. Next: ../../src/monitor/prom-client.ts.

import client from 'prom-client'
import { afterEach, describe, expect, it } from 'vitest'
import { addObserver } from '../../src/core/watching.ts'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import { memoryStore } from '../../src/stores/memory/memory-store.ts'
import { type PrometheusMetrics, prometheusMetrics } from '../../src/monitor/metrics.ts'

const opened: PrometheusMetrics[] = []
afterEach(() => {
  for (const metrics of opened.splice(0)) metrics.close()
})

describe('prom-client', () => {
  it('has the metrics, read when it is scraped', async () => {
    const register = new client.Registry()
    const metrics = prometheusMetrics({ client, register })
    opened.push(metrics)
    const limiter = createLimiter({ rate: '2/m', name: 'api', store: memoryStore({ sweepIntervalMs: false }) })
    for (let i = 0; i < 3; i++) limiter.check('ip:203.0.113.9')
    for (let scrape = 0; scrape < 2; scrape++) {
      const text = await register.metrics()
      expect(text).toContain('smart_ratelimit_check_duration_seconds_count{store="memory"} 1')
      expect(text).not.toContain('203.0.113.9')
      // The same, and as often, as without the library.
      const own = metrics
        .prometheusText()
        .split('\n')
        .filter((line) => line.startsWith('smart_ratelimit_') && !line.includes('duration'))
      expect(own).toHaveLength(7)
      for (const line of own) expect(text.split('\n')).toContain(line)
    }
  })

  it('has nothing left of it when it is closed, so that it may begin anew', async () => {
    const metrics = prometheusMetrics({ client })
    expect(() => prometheusMetrics({ client })).toThrow(/already been registered/)
    expect(await client.register.metrics()).toContain('smart_ratelimit_requests_total')
    metrics.close()
    expect(await client.register.metrics()).not.toContain('smart_ratelimit')
    opened.push(prometheusMetrics({ client }))
  })

  it('that fails breaks no request and no scrape, and its failures are counted', async () => {
    const fail = (): never => {
      throw new Error('exporter')
    }
    class Counter extends client.Counter {
      override inc = fail
    }
    class Histogram extends client.Histogram {
      override observe = fail
    }
    const register = new client.Registry()
    const metrics = prometheusMetrics({ client: { ...client, Counter, Histogram }, register })
    opened.push(metrics)
    let heard = 0
    const dispose = addObserver({ onDecision: () => void heard++ })
    const limiter = createLimiter({ rate: '2/m', store: memoryStore({ sweepIntervalMs: false }) })
    expect(limiter.check('k').allowed).toBe(true)
    expect(await register.metrics()).toContain('smart_ratelimit_store_healthy{store="memory"} 1')
    expect(heard).toBe(1)
    expect(metrics.prometheusText()).toMatch(/smart_ratelimit_errors_total\{where="metrics"\} [3-9]/)
    dispose()
  })
})
