// A million keys: bytes each, the garbage collector's pause, and the longest stall while they expire. Needs --expose-gc.

import { type AlgorithmName, createLimiter, manualClock, memoryStore } from '../dist/index.js'
import { markdown } from './race.ts'

const KEYS = 1_000_000

function bytesHeld(): number {
  gc?.()
  gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function milliseconds(work: () => void): number {
  const start = performance.now()
  work()
  return performance.now() - start
}

interface Measured {
  readonly bytesPerKey: number
  readonly gcMs: number
  readonly longestCallMs: number
  readonly leftBytesPerKey: number
}

async function measure(algorithm: AlgorithmName, hits: number, stepMs: number): Promise<Measured> {
  const clock = manualClock(1_700_000_000_000)
  const before = bytesHeld()
  const store = memoryStore({ memoryMaxKeys: 2 * KEYS, memoryMaxBytes: 2 ** 32, clock, sweepIntervalMs: 10 })
  const limiter = createLimiter({
    rate: '600/h',
    algorithm,
    store,
    ...(algorithm === 'gcra' && { algorithmConfig: { burst: 600 } }),
  })
  for (let hit = 0; hit < hits; hit++) {
    for (let i = 0; i < KEYS; i++) limiter.check(`client:${1_000_000 + i}:10.2`)
    clock.advance(stepMs)
  }
  const bytesPerKey = (bytesHeld() - before) / KEYS
  const gcMs = milliseconds(() => gc?.())
  // All of them expire at once; other clients go on, while the store's timer sweeps (every 10 ms here, to be done sooner).
  clock.advance(2 * 3_600_000)
  let longestCallMs = 0
  for (let turn = 0; store.bytes > 1_000_000 && turn < 1_000_000; turn++) {
    const usage = process.threadCpuUsage()
    for (let i = 0; i < 20; i++) limiter.check(`other:${(turn * 20 + i) % 1000}`)
    // Timers run within this wait, so a long sweep shows in it. Time of this thread alone: others that use the machine make no stall of ours.
    await new Promise((resolve) => setImmediate(resolve))
    const { user, system } = process.threadCpuUsage(usage)
    longestCallMs = Math.max(longestCallMs, (user + system) / 1000)
  }
  return { bytesPerKey, gcMs, longestCallMs, leftBytesPerKey: (bytesHeld() - before) / KEYS }
}

/** Density of every algorithm, and of sliding windows with more entries alive. */
export async function density(): Promise<string> {
  const cases: readonly (readonly [string, AlgorithmName, number])[] = [
    ['fixed_window', 'fixed_window', 1],
    ['token_bucket', 'token_bucket', 1],
    ['gcra', 'gcra', 1],
    ['sliding_window, 1 entry alive', 'sliding_window', 1],
    ['sliding_window, 2 entries', 'sliding_window', 2],
    ['sliding_window, 10 entries', 'sliding_window', 10],
  ]
  const rows: string[][] = []
  for (const [name, algorithm, hits] of cases) {
    const { bytesPerKey, gcMs, longestCallMs, leftBytesPerKey } = await measure(algorithm, hits, 120_000)
    rows.push([name, bytesPerKey.toFixed(1), gcMs.toFixed(1), longestCallMs.toFixed(2), leftBytesPerKey.toFixed(2)])
  }
  return markdown(
    ['1M keys', 'bytes a key', 'full GC, ms', 'longest turn while all expire, ms of CPU', 'bytes a key afterwards'],
    rows,
  )
}
