// What one store holds, brought to another: law by law. Promise: a counter is raised to what is known and never lowered, so that bringing it
// twice changes nothing; what is owed is added on top; neither leaves more used than a limit holds, and nothing counts for longer than
// it would have where it came from, but for a sub-window. Next: shadow.ts and debts.ts, where it comes from; ../record.ts, which it changes.

import {
  leavesAt,
  slidingPour,
  slidingRefund,
  slidingSettle,
  slidingTotal,
  subWindowStart,
  windowEnd,
  windowStart,
} from '../../algorithms/window.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import { type CounterRecord, takeFromRecord } from '../record.ts'
import { READING_WIDTH, type State } from '../store.ts'

/** States of a set's limits, in the measure of their laws: bucket [at, level], fixed [start, count], sliding [start, count, …]. */
export type States = readonly State[]

export function copyOf(states: States): number[][] {
  return states.map((state) => [...state])
}

/** How much of a limit a state still uses at an instant. */
export function usedAt(limit: Limit, state: State, now: number): number {
  const [stamp, used] = state as [number, number]
  if (state.length === 0) return 0
  if (limit.kind === 'bucket') return Math.max(0, used - Math.max(0, now - stamp) * limit.drain)
  if (limit.kind === 'fixed') return now < windowEnd(limit, stamp) ? used : 0
  let total = 0
  for (let i = 0; i < state.length; i += 2) if (now < leavesAt(limit, state[i] as number)) total += state[i + 1] as number
  return total
}

/** Whether any state still uses anything. */
export function usesAny(set: LimitSet, states: States, now: number): boolean {
  return set.limits.some((limit, i) => usedAt(limit, states[i] as State, now) > 0)
}

/** Turns states to another clock, which shows so many ms more. Never earlier. */
export function shift(set: LimitSet, states: number[][], byMs: number): void {
  if (byMs === 0) return
  for (const [i, limit] of set.limits.entries()) {
    const state = states[i] as number[]
    for (let at = 0; at < state.length; at += 2) {
      const stamp = (state[at] as number) + byMs
      state[at] = limit.kind === 'sliding' ? subWindowStart(limit, stamp + limit.widthMs - 1) : stamp
    }
  }
}

/** Charges states with a cost that was granted elsewhere, as a store would have. */
export function pour({ limits }: LimitSet, states: readonly number[][], cost: number, now: number): void {
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i] as Limit
    const state = states[i] as number[]
    if (limit.kind === 'sliding') {
      slidingSettle(state, limit, now)
      slidingPour(state, limit, cost, now)
      continue
    }
    const used = state.length === 0 ? limit.initialLevel : usedAt(limit, state, now)
    const more = limit.kind === 'bucket' ? cost * limit.unit : cost
    if (limit.kind === 'bucket') state[0] = Math.max(now, state[0] ?? now)
    else if (used === 0) state[0] = windowStart(limit, now)
    state[1] = Math.max(used, Math.min(limit.capacity, used + more))
  }
}

/** Raises a record to states, where it is below them. True if it was. */
export function raise(record: CounterRecord, set: LimitSet, states: States, now: number): boolean {
  let changed = false
  const here = usedHere(record, set, now)
  for (const [i, limit] of set.limits.entries()) {
    const own = record.states[i] as number[]
    const other = states[i] as State
    if (limit.kind === 'sliding') {
      slidingSettle(own, limit, now)
      if (raiseEntries(own, entriesAt(limit, other, now))) changed = true
      continue
    }
    const used = usedAt(limit, other, now)
    if (used === 0) continue
    const stamp = stampOf(limit, here.stamp(i), here.used(i), other)
    if (used <= here.used(i) && stamp === here.stamp(i)) continue
    // Not cut to the limit: that may have been lowered, and may be raised again.
    own.splice(0, own.length, stamp, Math.max(used, here.used(i)))
    changed = true
  }
  return changed
}

/**
 * Adds what is owed to a record. True if anything was.
 * @param owed how much of each limit
 * @param entries where the amounts of sliding windows lie in time
 */
export function absorb(record: CounterRecord, set: LimitSet, owed: readonly number[], entries: States, now: number): boolean {
  let changed = false
  const here = usedHere(record, set, now)
  for (const [i, limit] of set.limits.entries()) {
    const own = record.states[i] as number[]
    const amount = owed[i] as number
    if (!(amount > 0)) continue
    changed = true
    if (limit.kind === 'sliding') {
      slidingSettle(own, limit, now)
      addEntries(own, entriesAt(limit, entries[i] as State, now), amount, limit)
    } else {
      const used = Math.max(here.used(i), Math.min(limit.capacity, here.used(i) + amount))
      own.splice(0, own.length, stampOf(limit, here.stamp(i), here.used(i), entries[i] as State), used)
    }
  }
  return changed
}

/** When a window begins that holds another's count as well: it ends with the later of them. */
function stampOf(limit: Limit, stamp: number, used: number, [start]: State): number {
  if (limit.kind !== 'fixed' || start === undefined) return stamp
  // One that has begun with its first request goes on as it is; those of a clock must not begin between its ticks.
  return used === 0 && limit.align === 'first' ? start : Math.max(stamp, start)
}

/** What must be charged now so that a limit's state is nowhere below another: a cost. */
export function missingCost(limit: Limit, have: State, want: State, now: number): number {
  if (limit.kind === 'bucket') {
    const missing = Math.min(usedAt(limit, want, now), limit.capacity) - usedAt(limit, have, now)
    return Math.max(0, Math.ceil(missing / limit.unit))
  }
  if (limit.kind === 'fixed') return Math.max(0, Math.min(usedAt(limit, want, now), limit.amount) - usedAt(limit, have, now))
  let most = 0
  const [own, other] = [entriesAt(limit, have, now), entriesAt(limit, want, now)]
  for (let i = 0; i < other.length; i += 2) {
    const from = other[i] as number
    most = Math.max(most, Math.min(limit.amount, sumFrom(other, from)) - sumFrom(own, from))
  }
  return most
}

/** How much of each limit a record uses, by the laws themselves. */
export function usedBy(record: CounterRecord, set: LimitSet, now: number): number[] {
  const here = usedHere(record, set, now)
  return set.limits.map((_, i) => here.used(i))
}

/** How a record stands, by the laws themselves. */
function usedHere(record: CounterRecord, set: LimitSet, now: number): { stamp(i: number): number; used(i: number): number } {
  const readings = new Float64Array(set.limits.length * READING_WIDTH)
  takeFromRecord(record, set, 0, 'peek', now, undefined, readings)
  return {
    stamp: (i) => readings[i * READING_WIDTH] as number,
    used: (i) => readings[i * READING_WIDTH + 1] as number,
  }
}

/** A sliding window's entries that still count. */
function entriesAt(limit: Limit, state: State, now: number): number[] {
  const entries = [...state]
  slidingSettle(entries, limit, now)
  return entries
}

/** What entries from an instant on add up to. */
function sumFrom(entries: State, from: number): number {
  let sum = 0
  for (let i = 0; i < entries.length; i += 2) if ((entries[i] as number) >= from) sum += entries[i + 1] as number
  return sum
}

/** Makes the sum from every instant on at least what it is in the other: then nothing leaves earlier than it would there. */
function raiseEntries(own: number[], other: State): boolean {
  const starts = [...new Set([...startsOf(own), ...startsOf(other)])].toSorted((a, b) => b - a)
  const joined: number[] = []
  let above = 0
  for (const start of starts) {
    const sum = Math.max(sumFrom(own, start), sumFrom(other, start))
    if (sum > above) joined.unshift(start, sum - above)
    above = Math.max(above, sum)
  }
  const changed = joined.length !== own.length || joined.some((value, i) => value !== own[i])
  if (changed) own.splice(0, own.length, ...joined)
  return changed
}

function startsOf(entries: State): number[] {
  return entries.filter((_, i) => i % 2 === 0)
}

/** Adds entries, of which so much counts: the newest. What is too much for the limit leaves from the oldest. */
function addEntries(own: number[], other: State, amount: number, limit: Limit): void {
  const most = Math.max(limit.amount, slidingTotal(own))
  let left = amount
  for (let i = other.length - 2; i >= 0 && left > 0; i -= 2) {
    const count = Math.min(left, other[i + 1] as number)
    left -= count
    insert(own, other[i] as number, count)
  }
  const excess = slidingTotal(own) - most
  if (excess > 0) slidingRefund(own, limit, excess, undefined)
}

function insert(entries: number[], start: number, count: number): void {
  let at = entries.length
  while (at > 0 && (entries[at - 2] as number) > start) at -= 2
  if (at > 0 && entries[at - 2] === start) entries[at - 1] = (entries[at - 1] as number) + count
  else entries.splice(at, 0, start, count)
}
