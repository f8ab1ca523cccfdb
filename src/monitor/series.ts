// Counts over time: by the second for the last minutes, by the minute for hours. Promise: two rings of fixed size; a time that nothing was
// counted in costs nothing. Next: live-view.ts.

import { type Counts, RESULTS, countsOf } from './results.ts'

/** What happened in one second or one minute. */
export interface Point extends Counts {
  /** Its beginning, epoch ms. */
  readonly at: number
}

const WIDTH = RESULTS.length

/** A ring of spans of time. */
class Ring {
  readonly #spanMs: number
  readonly #length: number
  /** Which span each place is of. */
  readonly #spans: Float64Array
  readonly #counts: Uint32Array

  constructor(spanMs: number, length: number) {
    this.#spanMs = spanMs
    this.#length = length
    this.#spans = new Float64Array(length).fill(-1)
    this.#counts = new Uint32Array(length * WIDTH)
  }

  add(at: number, counts: ArrayLike<number>): void {
    const span = Math.floor(at / this.#spanMs)
    const place = span % this.#length
    const from = place * WIDTH
    if (this.#spans[place] !== span) {
      this.#spans[place] = span
      this.#counts.fill(0, from, from + WIDTH)
    }
    for (let i = 0; i < WIDTH; i++) this.#counts[from + i] = (this.#counts[from + i] as number) + (counts[i] as number)
  }

  points(until: number, count: number): readonly Point[] {
    const last = Math.floor(until / this.#spanMs)
    const length = Math.min(count, this.#length)
    return Array.from({ length }, (_, i) => {
      const span = last - length + 1 + i
      const place = span % this.#length
      const isThere = span >= 0 && this.#spans[place] === span
      return { at: span * this.#spanMs, ...countsOf(isThere ? this.#counts : [], isThere ? place * WIDTH : 0) }
    })
  }
}

/** One line of a chart, at two scales. */
export class Series {
  /** All there has been, in the order of `RESULTS`. */
  readonly totals = new Float64Array(WIDTH)
  /** When something was counted last, epoch ms. */
  lastAt = 0
  readonly #seconds: Ring
  readonly #minutes: Ring

  constructor(seconds: number, minutes: number) {
    this.#seconds = new Ring(1000, seconds)
    this.#minutes = new Ring(60_000, minutes)
  }

  /** @param counts in the order of `RESULTS` */
  add(at: number, counts: ArrayLike<number>): void {
    for (let i = 0; i < WIDTH; i++) this.totals[i] = (this.totals[i] as number) + (counts[i] as number)
    this.lastAt = at
    this.#seconds.add(at, counts)
    this.#minutes.add(at, counts)
  }

  /** The last so many seconds or minutes, oldest first; the last of them is not over. */
  points(unit: 'second' | 'minute', until: number, count: number): readonly Point[] {
    return (unit === 'second' ? this.#seconds : this.#minutes).points(until, count)
  }
}
