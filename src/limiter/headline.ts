// From what a store took to a Decision: the tightest limit gives the headline figures.
// Next: ../algorithms/explain.ts for the figures themselves.

import { explain, fitsReading, nextAfterMs, remaining, resetAfterMs, retryAfterMs } from '../algorithms/explain.ts'
import { type Asked, Decision, type Detail, type Reason, type Standing } from '../core/decision.ts'
import type { LimitSet } from '../core/limit-set.ts'
import type { Limit } from '../core/limit.ts'
import { READING_WIDTH, type Taken } from '../stores/store.ts'

/** Explains what the store found. `shadow` turns a refusal into an allowed one. */
export function decide(set: LimitSet, taken: Taken, cost: number, shadow: boolean): Decision {
  const { only } = set
  if (only === undefined) return decideAll(set, taken, cost, shadow)
  // One limit is the common case: no list is made unless somebody asks for it. One function per law, as this is the hot path.
  return only.kind === 'bucket' ? ofBucket(set, only, taken, cost, shadow) : ofWindow(set, only, taken, cost, shadow)
}

function ofBucket(set: LimitSet, limit: Limit, taken: Taken, cost: number, shadow: boolean): Decision {
  const { now, readings } = taken
  const left = remaining(limit, readings, 0)
  const resetMs = resetAfterMs(limit, readings, 0, now)
  const nextMs = nextAfterMs(limit, readings, 0, now, left)
  if (!taken.granted) return refuseOne(set, limit, taken, cost, shadow, left, resetMs, nextMs)
  return new Decision(set, 'granted', taken.source, undefined, true, left, resetMs, nextMs, undefined, cost, now, undefined)
}

function ofWindow(set: LimitSet, limit: Limit, taken: Taken, cost: number, shadow: boolean): Decision {
  const { now, readings } = taken
  const left = remaining(limit, readings, 0)
  const resetMs = resetAfterMs(limit, readings, 0, now)
  // With one entry, what grows first is all there is.
  const nextMs = readings[2] === readings[0] ? resetMs : nextAfterMs(limit, readings, 0, now, left)
  if (!taken.granted) return refuseOne(set, limit, taken, cost, shadow, left, resetMs, nextMs)
  return new Decision(set, 'granted', taken.source, undefined, true, left, resetMs, nextMs, undefined, cost, now, undefined)
}

function refuseOne(
  set: LimitSet,
  limit: Limit,
  taken: Taken,
  cost: number,
  shadow: boolean,
  left: number,
  resetMs: number,
  nextMs: number,
): Decision {
  const { now, readings } = taken
  let retryMs: number | undefined = 0
  if (!fitsReading(limit, readings, 0, cost)) {
    // Where an empty bucket refuses a single token, the next one that comes is the one to wait for: no need to divide again.
    const waitsForNext = limit.kind === 'bucket' && cost === 1 && limit.drain > 0 && limit.unit <= limit.capacity
    retryMs = waitsForNext ? nextMs : retryAfterMs(limit, readings, 0, cost, now)
  }
  return refuse(set, taken, shadow, left, resetMs, nextMs, retryMs, cost, undefined)
}

function decideAll(set: LimitSet, taken: Taken, cost: number, shadow: boolean): Decision {
  const { granted, now, readings } = taken
  const { limits } = set
  const standings = limits.map((limit, i) => explain(limit, readings, i * READING_WIDTH, cost, now, granted))
  const refuses = limits.map((limit, i) => !granted && !fitsReading(limit, readings, i * READING_WIDTH, cost))
  const tightest = tightestOf(standings, refuses)
  const { remaining: left, resetAfterMs: resetMs, nextAfterMs: nextMs, retryAfterMs: retryMs } = standings[tightest] as Standing
  const detail: Detail = { tightest: limits[tightest] as Limit, standings }
  if (granted)
    return new Decision(set, 'granted', taken.source, undefined, true, left, resetMs, nextMs, undefined, cost, now, detail)
  return refuse(set, taken, shadow, left, resetMs, nextMs, refuses.includes(true) ? retryMs : 0, cost, detail)
}

function refuse(
  set: LimitSet,
  taken: Taken,
  shadow: boolean,
  left: number,
  resetMs: number,
  nextMs: number,
  retryMs: number | undefined,
  cost: number,
  detail: Detail | undefined,
): Decision {
  const { bannedForMs, now, source } = taken
  // The later of the limit's and the ban's end; never stays never.
  const waitMs = retryMs === undefined ? undefined : Math.max(retryMs, bannedForMs)
  const banned = bannedForMs > 0
  return new Decision(
    set,
    'refused',
    source,
    banned ? 'ban' : 'limit',
    shadow,
    banned ? 0 : left,
    resetMs,
    nextMs,
    waitMs,
    cost,
    now,
    detail,
  )
}

/** Of the limits that refuse, the one to wait for longest; else the one with the least left, then the latest reset. */
function tightestOf(standings: readonly Standing[], refuses: readonly boolean[]): number {
  const wait = (i: number): number => (refuses[i] === true ? (standings[i]?.retryAfterMs ?? Infinity) : -1)
  const tighter = (i: number, than: number): boolean => {
    const [a, b] = [standings[i] as Standing, standings[than] as Standing]
    if (wait(i) !== wait(than)) return wait(i) > wait(than)
    return a.remaining === b.remaining ? a.resetAfterMs > b.resetAfterMs : a.remaining < b.remaining
  }
  let best = 0
  for (let i = 1; i < standings.length; i++) if (tighter(i, best)) best = i
  return best
}

/** An exempt request: no limit applies, no store was asked. */
export function exempt(asked: Asked, now: number): Decision {
  return new Decision(asked, 'exempt', 'none', undefined, true, Infinity, 0, 0, undefined, 0, now, undefined)
}

/** A request refused for what it is, without asking a store. */
export function refusedUnasked(asked: Asked, reason: Reason, shadow: boolean, cost: number, now: number): Decision {
  return new Decision(asked, 'refused', 'none', reason, shadow, 0, 0, 0, undefined, cost, now, undefined)
}
