// Contenders in turns within one process: every round runs each of them once, and ratios are taken within a round, so that a
// machine that is busy for a moment is busy for all. Next: run.ts.

/** One contender: does the work once; what it returns keeps the work from being optimised away. A promise is waited for. */
export type Contender = (turn: number) => boolean | Promise<boolean>

/** How long, and how often. */
export interface RaceOptions {
  readonly rounds: number
  /** Calls of each contender per round. */
  readonly calls: number
  /** Calls between two yields to the event loop (default: all of a round in one go). */
  readonly perTurn?: number
}

/** One contender's outcome. */
export interface RaceResult {
  readonly name: string
  /** Median over the rounds, nanoseconds per call. */
  readonly ns: number
  /** Median over the rounds of the reference's time divided by this one's: above 1 is faster than the reference. */
  readonly ratio: number
}

/** Runs a race; the first round is warm-up. Ratios are to the contender named `reference`. */
export async function race(
  contenders: Readonly<Record<string, Contender>>,
  reference: string,
  options: RaceOptions,
): Promise<readonly RaceResult[]> {
  const names = Object.keys(contenders)
  const times = new Map<string, number[]>(names.map((name) => [name, []]))
  for (let round = 0; round <= options.rounds; round++) {
    // Another order each round: whoever runs first warms or cools the caches for the next.
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length] as string
      const ns = await time(contenders[name] as Contender, options, round)
      if (round > 0) times.get(name)?.push(ns)
    }
  }
  const base = times.get(reference) as number[]
  return names.map((name) => {
    const own = times.get(name) as number[]
    return { name, ns: median(own), ratio: median(own.map((ns, round) => (base[round] as number) / ns)) }
  })
}

async function time(contender: Contender, { calls, perTurn = calls }: RaceOptions, round: number): Promise<number> {
  let kept = 0
  let turn = round * 7919
  const start = process.hrtime.bigint()
  for (let done = 0; done < calls; done += perTurn) {
    for (let i = 0; i < perTurn; i++) {
      const answer = contender(turn++)
      if (answer === true || (answer !== false && (await answer))) kept++
    }
    if (perTurn < calls) await new Promise((resolve) => setImmediate(resolve))
  }
  const ns = Number(process.hrtime.bigint() - start) / calls
  if (kept < 0) throw new Error('unreachable')
  return ns
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** Rows as an aligned Markdown table. */
export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] as number)).join(' | ')} |`
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n')
}
