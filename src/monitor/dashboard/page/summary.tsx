// The figures that are looked at first. Next: app.tsx.

import type { ComponentChildren } from 'preact'
import type { DashboardData } from '../data.ts'
import { columnsOf, sumOf } from './charts.ts'
import { perSecond, percent, whole } from './format.ts'
import type { Known } from './live.ts'

interface SummaryProps {
  readonly known: Known
  readonly data: DashboardData
}

/** Seconds that "now" is. */
const NOW = 10

export function Summary({ known, data }: SummaryProps) {
  const { allowed, refused, wouldRefuse } = columnsOf(known.chunks, 'second', data.now)
  const rate = (column: readonly number[]): number => sumOf(column, NOW) / Math.max(1, Math.min(NOW, column.length))
  const [allowedLately, refusedLately, wouldLately] = [sumOf(allowed), sumOf(refused), sumOf(wouldRefuse)]
  const down = data.stores.filter(({ healthy }) => !healthy)
  const failures = Object.entries(data.errors)
  return (
    <ul class="summary" aria-label="Summary">
      <Figure title="Decisions now" value={perSecond(rate(allowed) + rate(refused))} unit="/s">
        {perSecond(rate(refused))}/s refused
      </Figure>
      <Figure
        title="Refused, 5 min"
        value={percent(refusedLately, allowedLately + refusedLately)}
        kind={refusedLately > 0 ? 'refused' : undefined}
      >
        {whole(refusedLately)} of {whole(allowedLately + refusedLately)}
      </Figure>
      {data.policies.rows.some(({ shadow }) => shadow) && (
        <Figure title="On trial, 5 min" value={whole(wouldLately)} kind={wouldLately > 0 ? 'would' : undefined}>
          would be refused
        </Figure>
      )}
      <Figure title="Banned" value={whole(data.bans.count)}>
        {data.bans.count === 1 ? 'key' : 'keys'} now
      </Figure>
      <Figure title="Stores" value={down.length === 0 ? 'well' : `${down.length} down`} kind={down.length === 0 ? 'good' : 'bad'}>
        {down.length === 0 ? `${data.stores.length} in use` : down.map(({ name }) => name).join(', ')}
      </Figure>
      {failures.length > 0 && (
        <Figure title="Failures" value={whole(failures.reduce((sum, [, count]) => sum + count, 0))} kind="bad">
          in {failures.map(([where]) => where).join(', ')}
        </Figure>
      )}
    </ul>
  )
}

interface FigureProps {
  readonly title: string
  readonly value: string
  readonly unit?: string
  readonly kind?: string | undefined
  readonly children: ComponentChildren
}

function Figure({ title, value, unit, kind, children }: FigureProps) {
  return (
    <li class="figure">
      <span class="title">{title}</span>
      <span class={`value ${kind ?? ''}`}>
        {value}
        {unit !== undefined && <small>{unit}</small>}
      </span>
      <span class="muted">{children}</span>
    </li>
  )
}
