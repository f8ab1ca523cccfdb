// How much is done at once in the background. Promise: decisions of the same store have room beside it, whether that does a hundred or ten
// thousand changes a second. Pure: time is handed in. Next: delivery.ts, which brings so much at a time.

const LEAST = 4
const FIRST = 16

/** The share of a deadline that one round may take: past it there is less in the next; well below, more. */
const LONG = 0.25
const SHORT = 0.1

/** What one store bears. */
export class Pace {
  readonly #most: number
  readonly #deadlineMs: number
  #now: number

  /**
   * @param most in one round, at most
   * @param deadlineMs of decisions
   */
  constructor(most: number, deadlineMs: number) {
    this.#most = most
    this.#deadlineMs = deadlineMs
    this.#now = Math.min(FIRST, most)
  }

  /** How much to do in the next round. */
  get next(): number {
    return this.#now
  }

  /** A round of so many is over. */
  took(count: number, ms: number): void {
    if (ms > LONG * this.#deadlineMs) this.#now = Math.max(LEAST, this.#now >> 1)
    else if (ms < SHORT * this.#deadlineMs && count >= this.#now) this.#now = Math.min(this.#most, this.#now * 2)
  }
}
