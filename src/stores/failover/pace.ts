// How much is done at once in the background. Promise: decisions of the same store have room beside it, whether that does a hundred or ten
// thousand changes a second. Pure: time is handed in. Next: delivery.ts, which brings so much at a time.

const LEAST = 4
const FIRST = 16

/** The share of a deadline that one round may take, and how many trips to the store: past both there is less in the next; below, more. */
const LONG = 0.25
const SHORT = 0.1
const MANY_TRIPS = 8
const FEW_TRIPS = 4

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

  /**
   * A round of so many is over.
   * @param tripMs how long a question to the store takes when it has nothing else to do: one that is far away is not one that is busy
   */
  took(count: number, ms: number, tripMs: number): void {
    if (ms > Math.max(LONG * this.#deadlineMs, MANY_TRIPS * tripMs)) this.#now = Math.max(LEAST, this.#now >> 1)
    else if (ms < Math.max(SHORT * this.#deadlineMs, FEW_TRIPS * tripMs) && count >= this.#now)
      this.#now = Math.min(this.#most, this.#now * 2)
  }
}
