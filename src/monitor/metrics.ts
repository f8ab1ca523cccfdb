// `smart-ratelimit/metrics`: metrics for Prometheus, with prom-client or without. Promise: a failing exporter never breaks a request; keys
// are never labels; every set of labels is bounded. Start reading at metric-families.ts for what is measured.

import { ConfigError } from '../core/errors.ts'
import type { Observer } from '../core/observer.ts'
import { type ExporterOptions, tallyFor } from './exporter.ts'
import { type PromClient, type PromRegistry, registerWith } from './prom-client.ts'
import { PROMETHEUS_CONTENT_TYPE, renderPrometheus } from './prometheus-text.ts'
import type { Tally } from './tally.ts'

export type { ExporterOptions } from './exporter.ts'
export type { PromClient, PromHistogramConfig, PromMetricConfig, PromRegistry } from './prom-client.ts'
export { PROMETHEUS_CONTENT_TYPE } from './prometheus-text.ts'

/** Options of {@link prometheusMetrics}. */
export interface PrometheusOptions extends ExporterOptions {
  /** The module prom-client: its registry gets the metrics too (default: only `prometheusText()` has them). */
  readonly client?: PromClient
  /** The registry of prom-client to put them into (default: its default one). */
  readonly register?: PromRegistry
}

const PREFIX = 'smart_ratelimit_'

/** Metrics, as long as they are not closed. */
export class PrometheusMetrics {
  /** For `observers` of single limiters, with `everywhere: false`. */
  readonly observer: Observer
  /** The Content-Type of the text. */
  readonly contentType = PROMETHEUS_CONTENT_TYPE
  readonly #tally: Tally
  readonly #prefix: string
  readonly #closers: (() => void)[] = []

  constructor(options: PrometheusOptions) {
    const { tally, close } = tallyFor(options, 'prometheusMetrics', ['client', 'register'], /^[A-Za-z_][A-Za-z0-9_]{0,63}$/)
    this.#closers.push(close)
    try {
      const { client, register, prefix = PREFIX } = options
      this.#tally = tally
      this.observer = tally
      this.#prefix = prefix
      if (client !== undefined && typeof client?.Counter !== 'function')
        throw new ConfigError('prometheusMetrics.client', 'the module prom-client', client)
      if (register !== undefined && client === undefined)
        throw new ConfigError('prometheusMetrics.register', 'client beside it', register)
      if (client !== undefined) this.#closers.push(registerWith(client, register ?? client.register, tally, prefix))
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** All metrics in the text format of Prometheus, whether prom-client is there or not. */
  prometheusText(): string {
    return renderPrometheus(this.#tally, this.#prefix)
  }

  /** Stops counting, and takes the metrics out of prom-client's registry. */
  close(): void {
    for (const close of this.#closers.splice(0)) close()
  }
}

/**
 * Counts the decisions of all limiters of the process, for Prometheus: `prometheusMetrics({ client })` with prom-client, or without it
 * `prometheusMetrics()` and its `prometheusText()`.
 * @throws ConfigError for an option that is unknown or wrong
 */
export function prometheusMetrics(options: PrometheusOptions = {}): PrometheusMetrics {
  return new PrometheusMetrics(options)
}
