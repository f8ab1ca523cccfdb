// The bans that run, each with a button that lifts it. Promise: lifting is told to those who do not see it, and the keyboard goes on to the next
// ban. Next: live.ts.

import { useState } from 'preact/hooks'
import type { BanRow, DashboardData } from '../data.ts'
import { Card, Nothing } from './card.tsx'
import { span, whole } from './format.ts'
import { Table } from './table.tsx'

interface BansProps {
  readonly bans: DashboardData['bans']
  readonly now: number
  readonly lift: (id: string) => Promise<string | undefined>
  /** Tells what became of it. */
  readonly say: (text: string) => void
}

const CAUSES: Readonly<Record<BanRow['cause'], string>> = { penalty: 'penalty', call: 'by the app', seen: 'made elsewhere' }

export function Bans({ bans: { rows, count }, now, lift, say }: BansProps) {
  const [busy, setBusy] = useState<string>()
  const onLift = async (ban: BanRow): Promise<void> => {
    setBusy(ban.id)
    const next = neighbourOf(rows, ban)
    const problem = await lift(ban.id)
    setBusy(undefined)
    say(problem === undefined ? `The ban of ${ban.key} is lifted.` : `The ban was not lifted: ${problem}`)
    if (problem === undefined) focusOn(next)
  }
  return (
    <Card id="bans" title="Bans" count={count} csv="bans">
      {rows.length === 0 ? (
        <Nothing>Nobody is banned.</Nothing>
      ) : (
        <Table<BanRow>
          caption="Bans that run"
          rows={rows}
          keyOf={({ id }) => id}
          columns={[
            { title: 'Key', by: ({ key }) => key, cell: ({ key }) => <span class="mono">{key}</span> },
            { title: 'Policy', by: ({ policy }) => policy, cell: ({ policy }) => policy },
            { title: 'Cause', minor: true, cell: ({ cause }) => CAUSES[cause] },
            { title: 'Ends in', numeric: true, by: ({ until }) => until, cell: ({ until }) => span(until - now) },
            {
              title: 'Lift',
              cell: (ban) => (
                <button
                  type="button"
                  class="lift"
                  id={`lift-${ban.id}`}
                  aria-label={`Lift the ban of ${ban.key} by ${ban.policy}`}
                  disabled={busy === ban.id}
                  onClick={() => void onLift(ban)}
                >
                  Lift
                </button>
              ),
            },
          ]}
        />
      )}
      {count > rows.length && <Nothing>{`${whole(count - rows.length)} more are in the CSV.`}</Nothing>}
    </Card>
  )
}

function neighbourOf(rows: readonly BanRow[], ban: BanRow): string | undefined {
  const at = rows.findIndex(({ id }) => id === ban.id)
  return (rows[at + 1] ?? rows[at - 1])?.id
}

/** What was focused is gone by now. */
function focusOn(id: string | undefined): void {
  const next = id === undefined ? null : document.getElementById(`lift-${id}`)
  ;(next ?? document.getElementById('bans-title'))?.focus()
}
