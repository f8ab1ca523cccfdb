// The outcome of a replay, for people and for machines. Promise: what came from the log is escaped already (replay.ts), so
// nothing of it reaches the terminal as a command. Next: replay-command.ts.

import { styleText } from 'node:util'
import { durationText } from './duration.ts'
import type { ProposalResult, ReplayResult } from './replay.ts'

const BARS = '▁▂▃▄▅▆▇█'
const WIDTH = 60

/** The outcome as one plain object for `--json`. */
export function replayJson(result: ReplayResult): Record<string, unknown> {
  const proposals = result.proposals.map(({ refusedPerMinute, ...proposal }) => ({
    ...proposal,
    refusedShare: proposal.refused / result.requests,
    clientsRefusedShare: proposal.clientsRefused / result.clients,
    refusedPerMinute: [...refusedPerMinute].map(([minute, refused]) => ({
      at: new Date(minute * 60_000).toISOString(),
      refused,
    })),
  }))
  return { ...result, proposals }
}

/** The outcome as lines of text. */
export function replayText(result: ReplayResult, colour: boolean): readonly string[] {
  const strong = (text: string): string => (colour ? styleText('bold', text) : text)
  const faint = (text: string): string => (colour ? styleText('dim', text) : text)
  const lines = [
    `${many(result.requests, 'request')} of ${many(result.clients, 'client')}, ${minuteText(result.from)} to ${minuteText(result.to)} UTC (${durationText(result.spanMs)})`,
  ]
  if (result.filtered > 0) lines.push(faint(`${count(result.filtered)} more were left out by the filters or had no key`))
  if (result.wholeSeconds) lines.push(faint('the times are in whole seconds: limits for a second or so are judged roughly'))
  if (result.outOfOrder > 0) {
    lines.push(
      faint(
        `${many(result.outOfOrder, 'request')} out of order, by at most ${durationText(result.outOfOrderMaxMs)}: replayed at the latest time seen`,
      ),
    )
  }
  if (result.bad > 0) {
    lines.push(`${many(result.bad, 'line')} could not be read, such as`)
    for (const { line, why, text } of result.badLines) lines.push(faint(`  line ${line}, ${why}: ${text}`))
  }
  lines.push('', ...table(result, strong), '')
  for (const proposal of result.proposals) lines.push(...details(result, proposal, strong, faint))
  return lines
}

function table(result: ReplayResult, strong: (text: string) => string): readonly string[] {
  const rows = [
    ['proposal', 'refused', '', 'clients', '', 'worst minute'],
    ...result.proposals.map((proposal) => [
      title(proposal),
      count(proposal.refused),
      share(proposal.refused, result.requests),
      count(proposal.clientsRefused),
      share(proposal.clientsRefused, result.clients),
      proposal.worstMinute === undefined
        ? '–'
        : `${minuteText(proposal.worstMinute.at)} (${count(proposal.worstMinute.refused)})`,
    ]),
  ]
  const widths = (rows[0] as string[]).map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)))
  return rows.map((row, i) => {
    const line = row
      .map((cell, column) =>
        column === 0 || column === 5 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ')
      .trimEnd()
    return i === 0 ? strong(line) : line
  })
}

function details(
  result: ReplayResult,
  proposal: ProposalResult,
  strong: (text: string) => string,
  faint: (text: string) => string,
): readonly string[] {
  if (proposal.refused === 0) return [`${strong(title(proposal))}: nobody would be refused`, ...needed(proposal, faint), '']
  const from = minuteText(result.from)
  const to = minuteText(result.to)
  const line = sparkline(proposal.refusedPerMinute, Date.parse(result.from), Date.parse(result.to))
  const widest = Math.max(...proposal.offenders.map(({ client }) => client.length), 6)
  return [
    strong(title(proposal)),
    ...needed(proposal, faint),
    `  refusals  ${line}`,
    faint(`            ${from}${to.padStart(Math.max(line.length - from.length, to.length + 1))}`),
    ...proposal.offenders.map(
      ({ client, requests, refused, firstRefused }) =>
        `  ${client.padEnd(widest)}  ${count(refused)} of ${count(requests)} refused, first at ${firstRefused.slice(0, 19).replace('T', ' ')}`,
    ),
    '',
  ]
}

/** What would have been enough. */
function needed({ needed: limits }: ProposalResult, faint: (text: string) => string): readonly string[] {
  return limits.map(({ limit, setting, nobody, onePercent }) => {
    const what = setting === 'burst' ? `a burst at ${limit}` : `a limit like ${limit}`
    return faint(`  ${what} refuses nobody from ${nobody} on, at most 1 % of clients from ${onePercent} on`)
  })
}

/** Counts over time as bars: at most sixty, the tallest being the most. */
export function sparkline(perMinute: ReadonlyMap<number, number>, fromMs: number, toMs: number): string {
  const first = Math.floor(fromMs / 60_000)
  const minutes = Math.floor(toMs / 60_000) - first + 1
  const bins = new Array<number>(Math.min(WIDTH, minutes)).fill(0)
  for (const [minute, refused] of perMinute) {
    const bin = Math.min(bins.length - 1, Math.floor(((minute - first) * bins.length) / minutes))
    bins[bin] = (bins[bin] as number) + refused
  }
  const most = Math.max(...bins, 1)
  return bins.map((value) => (value === 0 ? ' ' : BARS[Math.ceil((value / most) * BARS.length) - 1])).join('')
}

function title({ rate, algorithm }: ProposalResult): string {
  return `${rate} ${algorithm}`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function many(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? '' : 's'}`
}

function share(part: number, whole: number): string {
  const percent = (part / whole) * 100
  return percent > 0 && percent < 0.01 ? '<0.01 %' : `${percent.toFixed(percent < 10 ? 2 : 1)} %`
}

function minuteText(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ')
}
