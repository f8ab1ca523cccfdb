import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { ConfigError, StoreError } from '../core/errors.ts'
import { isWatched } from '../core/watching.ts'
import { createLimiter } from '../limiter/create-limiter.ts'
import { multiStore } from '../stores/failover/multi-store.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import { DURATION, METRICS } from './metric-families.ts'
import { type PrometheusMetrics, type PrometheusOptions, prometheusMetrics } from './metrics.ts'

const opened: PrometheusMetrics[] = []
function open(options?: PrometheusOptions): PrometheusMetrics {
  const metrics = prometheusMetrics(options)
  opened.push(metrics)
  return metrics
}
afterEach(() => {
  for (const metrics of opened.splice(0)) metrics.close()
})

const clock = manualClock(1_700_000_000_000)
const quiet = () => memoryStore({ clock, sweepIntervalMs: false })

/** The lines of one metric. */
function linesOf(text: string, name: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`smart_ratelimit_${name}{`))
}

describe('prometheusText()', () => {
  it('counts decisions by policy, result, source and store; refusals by reason; costs and bans', () => {
    const metrics = open()
    const store = quiet()
    const limiter = createLimiter({ rate: '3/m', name: 'api', store })
    limiter.check('k', { cost: 2 })
    limiter.check('k', { cost: 2 })
    limiter.check('k', { cost: 9 })
    limiter.check('k', { rate: null })
    limiter.ban('k', 1000)
    limiter.check('k')
    const shadow = createLimiter({ rate: '0/m', name: 'tried', store, shadow: true })
    shadow.check('k')
    const text = metrics.prometheusText()
    expect(linesOf(text, 'requests_total')).toEqual([
      'smart_ratelimit_requests_total{policy="api",result="granted",source="primary",store="memory"} 1',
      'smart_ratelimit_requests_total{policy="api",result="refused",source="primary",store="memory"} 2',
      'smart_ratelimit_requests_total{policy="api",result="refused",source="none",store="memory"} 1',
      'smart_ratelimit_requests_total{policy="api",result="exempt",source="none",store="memory"} 1',
      'smart_ratelimit_requests_total{policy="tried",result="would_refuse",source="none",store="memory"} 1',
    ])
    expect(linesOf(text, 'refused_total')).toEqual([
      'smart_ratelimit_refused_total{policy="api",reason="limit",source="primary",store="memory"} 1',
      'smart_ratelimit_refused_total{policy="api",reason="ban",source="primary",store="memory"} 1',
      'smart_ratelimit_refused_total{policy="api",reason="cost",source="none",store="memory"} 1',
      'smart_ratelimit_refused_total{policy="tried",reason="limit",source="none",store="memory"} 1',
    ])
    expect(linesOf(text, 'cost_total')[0]).toBe('smart_ratelimit_cost_total{policy="api"} 2')
    expect(linesOf(text, 'bans_total')).toEqual(['smart_ratelimit_bans_total{policy="api",cause="call"} 1'])
    expect(linesOf(text, 'active_keys')).toEqual(['smart_ratelimit_active_keys{store="memory"} 1'])
  })

  it('is well-formed: each metric has its help, its type and its samples together; buckets add up', () => {
    const metrics = open()
    const limiter = createLimiter({ rate: '100/m', name: 'quo"te\\back', store: quiet() })
    for (let i = 0; i < 65; i++) limiter.check('k')
    const text = metrics.prometheusText()
    expect(text).toContain('policy="quo\\"te\\\\back"')
    let family = ''
    const seen = new Set<string>()
    for (const line of text.trimEnd().split('\n')) {
      const [, kind, name = ''] = /^# (HELP|TYPE) (\S+) \S/.exec(line) ?? []
      if (kind === 'HELP') {
        expect(seen).not.toContain(name)
        seen.add(name)
        family = name
      } else if (kind === 'TYPE') expect(name).toBe(family)
      else expect(line).toMatch(new RegExp(`^${family}(_bucket|_sum|_count)?\\{([a-z_]+="([^"\\\\]|\\\\.)*",?)*\\} [\\d.e+-]+$`))
    }
    expect([...seen]).toEqual([...METRICS, DURATION].map(({ name }) => `smart_ratelimit_${name}`))
    const buckets = linesOf(text, 'check_duration_seconds_bucket').map((line) => Number(line.split(' ').at(-1)))
    expect(buckets.at(-1)).toBe(2)
    expect(buckets).toEqual(buckets.toSorted((a, b) => a - b))
    expect(linesOf(text, 'check_duration_seconds_count')).toEqual([
      'smart_ratelimit_check_duration_seconds_count{store="memory"} 2',
    ])
  })

  it('tells how stores are: healthy, breaker, what happened', async () => {
    const metrics = open()
    const down = {
      ...quiet(),
      name: 'far',
      sync: false as const,
      take: async () => Promise.reject(new StoreError('far', 'refused')),
    }
    const store = multiStore(
      [
        { name: 'far', store: down as never },
        { name: 'near', store: quiet() },
      ],
      { circuitBreaker: { failureThreshold: 1 } },
    )
    const limiter = createLimiter({ rate: '9/m', name: 'api', store })
    await limiter.check('k')
    const text = metrics.prometheusText()
    expect(linesOf(text, 'requests_total')).toEqual([
      'smart_ratelimit_requests_total{policy="api",result="granted",source="fallback:near",store="multi"} 1',
    ])
    expect(linesOf(text, 'store_healthy')).toEqual([
      'smart_ratelimit_store_healthy{store="far"} 0',
      'smart_ratelimit_store_healthy{store="near"} 1',
    ])
    expect(linesOf(text, 'breaker_state')).toEqual([
      'smart_ratelimit_breaker_state{store="far"} 1',
      'smart_ratelimit_breaker_state{store="near"} 0',
    ])
    expect(linesOf(text, 'active_keys')).toEqual(['smart_ratelimit_active_keys{store="near"} 1'])
    expect(linesOf(text, 'store_events_total')).toEqual(['smart_ratelimit_store_events_total{store="far",kind="down"} 1'])
    await store.close()
  })

  it('never has a key in it, and a bounded number of lines, whatever comes', () => {
    const metrics = open({ maxPolicies: 3 })
    const store = quiet()
    for (let i = 0; i < 200; i++) createLimiter({ rate: '1/m', name: `policy ${i}`, store }).check(`secret-key-${i}`)
    const text = metrics.prometheusText()
    expect(text).not.toContain('secret-key')
    expect(linesOf(text, 'requests_total')).toHaveLength(4)
    expect(linesOf(text, 'requests_total').at(-1)).toContain(
      'policy="other",result="granted",source="primary",store="memory"} 197',
    )
  })

  it('tells of stores that have not decided yet', () => {
    expect(linesOf(open({ stores: [quiet()] }).prometheusText(), 'active_keys')).toEqual([
      'smart_ratelimit_active_keys{store="memory"} 0',
    ])
  })
})

describe('prometheusMetrics', () => {
  it('counts for a second exporter what comes, and stops for one that is closed', () => {
    const first = open()
    const second = open({ prefix: 'other_' })
    const limiter = createLimiter({ rate: '9/m', name: 'api', store: quiet() })
    limiter.check('k')
    first.close()
    limiter.check('k')
    expect(second.prometheusText()).toContain(
      'other_requests_total{policy="api",result="granted",source="primary",store="memory"} 2',
    )
    second.close()
    expect(isWatched()).toBe(false)
  })

  it('with everywhere: false counts for the limiters that have its observer', () => {
    const metrics = open({ everywhere: false })
    const store = quiet()
    createLimiter({ rate: '9/m', name: 'other', store }).check('k')
    createLimiter({ rate: '9/m', name: 'own', store, observers: [metrics.observer] }).check('k')
    expect(linesOf(metrics.prometheusText(), 'cost_total')).toEqual(['smart_ratelimit_cost_total{policy="own"} 1'])
  })

  it.each([
    [{ prefx: 'a' }, 'prometheusMetrics.prefx: expected one of'],
    [{ prefix: '0 ' }, 'prometheusMetrics.prefix: expected a text like'],
    [{ maxPolicies: 0 }, 'prometheusMetrics.maxPolicies: expected a whole number from 1 to 10000, received 0'],
    [{ everywhere: 1 }, 'prometheusMetrics.everywhere: expected true or false'],
    [{ client: {} }, 'prometheusMetrics.client: expected the module prom-client'],
    [{ register: {} }, 'prometheusMetrics.register: expected client beside it'],
    [{ stores: ['redis://:s3cr3t@:/?#@h'] }, 'prometheusMetrics.stores: expected a list of stores'],
  ])('refuses %j, and leaves nobody watching', (options, message) => {
    expect(() => prometheusMetrics(options as never)).toThrow(ConfigError)
    expect(() => prometheusMetrics(options as never)).toThrow(message)
    expect(() => prometheusMetrics(options as never)).not.toThrow('s3cr3t')
    expect(isWatched()).toBe(false)
  })
})
