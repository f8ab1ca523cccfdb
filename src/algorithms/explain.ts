// From the numbers a store returns to the figures people read. The only place that computes remaining, reset and retry.
// Promise: exact to the millisecond, on every store. Next: ../limiter/limiter.ts.
//
// A reading is four numbers per limit.  bucket: stamp, level, –, –
// windows: start of the newest entry, total, start of the oldest, start of the entry whose leaving makes room.

import type { Standing } from '../core/decision.ts'
import type { Limit } from '../core/limit.ts'
import { ceilDiv, floorDiv } from '../core/whole.ts'
import { leavesAt, windowEnd } from './window.ts'

/** Whether a cost fits beside what a reading shows. */
export function fitsReading(limit: Limit, readings: ArrayLike<number>, at: number, cost: number): boolean {
  const used = readings[at + 1] as number
  return limit.kind === 'bucket' ? used + cost * limit.unit <= limit.capacity : used + cost <= limit.amount
}

/** How a limit stands, in full. */
export function explain(
  limit: Limit,
  readings: ArrayLike<number>,
  at: number,
  cost: number,
  now: number,
  granted: boolean,
): Standing {
  const refused = !granted && !fitsReading(limit, readings, at, cost)
  const left = remaining(limit, readings, at)
  return {
    name: limit.name,
    limit: limit.amount,
    periodMs: limit.periodMs,
    remaining: left,
    resetAfterMs: resetAfterMs(limit, readings, at, now),
    nextAfterMs: nextAfterMs(limit, readings, at, now, left),
    retryAfterMs: refused ? retryAfterMs(limit, readings, at, cost, now) : undefined,
  }
}

/** Whole requests of cost 1 that would pass. */
export function remaining(limit: Limit, readings: ArrayLike<number>, at: number): number {
  const left = limit.capacity - (readings[at + 1] as number)
  if (left <= 0) return 0
  return limit.kind === 'bucket' ? floorDiv(left, limit.unit) : left
}

/** Ms until nothing is held against the client any more. */
export function resetAfterMs(limit: Limit, readings: ArrayLike<number>, at: number, now: number): number {
  const used = readings[at + 1] as number
  if (used <= 0) return 0
  if (limit.kind === 'bucket') return drainMs(limit, readings[at] as number, used, now)
  return leaves(limit, readings[at] as number) - now
}

/** Ms until `remaining`, which is `left`, grows; 0 when nothing is held. */
export function nextAfterMs(limit: Limit, readings: ArrayLike<number>, at: number, now: number, left: number): number {
  const used = readings[at + 1] as number
  if (used <= 0) return 0
  if (limit.kind !== 'bucket') return leaves(limit, readings[at + 2] as number) - now
  const level = limit.capacity - (left + 1) * limit.unit
  // A bucket of 10.5 never holds an eleventh token; what still grows is the half.
  return drainMs(limit, readings[at] as number, used - Math.max(0, level), now)
}

/** Ms until this cost is granted to a sole caller; undefined when it never is. */
export function retryAfterMs(
  limit: Limit,
  readings: ArrayLike<number>,
  at: number,
  cost: number,
  now: number,
): number | undefined {
  if (limit.kind !== 'bucket') {
    return cost > limit.amount ? undefined : leaves(limit, readings[at + 3] as number) - now
  }
  const need = cost * limit.unit
  if (need > limit.capacity || limit.drain === 0) return undefined
  return drainMs(limit, readings[at] as number, (readings[at + 1] as number) + need - limit.capacity, now)
}

function drainMs(limit: Limit, stamp: number, weight: number, now: number): number {
  if (limit.drain === 0) return Infinity
  // Nothing drains until the clock has caught up with the stamp.
  return Math.max(0, stamp - now) + ceilDiv(weight, limit.drain)
}

function leaves(limit: Limit, start: number): number {
  return limit.kind === 'fixed' ? windowEnd(limit, start) : leavesAt(limit, start)
}
