// Metrics and spans through the OpenTelemetry API: what is asked of it, and what the SDK makes of that. Next:
// ../../src/monitor/opentelemetry.ts.

import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterEach, describe, expect, it } from 'vitest'
import { isWatched } from '../../src/core/watching.ts'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import { memoryStore } from '../../src/stores/memory/memory-store.ts'
import {
  type OpenTelemetryExporter,
  type OpenTelemetryOptions,
  type OtelAttributes,
  type OtelMeter,
  type OtelResult,
  type OtelTracer,
  openTelemetry,
} from '../../src/monitor/opentelemetry.ts'

const opened: OpenTelemetryExporter[] = []
function open(options: OpenTelemetryOptions): OpenTelemetryExporter {
  const exporter = openTelemetry(options)
  opened.push(exporter)
  return exporter
}
afterEach(() => {
  for (const exporter of opened.splice(0)) exporter.close()
})

type Recorded = readonly [value: number, attributes: OtelAttributes | undefined]

function recordingMeter() {
  const made: string[] = []
  const callbacks = new Map<string, Set<(result: OtelResult) => void>>()
  const durations: Recorded[] = []
  const observable = (name: string) => {
    made.push(name)
    const own = new Set<(result: OtelResult) => void>()
    callbacks.set(name, own)
    return {
      addCallback: (callback: (result: OtelResult) => void): void => void own.add(callback),
      removeCallback: (callback: (result: OtelResult) => void): void => void own.delete(callback),
    }
  }
  const meter: OtelMeter = {
    createObservableCounter: observable,
    createObservableGauge: observable,
    createHistogram(name) {
      made.push(name)
      return { record: (value, attributes) => void durations.push([value, attributes]) }
    },
  }
  const collect = (name: string): readonly Recorded[] => {
    const found: Recorded[] = []
    for (const callback of callbacks.get(name) ?? [])
      callback({ observe: (value, attributes) => void found.push([value, attributes]) })
    return found
  }
  return { meter, made, durations, collect }
}

function recordingTracer() {
  const spans: { readonly name: string; readonly startTime: number; endTime: number; readonly attributes: OtelAttributes }[] = []
  const tracer: OtelTracer = {
    startSpan(name, { startTime, attributes }) {
      const span = { name, startTime, endTime: Number.NaN, attributes }
      return {
        end(endTime) {
          span.endTime = endTime
          spans.push(span)
        },
      }
    },
  }
  return { tracer, spans }
}

const quiet = () => memoryStore({ sweepIntervalMs: false })

describe('openTelemetry', () => {
  it('makes each instrument once, and reads it when it is exported', () => {
    const { meter, made, durations, collect } = recordingMeter()
    open({ meter })
    expect(made).toEqual([
      'ratelimit.requests',
      'ratelimit.refused',
      'ratelimit.cost',
      'ratelimit.bans',
      'ratelimit.errors',
      'ratelimit.store_events',
      'ratelimit.store_healthy',
      'ratelimit.breaker_state',
      'ratelimit.active_keys',
      'ratelimit.check.duration',
    ])
    const limiter = createLimiter({ rate: '2/m', name: 'api', store: quiet() })
    for (let i = 0; i < 3; i++) limiter.check('k')
    expect(collect('ratelimit.requests')).toEqual([
      [2, { policy: 'api', result: 'granted', source: 'primary', store: 'memory' }],
      [1, { policy: 'api', result: 'refused', source: 'primary', store: 'memory' }],
    ])
    expect(durations).toEqual([[expect.any(Number), { store: 'memory' }]])
    expect(made).toHaveLength(10)
  })

  it('makes a span of each check, with what was decided; the key only where that is wanted', () => {
    const { tracer, spans } = recordingTracer()
    open({ tracer })
    const limiter = createLimiter({ rate: '2/m', name: 'api', algorithm: 'gcra', algorithmConfig: { burst: 2 }, store: quiet() })
    limiter.check('ip:203.0.113.9', { cost: 2 })
    limiter.check('ip:203.0.113.9')
    limiter.check('ip:203.0.113.9', { rate: null })
    expect(spans.map(({ name }) => name)).toEqual(['ratelimit.check', 'ratelimit.check', 'ratelimit.check'])
    expect(spans[0]?.attributes).toEqual({
      'ratelimit.policy': 'api',
      'ratelimit.result': 'granted',
      'ratelimit.allowed': true,
      'ratelimit.cost': 2,
      'ratelimit.shadow': false,
      'ratelimit.source': 'primary',
      'ratelimit.store': 'memory',
      'ratelimit.limit': 2,
      'ratelimit.remaining': 0,
      'ratelimit.algorithm': 'gcra',
    })
    expect(spans[1]?.attributes).toMatchObject({ 'ratelimit.result': 'refused', 'ratelimit.allowed': false })
    expect(spans[2]?.attributes).not.toHaveProperty('ratelimit.limit')
    for (const { startTime, endTime } of spans) expect(endTime).toBeGreaterThanOrEqual(startTime)
    const keyed = recordingTracer()
    open({ tracer: keyed.tracer, spanKeys: true, prefix: 'limits' })
    limiter.check('ip:203.0.113.9')
    expect(keyed.spans[0]).toMatchObject({ name: 'limits.check', attributes: { 'limits.key': 'ip:203.0.113.9' } })
  })

  it('that fails breaks no request', () => {
    const fail = (): never => {
      throw new Error('exporter')
    }
    const { meter } = recordingMeter()
    open({ meter: { ...meter, createHistogram: () => ({ record: fail }) }, tracer: { startSpan: fail } })
    expect(createLimiter({ rate: '2/m', store: quiet() }).check('k').allowed).toBe(true)
  })

  it('stops when it is closed', () => {
    const { meter, collect } = recordingMeter()
    const { tracer, spans } = recordingTracer()
    const exporter = open({ meter, tracer })
    const limiter = createLimiter({ rate: '2/m', store: quiet() })
    limiter.check('k')
    exporter.close()
    limiter.check('k')
    expect(spans).toHaveLength(1)
    expect(collect('ratelimit.requests')).toEqual([])
  })

  it.each([
    [{}, 'openTelemetry(options): expected a meter or a tracer'],
    [{ meter: {} }, 'openTelemetry.meter: expected a meter'],
    [{ tracer: {} }, 'openTelemetry.tracer: expected a tracer'],
    [{ tracer: recordingTracer().tracer, spanKeys: 1 }, 'openTelemetry.spanKeys: expected true or false'],
    [{ tracer: recordingTracer().tracer, metre: 1 }, 'openTelemetry.metre: expected one of'],
  ])('refuses %j, and leaves nobody watching', (options, message) => {
    expect(() => openTelemetry(options as never)).toThrow(message)
    expect(isWatched()).toBe(false)
  })
})

describe('the SDK of OpenTelemetry', () => {
  it('exports the metrics', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const provider = new MeterProvider({ readers: [reader] })
    open({ meter: provider.getMeter('smart-ratelimit') })
    const limiter = createLimiter({ rate: '2/m', name: 'api', store: quiet() })
    for (let i = 0; i < 3; i++) limiter.check('k')
    await reader.forceFlush()
    const metrics = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    const points = (name: string): unknown => metrics.find(({ descriptor }) => descriptor.name === name)?.dataPoints
    expect(points('ratelimit.requests')).toMatchObject([
      { value: 2, attributes: { policy: 'api', result: 'granted' } },
      { value: 1, attributes: { policy: 'api', result: 'refused' } },
    ])
    expect(points('ratelimit.store_healthy')).toMatchObject([{ value: 1, attributes: { store: 'memory' } }])
    expect(points('ratelimit.check.duration')).toMatchObject([{ value: { count: 1 } }])
    await provider.shutdown()
  })

  it('exports the spans', async () => {
    const exporter = new InMemorySpanExporter()
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    open({ tracer: provider.getTracer('smart-ratelimit') })
    createLimiter({ rate: '2/m', name: 'api', store: quiet() }).check('k')
    await provider.forceFlush()
    const [span] = exporter.getFinishedSpans()
    expect(span).toMatchObject({
      name: 'ratelimit.check',
      attributes: { 'ratelimit.policy': 'api', 'ratelimit.limit': 2 },
    })
    const ms = ([seconds, nanos]: readonly [number, number] = [0, 0]): number => seconds * 1000 + nanos / 1e6
    expect(Math.abs(ms(span?.endTime) - Date.now())).toBeLessThan(60_000)
    expect(ms(span?.duration)).toBeGreaterThanOrEqual(0)
    await provider.shutdown()
  })
})
