// Counts over time, by policy, source and path pattern. Promise: a decision does no work here but for its path; what a tally has counted is
// brought over once a second, to the second it was counted in. Next: series.ts.

import type { Decision } from '../core/decision.ts'
import type { ObservedRequest } from '../core/observer.ts'
import { BoundedMap } from './bounded-map.ts'
import { patternOf } from './path-pattern.ts'
import { RESULTS, resultAt } from './results.ts'
import { type Point, Series } from './series.ts'
import type { Row, Tally } from './tally.ts'

/** What a chart is of: everything, or one policy, path pattern or source. */
export interface TimelineQuery {
  readonly policy?: string
  readonly path?: string
  readonly source?: string
}

/** How much is remembered. */
interface ChartBounds {
  readonly seconds: number
  readonly minutes: number
  readonly maxPolicies: number
  readonly maxPaths: number
}

const MOST_SOURCES = 24

/** The charts of a live view. */
export class Charts {
  readonly all: Series
  readonly policies: BoundedMap<Series>
  readonly sources: BoundedMap<Series>
  readonly paths: BoundedMap<{ readonly series: Series; readonly waiting: Float64Array }>
  readonly #tally: Tally
  /** What of each row of the tally is in the charts already. */
  readonly #charted = new WeakMap<Row, Float64Array>()

  /** Begins now: what the tally has counted before is no part of it. */
  constructor(tally: Tally, { seconds, minutes, maxPolicies, maxPaths }: ChartBounds) {
    const series = (): Series => new Series(seconds, minutes)
    this.all = series()
    this.policies = new BoundedMap(maxPolicies, series)
    this.sources = new BoundedMap(MOST_SOURCES, series)
    this.paths = new BoundedMap(maxPaths, () => ({ series: series(), waiting: new Float64Array(RESULTS.length) }))
    this.#tally = tally
    for (const policy of tally.policies) for (const row of policy.rows) this.#uncharted(row)
  }

  /** Counts the pattern of a request's path. */
  path(decision: Decision, request: ObservedRequest): void {
    const pattern = patternOf(request, decision.policy)
    if (pattern === undefined) return
    const { waiting } = this.paths.at(pattern)
    const result = resultAt(decision)
    waiting[result] = (waiting[result] as number) + 1
  }

  /**
   * Brings over what was counted since the last time.
   * @param at when that was, epoch ms
   * @returns false where there was nothing
   */
  add(at: number): boolean {
    let any = false
    for (const policy of this.#tally.policies) {
      for (const row of policy.rows) {
        const more = this.#uncharted(row)
        if (more === undefined) continue
        any = true
        this.all.add(at, more)
        this.policies.at(policy.name).add(at, more)
        this.sources.at(row.source).add(at, more)
      }
    }
    for (const { series, waiting } of this.paths.values()) {
      if (waiting.every((count) => count === 0)) continue
      series.add(at, waiting)
      waiting.fill(0)
    }
    return any
  }

  /** The last points of a chart; zeros for one that is not there. */
  points({ policy, path, source }: TimelineQuery, unit: 'second' | 'minute', until: number, count: number): readonly Point[] {
    const series =
      policy !== undefined
        ? this.policies.peek(policy)
        : path !== undefined
          ? this.paths.peek(path)?.series
          : source === undefined
            ? this.all
            : this.sources.peek(source)
    return (series ?? new Series(count, count)).points(unit, until, count)
  }

  #uncharted(row: Row): Float64Array | undefined {
    let charted = this.#charted.get(row)
    if (charted === undefined) this.#charted.set(row, (charted = new Float64Array(RESULTS.length)))
    const more = row.results.map((count, i) => count - (charted[i] as number))
    if (more.every((count) => count === 0)) return undefined
    charted.set(row.results)
    return more
  }
}
