// `smart-ratelimit/opentelemetry`: metrics, and a span per check, through the API that the app hands in. Promise: instruments are made once;
// a decision pays for the tally, and for a span where a tracer is given; what fails here never reaches a request.
// Start reading at metric-families.ts for what is measured.

import { systemClock } from '../core/clock.ts'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import type { DecisionContext, Observer } from '../core/observer.ts'
import { type ExporterOptions, tallyFor } from './exporter.ts'
import { METRICS, type MetricFamily } from './metric-families.ts'
import { RESULTS, resultAt } from './results.ts'
import { Tally } from './tally.ts'

export type { ExporterOptions } from './exporter.ts'

/** Attributes of OpenTelemetry. */
export type OtelAttributes = Record<string, string | number | boolean>

/** What a callback reports to. */
export interface OtelResult {
  observe(value: number, attributes?: OtelAttributes): void
}

/** An instrument that is read when it is exported. */
export interface OtelObservable {
  addCallback(callback: (result: OtelResult) => void): void
  removeCallback(callback: (result: OtelResult) => void): void
}

/** A meter of `@opentelemetry/api`, as far as it is needed. */
export interface OtelMeter {
  createObservableCounter(name: string, options: { description: string }): OtelObservable
  createObservableGauge(name: string, options: { description: string }): OtelObservable
  createHistogram(
    name: string,
    options: { description: string; unit: string },
  ): { record(value: number, attributes?: OtelAttributes): void }
}

/** A tracer of `@opentelemetry/api`, as far as it is needed. */
export interface OtelTracer {
  startSpan(name: string, options: { startTime: number; attributes: OtelAttributes }): { end(endTime: number): void }
}

/** Options of {@link openTelemetry}. */
export interface OpenTelemetryOptions extends ExporterOptions {
  /** `metrics.getMeter('smart-ratelimit')` (default: no metrics). */
  readonly meter?: OtelMeter
  /** `trace.getTracer('smart-ratelimit')` (default: no spans). */
  readonly tracer?: OtelTracer
  /** Put keys on spans, where credentials are hashed and addresses are not (default false). Metrics never have them. */
  readonly spanKeys?: boolean
}

/** What exports; `close` ends it. */
export class OpenTelemetryExporter {
  /** For `observers` of single limiters, with `everywhere: false`. */
  readonly observer: Observer
  readonly #tally: Tally
  readonly #closers: (() => void)[] = []

  constructor(options: OpenTelemetryOptions) {
    const { meter, tracer, prefix = 'ratelimit', spanKeys = false } = options ?? {}
    if (meter !== undefined && typeof meter?.createObservableCounter !== 'function')
      throw new ConfigError('openTelemetry.meter', "a meter: metrics.getMeter('smart-ratelimit')", meter)
    if (tracer !== undefined && typeof tracer?.startSpan !== 'function')
      throw new ConfigError('openTelemetry.tracer', "a tracer: trace.getTracer('smart-ratelimit')", tracer)
    if (typeof spanKeys !== 'boolean') throw new ConfigError('openTelemetry.spanKeys', 'true or false', spanKeys)
    const make = tracer === undefined ? undefined : (most: number): Tally => new TracingTally(most, tracer, prefix, spanKeys)
    const names = /^[A-Za-z][A-Za-z0-9_./-]{0,63}$/
    const { tally, close } = tallyFor(options, 'openTelemetry', ['meter', 'tracer', 'spanKeys'], names, make)
    this.#tally = tally
    this.observer = tally
    this.#closers.push(close)
    try {
      if (meter === undefined && tracer === undefined)
        throw new ConfigError('openTelemetry(options)', 'a meter or a tracer', undefined)
      if (meter !== undefined) this.#measure(meter, prefix)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Stops counting and tracing. */
  close(): void {
    for (const close of this.#closers.splice(0)) close()
  }

  #measure(meter: OtelMeter, prefix: string): void {
    for (const family of METRICS) this.#observe(meter, family, prefix)
    const histogram = meter.createHistogram(`${prefix}.check.duration`, { description: 'How long checks take.', unit: 'ms' })
    this.#closers.push(this.#tally.listen({ onDuration: (store, ms) => histogram.record(ms, { store }) }))
  }

  #observe(meter: OtelMeter, family: MetricFamily, prefix: string): void {
    const name = `${prefix}.${family.name.replace(/_total$/, '')}`
    const options = { description: family.help }
    const instrument =
      family.type === 'counter' ? meter.createObservableCounter(name, options) : meter.createObservableGauge(name, options)
    const callback = (result: OtelResult): void => {
      for (const { labels, value } of family.read(this.#tally)) result.observe(value, { ...labels })
    }
    instrument.addCallback(callback)
    this.#closers.push(() => instrument.removeCallback(callback))
  }
}

/** Counts, and makes a span of each check. */
class TracingTally extends Tally {
  /** A span has a beginning, so every check is timed for it. */
  readonly everyDuration = true
  readonly #tracer: OtelTracer
  readonly #prefix: string
  readonly #spanKeys: boolean

  constructor(maxPolicies: number, tracer: OtelTracer, prefix: string, spanKeys: boolean) {
    super(maxPolicies)
    this.#tracer = tracer
    this.#prefix = prefix
    this.#spanKeys = spanKeys
  }

  override onDecision(decision: Decision, key: string | undefined, context: DecisionContext): void {
    const { store } = this.count(decision, context)
    const { tookMs } = context
    // What the lists of a gate decide takes no time.
    const endTime = systemClock.now()
    const attributes = this.#attributes(decision, key, context, store)
    this.#tracer.startSpan(`${this.#prefix}.check`, { startTime: endTime - (tookMs ?? 0), attributes }).end(endTime)
  }

  #attributes(decision: Decision, key: string | undefined, { shadow, request }: DecisionContext, store: string): OtelAttributes {
    const { policy, limit, remaining, allowed, cost, source, tightest } = decision
    const named = (name: string): string => `${this.#prefix}.${name}`
    return {
      [named('policy')]: policy,
      [named('result')]: RESULTS[resultAt(decision)] as string,
      [named('allowed')]: allowed,
      [named('cost')]: cost,
      [named('shadow')]: shadow,
      [named('source')]: source,
      [named('store')]: store,
      // An exempt request has no limit, and infinity is no attribute.
      ...(tightest !== undefined && {
        [named('limit')]: limit,
        [named('remaining')]: remaining,
        [named('algorithm')]: tightest.algorithm,
      }),
      ...(this.#spanKeys && key !== undefined && { [named('key')]: key }),
      ...(request?.route !== undefined && { 'http.route': request.route }),
    }
  }
}

/**
 * Exports the decisions of all limiters of the process: `openTelemetry({ meter: metrics.getMeter('smart-ratelimit') })`, and with a
 * `tracer` a span `ratelimit.check` for each check.
 * @throws ConfigError for an option that is unknown or wrong
 */
export function openTelemetry(options: OpenTelemetryOptions): OpenTelemetryExporter {
  return new OpenTelemetryExporter(options)
}
