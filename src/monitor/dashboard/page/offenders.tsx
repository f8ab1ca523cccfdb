// Who is refused most, each with more about it on request. Next: table.tsx.

import { useState } from 'preact/hooks'
import type { Offender } from '../../offenders.ts'
import { Nothing } from './card.tsx'
import { ago, moment, whole } from './format.ts'
import { Share } from './spark.tsx'
import { Table } from './table.tsx'

interface OffendersProps {
  readonly offenders: readonly Offender[]
  readonly now: number
  readonly caption: string
  /** What was done to them. */
  readonly kind: 'refused' | 'would'
}

export function Offenders({ offenders, now, caption, kind }: OffendersProps) {
  const [open, setOpen] = useState<string>()
  if (offenders.length === 0) return <Nothing>Nobody, lately.</Nothing>
  const most = offenders[0]?.count ?? 0
  return (
    <Table<Offender>
      caption={caption}
      rows={offenders}
      keyOf={({ key }) => key}
      columns={[
        {
          title: 'Key',
          by: ({ key }) => key,
          cell: ({ key }) => (
            <button
              type="button"
              class="disclose mono"
              aria-expanded={open === key}
              onClick={() => setOpen(open === key ? undefined : key)}
            >
              {key}
            </button>
          ),
        },
        {
          title: kind === 'would' ? 'Would refuse' : 'Refused',
          numeric: true,
          by: ({ count }) => count,
          cell: ({ count, error }) => (
            <>
              {error > 0 && (
                <span class="muted" title={`At least ${whole(count - error)}`}>
                  ≤{' '}
                </span>
              )}
              {whole(count)}
              <Share part={count} all={most} kind={kind} />
            </>
          ),
        },
        { title: 'Last', numeric: true, by: ({ lastAt }) => lastAt, cell: ({ lastAt }) => ago(lastAt, now) },
      ]}
      detail={(offender) => (offender.key === open ? <Detail offender={offender} now={now} kind={kind} /> : undefined)}
    />
  )
}

function Detail({ offender, now, kind }: { readonly offender: Offender; readonly now: number; readonly kind: string }) {
  const { firstAt, lastAt, lastAddress, count, error, policies, paths, reasons } = offender
  return (
    <div class="drill">
      <dl>
        <dt>First</dt>
        <dd>{moment(firstAt, now)}</dd>
        <dt>Last</dt>
        <dd>{moment(lastAt, now)}</dd>
        {lastAddress !== undefined && (
          <>
            <dt>Address</dt>
            <dd class="mono">{lastAddress}</dd>
          </>
        )}
        {error > 0 && (
          <>
            <dt>Count</dt>
            <dd>
              from {whole(count - error)} to {whole(count)}
            </dd>
          </>
        )}
      </dl>
      <Breakdown title="By policy" counts={policies} kind={kind} />
      <Breakdown title="By path" counts={paths} kind={kind} />
      <Breakdown title="By reason" counts={reasons} kind={kind} />
    </div>
  )
}

interface BreakdownProps {
  readonly title: string
  readonly counts: Readonly<Record<string, number>>
  readonly kind: string
}

function Breakdown({ title, counts, kind }: BreakdownProps) {
  const entries = Object.entries(counts)
  if (entries.length === 0) return null
  const all = entries.reduce((sum, [, count]) => sum + count, 0)
  return (
    <div>
      <h3>{title}</h3>
      <ul class="breakdown">
        {entries.map(([name, count]) => (
          <li key={name}>
            <span class="mono">{name}</span>
            <span class="number">{whole(count)}</span>
            <Share part={count} all={all} kind={kind} />
          </li>
        ))}
      </ul>
    </div>
  )
}
