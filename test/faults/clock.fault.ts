// The clock of a store is set while limits are in use, by an hour ahead or back. Promise: no key gains more than one full limit by it, and
// once the store has been asked about it, none is refused for longer than it takes to be whole again. Time is that of the processes: the
// store's own is what is in doubt. Next: oracle.ts, which judges; all.fault.ts, where clocks are right.

import { describe, expect, it } from 'vitest'
import { describeWithOwnServer, startRedis } from '../servers.ts'
import { AMOUNT, PERIOD_MS } from './load.ts'
import { judge } from './oracle.ts'
import type { Heard, Processes } from './processes.ts'
import { DEADLINE_MS, type FaultRow, type Pace, type Stage, THOROUGH, play } from './row.ts'
import { postgresStage } from './rows/postgres.ts'
import { redisSetups } from './rows/redis.ts'
import { ShiftedClock, canShift } from './shifted-clock.ts'

const HOUR_MS = 3_600_000
/** Long enough for whoever is shut out to show. */
const PACE: Pace = { ...THOROUGH, everyMs: 40, afterMs: 2 * PERIOD_MS + 1000 }
/** Between two questions about a key, and for its answer; and the width of a sliding window's entries. */
const GRAIN_MS = 500

type Jump = (byMs: number, heard: (run: Processes) => void) => Promise<Stage>

function bearsIt(jump: Jump): void {
  it.each([
    ['an hour ahead', HOUR_MS],
    ['an hour back', -HOUR_MS],
  ])('its clock is set %s', async (title, byMs) => {
    let run: Processes | undefined
    const row: FaultRow = {
      fault: title,
      faultMs: 0,
      answer: 'either',
      prepare: () => jump(byMs, (processes) => (run = processes)),
    }
    const { moments, outcomes, problems, unsettled } = await play(row, PACE)
    const heard = run?.heard ?? []
    expect(problems).toEqual([])
    expect(unsettled).toBe(0)
    const byOwnTime = heard.map((one) => ({ ...one, now: one.askedAt + one.tookMs }))
    for (const [index, { setup: name, longestOwnMs, backMs }] of outcomes.entries()) {
      const own = heard.filter(({ setup, askedAt }) => setup === index && askedAt > moments.healedAt)
      const shown = own.filter(({ source, now, askedAt }) => source === 'primary' && Math.abs(now - askedAt - byMs) < 1000)
      expect(shown.length, `${name}: decisions by the clock that was set`).toBeGreaterThan(100)
      const outcome = judge(byOwnTime, { index, name }, moments, DEADLINE_MS)
      const lockedMs = lockedOutMs(heard, index, moments.healedAt)
      const story = `${name}: ${JSON.stringify({ ...outcome, lockedMs }, undefined, 1)}`
      process.stdout.write(
        `${title}, ${name}: ${outcome.excessAlone.toFixed(1)} and ${outcome.excessShared.toFixed(1)} too many, at most ` +
          `${lockedMs} ms without a request\n`,
      )
      expect.soft(longestOwnMs, `the longest decision. ${story}`).toBeLessThanOrEqual(DEADLINE_MS + 20)
      expect.soft(backMs, `decides by the store. ${story}`).toBeLessThan(1000)
      // Answers are not told in the order of their times: one request may seem to be a moment early.
      expect.soft(outcome.excessAlone, `the gain of a key of one process. ${story}`).toBeLessThan(AMOUNT + 2)
      expect
        .soft(outcome.excessShared, `the gain of a shared key. ${story}`)
        .toBeLessThan(AMOUNT + outcome.unseen + PACE.processes)
      expect.soft(lockedMs, `without a request. ${story}`).toBeLessThan(PERIOD_MS + GRAIN_MS)
    }
  })
}

/**
 * The longest that any key of a limit was asked for and never admitted, since the store was first asked about it after an instant: until
 * then a process may remember a refusal, and ask nobody.
 */
function lockedOutMs(heard: readonly Heard[], setup: number, sinceMs: number): number {
  const limited = heard.filter((one) => one.setup === setup && one.policy !== 'ample' && one.askedAt >= sinceMs)
  const begins = new Map<string, number>()
  let longest = 0
  for (const { policy, key, allowed, askedAt, source } of limited.toSorted((a, b) => a.askedAt - b.askedAt)) {
    const counter = `${policy} ${key}`
    const begun = begins.get(counter)
    if (begun !== undefined) longest = Math.max(longest, askedAt - begun)
    if (allowed || (begun === undefined && source === 'primary')) begins.set(counter, askedAt)
  }
  return longest
}

describe.skipIf(!canShift())('takes a C compiler:', () => {
  describeWithOwnServer('redis', 'Redis', () => {
    bearsIt(async (byMs, heard) => {
      const clock = new ShiftedClock()
      const [redis, standby] = await Promise.all([startRedis({ env: clock.env }), startRedis()])
      return {
        setups: redisSetups(redis.url, standby.url),
        async inject(run) {
          heard(run)
          clock.set(byMs)
          return async () => {}
        },
        async close() {
          await Promise.all([redis.stop(), standby.stop()])
          clock.remove()
        },
      }
    })
  })
})

/** What is asked for the time stands in another schema, before the system's own. */
const OWN_TIME = [
  'CREATE SCHEMA clock',
  'CREATE TABLE clock.ahead (id int PRIMARY KEY, ms bigint)',
  'INSERT INTO clock.ahead VALUES (1, 0)',
  `CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT pg_catalog.clock_timestamp() + ahead.ms * interval '1 ms' FROM clock.ahead WHERE id = 1 $$`,
  'GRANT USAGE ON SCHEMA clock TO app',
  'GRANT SELECT ON clock.ahead TO app',
  'ALTER ROLE app SET search_path = clock, pg_catalog, public',
]

describeWithOwnServer('postgres', 'PostgreSQL', () => {
  bearsIt(async (byMs, heard) => {
    const stage = await postgresStage(
      async ({ tell }) => {
        await tell(`UPDATE clock.ahead SET ms = ${byMs}`)
        return async () => {}
      },
      { first: OWN_TIME },
    )
    return {
      ...stage,
      inject(run) {
        heard(run)
        return stage.inject(run)
      },
    }
  })
})
