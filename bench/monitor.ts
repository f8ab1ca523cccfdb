// What watching costs: decisions of the memory store bare, with metrics and the live view attached, and with each of them alone.

import { spawnSync } from 'node:child_process'
import { type AlgorithmName, addObserver, createLimiter } from '../dist/index.js'
import { prometheusMetrics } from '../dist/monitor/metrics.js'
import { liveView } from '../dist/monitor/index.js'
import { markdown, median } from './race.ts'

const CALLS = 50_000
const ROUNDS = 41
const KEYS = Array.from({ length: 10_000 }, (_, i) => `client:${1_000_000 + i}`)

/** Who watches. */
const WATCHERS: Readonly<Record<string, () => void>> = {
  'nobody watches': () => {},
  'an observer that does nothing': () => void addObserver({}),
  metrics: () => void prometheusMetrics(),
  'the live view': () => void liveView(),
  'metrics and the live view': () => {
    prometheusMetrics()
    liveView()
  },
}

const CASES = [
  { what: 'granted', rate: '1000000000/h', keys: 10_000 },
  { what: 'refused, 100 keys', rate: '1/d', keys: 100 },
  { what: 'refused, 10 000 keys', rate: '1/d', keys: 10_000 },
] as const
const TURNS = 3

/**
 * Each in processes of its own, as apps attach once, and in processor time, so that neighbours count little; of several processes the
 * best median.
 */
export function monitor(): string {
  const rows: string[][] = []
  for (const algorithm of ['fixed_window', 'sliding_window', 'token_bucket'] as const) {
    for (const [at, { what }] of CASES.entries()) {
      const best = new Map<string, number>()
      for (let turn = 0; turn < TURNS; turn++) {
        for (const name of Object.keys(WATCHERS))
          best.set(name, Math.min(best.get(name) ?? Infinity, inProcess(name, algorithm, at)))
      }
      const bare = best.get('nobody watches') as number
      rows.push([
        `${algorithm}, ${what}`,
        ...[...best.values()].map((ns) => `${ns.toFixed(0)} (${((bare / ns) * 100).toFixed(0)} %)`),
      ])
    }
  }
  const head = ['ns per decision (decisions kept)', ...Object.keys(WATCHERS)]
  return markdown(head, rows)
}

function inProcess(watchers: string, algorithm: AlgorithmName, at: number): number {
  const { stdout } = spawnSync(process.execPath, [import.meta.filename, watchers, algorithm, String(at)], { encoding: 'utf8' })
  return Number(stdout)
}

function measured(algorithm: AlgorithmName, { rate, keys }: (typeof CASES)[number]): number {
  const limiter = createLimiter({ rate, algorithm, name: 'api' })
  const times: number[] = []
  let kept = 0
  for (let round = 0; round < ROUNDS; round++) {
    const begun = process.cpuUsage()
    for (let i = 0; i < CALLS; i++) if (limiter.check(KEYS[(i * 7919) % keys] as string).allowed) kept++
    const { user, system } = process.cpuUsage(begun)
    if (round > 10) times.push(((user + system) * 1000) / CALLS)
  }
  if (kept < 0) throw new Error('unreachable')
  return median(times)
}

if (process.argv[1] === import.meta.filename) {
  const [watchers = '', algorithm, at] = process.argv.slice(2)
  WATCHERS[watchers]?.()
  console.log(measured(algorithm as AlgorithmName, CASES[Number(at)] as (typeof CASES)[number]))
  process.exit()
}
