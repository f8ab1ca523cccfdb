// What a bench found, for people and for programs. Next: bench.ts.

import type { BenchOptions, Benched } from './bench.ts'
import { type Cell, type Style, columns } from './terminal.ts'

/** For programs to read. */
export function benchJson(found: readonly Benched[], { algorithm, keys, durationMs }: BenchOptions): object {
  return {
    algorithm,
    keys,
    duration_ms: durationMs,
    stores: found.map(({ name, kind, place, runs, error }) => ({
      name,
      kind,
      location: place,
      error: error ?? null,
      runs: runs.map(({ inFlight, decisions, failures, failure, perSecond, latencyMs }) => ({
        in_flight: inFlight,
        decisions,
        failures,
        failure: failure ?? null,
        per_second: Math.round(perSecond),
        latency_ms: latencyMs,
      })),
    })),
  }
}

/** For people to read. */
export function benchText(found: readonly Benched[], style: Style): string[] {
  return found.flatMap(({ name, kind, place, runs, error }) => {
    const head = ['in flight', 'decisions/s', 'p50 ms', 'p95 ms', 'p99 ms', 'longest', 'failed'].map((text): Cell => ({
      text,
      format: 'dim',
      right: true,
    }))
    const rows = runs.map(({ inFlight, perSecond, latencyMs: { p50, p95, p99, max }, failures }): Cell[] => [
      ...[String(inFlight)].map(plain),
      { text: Math.round(perSecond).toLocaleString('en'), format: 'bold', right: true },
      ...[p50, p95, p99, max].map((ms) => plain(ms.toPrecision(3))),
      failures === 0 ? plain('0') : { text: failures.toLocaleString('en'), format: 'red', right: true },
    ])
    const failure = runs.find((run) => run.failure !== undefined)?.failure
    return [
      `${style('bold', name)} (${kind}, ${place})`,
      ...(rows.length === 0 ? [] : columns([head, ...rows], style).map((line) => `  ${line}`)),
      ...(kind === 'memory' ? [style('dim', '  in this process: answers are there at once, so nothing is in flight')] : []),
      ...(failure === undefined ? [] : [`  such as: ${failure}`]),
      ...(error === undefined ? [] : [`  ${error}`]),
    ]
  })
}

function plain(text: string): Cell {
  return { text, right: true }
}
