// The live view's tables as CSV. Next: csv.ts, live-view.ts.

import { ConfigError } from '../core/errors.ts'
import { csv } from './csv.ts'
import type { LiveView } from './live-view.ts'
import type { Offender } from './offenders.ts'
import { type Counts, RESULTS, sumOf } from './results.ts'

/** The tables there are. */
export const TABLES = [
  'seconds',
  'minutes',
  'policies',
  'paths',
  'sources',
  'offenders',
  'would-be-offenders',
  'bans',
  'stores',
] as const

/** One of {@link TABLES}. */
export type Table = (typeof TABLES)[number]

const MOST_OFFENDERS = 10_000
const OFFENDER_COLUMNS = ['key', 'count', 'error', 'first_at', 'last_at', 'last_address', 'policies', 'paths', 'reasons']

/** @throws ConfigError for a table that is none */
export function renderTable(view: LiveView, table: Table): string {
  switch (table) {
    case 'seconds':
    case 'minutes':
      return csv(
        ['at', ...RESULTS],
        view.timeline(table === 'seconds' ? 'second' : 'minute').map((point) => [iso(point.at), ...numbers(point)]),
      )
    case 'policies':
      return csv(
        ['policy', 'shadow', 'limits', ...RESULTS, 'refused_share'],
        view
          .snapshot()
          .policies.map(({ name, shadow, limits, totals }) => [
            name,
            String(shadow),
            limits.map((limit) => limit.name).join(' '),
            ...numbers(totals),
            share(totals),
          ]),
      )
    case 'paths':
      return csv(
        ['path', ...RESULTS],
        view.snapshot().paths.map(({ pattern, totals }) => [pattern, ...numbers(totals)]),
      )
    case 'sources':
      return csv(
        ['source', ...RESULTS],
        view.snapshot().sources.map(({ source, totals }) => [source, ...numbers(totals)]),
      )
    case 'offenders':
      return csv(OFFENDER_COLUMNS, view.offenders(MOST_OFFENDERS).map(offenderRow))
    case 'would-be-offenders':
      return csv(OFFENDER_COLUMNS, view.wouldBeOffenders(MOST_OFFENDERS).map(offenderRow))
    case 'bans':
      return csv(
        ['policy', 'key', 'since', 'until', 'cause'],
        view.snapshot().bans.map(({ policy, key, since, until, cause }) => [policy, key, iso(since), iso(until), cause]),
      )
    case 'stores':
      return csv(
        ['at', 'store', 'event', 'error'],
        view.snapshot().storeHistory.map(({ at, store, kind, error }) => [iso(at), store, kind, error]),
      )
    default:
      throw new ConfigError('csv(table)', `one of ${TABLES.join(', ')}`, table)
  }
}

function offenderRow(offender: Offender): readonly (string | number | undefined)[] {
  const { key, count, error, firstAt, lastAt, lastAddress, policies, paths, reasons } = offender
  return [key, count, error, iso(firstAt), iso(lastAt), lastAddress, listed(policies), listed(paths), listed(reasons)]
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name}: ${count}`)
    .join('; ')
}

function numbers(counts: Counts): readonly number[] {
  return RESULTS.map((result) => counts[result])
}

function share(counts: Counts): number {
  const all = sumOf(counts)
  return all === 0 ? 0 : Math.round(((counts.refused + counts.would_refuse) / all) * 10_000) / 10_000
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
