// A limit as people read it: its rate, and the bound that always holds. Next: live-view.ts.

import type { AlgorithmName, Limit } from '../core/limit.ts'
import { formatRate } from '../core/rate.ts'

/** The bounds of a limit. */
export interface LimitView {
  readonly name: string
  readonly algorithm: AlgorithmName
  /** As it is written: `100/m`. */
  readonly rate: string
  /** N of the rate. */
  readonly amount: number
  readonly periodMs: number
  /** Most that passes at once. */
  readonly burst: number
  /** Buckets: what comes back per second. */
  readonly perSecond: number | undefined
  /** What always holds, in words. */
  readonly bound: string
}

export function limitView({ name, algorithm, rate, amount, periodMs, burst, kind, drain, unit, align }: Limit): LimitView {
  const perSecond = kind === 'bucket' ? (drain * 1000) / unit : undefined
  const period = periodText(periodMs)
  const bound =
    perSecond !== undefined
      ? `at most ${burst} at once, and ${burst} + ${Number(perSecond.toPrecision(6))} a second over any time`
      : kind === 'sliding'
        ? `at most ${amount} in any ${period}`
        : `at most ${amount} in each window${align === 'calendar' ? '' : ` of ${period}`}, ${2 * amount} in any ${period}`
  return { name, algorithm, rate: formatRate(rate), amount, periodMs, burst, perSecond, bound }
}

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
] as const

function periodText(ms: number): string {
  const [length, unit] = UNITS.find(([one]) => ms % one === 0) ?? [1, 'ms']
  return `${ms / length} ${unit}`
}
