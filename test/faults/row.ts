// Plays one fault: processes under load, the fault, the repair, and until all is as before. Promise: what happened is judged by the oracle
// alone; nothing is left running. Next: processes.ts, oracle.ts; rows/, the faults.

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Setup } from './load.ts'
import { type Moments, type Outcome, judge } from './oracle.ts'
import { type Heard, Processes } from './processes.ts'
import { Witness } from './witness.ts'

/** What stands ready for a fault. */
export interface Stage {
  readonly setups: readonly Setup[]
  /** Brings the fault about; resolves to what ends it. Both resolve when they have taken effect. */
  inject(run: Processes): Promise<() => Promise<void>>
  /** What must hold besides, when all is over. */
  readonly check?: (heard: readonly Heard[]) => void
  /** Ends what was started for it. */
  close?(): Promise<void>
}

/** One line of the fault matrix. */
export interface FaultRow {
  /** Shown in the table, in a few words. */
  readonly fault: string
  /** Starts servers and says how they are used. */
  prepare(): Promise<Stage>
  /** How long the fault lasts (default 3000 ms). */
  readonly faultMs?: number
  /**
   * What a well-made limiter does about it: `elsewhere` decides elsewhere meanwhile · `nothing` decides as before, by the first store ·
   * `either` what is quicker. Default `elsewhere`.
   */
  readonly answer?: 'elsewhere' | 'nothing' | 'either'
  /** The store fails time and again, so that it may take longer to be trusted. */
  readonly flaps?: boolean
  /** How long clients may take to find the server again, after it is back (default 1000 ms: our own ones pause so long at most). */
  readonly findMs?: number
  /** How much of its latest past the store may lose, counted from the beginning of the fault (default 0). */
  readonly losesMs?: number
  /** How often the store loses what it was told (default: once). Each time, a question of each process is on its way. */
  readonly losses?: number
  /** For how long from its beginning processes may use different stores without knowing, ms (default 0): they cannot hear of each other. */
  readonly apartMs?: number
  /** The questions to ask at once during the fault (default none). */
  readonly surge?: number
  /** Ms after the repair within which decisions are quick (default 250). */
  readonly quickMs?: number
}

/** What a row did. */
export interface Played {
  readonly row: FaultRow
  readonly moments: Moments
  readonly outcomes: readonly Outcome[]
  /** The decisions about counters of which too much was admitted. */
  readonly evidence: readonly Heard[]
  readonly problems: readonly string[]
  readonly unsettled: number
  readonly grownBytes: number
  readonly pace: Pace
  /** How long the machine let somebody wait after the repair who had nothing to do with it, ms. */
  readonly busyMs: number
  /** Per setup: what its stores said. */
  readonly errors: readonly (readonly string[])[]
}

/** How thoroughly rows are played. */
export interface Pace {
  readonly processes: number
  readonly everyMs: number
  /** Of a fault that does not say how long it lasts. */
  readonly faultMs: number
  /** Steady load before the fault, and after the return. */
  readonly steadyMs: number
  readonly afterMs: number
  /** Whether it matters when all is as before: not beside other tests. */
  readonly timesReturn: boolean
  /** How stores are watched (default: the defaults). */
  readonly options?: Setup['options']
}

export const DEADLINE_MS = 100
export const THOROUGH: Pace = { processes: 3, everyMs: 20, faultMs: 3000, steadyMs: 1500, afterMs: 1500, timesReturn: true }
export const BRIEF: Pace = {
  processes: 2,
  everyMs: 25,
  faultMs: 1200,
  steadyMs: 800,
  afterMs: 300,
  timesReturn: false,
  options: { healthCheckIntervalMs: 300, circuitBreaker: { rampMs: 200 } },
}

const WARM_LIMIT_MS = 20_000
const RETURN_LIMIT_MS = 12_000
/** How long all must be well before it is called so. */
const WELL_MS = 300

/** Plays a fault once. */
export async function play(row: FaultRow, pace: Pace): Promise<Played> {
  const stage = await row.prepare()
  try {
    const prefix = `f${randomBytes(4).toString('hex')}:`
    const { options } = pace
    const setups =
      options === undefined ? stage.setups : stage.setups.map((one) => ({ ...one, options: { ...options, ...one.options } }))
    const orders = { prefix, setups, deadlineMs: DEADLINE_MS, everyMs: pace.everyMs, processes: pace.processes }
    await using run = await Processes.start(orders)
    await using witness = await Witness.start()
    await until(() => run.isSteady(WELL_MS) || run.problems.length > 0, WARM_LIMIT_MS)
    if (!run.isSteady(WELL_MS)) throw new Error(`${row.fault}: not all was well before the fault: ${run.story()}`)
    // From here on limits are used: what happened while processes began is not the fault's.
    run.tell({ kind: 'begin' })
    await delay(pace.steadyMs)
    const faultAt = Date.now()
    const heal = await stage.inject(run)
    let healedAt: number
    try {
      const surged = row.surge === undefined ? [] : run.surge(row.surge)
      await delay(row.faultMs ?? pace.faultMs)
      run.heard.push(...(await surged))
    } finally {
      await heal()
      healedAt = Date.now()
    }
    witness.take()
    await delay(WELL_MS)
    await until(() => run.isOnPrimary(WELL_MS), RETURN_LIMIT_MS)
    await delay(pace.afterMs)
    const busyMs = witness.take()
    await run.stop()
    stage.check?.(run.heard)
    const moments = { faultAt, healedAt, lostUntil: faultAt + (row.losesMs ?? 0), apartUntil: faultAt + (row.apartMs ?? 0) }
    const outcomes = stage.setups.map(({ name }, index) => judge(run.heard, { index, name }, moments, DEADLINE_MS))
    return {
      row,
      moments,
      outcomes,
      evidence: run.heard.filter(({ setup, policy, key }) =>
        outcomes[setup]?.over.some((over) => over.startsWith(`${policy} ${key}:`)),
      ),
      problems: run.problems,
      unsettled: run.unsettled,
      grownBytes: run.grownBytes,
      pace,
      busyMs: run.heard.reduce((most, one) => (one.askedAt >= healedAt ? Math.max(most, one.lostMs) : most), busyMs),
      errors: run.errors.map((texts) => [...texts]),
    }
  } finally {
    await stage.close?.()
  }
}

async function until(condition: () => boolean, limitMs: number): Promise<void> {
  const limit = performance.now() + limitMs
  while (!condition() && performance.now() < limit) await delay(20)
}
