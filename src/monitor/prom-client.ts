// A tally in the registry of prom-client, which the app hands in. Promise: a decision does no work for it but the tally's; values are read
// when they are scraped, and what fails then leaves a gap and no error. Next: metric-families.ts.

import { BOUNDS_S } from './durations.ts'
import { DURATION, METRICS, type MetricFamily } from './metric-families.ts'
import type { Tally } from './tally.ts'

/** A registry of prom-client, as far as it is needed. */
export interface PromRegistry {
  removeSingleMetric(name: string): void
}

/** What a counter or a gauge is made of. */
export interface PromMetricConfig {
  name: string
  help: string
  labelNames: string[]
  registers: never[]
  collect(this: unknown): void
}

/** What a histogram is made of. */
export interface PromHistogramConfig {
  name: string
  help: string
  labelNames: string[]
  registers: never[]
  buckets: number[]
}

/** The module prom-client, as far as it is needed. */
export interface PromClient {
  readonly register: PromRegistry
  readonly Counter: new (config: PromMetricConfig) => unknown
  readonly Gauge: new (config: PromMetricConfig) => unknown
  readonly Histogram: new (config: PromHistogramConfig) => {
    observe(labels: Record<string, string>, seconds: number): void
  }
}

interface Collected {
  reset(): void
  inc?(labels: Readonly<Record<string, string>>, value: number): void
  set?(labels: Readonly<Record<string, string>>, value: number): void
}

/**
 * Registers everything.
 * @returns what takes it out of the registry again
 */
export function registerWith(client: PromClient, registry: PromRegistry, tally: Tally, prefix: string): () => void {
  const registers = [registry] as never[]
  for (const family of METRICS) {
    const make = family.type === 'counter' ? client.Counter : client.Gauge
    const metric = new make({
      name: prefix + family.name,
      help: family.help,
      labelNames: [...family.labels],
      registers,
      collect() {
        read(this as Collected, family, tally)
      },
    })
    void metric
  }
  const { name, help, labels } = DURATION
  const histogram = new client.Histogram({
    name: prefix + name,
    help,
    labelNames: [...labels],
    registers,
    buckets: [...BOUNDS_S],
  })
  const deafen = tally.listen({ onDuration: (store, ms) => histogram.observe({ store }, ms / 1000) })
  return () => {
    deafen()
    for (const family of [...METRICS, DURATION]) registry.removeSingleMetric(prefix + family.name)
  }
}

/** Puts the tally's numbers in the place of what a metric holds. */
function read(metric: Collected, family: MetricFamily, tally: Tally): void {
  try {
    const samples = family.read(tally)
    metric.reset()
    for (const { labels, value } of samples) {
      if (family.type === 'counter') metric.inc?.(labels, value)
      else metric.set?.(labels, value)
    }
  } catch (error) {
    tally.onError(error, 'metrics')
  }
}
