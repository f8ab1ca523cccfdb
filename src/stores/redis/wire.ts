// Questions as the script's arguments, and its reply as what was found. Promise: every number sent is whole and below 2^53.
// What questions have in common is sent once: neighbours of one kind are a run, and equal kinds have one description.
// Next: take.lua, whose header is the other half of this page.

import { windowStart } from '../../algorithms/window.ts'
import type { BanTerms } from '../../core/ban-terms.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import type { Found, Question } from '../remote-driver.ts'
import { READING_WIDTH, type Mode } from '../store.ts'

/** What every limit of a set has in common with itself from call to call; undefined where a period of a calendar is part of it. */
const descriptions = new WeakMap<LimitSet, string>()

const LETTERS: Readonly<Record<Mode, string>> = { take: 't', peek: 'p', charge: 'c', refund: 'r' }
const ALIGNS: Readonly<Record<Limit['align'], number>> = { clock: 0, first: 1, calendar: 2 }

/** How a counter's time to live is found: longer under a clock that is not the server's. */
export type Keep = (set: LimitSet) => number

/** Description of a decision. `now` chooses the periods of calendars. */
export function takeSpec({ set, cost, mode, takenAt, count }: Question, now: number, keep: Keep): string {
  const shape = mode === 'take' ? shapeOf(set) : 'G'
  return `${shape}${LETTERS[mode]}${cost},${count},${takenAt ?? ''},,${keep(set)}${limits(set, now)}`
}

/** How takes of a set are run: by a short way where there is one limit whose empty counter is an unused one. */
function shapeOf({ limits: [limit, another] }: LimitSet): 'F' | 'B' | 'S' | 'G' {
  if (another !== undefined) return 'G'
  if (limit.kind === 'sliding') return 'S'
  if (limit.kind === 'fixed') return limit.align === 'first' ? 'G' : 'F'
  return limit.forgetMs === 0 && limit.initialLevel === 0 ? 'B' : 'G'
}

/** Description of a ban. */
export function banSpec(set: LimitSet, { durationMs, factor, maxMs, forgetAfterMs }: BanTerms, now: number, keep: Keep): string {
  return `Gb${durationMs},${factor},${maxMs},${forgetAfterMs},${keep(set)}${limits(set, now)}`
}

/** Description of the lifting of a ban. */
export function unbanSpec(set: LimitSet, now: number, keep: Keep): string {
  return `Gu,,,,${keep(set)}${limits(set, now)}`
}

/** Description of looking at the stored text. */
export const READ_SPEC = 'Gx,,,,'

function limits(set: LimitSet, now: number): string {
  const known = descriptions.get(set)
  if (known !== undefined) return known
  const text = set.limits.map((limit) => describe(limit, now)).join('')
  if (set.limits.every(({ calendar }) => calendar === undefined)) descriptions.set(set, text)
  return text
}

function describe(limit: Limit, now: number): string {
  const { kind, amount, periodMs, calendar } = limit
  if (kind === 'bucket')
    return `B${limit.capacity},${limit.unit},${limit.drain},${periodMs},${limit.initialLevel},${limit.forgetMs}`
  if (kind === 'sliding') return `S${amount},${periodMs},${limit.widthMs},0,0,0`
  const period = calendar === undefined ? '0,0' : `${calendar.startOf(now)},${calendar.endOf(now)}`
  return `F${amount},${periodMs},${ALIGNS[limit.align]},${period},0`
}

/** The script's arguments in the making. */
export class Call {
  readonly #specs: string[] = []
  readonly #indexes = new Map<string, number>()
  /** Number of a spec, length of a run, in turns. */
  readonly #runs: number[] = []
  readonly #keys: string[] = []
  #last: Question | undefined

  /** Adds a decision. Questions are answered in the order in which they are added. */
  ask(question: Question, key: string, now: number, keep: Keep): void {
    const last = this.#last
    this.#keys.push(key)
    if (last !== undefined && alike(last, question)) this.#runs[this.#runs.length - 1]!++
    else this.#begin(takeSpec(question, now, keep))
    this.#last = question
  }

  /** Adds something else. */
  add(spec: string, key: string): void {
    this.#keys.push(key)
    this.#last = undefined
    this.#begin(spec)
  }

  /**
   * The script's arguments, with a free place before them (see script.ts).
   * @param declared whether the keys are declared: a cluster's server demands that those are all of one slot
   * @param now undefined: the server's own time
   */
  args(declared: boolean, now: number | undefined): string[] {
    const keys = this.#keys
    const runs = this.#runs.length === 2 ? [] : this.#runs.map(String)
    const head = `${this.#specs.length} ${runs.length >> 1} ${now ?? ''}`
    return declared
      ? ['', `${keys.length}`, ...keys, head, ...this.#specs, ...runs]
      : ['', '0', head, ...this.#specs, ...runs, ...keys]
  }

  #begin(spec: string): void {
    let index = this.#indexes.get(spec)
    if (index === undefined) {
      index = this.#specs.push(spec)
      this.#indexes.set(spec, index)
    }
    this.#runs.push(index, 1)
  }
}

function alike(a: Question, b: Question): boolean {
  return a.set === b.set && a.cost === b.cost && a.mode === b.mode && a.count === b.count && a.takenAt === b.takenAt
}

/** What the script said of one question: what it found, a value, "ask again", or an error's text. */
export type Answer =
  | Found
  | { readonly value: string | undefined; readonly now: number }
  | { readonly again: number }
  | { readonly problem: string }

/** Reads a reply in the order of the questions. */
export class Reply {
  readonly now: number
  readonly #items: readonly unknown[]
  #at = 1

  constructor(reply: unknown) {
    this.#items = reply as readonly unknown[]
    this.now = Number(this.#items[0])
  }

  /** The answer to a decision. */
  found(question: Question): Answer {
    const item = this.#items[this.#at++]
    const number = typeof item === 'number' ? item : plain(item)
    return number === undefined ? this.#text(String(item), question.set) : this.#short(question, number)
  }

  /** The answer to something else. */
  value(): Answer {
    return this.#text(String(this.#items[this.#at++]), undefined)
  }

  /** A take of one limit in ordinary state: see take.lua. */
  #short({ set, count }: Question, number: number): Found {
    const [limit] = set.limits
    const { now } = this
    const granted = number >= 0
    const used = granted ? number : -1 - number
    if (limit.kind === 'sliding') {
      const items = this.#items
      const at = this.#at
      this.#at = at + 3
      const readings = [Number(items[at]), used, Number(items[at + 1]), Number(items[at + 2])]
      return { granted: granted ? count : 0, now, bannedForMs: 0, readings }
    }
    const start = limit.kind === 'bucket' ? now : windowStart(limit, now)
    return { granted: granted ? count : 0, now, bannedForMs: 0, readings: [start, used, start, start] }
  }

  #text(text: string, set: LimitSet | undefined): Answer {
    const { now } = this
    const rest = text.slice(1)
    switch (text[0]) {
      case 'G': {
        const [granted = 0, bannedForMs = 0, ...readings] = rest.split(',').map(Number)
        if (readings.length !== (set?.limits.length ?? 0) * READING_WIDTH) break
        return { granted, now, bannedForMs, readings }
      }
      case 'V':
        return { value: rest, now }
      case 'N':
        return { value: undefined, now }
      case 'A':
        return { again: now }
      case 'E':
        return { problem: rest }
    }
    return { problem: `ERR the script answered ${text.slice(0, 40)}` }
  }
}

/** Clients may be set to hand numbers over as texts. */
function plain(item: unknown): number | undefined {
  const text = String(item)
  return /^-?\d+$/.test(text) ? Number(text) : undefined
}
