// Questions as the function's arguments, and its answer as what was found; a counter's state as a record's text.
// Promise: every number sent is whole and below 2^53; what questions have in common is sent once.
// Next: take.sql, whose header is the other half of this page.

import type { BanTerms } from '../../core/ban-terms.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import { type CounterRecord, keepMs } from '../record.ts'
import type { Found, Question } from '../remote-driver.ts'
import { type Mode, READING_WIDTH } from '../store.ts'

/** What can be done to a counter by the function. */
export type Act = Mode | 'ban' | 'unban'

const ACTS: Readonly<Record<Act, number>> = { peek: 0, take: 1, charge: 2, refund: 3, ban: 4, unban: 5 }
const ALIGNS: Readonly<Record<Limit['align'], number>> = { clock: 0, first: 1, calendar: 2 }
const LIMIT_WIDTH = 8
const HEAD_WIDTH = 2
/** What an answer has before its readings: granted, now, banned for. */
const ANSWER_HEAD = 3

/** One call of the function in the making. Keys must be added in ascending order. */
export class Call {
  readonly #keys: string[] = []
  readonly #asks: number[] = []
  readonly #sets: string[] = []
  readonly #places = new Map<LimitSet, number>()
  #place = 1
  readonly #now: number

  /** @param now ms; chooses the periods of calendars */
  constructor(now: number) {
    this.#now = now
  }

  ask({ set, cost, mode, takenAt, count }: Omit<Question, 'key' | 'mode'> & { readonly mode: Act }, key: string): void {
    this.#keys.push(quoted(key))
    this.#asks.push(ACTS[mode], cost, count, takenAt ?? -1, this.#placeOf(set))
  }

  /** The first three arguments. */
  values(): [keys: string, asks: string, sets: string] {
    return [`{${this.#keys.join(',')}}`, `{${this.#asks.join(',')}}`, `{${this.#sets.join(',')}}`]
  }

  #placeOf(set: LimitSet): number {
    const known = this.#places.get(set)
    if (known !== undefined) return known
    const place = this.#place
    this.#places.set(set, place)
    this.#sets.push(describe(set, this.#now))
    this.#place += HEAD_WIDTH + LIMIT_WIDTH * set.limits.length
    return place
  }
}

/** The argument that tells a ban's terms. */
export function termsValue({ durationMs, factor, maxMs, forgetAfterMs }: BanTerms): string {
  return `{${durationMs},${factor},${maxMs},${forgetAfterMs}}`
}

/** Keys as an argument. */
export function keysValue(keys: readonly string[]): string {
  return `{${keys.map(quoted).join(',')}}`
}

/** Keys are printable ASCII. */
function quoted(key: string): string {
  return `"${key.replace(/["\\]/g, '\\$&')}"`
}

/** Descriptions of sets that stay the same; those with calendar periods do not. */
const descriptions = new WeakMap<LimitSet, string>()

function describe(set: LimitSet, now: number): string {
  const known = descriptions.get(set)
  if (known !== undefined) return known
  const text = `${set.limits.length},${keepMs(set)},${set.limits.map((limit) => numbersOf(limit, now).join(',')).join(',')}`
  if (set.limits.every(({ calendar }) => calendar === undefined)) descriptions.set(set, text)
  return text
}

function numbersOf(limit: Limit, now: number): number[] {
  const { kind, amount, periodMs, calendar } = limit
  if (kind === 'bucket') return [0, limit.capacity, periodMs, limit.unit, limit.drain, limit.initialLevel, limit.forgetMs, 0]
  if (kind === 'sliding') return [2, amount, periodMs, limit.widthMs, 0, 0, 0, 0]
  if (calendar === undefined) return [1, amount, periodMs, ALIGNS[limit.align], 0, 0, 0, 0]
  // The period before and the one after as well: clocks differ, and a call may last over midnight.
  const [start, end] = [calendar.startOf(now), calendar.endOf(now)]
  return [1, amount, periodMs, ALIGNS[limit.align], Math.max(0, calendar.startOf(start - 1)), start, end, calendar.endOf(end)]
}

/** Reads the function's answer, question by question. */
export class Answer {
  readonly #numbers: readonly string[]
  #at = 0

  constructor(text: string | null | undefined) {
    this.#numbers = typeof text === 'string' ? text.slice(1, -1).split(',') : []
  }

  /** What was found about a set's counter; a `granted` of -1 says that `now` is outside of the calendar periods that were sent. */
  next({ limits }: LimitSet): Found {
    const from = this.#at
    const numbers = this.#numbers
    this.#at += ANSWER_HEAD + READING_WIDTH * limits.length
    if (this.#at > numbers.length) throw new Error('the function gave too few numbers')
    const readings: number[] = []
    for (let i = from + ANSWER_HEAD; i < this.#at; i++) readings.push(Number(numbers[i]))
    return {
      granted: Number(numbers[from]),
      now: Number(numbers[from + 1]),
      bannedForMs: Number(numbers[from + 2]),
      readings,
    }
  }
}

/** No record: what a damaged state reads as. */
const DAMAGED = '?'

/** A state as it is stored, as the text of a record (see ../record.ts). */
export function recordText(state: string, { limits }: LimitSet): string {
  if (!/^\{\d{1,16}(,\d{1,16})*\}$/.test(state)) return DAMAGED
  const numbers = state.slice(1, -1).split(',')
  const head = Number(numbers.shift())
  if (head !== 0 && head !== 3) return DAMAGED
  const ban = numbers.splice(0, head)
  const parts: string[] = []
  for (const { kind } of limits) {
    if (numbers.length === 0) return DAMAGED
    const block = numbers.splice(0, Number(numbers.shift()))
    // The total is told by the entries.
    if (kind === 'sliding') block.shift()
    parts.push(block.join(','))
  }
  if (numbers.length > 0) return DAMAGED
  const text = parts.join(';')
  return head === 3 ? `!${ban.join(',')};${text}` : text.replace(/^;+$/, '')
}

/** A record as a state that is stored. */
export function stateValue({ states, ban }: CounterRecord, { limits }: LimitSet): string {
  const numbers = ban === undefined ? [0] : [3, ...ban]
  for (const [i, { kind }] of limits.entries()) {
    const state = states[i] ?? []
    if (kind !== 'sliding' || state.length === 0) numbers.push(state.length, ...state)
    else
      numbers.push(
        state.length + 1,
        state.reduce((sum, n, at) => (at % 2 === 1 ? sum + n : sum), 0),
        ...state,
      )
  }
  return `{${numbers.join(',')}}`
}
