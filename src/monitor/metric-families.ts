// What is measured: names, labels, and the values of a tally, for every kind of exporter. Promise: a key is never a label, and every label
// has a bounded set of values. Next: prometheus-text.ts, prom-client.ts, opentelemetry.ts, statsd.ts.

import { BOUNDS_S } from './durations.ts'
import { REASONS, RESULTS } from './results.ts'
import { BREAKER_STATES } from './stores-seen.ts'
import type { Row, Tally } from './tally.ts'

/** One value, and what it is of. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A metric: its definition, and how its values are read. */
export interface MetricFamily {
  /** Without the prefix. */
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly labels: readonly string[]
  read(tally: Tally): readonly Sample[]
}

/** The histogram beside them. */
export const DURATION = {
  name: 'check_duration_seconds',
  help: 'How long checks take; on a store that answers at once, one in 64 is measured.',
  labels: ['store'],
} as const

/** All that is measured, but the durations. */
export const METRICS: readonly MetricFamily[] = [
  {
    name: 'requests_total',
    type: 'counter',
    help: `Decisions, by policy, result (${RESULTS.join(', ')}), source and store.`,
    labels: ['policy', 'result', 'source', 'store'],
    read: (tally) =>
      rows(tally, ({ results, source, store }, policy) =>
        RESULTS.flatMap((result, i) => counted({ policy, result, source, store }, results[i])),
      ),
  },
  {
    name: 'refused_total',
    type: 'counter',
    help: `Refusals, enforced or (in shadow) not, by policy, reason (${REASONS.join(', ')}), source and store.`,
    labels: ['policy', 'reason', 'source', 'store'],
    read: (tally) =>
      rows(tally, ({ reasons, source, store }, policy) =>
        REASONS.flatMap((reason, i) => counted({ policy, reason, source, store }, reasons[i])),
      ),
  },
  {
    name: 'cost_total',
    type: 'counter',
    help: 'What granted requests have cost.',
    labels: ['policy'],
    read: (tally) =>
      [...tally.policies].map(({ name, rows: own }) => ({
        labels: { policy: name },
        value: own.reduce((sum, { cost }) => sum + cost, 0),
      })),
  },
  {
    name: 'bans_total',
    type: 'counter',
    help: 'Keys banned, by policy and cause (penalty, call).',
    labels: ['policy', 'cause'],
    read: (tally) => pairs(tally.bans.entries(), 'cause', 'policy'),
  },
  {
    name: 'errors_total',
    type: 'counter',
    help: 'What failed while limiting went on, by where.',
    labels: ['where'],
    read: (tally) => [...tally.errors.entries()].map(([where, value]) => ({ labels: { where }, value })),
  },
  {
    name: 'store_events_total',
    type: 'counter',
    help: 'Changes of stores, by store and kind (down, probing, returning, up, forgot, misconfigured).',
    labels: ['store', 'kind'],
    read: (tally) => pairs(tally.storeEvents.entries(), 'kind', 'store'),
  },
  {
    name: 'store_healthy',
    type: 'gauge',
    help: 'Whether the store is asked: 1 or 0.',
    labels: ['store'],
    read: (tally) => tally.stores.figures().map(({ name, healthy }) => ({ labels: { store: name }, value: healthy ? 1 : 0 })),
  },
  {
    name: 'breaker_state',
    type: 'gauge',
    help: `The store's circuit breaker: ${BREAKER_STATES.map((state, i) => `${i} ${state}`).join(', ')}.`,
    labels: ['store'],
    read: (tally) =>
      tally.stores.figures().map(({ name, state }) => ({ labels: { store: name }, value: BREAKER_STATES.indexOf(state) })),
  },
  {
    name: 'active_keys',
    type: 'gauge',
    help: 'Counters the store holds, where it knows.',
    labels: ['store'],
    read: (tally) =>
      tally.stores
        .figures()
        .flatMap(({ name, activeKeys }) => (activeKeys === undefined ? [] : [{ labels: { store: name }, value: activeKeys }])),
  },
]

/** The buckets of a histogram as Prometheus counts them: each with all below it. */
export function cumulative(buckets: ArrayLike<number>): readonly { readonly le: string; readonly value: number }[] {
  let sum = 0
  return Array.from({ length: buckets.length }, (_, i) => {
    sum += buckets[i] as number
    return { le: i < BOUNDS_S.length ? String(BOUNDS_S[i]) : '+Inf', value: sum }
  })
}

function rows(tally: Tally, read: (row: Row, policy: string) => readonly Sample[]): readonly Sample[] {
  return [...tally.policies].flatMap(({ name, rows: own }) => own.flatMap((row) => read(row, name)))
}

function counted(labels: Readonly<Record<string, string>>, value: number | undefined): readonly Sample[] {
  return value === undefined || value === 0 ? [] : [{ labels, value }]
}

/** `first:second` → two labels. What did not fit is "other". */
function pairs(entries: Iterable<[string, number]>, first: string, second: string): readonly Sample[] {
  return [...entries].map(([name, value]) => {
    const at = name.indexOf(':')
    const labels = at < 0 ? { [first]: name, [second]: name } : { [first]: name.slice(0, at), [second]: name.slice(at + 1) }
    return { labels, value }
  })
}
