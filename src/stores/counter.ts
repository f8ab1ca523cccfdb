// A counter of a shared store while it is being decided on: its record between a text that was read and one that may be written.
// Promise: questions about one counter see each other's charges, in order; a look never writes; damage is mended by the first charge,
// granted or not. Next: record.ts, which has the laws.

import type { LimitSet } from '../core/limit-set.ts'
import { type CounterRecord, formatRecord, keepUntil, parseRecord, takeFromRecord } from './record.ts'
import type { Found, Question } from './remote-driver.ts'
import { READING_WIDTH } from './store.ts'

/** One counter of a trip. */
export class Counter {
  readonly #text: string
  readonly #now: number
  #record: CounterRecord | undefined
  #set: LimitSet | undefined
  #touched = false

  /** @param text as it was read; undefined where there is nothing */
  constructor(text: string | undefined, now: number) {
    this.#text = text ?? ''
    this.#now = now
  }

  /** Its record as one set of limits sees it, to be changed in place. Sets of one scope differ in their numbers alone. */
  record(set: LimitSet): CounterRecord {
    if (this.#record === undefined || this.#set !== set) {
      const text = this.#record !== undefined && this.#touched ? formatRecord(this.#record) : this.#text
      this.#record = parseRecord(set, text, this.#now)
      this.#set = set
    }
    return this.#record
  }

  /** Decides a question on it, and on all that share it. */
  decide({ set, cost, mode, takenAt, count }: Question): Found {
    const now = this.#now
    const readings = new Float64Array(set.limits.length * READING_WIDTH)
    const record = this.record(set)
    let granted = 0
    let bannedForMs = 0
    for (let i = 0; i < count; i++) {
      const taken = takeFromRecord(record, set, cost, mode, now, takenAt, readings)
      bannedForMs = taken.bannedForMs
      // What is refused once is refused for the rest of this instant.
      if (!taken.granted) break
      granted++
    }
    if (mode !== 'peek') this.#touched = true
    return { granted, now, bannedForMs, readings }
  }

  /** Changes its record by a function that answers. */
  change<T>(set: LimitSet, by: (record: CounterRecord, now: number) => T): T {
    const answer = by(this.record(set), this.#now)
    this.#touched = true
    return answer
  }

  /** The text to write, empty where nothing is left to hold; undefined if it has not changed. */
  written(): string | undefined {
    if (!this.#touched || this.#record === undefined) return undefined
    const text = formatRecord(this.#record)
    return text === this.#text ? undefined : text
  }

  /** The instant from which it may be forgotten. */
  keepUntil(): number {
    return this.#record === undefined || this.#set === undefined ? this.#now : keepUntil(this.#record, this.#set, this.#now)
  }
}
