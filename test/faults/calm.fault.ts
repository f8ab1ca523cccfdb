// A fleet whose Redis goes and comes, time and again. Promise: nobody storms it: each process comes back at random moments, ever more rarely,
// and looks with one probe at a time; all the while limits hold and decisions come in time. Next: ../../src/stores/redis/connect.ts,
// ../../src/stores/failover/member.ts, what it rests on.

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { describeWithOwnServer, startRedis } from '../servers.ts'
import { judge } from './oracle.ts'
import { Processes } from './processes.ts'
import { FaultProxy } from './proxy.ts'
import { DEADLINE_MS } from './row.ts'

const PROCESSES = 16
const RESTARTS = 20
const AWAY_MS = 500
const THERE_MS = 1000
/** More often than what a key is granted, so that a fresh limit would show, and no more than two cores can bear. */
const EVERY_MS = 80
const GRACE_MS = 20

/**
 * Connects of a process in any second, all taken together. Pauses are from 0 to 100, 200, 400, 800 and then 1000 ms: half of that each,
 * so a process that was cut off tries 4 to 5 times in the first second and 2 times in each that follows. Without growing pauses it were 20.
 */
const MOST_CONNECTS = 6
/** Until a fleet counts itself, and until a store is trusted again that has flapped. */
const PATIENCE_MS = 30_000

/** When connections were made, as the proxy saw it; ms of a clock that never goes back. */
async function watchConnects(proxy: FaultProxy, times: number[], ended: AbortSignal): Promise<void> {
  let seen = proxy.accepted
  while (!ended.aborted) {
    for (; seen < proxy.accepted; seen++) times.push(performance.now())
    await delay(5)
  }
}

/** The most in any stretch of this length. */
function mostWithin(times: readonly number[], ms: number): number {
  let most = 0
  let from = 0
  for (const [i, time] of times.entries()) {
    while (time - (times[from] as number) >= ms) from++
    most = Math.max(most, i - from + 1)
  }
  return most
}

async function until(condition: () => boolean, what: string, run: Processes): Promise<void> {
  const limit = performance.now() + PATIENCE_MS
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`${what} within ${PATIENCE_MS / 1000} s: ${run.story()}`)
    await delay(50)
  }
}

describeWithOwnServer('redis', `${PROCESSES} processes, ${RESTARTS} restarts of their Redis`, () => {
  it('are calm', async () => {
    await using redis = await startRedis()
    await using proxy = await FaultProxy.start(redis.port)
    const setup = {
      name: 'redis',
      stores: [{ kind: 'redis', url: proxy.addressOf(redis.url), client: 'address' }],
      countsProbes: true,
    } as const
    const orders = { prefix: `f${randomBytes(4).toString('hex')}:`, setups: [setup], deadlineMs: DEADLINE_MS, everyMs: EVERY_MS }
    await using run = await Processes.start({ ...orders, processes: PROCESSES })
    await until(() => run.isSteady(300), 'not all was well', run)
    run.tell({ kind: 'begin' })
    await delay(1500)

    const connects: number[] = []
    const ended = new AbortController()
    const watch = watchConnects(proxy, connects, ended.signal)
    const faultAt = Date.now()
    for (let i = 0; i < RESTARTS; i++) {
      await redis.kill('SIGKILL')
      await delay(AWAY_MS)
      await redis.restart()
      await delay(THERE_MS)
    }
    const healedAt = Date.now()
    await until(() => run.isOnPrimary(300), 'not all decided by Redis again', run)
    const backMs = Date.now() - healedAt
    await delay(1500)
    ended.abort()
    await watch
    await run.stop()

    const outcome = judge(
      run.heard,
      { index: 0, name: setup.name },
      { faultAt, healedAt, lostUntil: faultAt, apartUntil: faultAt },
      DEADLINE_MS,
    )
    const perSecond = mostWithin(connects, 1000) / PROCESSES
    process.stdout.write(
      `${PROCESSES} processes, ${RESTARTS} restarts: ${connects.length} connects, at most ${perSecond.toFixed(1)} a second and process, ` +
        `${mostWithin(connects, 20)} within 20 ms; ${run.probesAtOnce} probe at once; ${outcome.decisions} decisions, the longest ` +
        `${outcome.longestOwnMs.toFixed(0)} ms; all back after ${backMs} ms\n`,
    )
    const story = JSON.stringify({ outcome, errors: run.errors.map((texts) => [...texts]) }, undefined, 1)
    expect(run.problems).toEqual([])
    expect(run.unsettled).toBe(0)
    // Each came back after each restart, or they were never cut off.
    expect.soft(connects.length).toBeGreaterThanOrEqual(PROCESSES * RESTARTS)
    expect.soft(perSecond, `connects. ${story}`).toBeLessThanOrEqual(MOST_CONNECTS)
    expect.soft(run.probesAtOnce, `probes. ${story}`).toBe(1)
    expect.soft(outcome.longestOwnMs, `the longest decision. ${story}`).toBeLessThanOrEqual(DEADLINE_MS + GRACE_MS)
    expect.soft(outcome.excessAlone, `the excess for a key of one process. ${story}`).toBeLessThan(1)
    expect.soft(outcome.excessShared, `the excess for a shared key. ${story}`).toBeLessThanOrEqual(outcome.unseen + PROCESSES)
  })
})
