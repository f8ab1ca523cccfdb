// The sliding window over slots: the newest sub-window in the slot itself, older ones in the slots' pool.
// A twin of ../../algorithms/window.ts (slidingSettle, slidingPour, slidingRefund, slidingRead) that touches one entry where
// that one walks a list; the conformance suite holds them equal. Next: table.ts.
//
// Words of a state: [newest sub-window's number or −1] [total] [chain reference | count of the newest]

import { ABSENT, CHARGE, type Commit, LOOK } from '../../algorithms/law.ts'
import { type Entries, excessOf, leavesAt } from '../../algorithms/window.ts'
import type { Limit } from '../../core/limit.ts'
import type { Slots } from './slots.ts'

/** Words of a state. */
export const SLIDING_WORDS = 3
/** Which of them refers to the pool. */
export const SLIDING_CHAIN = 2

const MAX_COUNT = 2 ** 32 - 1

function newestCount(slots: Slots, at: number): number {
  return (slots.halves[(at + SLIDING_CHAIN) * 2 + 1] as number) >>> 0
}

function setNewestCount(slots: Slots, at: number, count: number): void {
  slots.halves[(at + SLIDING_CHAIN) * 2 + 1] = count
}

function chainOf(slots: Slots, at: number): number {
  return slots.halves[(at + SLIDING_CHAIN) * 2] as number
}

/** The number of the sub-window that holds an instant. */
function tickAt(limit: Limit, now: number): number {
  return Math.floor(now / limit.widthMs)
}

/** A pool entry keeps the low 32 bits of its number; the newest, never 2^32 away, gives the rest. */
function tickOf(slots: Slots, at: number, entry: number): number {
  const newest = slots.words[at] as number
  return newest - (((newest | 0) - slots.tickLow(entry)) >>> 0)
}

function clear(slots: Slots, at: number): void {
  slots.removeChain(at + SLIDING_CHAIN)
  slots.words[at] = ABSENT
  slots.words[at + 1] = 0
}

/**
 * Whether the cost fits at this instant; charges it as told; and writes what explains the outcome (see explain.ts) into four
 * numbers of `out`.
 * @param mends whether what no longer counts may be dropped and what lies in the impossible future brought back; a look may not
 */
export function take(
  slots: Slots,
  at: number,
  limit: Limit,
  cost: number,
  now: number,
  commit: Commit,
  mends: boolean,
  out: Float64Array,
  to: number,
): boolean {
  let used: number
  if (mends) {
    settle(slots, at, limit, now)
    heal(slots, at, limit, now)
    // All that is left counts.
    used = slots.words[at] === ABSENT ? 0 : (slots.words[at + 1] as number)
  } else {
    used = usedAt(slots, at, limit, now)
  }
  const fits = used + cost <= limit.amount
  const pours = fits ? commit !== LOOK : commit === CHARGE
  if (pours) {
    if (!fits) refund(slots, at, limit, excessOf(used, limit, cost), now, undefined)
    pour(slots, at, limit, cost, now)
  }
  const newest = slots.words[at] as number
  // A look leaves what lies in the impossible future where it is, but tells what a charge would make of it.
  const future = !mends && newest * limit.widthMs - now > limit.periodMs
  const start = (future || (used === 0 && !pours) ? tickAt(limit, now) : newest) * limit.widthMs
  out[to] = start
  out[to + 1] = pours ? (slots.words[at + 1] as number) : used
  out[to + 2] = start
  out[to + 3] = start
  const chain = chainOf(slots, at)
  if (chain !== 0 && !future) readChain(slots, at, limit, (out[to + 1] as number) + cost - limit.amount, now, out, to)
  return fits
}

/** The oldest that counts, and the entry whose leaving makes room for what is over. */
function readChain(slots: Slots, at: number, limit: Limit, over: number, now: number, out: Float64Array, to: number): void {
  const chain = chainOf(slots, at)
  let entry = chain
  let oldest = true
  do {
    entry = slots.next(entry)
    const start = tickOf(slots, at, entry) * limit.widthMs
    if (now >= leavesAt(limit, start)) continue
    if (oldest) out[to + 2] = start
    oldest = false
    if (over <= 0) return
    over -= slots.count(entry)
    if (over <= 0) out[to + 3] = start
  } while (entry !== chain)
}

/** What counts at this instant, whether or not the rest has been dropped. */
function usedAt(slots: Slots, at: number, limit: Limit, now: number): number {
  if (idle(slots, at, limit, now)) return 0
  let used = slots.words[at + 1] as number
  const chain = chainOf(slots, at)
  if (chain === 0) return used
  let entry = chain
  do {
    entry = slots.next(entry)
    if (now < leavesAt(limit, tickOf(slots, at, entry) * limit.widthMs)) return used
    used -= slots.count(entry)
  } while (entry !== chain)
  return used
}

/** Drops what no longer counts. */
function settle(slots: Slots, at: number, limit: Limit, now: number): void {
  const newest = slots.words[at] as number
  if (newest === ABSENT) return
  if (now >= leavesAt(limit, newest * limit.widthMs)) {
    clear(slots, at)
    return
  }
  let chain = chainOf(slots, at)
  while (chain !== 0) {
    const oldest = slots.next(chain)
    if (now < leavesAt(limit, tickOf(slots, at, oldest) * limit.widthMs)) return
    slots.words[at + 1] = (slots.words[at + 1] as number) - slots.count(oldest)
    slots.removeNext(at + SLIDING_CHAIN, chain)
    chain = chainOf(slots, at)
  }
}

/** Brings entries from the impossible future back to now, keeping what was consumed. */
function heal(slots: Slots, at: number, limit: Limit, now: number): void {
  const newest = slots.words[at] as number
  if (newest === ABSENT || newest * limit.widthMs - now <= limit.periodMs) return
  const total = slots.words[at + 1] as number
  clear(slots, at)
  pour(slots, at, limit, total, now)
}

/** Charges a settled state. */
function pour(slots: Slots, at: number, limit: Limit, cost: number, now: number): void {
  const words = slots.words
  const tick = tickAt(limit, now)
  const newest = words[at] as number
  let count = cost
  if (newest === ABSENT) {
    words[at] = tick
    words[at + 1] = cost
  } else {
    words[at + 1] = (words[at + 1] as number) + cost
    if (tick > newest) {
      // Past the bound on bytes the newest entry moves on with the new one: it counts longer, never shorter.
      if (!slots.append(at + SLIDING_CHAIN, newest | 0, newestCount(slots, at))) count += newestCount(slots, at)
      words[at] = tick
    } else {
      // While the clock is behind the newest entry, it stands still there.
      count += newestCount(slots, at)
    }
  }
  // Counts are 32 bits wide; what is over lies in further entries of the same sub-window.
  while (count > MAX_COUNT && slots.append(at + SLIDING_CHAIN, (words[at] as number) | 0, MAX_COUNT)) count -= MAX_COUNT
  setNewestCount(slots, at, Math.min(count, MAX_COUNT))
}

/** Gives back from the sub-window of the charge, or, where that is not known, from the oldest: they leave first anyway. */
export function refund(slots: Slots, at: number, limit: Limit, cost: number, now: number, takenAt: number | undefined): void {
  settle(slots, at, limit, now)
  heal(slots, at, limit, now)
  const newest = slots.words[at] as number
  if (newest === ABSENT) return
  const tick = takenAt === undefined ? undefined : tickAt(limit, takenAt)
  const word = at + SLIDING_CHAIN
  let left = cost
  let before = chainOf(slots, at)
  for (let steps = lengthOf(slots, before); steps > 0 && left > 0; steps--) {
    const entry = slots.next(before)
    if (tick !== undefined && tickOf(slots, at, entry) !== tick) {
      before = entry
      continue
    }
    const given = Math.min(left, slots.count(entry))
    left -= given
    slots.words[at + 1] = (slots.words[at + 1] as number) - given
    if (given < slots.count(entry)) slots.setCount(entry, slots.count(entry) - given)
    else slots.removeNext(word, before)
  }
  if (left > 0 && (tick === undefined || tick === newest)) {
    const given = Math.min(left, newestCount(slots, at))
    slots.words[at + 1] = (slots.words[at + 1] as number) - given
    setNewestCount(slots, at, newestCount(slots, at) - given)
  }
  promote(slots, at)
}

/** An emptied newest entry is replaced by the youngest of the chain, so that what is left says when it leaves. */
function promote(slots: Slots, at: number): void {
  while (newestCount(slots, at) === 0) {
    const youngest = chainOf(slots, at)
    if (youngest === 0) {
      clear(slots, at)
      return
    }
    const tick = tickOf(slots, at, youngest)
    const count = slots.count(youngest)
    let before = youngest
    while (slots.next(before) !== youngest) before = slots.next(before)
    slots.removeNext(at + SLIDING_CHAIN, before)
    slots.words[at] = tick
    setNewestCount(slots, at, count)
  }
}

function lengthOf(slots: Slots, chain: number): number {
  if (chain === 0) return 0
  let length = 1
  for (let entry = slots.next(chain); entry !== chain; entry = slots.next(entry)) length++
  return length
}

/** Whether nothing counts any more. */
export function idle(slots: Slots, at: number, limit: Limit, now: number): boolean {
  const newest = slots.words[at] as number
  return newest === ABSENT || now >= leavesAt(limit, newest * limit.widthMs)
}

/** What counts at this instant, in its canonical form. */
export function entriesOf(slots: Slots, at: number, limit: Limit, now: number): Entries {
  const entries: Entries = []
  const newest = slots.words[at] as number
  if (newest === ABSENT) return entries
  const add = (tick: number, count: number): void => {
    const start = tick * limit.widthMs
    if (now >= leavesAt(limit, start)) return
    const last = entries.length - 2
    if (last >= 0 && entries[last] === start) entries[last + 1] = (entries[last + 1] as number) + count
    else entries.push(start, count)
  }
  const chain = chainOf(slots, at)
  for (let entry = chain, steps = lengthOf(slots, chain); steps > 0; steps--) {
    entry = slots.next(entry)
    add(tickOf(slots, at, entry), slots.count(entry))
  }
  add(newest, newestCount(slots, at))
  return entries
}
