// What each policy and each path pattern did, and what a policy's limits promise. Next: table.tsx.

import type { DashboardData, PathRow, PolicyRow } from '../data.ts'
import { Card, Nothing } from './card.tsx'
import { percent, whole } from './format.ts'
import { Share, Spark } from './spark.tsx'
import { type Column, Table } from './table.tsx'
import type { Subject } from './traffic.tsx'

interface CountsProps {
  readonly data: DashboardData
  /** Shows one in the chart. */
  readonly onSubject: (subject: Subject) => void
}

type Counted = Pick<PolicyRow, 'totals' | 'lately'>

function refusedOf({ totals }: Counted): number {
  return totals.refused + totals.unavailable
}

/** What limits on trial would have refused. */
function wouldOf({ totals }: Counted): number {
  return totals.would_refuse
}

function allOf({ totals }: Counted): number {
  return Object.values(totals).reduce((sum, count) => sum + count, 0)
}

const COUNTS: readonly Column<Counted>[] = [
  { title: 'Decisions', numeric: true, by: allOf, cell: (row) => whole(allOf(row)) },
  {
    title: 'Refused',
    numeric: true,
    by: (row) => refusedOf(row) + wouldOf(row),
    cell: (row) => (
      <>
        {whole(refusedOf(row))}
        {wouldOf(row) > 0 && <span class="trial">{`+${whole(wouldOf(row))} on trial`}</span>}
      </>
    ),
  },
  {
    title: 'Share',
    numeric: true,
    by: (row) => refusedOf(row) / Math.max(1, allOf(row)),
    cell: (row) => (
      <>
        {percent(refusedOf(row), allOf(row))}
        <Share part={refusedOf(row)} also={wouldOf(row)} all={allOf(row)} />
      </>
    ),
  },
  { title: 'Last minute', minor: true, cell: ({ lately }) => <Spark lately={lately} /> },
]

export function Policies({ data, onSubject }: CountsProps) {
  const { rows, count } = data.policies
  return (
    <Card id="policies" title="Policies" count={count} csv="policies">
      {rows.length === 0 ? (
        <Nothing>No limit has decided anything yet.</Nothing>
      ) : (
        <Table<PolicyRow>
          caption="What each policy did, and what its limits promise"
          rows={rows}
          keyOf={({ name }) => name}
          columns={[
            { title: 'Policy', by: ({ name }) => name, cell: (policy) => <PolicyName policy={policy} onSubject={onSubject} /> },
            ...COUNTS,
          ]}
          detail={({ limits }) => <Bounds limits={limits} />}
        />
      )}
      <More shown={rows.length} count={count} />
    </Card>
  )
}

function PolicyName({ policy: { name, shadow }, onSubject }: Pick<CountsProps, 'onSubject'> & { readonly policy: PolicyRow }) {
  return (
    <>
      <button type="button" class="link" title="Show in the chart" onClick={() => onSubject({ kind: 'policy', name })}>
        {name}
      </button>
      {shadow && <span class="badge">trial</span>}
    </>
  )
}

function Bounds({ limits }: Pick<PolicyRow, 'limits'>) {
  return (
    <ul class="bounds">
      {limits.map(({ name, rate, algorithm, bound }) => (
        <li key={name}>
          <b>{rate}</b> {algorithm}
          <span class="muted">: {bound}</span>
        </li>
      ))}
    </ul>
  )
}

export function Paths({ data, onSubject }: CountsProps) {
  const { rows, count } = data.paths
  return (
    <Card id="paths" title="Paths" count={count} csv="paths">
      {rows.length === 0 ? (
        <Nothing>No limited HTTP request yet.</Nothing>
      ) : (
        <Table<PathRow>
          caption="What happened on each path"
          rows={rows}
          keyOf={({ pattern }) => pattern}
          columns={[
            {
              title: 'Path',
              by: ({ pattern }) => pattern,
              cell: ({ pattern }) => (
                <button
                  type="button"
                  class="link mono"
                  title="Show in the chart"
                  onClick={() => onSubject({ kind: 'path', name: pattern })}
                >
                  {pattern}
                </button>
              ),
            },
            ...COUNTS,
          ]}
        />
      )}
      <More shown={rows.length} count={count} />
    </Card>
  )
}

function More({ shown, count }: { readonly shown: number; readonly count: number }) {
  if (count <= shown) return null
  return <Nothing>{`${whole(count - shown)} more are in the CSV.`}</Nothing>
}
