// The chart with what belongs to it: what it is of, at which scale, and the figures of the point that is looked at. Next: chart.tsx.

import { useEffect, useMemo, useState } from 'preact/hooks'
import { Chart } from './chart.tsx'
import { type Columns, LENGTH_MS, type Unit, columnsOf, columnsOfChunks, sumOf } from './charts.ts'
import { clockTime, minuteTime, percent, whole } from './format.ts'
import { type Known, timelineOf } from './live.ts'
import { Card } from './card.tsx'

/** What the chart is of. */
export interface Subject {
  readonly kind: 'policy' | 'path'
  readonly name: string
}

interface TrafficProps {
  readonly known: Known
  readonly now: number
  readonly subject: Subject | undefined
  readonly onSubject: (subject: Subject | undefined) => void
}

const EMPTY: Columns = { at: [], allowed: [], refused: [], wouldRefuse: [] }
const WORDS: Readonly<Record<Unit, string>> = { second: 'last 5 minutes', minute: 'last 24 hours' }

export function Traffic({ known, now, subject, onSubject }: TrafficProps) {
  const [unit, setUnit] = useState<Unit>('second')
  const [point, setPoint] = useState<number>()
  const all = useMemo(() => columnsOf(known.chunks, unit, now), [known.chunks, unit, now])
  const own = useTimeline(subject, unit, now)
  const columns = subject === undefined ? all : own
  const [allowed, refused, wouldRefuse] = [columns.allowed, columns.refused, columns.wouldRefuse].map((column) =>
    sumOf(column),
  ) as [number, number, number]
  const words = `${WORDS[unit]}: ${whole(allowed)} allowed, ${whole(refused)} refused${wouldRefuse > 0 ? `, ${whole(wouldRefuse)} of the allowed would have been refused by limits in shadow` : ''}`
  return (
    <Card
      id="traffic"
      title="Traffic"
      count={`decisions per ${unit}`}
      csv={unit === 'second' ? 'seconds' : 'minutes'}
      actions={
        <>
          <SubjectChoice known={known} subject={subject} onSubject={onSubject} />
          <div class="choice" role="group" aria-label="Time shown">
            {(['second', 'minute'] as const).map((one) => (
              <button type="button" aria-pressed={unit === one} onClick={() => setUnit(one)} key={one}>
                {one === 'second' ? '5 min' : '24 h'}
              </button>
            ))}
          </div>
        </>
      }
    >
      <Chart
        columns={columns}
        unit={unit}
        until={now}
        lengthMs={LENGTH_MS[unit]}
        label={`Decisions per ${unit} in the ${words}`}
        onPoint={setPoint}
      />
      <p class="legend">
        <span class="key allowed">Allowed {whole(valueAt(columns.allowed, point, allowed))}</span>
        <span class="key refused">Refused {whole(valueAt(columns.refused, point, refused))}</span>
        {wouldRefuse > 0 && <span class="key would">Would refuse {whole(valueAt(columns.wouldRefuse, point, wouldRefuse))}</span>}
        <span class="muted">
          {whenOf(columns, point, unit) ?? `${WORDS[unit]}, ${percent(refused, allowed + refused)} refused`}
        </span>
      </p>
    </Card>
  )
}

function valueAt(column: readonly number[], point: number | undefined, otherwise: number): number {
  return (point === undefined ? undefined : column[point]) ?? otherwise
}

function whenOf({ at }: Columns, point: number | undefined, unit: Unit): string | undefined {
  const seconds = point === undefined ? undefined : at[point]
  if (seconds === undefined) return undefined
  return unit === 'second'
    ? `in the second from ${clockTime(seconds * 1000)}`
    : `in the minute from ${minuteTime(seconds * 1000)}`
}

function SubjectChoice({ known: { data }, subject, onSubject }: Pick<TrafficProps, 'known' | 'subject' | 'onSubject'>) {
  const choices: readonly Subject[] = [
    ...(data?.policies.rows ?? []).map(({ name }) => ({ kind: 'policy' as const, name })),
    ...(data?.paths.rows ?? []).map(({ pattern }) => ({ kind: 'path' as const, name: pattern })),
  ]
  const at = choices.findIndex(({ kind, name }) => kind === subject?.kind && name === subject.name)
  const options = (kind: Subject['kind']) =>
    choices.map((one, i) =>
      one.kind === kind ? (
        <option value={i} selected={i === at} key={`${kind}:${one.name}`}>
          {one.name}
        </option>
      ) : null,
    )
  return (
    <label class="select">
      <span class="sr">Chart of</span>
      <select onChange={({ currentTarget }) => onSubject(choices[Number(currentTarget.value)])}>
        <option value="-1" selected={at < 0}>
          All decisions
        </option>
        <optgroup label="Policies">{options('policy')}</optgroup>
        <optgroup label="Paths">{options('path')}</optgroup>
      </select>
    </label>
  )
}

/** Asked for again with each new second of the page. */
function useTimeline(subject: Subject | undefined, unit: Unit, now: number): Columns {
  const [columns, setColumns] = useState(EMPTY)
  const second = Math.floor(now / 2000)
  const [kind, name] = [subject?.kind, subject?.name]
  useEffect(() => setColumns(EMPTY), [kind, name, unit])
  useEffect(() => {
    if (kind === undefined || name === undefined) return
    const asked = new AbortController()
    timelineOf({ unit, [kind]: name }, asked.signal).then(
      (chunk) => setColumns(columnsOfChunks([chunk], now)),
      // The next second asks again.
      () => undefined,
    )
    return () => asked.abort()
  }, [kind, name, unit, second])
  return columns
}
