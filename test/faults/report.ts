// What a fault run must reach, and the table that shows what it reached. Next: row.ts, oracle.ts.

import { appendFileSync } from 'node:fs'
import { expect } from 'vitest'
import { type Outcome, WAITED_MS } from './oracle.ts'
import { DEADLINE_MS, type Played } from './row.ts'

/** How late a decision may be, beside what its process was kept from doing. */
const GRACE_MS = 20
/** The health interval, of which a half is for the probes and a half for what all processes owe, and the ramp; and a client's pause before it connects. */
const RETURN_MS = 1000 + 1000 + 200
const RECONNECT_MS = 1000
/** The ramp of a store that flaps is up to eight times as long. */
const FLAPPING_MS = 7000

/** A machine that lets others wait so long makes stores fail that are well, and times of it say nothing. */
const BUSY_MS = 25

/** What 10 000 keys that are remembered, and as many debts, may take; and what the run itself keeps. */
const MOST_GROWN_BYTES = 48 * 2 ** 20

/** Names a file that gets a line of JSON for each fault, while the others are still to come. */
const LOG_VARIABLE = 'RATELIMIT_FAULTS_LOG'

const played: { readonly group: string; readonly run: Played }[] = []

/** Fails where a run did not reach what it must; keeps it for the table. */
export function assertHeld(run: Played): void {
  const [group = ''] = (expect.getState().currentTestName ?? '').split(/ (?:\(own \w+\) )?> /)
  played.push({ group, run })
  const log = process.env[LOG_VARIABLE]
  if (log !== undefined) appendFileSync(log, `${JSON.stringify({ group, ...run })}\n`)
  const { row, pace, busyMs, outcomes, problems, unsettled, grownBytes, errors } = run
  const story = JSON.stringify({ ...run, evidence: undefined }, undefined, 1)
  expect(problems, story).toEqual([])
  expect(unsettled, story).toBe(0)
  expect.soft(grownBytes, `the heap. ${story}`).toBeLessThan(MOST_GROWN_BYTES)
  for (const [i, outcome] of outcomes.entries()) {
    const where = `${row.fault}, ${outcome.setup}: ${JSON.stringify({ ...outcome, errors: errors[i] }, undefined, 1)}`
    expect.soft(outcome.longestOwnMs, `the longest decision. ${where}`).toBeLessThanOrEqual(DEADLINE_MS + GRACE_MS)
    // Not one request: a part of one is a request that came a moment early, by clocks that are told apart no better.
    expect.soft(outcome.excessAlone, `the excess for a key of one process. ${where}`).toBeLessThan(outcome.lost + 1)
    expect.soft(outcome.excessShared, `the excess for a shared key. ${where}`).toBeLessThanOrEqual(sharedBound(run, outcome))
    // The oracle counts by the time of the decision: it must be a time at which it was being made.
    expect.soft(outcome.clockMs, `a decision's time. ${where}`).toBeLessThanOrEqual(DEADLINE_MS + GRACE_MS)
    expect
      .soft(
        Object.keys(outcome.sources).filter((source) => !isKnown(source)),
        `sources. ${where}`,
      )
      .toEqual([])
    const { answer = 'elsewhere' } = row
    if (answer === 'elsewhere') expect.soft(outcome.detectMs, `the time to detect. ${where}`).toBeDefined()
    // Where the machine kept somebody waiting, a decision elsewhere is right.
    if (answer === 'nothing' && outcome.longestMs <= WAITED_MS)
      expect.soft(Object.keys(outcome.sources).toSorted(), `who decided. ${where}`).toEqual(['primary', 'remembered'])
    // It came back at all.
    expect.soft(outcome.backMs, `back on the first store. ${where}`).toBeLessThan(Infinity)
    if (!pace.timesReturn || busyMs > BUSY_MS) continue
    expect.soft(outcome.quickMs, `quick again. ${where}`).toBeLessThanOrEqual(row.quickMs ?? 250)
    expect
      .soft(outcome.returnMs, `back on the first store. ${where}`)
      .toBeLessThanOrEqual(RETURN_MS + (row.findMs ?? RECONNECT_MS) + (row.flaps === true ? FLAPPING_MS : 0))
  }
}

/** Whether a decision says that a store made it, a standby, or this process alone: nothing else decides here. */
function isKnown(source: string): boolean {
  return ['primary', 'remembered', 'local'].includes(source) || source.startsWith('fallback:')
}

/** What all processes admitted for the shared key when they could not hear of each other, and a question on its way in each. */
export function sharedBound({ row, pace }: Played, { unseen, lost }: Outcome): number {
  return unseen + lost + pace.processes * (row.losses ?? 1)
}

const COLUMNS = ['fault', 'stores', 'decisions', 'longest', 'own key', 'shared key', 'noticed', 'first back', 'all back']

/** One run as lines of the table. */
function linesOf(run: Played): readonly (readonly string[])[] {
  return run.outcomes.map((outcome, i) => [
    i === 0 ? run.row.fault : '',
    outcome.setup,
    `${outcome.decisions}`,
    ms(outcome.longestOwnMs),
    outcome.lost > 0 ? `${outcome.excessAlone} of ${outcome.lost}` : `${outcome.excessAlone}`,
    `${outcome.excessShared} of ${sharedBound(run, outcome)}`,
    outcome.detectMs === undefined ? '–' : ms(outcome.detectMs),
    ms(outcome.backMs),
    `${ms(outcome.returnMs)}${run.busyMs > BUSY_MS ? ' *' : ''}`,
  ])
}

const BUSY_NOTE = `\\* Something that had nothing to do with it waited more than ${BUSY_MS} ms as well: the machine was busy, and this time is not asserted.`

/** All that was asserted so far, as tables in Markdown: one for each group of tests. */
export function tables(): string {
  const groups = [...new Set(played.map(({ group }) => group))]
  const parts = groups.map((group) => {
    const lines = played.flatMap((one) => (one.group === group ? linesOf(one.run) : []))
    return `### ${group}\n\n${tableOf(lines)}\n`
  })
  return [...parts, BUSY_NOTE].join('\n')
}

function tableOf(lines: readonly (readonly string[])[]): string {
  const widths = COLUMNS.map((column, i) => Math.max(column.length, ...lines.map((line) => (line[i] as string).length)))
  const shown = (line: readonly string[]): string => `| ${line.map((cell, i) => cell.padEnd(widths[i] as number)).join(' | ')} |`
  return [shown(COLUMNS), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(shown)].join('\n')
}

function ms(value: number): string {
  return Number.isFinite(value) ? `${Math.round(value)} ms` : 'never'
}
