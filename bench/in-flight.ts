// Contenders that answer later, so many calls of each on their way at once, in turns within one process: every round runs each of them
// for the same time, and ratios are taken within a round. Next: race.ts, the same for those that answer at once.

import { median } from './race.ts'

/** One decision. */
export type AsyncContender = (turn: number) => Promise<unknown>

/** How many at once, how often and how long. */
export interface InFlightOptions {
  readonly inFlight: number
  readonly rounds: number
  /** Ms of each contender per round. */
  readonly ms: number
}

/** One contender's outcome. */
export interface InFlightResult {
  readonly name: string
  /** Median over the rounds. */
  readonly perSecond: number
  /** Median over the rounds of this one's rate divided by the reference's. */
  readonly ratio: number
  /** Calls that failed, over all rounds. */
  readonly failed: number
}

/** Runs a race; the first round is warm-up. */
export async function raceInFlight(
  contenders: Readonly<Record<string, AsyncContender>>,
  reference: string,
  options: InFlightOptions,
): Promise<readonly InFlightResult[]> {
  const names = Object.keys(contenders)
  const rates = new Map<string, number[]>(names.map((name) => [name, []]))
  const failures = new Map<string, number>()
  for (let round = 0; round <= options.rounds; round++) {
    // Another order each round: whoever runs first warms or cools the caches for the next.
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length] as string
      const { perSecond, failed } = await rate(contenders[name] as AsyncContender, options, round)
      if (round > 0) rates.get(name)?.push(perSecond)
      failures.set(name, (failures.get(name) ?? 0) + failed)
    }
  }
  const base = rates.get(reference) as number[]
  return names.map((name) => {
    const own = rates.get(name) as number[]
    const ratio = median(own.map((perSecond, round) => perSecond / (base[round] as number)))
    return { name, perSecond: median(own), ratio, failed: failures.get(name) ?? 0 }
  })
}

async function rate(
  contender: AsyncContender,
  { inFlight, ms }: InFlightOptions,
  round: number,
): Promise<{ perSecond: number; failed: number }> {
  let [turn, done, failed] = [round * 7919, 0, 0]
  const start = performance.now()
  const client = async (): Promise<void> => {
    while (performance.now() - start < ms) {
      try {
        await contender(turn++)
        done++
      } catch {
        failed++
      }
    }
  }
  await Promise.all(Array.from({ length: inFlight }, client))
  return { perSecond: (done / (performance.now() - start)) * 1000, failed }
}
