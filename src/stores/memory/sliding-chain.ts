// The sliding window over a segment: the newest sub-window in the place itself, older ones in the segment's pool.
// A twin of ../../algorithms/window.ts (slidingSettle, slidingPour, slidingRefund, slidingRead) that touches one entry where
// that one walks a list; the conformance suite holds them equal. Next: table.ts.
//
// Words of a place: [newest sub-window's number or −1] [total] [chain reference | count of the newest]

import { ABSENT } from '../../algorithms/law.ts'
import { type Entries, leavesAt, subWindowStart } from '../../algorithms/window.ts'
import type { Limit } from '../../core/limit.ts'
import type { Segment } from './segment.ts'

/** Words of a state. */
export const SLIDING_WORDS = 3
/** Which of them refers to the pool. */
export const SLIDING_CHAIN = 2

const MAX_COUNT = 2 ** 32 - 1

function newestCount(segment: Segment, at: number): number {
  return (segment.halves[(at + SLIDING_CHAIN) * 2 + 1] as number) >>> 0
}

function setNewestCount(segment: Segment, at: number, count: number): void {
  segment.halves[(at + SLIDING_CHAIN) * 2 + 1] = count
}

function chainOf(segment: Segment, at: number): number {
  return segment.halves[(at + SLIDING_CHAIN) * 2] as number
}

/** A pool entry keeps the low 32 bits of its number; the newest, never 2^32 away, gives the rest. */
function tickOf(segment: Segment, at: number, entry: number): number {
  const newest = segment.words[at] as number
  return newest - (((newest | 0) - segment.tickLow(entry)) >>> 0)
}

function clear(segment: Segment, at: number): void {
  segment.removeChain(at + SLIDING_CHAIN)
  segment.words[at] = ABSENT
  segment.words[at + 1] = 0
}

/** Drops what no longer counts. Nothing of it is meaning, so a peek may do it too. */
export function settle(segment: Segment, at: number, limit: Limit, now: number): void {
  const newest = segment.words[at] as number
  if (newest === ABSENT) return
  if (now >= leavesAt(limit, newest * limit.widthMs)) {
    clear(segment, at)
    return
  }
  let chain = chainOf(segment, at)
  while (chain !== 0) {
    const oldest = segment.next(chain)
    if (now < leavesAt(limit, tickOf(segment, at, oldest) * limit.widthMs)) return
    segment.words[at + 1] = (segment.words[at + 1] as number) - segment.count(oldest)
    segment.removeNext(at + SLIDING_CHAIN, chain)
    chain = chainOf(segment, at)
  }
}

/** Brings entries from the impossible future back to now, keeping what was consumed. True if it had to. */
export function heal(segment: Segment, at: number, limit: Limit, now: number): boolean {
  const newest = segment.words[at] as number
  if (newest === ABSENT || newest * limit.widthMs - now <= limit.periodMs) return false
  const total = segment.words[at + 1] as number
  clear(segment, at)
  pour(segment, at, limit, total, now)
  return true
}

export function fits(segment: Segment, at: number, limit: Limit, cost: number): boolean {
  return total(segment, at) + cost <= limit.amount
}

function total(segment: Segment, at: number): number {
  return segment.words[at] === ABSENT ? 0 : (segment.words[at + 1] as number)
}

/** Charges a settled state. */
export function pour(segment: Segment, at: number, limit: Limit, cost: number, now: number): void {
  const words = segment.words
  const tick = subWindowStart(limit, now) / limit.widthMs
  const newest = words[at] as number
  let count = cost
  if (newest === ABSENT) {
    words[at] = tick
    words[at + 1] = cost
  } else {
    words[at + 1] = (words[at + 1] as number) + cost
    if (tick > newest) {
      // Past the bound on bytes the newest entry moves on with the new one: it counts longer, never shorter.
      if (!segment.append(at + SLIDING_CHAIN, newest | 0, newestCount(segment, at))) count += newestCount(segment, at)
      words[at] = tick
    } else {
      // While the clock is behind the newest entry, it stands still there.
      count += newestCount(segment, at)
    }
  }
  // Counts are 32 bits wide; what is over lies in further entries of the same sub-window.
  while (count > MAX_COUNT && segment.append(at + SLIDING_CHAIN, (words[at] as number) | 0, MAX_COUNT)) count -= MAX_COUNT
  setNewestCount(segment, at, Math.min(count, MAX_COUNT))
}

/** Gives back from the sub-window of the charge, or, where that is not known, from the oldest: they leave first anyway. */
export function refund(segment: Segment, at: number, limit: Limit, cost: number, takenAt: number | undefined): void {
  const newest = segment.words[at] as number
  if (newest === ABSENT) return
  const tick = takenAt === undefined ? undefined : subWindowStart(limit, takenAt) / limit.widthMs
  const word = at + SLIDING_CHAIN
  let left = cost
  let before = chainOf(segment, at)
  for (let steps = lengthOf(segment, before); steps > 0 && left > 0; steps--) {
    const entry = segment.next(before)
    if (tick !== undefined && tickOf(segment, at, entry) !== tick) {
      before = entry
      continue
    }
    const given = Math.min(left, segment.count(entry))
    left -= given
    segment.words[at + 1] = (segment.words[at + 1] as number) - given
    if (given < segment.count(entry)) segment.setCount(entry, segment.count(entry) - given)
    else segment.removeNext(word, before)
  }
  if (left > 0 && (tick === undefined || tick === newest)) {
    const given = Math.min(left, newestCount(segment, at))
    segment.words[at + 1] = (segment.words[at + 1] as number) - given
    setNewestCount(segment, at, newestCount(segment, at) - given)
  }
  promote(segment, at)
}

/** An emptied newest entry is replaced by the youngest of the chain, so that what is left says when it leaves. */
function promote(segment: Segment, at: number): void {
  while (newestCount(segment, at) === 0) {
    const youngest = chainOf(segment, at)
    if (youngest === 0) {
      clear(segment, at)
      return
    }
    const tick = tickOf(segment, at, youngest)
    const count = segment.count(youngest)
    let before = youngest
    while (segment.next(before) !== youngest) before = segment.next(before)
    segment.removeNext(at + SLIDING_CHAIN, before)
    segment.words[at] = tick
    setNewestCount(segment, at, count)
  }
}

function lengthOf(segment: Segment, chain: number): number {
  if (chain === 0) return 0
  let length = 1
  for (let entry = segment.next(chain); entry !== chain; entry = segment.next(entry)) length++
  return length
}

/** Whether nothing counts any more. */
export function idle(segment: Segment, at: number, limit: Limit, now: number): boolean {
  const newest = segment.words[at] as number
  return newest === ABSENT || now >= leavesAt(limit, newest * limit.widthMs)
}

/** Writes what explains a decision about a settled state into four numbers of `out`. */
export function read(segment: Segment, at: number, limit: Limit, cost: number, now: number, out: Float64Array, to: number): void {
  const newest = segment.words[at] as number
  const used = total(segment, at)
  const start = newest === ABSENT ? subWindowStart(limit, now) : newest * limit.widthMs
  const chain = chainOf(segment, at)
  out[to] = start
  out[to + 1] = used
  out[to + 2] = chain === 0 ? start : tickOf(segment, at, segment.next(chain)) * limit.widthMs
  out[to + 3] = start
  let over = used + cost - limit.amount
  if (over <= 0 || chain === 0) return
  // The entry whose leaving makes room for the cost.
  let entry = chain
  do {
    entry = segment.next(entry)
    over -= segment.count(entry)
    if (over <= 0) {
      out[to + 3] = tickOf(segment, at, entry) * limit.widthMs
      return
    }
  } while (entry !== chain)
}

/** The settled state in its canonical form. */
export function entriesOf(segment: Segment, at: number, limit: Limit): Entries {
  const entries: Entries = []
  const newest = segment.words[at] as number
  if (newest === ABSENT) return entries
  const add = (tick: number, count: number): void => {
    const start = tick * limit.widthMs
    const last = entries.length - 2
    if (last >= 0 && entries[last] === start) entries[last + 1] = (entries[last + 1] as number) + count
    else entries.push(start, count)
  }
  const chain = chainOf(segment, at)
  for (let entry = chain, steps = lengthOf(segment, chain); steps > 0; steps--) {
    entry = segment.next(entry)
    add(tickOf(segment, at, entry), segment.count(entry))
  }
  add(newest, newestCount(segment, at))
  return entries
}
