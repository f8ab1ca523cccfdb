// The bucket: token_bucket, leaky_bucket and gcra are this one law. State [at, level]: the level drains by `drain` per ms,
// a request pours in cost × `unit`, granted while the level stays within `capacity`.
// Bound that always holds: in any interval T at most burst + rate × T. The same decisions as the generic cell rate
// algorithm of ITU-T I.371 in its "continuous-state leaky bucket" form, in whole numbers. Next: window.ts.

import type { Limit } from '../core/limit.ts'
import { ABSENT, CHARGE, type CellLaw, type Cells, LOOK } from './law.ts'

export const bucketLaw: CellLaw = {
  take(cells, at, limit, cost, now, commit, out, to) {
    let level = bucketLevel(cells, at, limit, now)
    const need = cost * limit.unit
    const stamp = bucketStamp(cells[at] as number, limit, now)
    const fits = level + need <= limit.capacity
    if (fits ? commit !== LOOK : commit === CHARGE) {
      // A charge beyond the capacity keeps the bucket full; it does not build a debt without end.
      level = fits ? level + need : Math.max(limit.capacity, level)
      cells[at] = stamp
      cells[at + 1] = level
    }
    out[to] = stamp
    out[to + 1] = level
    return fits
  },

  refund(cells, at, limit, cost, now, takenAt) {
    const stamp = cells[at] as number
    if (stamp === ABSENT || (limit.forgetMs > 0 && now - stamp >= limit.forgetMs)) return
    // What has drained since the charge is no longer held, so it cannot be given back.
    const drained = takenAt === undefined ? 0 : Math.max(0, now - takenAt) * limit.drain
    const back = cost * limit.unit - drained
    if (back <= 0) return
    const level = bucketLevel(cells, at, limit, now)
    if (level === 0) return
    cells[at] = bucketStamp(stamp, limit, now)
    cells[at + 1] = back >= level ? 0 : level - back
  },

  heal(cells, at, limit, now) {
    const stamp = cells[at] as number
    // A bucket that does not start full must begin to fill with the first request, also if that is refused.
    if (limit.forgetMs > 0 && (stamp === ABSENT || now - stamp >= limit.forgetMs)) {
      cells[at] = now
      cells[at + 1] = limit.initialLevel
      return true
    }
    if (stamp - now <= limit.periodMs) return false
    cells[at] = now
    return true
  },

  idle(cells, at, limit, drain, now) {
    const stamp = cells[at] as number
    if (stamp === ABSENT) return true
    if (limit.initialLevel > 0) return limit.forgetMs > 0 && now - stamp >= limit.forgetMs
    return now >= stamp && (cells[at + 1] as number) <= (now - stamp) * drain
  },
}

/** The level at this instant. */
function bucketLevel(cells: Cells, at: number, limit: Limit, now: number): number {
  const stamp = cells[at] as number
  if (stamp === ABSENT) return limit.initialLevel
  const elapsed = now - stamp
  const level = cells[at + 1] as number
  if (elapsed <= 0) return level
  if (limit.forgetMs > 0 && elapsed >= limit.forgetMs) return limit.initialLevel
  const left = level - elapsed * limit.drain
  return left > 0 ? left : 0
}

/** The instant to store with a level: now, or the stamp while the clock is behind it (but never over a period behind). */
function bucketStamp(stamp: number, limit: Limit, now: number): number {
  return stamp > now && stamp - now <= limit.periodMs ? stamp : now
}
