// Durations as people write and read them on the command line: 30s, 15m, 1h; "9 min 59 s". Next: terminal.ts.

import { InvalidArgumentError } from 'commander'
import { parseRate } from '../core/rate.ts'

/** A duration of the command line, in ms: what a rate may have as its period, with a number before the unit. */
export function durationOf(text: string): number {
  if (/^\s*\d/.test(text)) {
    try {
      return parseRate(`1/${text}`).periodMs
    } catch {
      // What is wrong with it as a rate is not what is wrong with it here.
    }
  }
  throw new InvalidArgumentError(
    'It must be a whole number and a unit, such as 500ms, 30s, 15m, 1h, 7d or 2w, and at most ten years.',
  )
}

/** Ms in the two largest units that they have: `412 ms`, `9 min 59 s`. What is left over is dropped. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${ms} ms`
  const parts: string[] = []
  let left = Math.floor(ms / 1000)
  for (const [unit, seconds] of [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const) {
    const whole = Math.floor(left / seconds)
    if (whole > 0 && parts.length < 2) parts.push(`${whole} ${unit}`)
    left -= whole * seconds
  }
  return parts.join(' ')
}

/** Ms to wait: a second that has begun counts whole, so that nobody comes too early. */
export function waitText(ms: number): string {
  if (!Number.isFinite(ms)) return 'never'
  return durationText(ms < 1000 ? Math.ceil(ms) : Math.ceil(ms / 1000) * 1000)
}
