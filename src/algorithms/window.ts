// The windows. fixed_window, state [start, count]: one window at a time, at most N in each, so at most 2N in any period.
// sliding_window, state [start, count, start, count, …] oldest first: counts per sub-window; an entry leaves only when its
// whole sub-window is older than the period, so never more than N in any interval of the period.
// Next: explain.ts.

import type { Limit } from '../core/limit.ts'
import { ABSENT, CHARGE, type CellLaw, LOOK } from './law.ts'

/** First millisecond of the fixed window that holds this instant (for first-aligned windows: that a new client opens). */
export function windowStart(limit: Limit, now: number): number {
  if (limit.align === 'clock') return floorTo(now, limit.periodMs)
  return limit.calendar === undefined ? now : limit.calendar.startOf(now)
}

/** First millisecond after the fixed window that starts here. */
export function windowEnd(limit: Limit, start: number): number {
  return limit.calendar === undefined ? start + limit.periodMs : limit.calendar.endOf(start)
}

/** First millisecond of the sub-window that holds this instant. */
export function subWindowStart(limit: Limit, now: number): number {
  return floorTo(now, limit.widthMs)
}

/** The multiple of `step` at or below an instant. Exact: instants lie far below 2^52, and this is many times quicker than `%`. */
function floorTo(now: number, step: number): number {
  return Math.floor(now / step) * step
}

/** The instant at which what was counted in the sub-window that starts here no longer counts. */
export function leavesAt(limit: Limit, start: number): number {
  return start + limit.widthMs - 1 + limit.periodMs
}

export const fixedLaw: CellLaw = {
  take(cells, at, limit, cost, now, commit, out, to) {
    let start = cells[at] as number
    let count = 0
    // The window in the state counts while it lasts, also if the clock stepped back before it.
    const lasts = start !== ABSENT && now < windowEnd(limit, start)
    if (lasts) count = cells[at + 1] as number
    if (!lasts || start - now > limit.periodMs) start = windowStart(limit, now)
    const fits = count + cost <= limit.amount
    if (fits ? commit !== LOOK : commit === CHARGE) {
      // A charge over the limit keeps the window full; it does not count without end.
      count = fits ? count + cost : Math.max(count, limit.amount)
      cells[at] = start
      cells[at + 1] = count
    }
    out[to] = start
    out[to + 1] = count
    out[to + 2] = start
    out[to + 3] = start
    return fits
  },

  refund(cells, at, limit, cost, now, takenAt) {
    const start = cells[at] as number
    if (start === ABSENT || now >= windowEnd(limit, start)) return
    // A cost of an earlier window is gone with it.
    if (takenAt !== undefined && takenAt < start) return
    const count = cells[at + 1] as number
    // A window with nothing in it was never opened: a first-aligned one must not run from a request that was taken back.
    if (count > cost) cells[at + 1] = count - cost
    else cells[at] = ABSENT
  },

  heal(cells, at, limit, now) {
    if ((cells[at] as number) - now <= limit.periodMs) return false
    cells[at] = windowStart(limit, now)
    return true
  },

  idle(cells, at, limit, _drain, now) {
    const start = cells[at] as number
    return start === ABSENT || now >= windowEnd(limit, start)
  },
}

/** A sliding window's entries, oldest first: start, count, start, count, … */
export type Entries = number[]

/** Drops what no longer counts; entries from the impossible future become one entry of now. True if it had to heal. */
export function slidingSettle(entries: Entries, limit: Limit, now: number): boolean {
  let gone = 0
  while (gone < entries.length && now >= leavesAt(limit, entries[gone] as number)) gone += 2
  if (gone > 0) entries.splice(0, gone)
  if (entries.length === 0 || (entries[entries.length - 2] as number) - now <= limit.periodMs) return false
  const total = slidingTotal(entries)
  entries.splice(0, entries.length, subWindowStart(limit, now), total)
  return true
}

/** What must go so that a charge leaves no more than the limit, or than there was. No sum in it passes 2^53. */
export function excessOf(total: number, limit: Limit, cost: number): number {
  return total - (Math.max(limit.amount, total) - cost)
}

/** What settled entries add up to. */
export function slidingTotal(entries: Entries): number {
  let total = 0
  for (let i = 1; i < entries.length; i += 2) total += entries[i] as number
  return total
}

/** Charges settled entries. A charge over the limit pushes the oldest out: they leave first, and the rest refuses without them. */
export function slidingPour(entries: Entries, limit: Limit, cost: number, now: number): void {
  const excess = excessOf(slidingTotal(entries), limit, cost)
  if (excess > 0) slidingRefund(entries, limit, excess, undefined)
  const start = subWindowStart(limit, now)
  const newest = entries.length - 2
  // While the clock is behind the newest entry, it stands still there.
  if (newest >= 0 && (entries[newest] as number) >= start) entries[newest + 1] = (entries[newest + 1] as number) + cost
  else entries.push(start, cost)
}

/** Gives back from the sub-window of the charge, or, where that is not known, from the oldest: they leave first anyway. */
export function slidingRefund(entries: Entries, limit: Limit, cost: number, takenAt: number | undefined): void {
  const start = takenAt === undefined ? undefined : subWindowStart(limit, takenAt)
  let left = cost
  for (let i = 0; i < entries.length && left > 0;) {
    const count = entries[i + 1] as number
    if (start !== undefined && entries[i] !== start) {
      i += 2
    } else if (count > left) {
      entries[i + 1] = count - left
      return
    } else {
      entries.splice(i, 2)
      left -= count
    }
  }
}

/** Writes what explains a decision about settled entries into four numbers of `out`. */
export function slidingRead(entries: Entries, limit: Limit, cost: number, now: number, out: Float64Array, to: number): void {
  const total = slidingTotal(entries)
  const newest = entries.length === 0 ? subWindowStart(limit, now) : (entries[entries.length - 2] as number)
  out[to] = newest
  out[to + 1] = total
  out[to + 2] = entries.length === 0 ? newest : (entries[0] as number)
  out[to + 3] = newest
  // The entry whose leaving makes room for the cost.
  let over = total + cost - limit.amount
  for (let i = 0; i < entries.length && over > 0; i += 2) {
    out[to + 3] = entries[i] as number
    over -= entries[i + 1] as number
  }
}
