// The windows. fixed_window, state [start, count]: one window at a time, at most N in each, so at most 2N in any period.
// sliding_window, state [start, count, start, count, …] oldest first: counts per sub-window; an entry leaves only when its
// whole sub-window is older than the period, so never more than N in any interval of the period.
// Next: explain.ts.

import type { Limit } from '../core/limit.ts'
import { ABSENT, type CellLaw, type Cells } from './law.ts'

/** First millisecond of the fixed window that holds this instant (for first-aligned windows: that a new client opens). */
export function windowStart(limit: Limit, now: number): number {
  if (limit.align === 'clock') return now - (now % limit.periodMs)
  return limit.calendar === undefined ? now : limit.calendar.startOf(now)
}

/** First millisecond after the fixed window that starts here. */
export function windowEnd(limit: Limit, start: number): number {
  return limit.calendar === undefined ? start + limit.periodMs : limit.calendar.endOf(start)
}

/** First millisecond of the sub-window that holds this instant. */
export function subWindowStart(limit: Limit, now: number): number {
  return now - (now % limit.widthMs)
}

/** The instant at which what was counted in the sub-window that starts here no longer counts. */
export function leavesAt(limit: Limit, start: number): number {
  return start + limit.widthMs - 1 + limit.periodMs
}

export const fixedLaw: CellLaw = {
  fits: (cells, at, limit, cost, now) => fixedCount(cells, at, limit, now) + cost <= limit.amount,

  pour(cells, at, limit, cost, now) {
    const count = fixedCount(cells, at, limit, now)
    cells[at] = fixedStart(cells, at, limit, now)
    cells[at + 1] = count + cost
  },

  refund(cells, at, limit, cost, now, takenAt) {
    const start = cells[at] as number
    if (start === ABSENT || now >= windowEnd(limit, start)) return
    // A cost of an earlier window is gone with it.
    if (takenAt !== undefined && takenAt < start) return
    const count = cells[at + 1] as number
    cells[at + 1] = count > cost ? count - cost : 0
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

  read(cells, at, limit, _cost, now, out, to) {
    const start = fixedStart(cells, at, limit, now)
    out[to] = start
    out[to + 1] = fixedCount(cells, at, limit, now)
    out[to + 2] = start
    out[to + 3] = start
  },
}

function fixedCount(cells: Cells, at: number, limit: Limit, now: number): number {
  const start = cells[at] as number
  return start === ABSENT || now >= windowEnd(limit, start) ? 0 : (cells[at + 1] as number)
}

/** The window a charge falls into: the one in the state while it lasts (also if the clock stepped back before it). */
function fixedStart(cells: Cells, at: number, limit: Limit, now: number): number {
  const start = cells[at] as number
  const lasts = start !== ABSENT && now < windowEnd(limit, start) && start - now <= limit.periodMs
  return lasts ? start : windowStart(limit, now)
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

/** What settled entries add up to. */
export function slidingTotal(entries: Entries): number {
  let total = 0
  for (let i = 1; i < entries.length; i += 2) total += entries[i] as number
  return total
}

/** Charges settled entries. */
export function slidingPour(entries: Entries, limit: Limit, cost: number, now: number): void {
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
  for (let i = 0; i < entries.length && left > 0; ) {
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
  const start = subWindowStart(limit, now)
  out[to] = entries.length === 0 ? start : (entries[entries.length - 2] as number)
  out[to + 1] = total
  out[to + 2] = entries.length === 0 ? start : (entries[0] as number)
  out[to + 3] = start
  // The entry whose leaving makes room for the cost.
  let over = total + cost - limit.amount
  for (let i = 0; i < entries.length && over > 0; i += 2) {
    out[to + 3] = entries[i] as number
    over -= entries[i + 1] as number
  }
}
