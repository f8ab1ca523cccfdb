// One counter as the shared stores keep it: a short text of whole numbers, and the laws run over it.
// Promise: the text holds all there is to know (a ban and one state per limit), the same in every store; a text that is no
// record counts as fully spent, so that damage neither opens a limit nor closes it for longer than a period.
// `!until,strikes,forgetAt;` for a ban, then the limits' states joined by `;`, their numbers by `,`. Next: remote.ts.

import { bannedForMs, strike } from '../algorithms/ban.ts'
import { bucketLaw } from '../algorithms/bucket.ts'
import { ABSENT, CHARGE, type CellLaw, LOOK } from '../algorithms/law.ts'
import {
  fixedLaw,
  leavesAt,
  slidingPour,
  slidingRead,
  slidingRefund,
  slidingSettle,
  slidingTotal,
  subWindowStart,
  windowStart,
} from '../algorithms/window.ts'
import type { BanTerms } from '../core/ban-terms.ts'
import type { LimitSet } from '../core/limit-set.ts'
import type { Limit } from '../core/limit.ts'
import { type Mode, READING_WIDTH, type State, type Taken } from './store.ts'

/** A counter's whole state. Changed in place by what is done to it. */
export interface CounterRecord {
  /** One per limit of the set: whole numbers, meaning given by the law; empty where nothing is held. */
  readonly states: number[][]
  /** The instant the ban ends, the strikes so far, and the instant at which they are forgotten. */
  ban: [until: number, strikes: number, forgetAt: number] | undefined
}

/** A counter that nobody has used. */
export function emptyRecord(set: LimitSet): CounterRecord {
  return { states: set.limits.map(() => []), ban: undefined }
}

/** The counter of a client that has just spent everything. */
export function spentRecord(set: LimitSet, now: number): CounterRecord {
  return { states: set.limits.map((limit) => spent(limit, now)), ban: undefined }
}

function spent(limit: Limit, now: number): number[] {
  if (limit.kind === 'bucket') return [now, limit.capacity]
  return [limit.kind === 'fixed' ? windowStart(limit, now) : subWindowStart(limit, now), limit.amount]
}

/** Writes a record. Empty for one that holds nothing. */
export function formatRecord({ states, ban }: CounterRecord): string {
  const text = states.map((state) => state.join(',')).join(';')
  if (ban !== undefined) return `!${ban.join(',')};${text}`
  return states.every((state) => state.length === 0) ? '' : text
}

/** Reads a record; undefined and the empty text hold nothing, and what is no record of this set is fully spent. */
export function parseRecord(set: LimitSet, text: string | null | undefined, now: number): CounterRecord {
  if (text === null || text === undefined || text === '') return emptyRecord(set)
  const parts = text.split(';')
  const banned = text.startsWith('!')
  const ban = banned ? numbers((parts.shift() as string).slice(1)) : undefined
  const states = parts.map(numbers)
  const sound =
    states.length === set.limits.length &&
    states.every((state, i) => state !== undefined && isState(set.limits[i] as Limit, state)) &&
    (!banned || ban?.length === 3)
  return sound ? { states: states as number[][], ban: ban as CounterRecord['ban'] } : spentRecord(set, now)
}

function numbers(text: string): number[] | undefined {
  if (text === '') return []
  if (!/^\d{1,16}(,\d{1,16})*$/.test(text)) return undefined
  const list = text.split(',').map(Number)
  return list.every(Number.isSafeInteger) ? list : undefined
}

function isState(limit: Limit, state: readonly number[]): boolean {
  return limit.kind === 'sliding' ? state.length % 2 === 0 : state.length === 0 || state.length === 2
}

/**
 * Does to a record what a store's `take` does to a counter.
 * @param readings where the figures go, {@link READING_WIDTH} per limit
 * @returns whether every limit grants, and whether the record must be written
 */
export function takeFromRecord(
  record: CounterRecord,
  set: LimitSet,
  cost: number,
  mode: Mode,
  now: number,
  takenAt: number | undefined,
  readings: Float64Array,
): Omit<Taken, 'readings' | 'source'> & { changed: boolean } {
  const banMs = banOf(record, now)
  const laws = set.limits.map((limit, i) => lawOf(limit, record.states[i] as number[]))
  if (mode === 'refund') for (const law of laws) law.refund(cost, now, takenAt)
  const spends = banMs === 0 && (mode === 'take' || mode === 'charge')
  let healed = false
  if (spends) for (const law of laws) if (law.heal(now)) healed = true
  let fits = true
  for (const [i, law] of laws.entries()) if (!law.fits(cost, now, readings, i * READING_WIDTH)) fits = false
  const pours = spends && (fits || mode === 'charge')
  if (pours) for (const [i, law] of laws.entries()) law.pour(cost, now, readings, i * READING_WIDTH)
  return { granted: fits && banMs === 0, now, bannedForMs: banMs, changed: pours || healed || mode === 'refund' }
}

/** Bans a record's key; tells for how many ms from now. */
export function banRecord(record: CounterRecord, terms: BanTerms, now: number): number {
  const [until, strikes, forgetAt] = record.ban ?? [ABSENT, 0, 0]
  const cells = new Float64Array([until, strikes])
  const lastsMs = strike(cells, 0, terms, now)
  // A ban on other terms must not make the store forget sooner.
  record.ban = [cells[0] as number, cells[1] as number, Math.max(forgetAt, now + lastsMs + terms.forgetAfterMs)]
  return lastsMs
}

/** Ms for which a record's key is banned; 0 when it is not. */
function banOf({ ban }: CounterRecord, now: number): number {
  return ban === undefined ? 0 : bannedForMs(new Float64Array(ban), 0, now)
}

/** A record's states without what no longer matters; undefined when nothing is left. */
export function heldStates({ states }: CounterRecord, set: LimitSet, now: number): readonly State[] | undefined {
  const held = set.limits.map((limit, i) => lawOf(limit, [...(states[i] as number[])]).held(now))
  return held.every((state) => state.length === 0) ? undefined : held
}

/** Slower clocks and a sweep in between must not make a store forget early. */
const KEEP_MARGIN_MS = 60_000
/** Counters that never refill are kept this long after their last use: ten years. */
const KEEP_LONGEST_MS = 3660 * 86_400_000

/** How long after its last change a counter of this set may still matter, in ms: what a store may use as its expiry. */
export function keepMs(set: LimitSet): number {
  let longest = 0
  for (const limit of set.limits) longest = Math.max(longest, keepLimitMs(limit))
  return Math.min(KEEP_LONGEST_MS, longest + Math.min(longest, KEEP_MARGIN_MS) + 1000)
}

function keepLimitMs(limit: Limit): number {
  if (limit.kind === 'fixed') return limit.periodMs
  if (limit.kind === 'sliding') return limit.periodMs + limit.widthMs
  if (limit.drain === 0) return KEEP_LONGEST_MS
  return Math.max(limit.forgetMs, Math.ceil(limit.capacity / limit.drain))
}

/** The instant from which a record may be forgotten. */
export function keepUntil({ ban }: CounterRecord, set: LimitSet, now: number): number {
  return Math.max(now + keepMs(set), ban === undefined ? 0 : ban[2])
}

/** A law over one state of its own, which it changes in place. */
interface Running {
  refund(cost: number, now: number, takenAt: number | undefined): void
  /** True if the state had to be changed although nothing is charged. */
  heal(now: number): boolean
  fits(cost: number, now: number, out: Float64Array, to: number): boolean
  pour(cost: number, now: number, out: Float64Array, to: number): void
  /** The state without what no longer matters. */
  held(now: number): State
}

function lawOf(limit: Limit, state: number[]): Running {
  return limit.kind === 'sliding'
    ? overEntries(limit, state)
    : overCells(limit, limit.kind === 'bucket' ? bucketLaw : fixedLaw, state)
}

function overCells(limit: Limit, law: CellLaw, state: number[]): Running {
  const cells = new Float64Array(state.length === 0 ? [ABSENT, ABSENT] : state)
  const keep = <T>(result: T): T => {
    state.splice(0, state.length, ...(cells[0] === ABSENT ? [] : cells))
    return result
  }
  return {
    refund: (cost, now, takenAt) => keep(law.refund(cells, 0, limit, cost, now, takenAt)),
    heal: (now) => keep(law.heal(cells, 0, limit, now)),
    fits: (cost, now, out, to) => law.take(cells, 0, limit, cost, now, LOOK, out, to),
    pour: (cost, now, out, to) => void keep(law.take(cells, 0, limit, cost, now, CHARGE, out, to)),
    held: (now) => (law.idle(cells, 0, limit, limit.drain, now) ? [] : [...state]),
  }
}

function overEntries(limit: Limit, entries: number[]): Running {
  return {
    refund(cost, now, takenAt) {
      slidingSettle(entries, limit, now)
      slidingRefund(entries, limit, cost, takenAt)
    },
    heal(now) {
      // What is dropped is gone, also when the clock then goes back: so a store must write that it is.
      const held = entries.length
      return slidingSettle(entries, limit, now) || entries.length < held
    },
    fits(cost, now, out, to) {
      const counting = [...entries]
      slidingSettle(counting, limit, now)
      slidingRead(counting, limit, cost, now, out, to)
      return slidingTotal(counting) + cost <= limit.amount
    },
    pour(cost, now, out, to) {
      slidingPour(entries, limit, cost, now)
      slidingRead(entries, limit, cost, now, out, to)
    },
    held: (now) => entries.slice(entries.findIndex((start, i) => i % 2 === 0 && now < leavesAt(limit, start)) >>> 0),
  }
}
