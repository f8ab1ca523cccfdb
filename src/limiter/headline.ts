// From what a store took to a Decision: the tightest limit gives the headline figures.
// Next: ../algorithms/explain.ts for the figures themselves.

import { explain, fitsReading, nextAfterMs, remaining, resetAfterMs, retryAfterMs } from '../algorithms/explain.ts'
import { Decision, type Reason, type Source, type Standing } from '../core/decision.ts'
import type { LimitSet } from '../core/limit-set.ts'
import type { Limit } from '../core/limit.ts'
import { READING_WIDTH, type Taken } from '../stores/store.ts'

/** Explains what the store found. `shadow` turns a refusal into an allowed one. */
export function decide(policy: string, set: LimitSet, taken: Taken, cost: number, shadow: boolean): Decision {
  const { limits } = set
  const { granted, now, readings, bannedForMs } = taken
  const banned = bannedForMs > 0
  let retry: number | undefined
  if (limits.length === 1) {
    // One limit is the common case: no list is made unless somebody asks for it.
    const limit = limits[0]
    if (!granted) retry = fitsReading(limit, readings, 0, cost) ? 0 : retryAfterMs(limit, readings, 0, cost, now)
    return new Decision(
      granted || shadow,
      granted ? 'granted' : 'refused',
      policy,
      limits,
      limit,
      banned ? 0 : remaining(limit, readings, 0),
      resetAfterMs(limit, readings, 0, now),
      nextAfterMs(limit, readings, 0, now),
      granted ? undefined : later(retry, bannedForMs),
      cost,
      taken.source,
      now,
      granted ? undefined : banned ? 'ban' : 'limit',
      undefined,
    )
  }
  const standings = limits.map((limit, i) => explain(limit, readings, i * READING_WIDTH, cost, now, granted))
  const tightest = tightestOf(limits, standings, readings, cost, granted)
  const head = standings[tightest] as Standing
  if (!granted) {
    const refused = standings.some((_, i) => !fitsReading(limits[i] as Limit, readings, i * READING_WIDTH, cost))
    retry = refused ? head.retryAfterMs : 0
  }
  return new Decision(
    granted || shadow,
    granted ? 'granted' : 'refused',
    policy,
    limits,
    limits[tightest] as Limit,
    banned ? 0 : head.remaining,
    head.resetAfterMs,
    head.nextAfterMs,
    granted ? undefined : later(retry, bannedForMs),
    cost,
    taken.source,
    now,
    granted ? undefined : banned ? 'ban' : 'limit',
    standings,
  )
}

/** The later of a limit's and a ban's end; never stays never. */
function later(retry: number | undefined, bannedForMs: number): number | undefined {
  return retry === undefined ? undefined : Math.max(retry, bannedForMs)
}

/** Of the limits that refuse, the one to wait for longest; else the one with the least left, then the latest reset. */
function tightestOf(
  limits: readonly Limit[],
  standings: readonly Standing[],
  readings: ArrayLike<number>,
  cost: number,
  granted: boolean,
): number {
  let best = 0
  let bestWait = -1
  for (let i = 0; i < standings.length; i++) {
    const standing = standings[i] as Standing
    const refuses = !granted && !fitsReading(limits[i] as Limit, readings, i * READING_WIDTH, cost)
    const wait = refuses ? (standing.retryAfterMs ?? Infinity) : -1
    const incumbent = standings[best] as Standing
    const tighter =
      wait !== bestWait
        ? wait > bestWait
        : standing.remaining !== incumbent.remaining
          ? standing.remaining < incumbent.remaining
          : standing.resetAfterMs > incumbent.resetAfterMs
    if (i === 0 || tighter) {
      best = i
      bestWait = wait
    }
  }
  return best
}

/** A decision made without asking a store: exempt, or refused for what it is. */
export function unasked(
  policy: string,
  set: LimitSet | undefined,
  kind: 'exempt' | 'refused',
  shadow: boolean,
  cost: number,
  now: number,
  reason: Reason | undefined,
  source: Source = 'none',
): Decision {
  const limits = set?.limits ?? []
  return new Decision(
    kind === 'exempt' || shadow,
    kind,
    policy,
    limits,
    limits[0],
    kind === 'exempt' ? Infinity : 0,
    0,
    0,
    undefined,
    cost,
    source,
    now,
    reason,
    undefined,
  )
}
