// Counts outside the limiter what was let through, and tells by how much it was too much. Promise: it knows the rate, the clock and the
// admitted costs, and nothing of how they were decided. Next: fleet.ts.

/** What was decided about one key, in order of time. */
export class Ledger {
  readonly #entries: Entry[] = []

  /**
   * @param cost what was admitted; 0 for a refusal
   * @param decider who decided: deciders know nothing of each other but what they are told
   */
  decided(atMs: number, cost: number, decider = ''): Entry {
    const entry = new Entry(atMs, cost, decider)
    // Answers that were on their way together may come in any order.
    let at = this.#entries.length
    while (at > 0 && (this.#entries[at - 1] as Entry).at > atMs) at--
    this.#entries.splice(at, 0, entry)
    return entry
  }

  /** The part of it that was decided while nobody else decided anything within so many ms before or after. */
  agreed(withinMs: number): Ledger {
    const agreed = new Ledger()
    const entries = this.#entries
    for (const [i, { at, cost, decider }] of entries.entries()) {
      let from = i
      while (from > 0 && (entries[from - 1] as Entry).at >= at - withinMs) from--
      let isAlone = true
      for (let j = from; j < entries.length && (entries[j] as Entry).at <= at + withinMs; j++)
        isAlone &&= entries[j]?.decider === decider
      if (isAlone) agreed.decided(at, cost, decider)
    }
    return agreed
  }

  get total(): number {
    return this.#entries.reduce((sum, { cost }) => sum + cost, 0)
  }

  /** What was admitted from one instant to another, both included. */
  between(fromMs: number, toMs: number): number {
    return this.#entries.reduce((sum, { at, cost }) => (at >= fromMs && at <= toMs ? sum + cost : sum), 0)
  }

  /** The most by which any interval of the period's length holds more than the amount; 0 when none does. */
  windowExcess(amount: number, periodMs: number): number {
    let worst = 0
    let sum = 0
    let from = 0
    for (const { at, cost } of this.#entries) {
      sum += cost
      for (; (this.#entries[from] as Entry).at <= at - periodMs; from++) sum -= (this.#entries[from] as Entry).cost
      worst = Math.max(worst, sum - amount)
    }
    return worst
  }

  /** The most by which any interval holds more than burst + rate × its length; 0 when none does. */
  bucketExcess(burst: number, perMs: number): number {
    let worst = 0
    let level = 0
    let last = 0
    for (const { at, cost } of this.#entries) {
      level = Math.max(0, level - (at - last) * perMs) + cost
      last = at
      worst = Math.max(worst, level - burst)
    }
    return worst
  }

  /** What a bucket holds at an instant. */
  bucketLevel(burst: number, perMs: number, atMs: number): number {
    let level = 0
    let last = 0
    for (const { at, cost } of this.#entries) {
      level = Math.min(burst, Math.max(0, level - (at - last) * perMs) + cost)
      last = at
    }
    return Math.max(0, level - (atMs - last) * perMs)
  }

  /** The most by which a window aligned to the clock holds more than the amount. */
  fixedExcess(amount: number, periodMs: number): number {
    const counts = new Map<number, number>()
    for (const { at, cost } of this.#entries) {
      const window = Math.floor(at / periodMs)
      counts.set(window, (counts.get(window) ?? 0) + cost)
    }
    return Math.max(0, ...[...counts.values()].map((count) => count - amount))
  }
}

/** One decision. */
class Entry {
  readonly at: number
  cost: number
  readonly decider: string

  constructor(at: number, cost: number, decider: string) {
    this.at = at
    this.cost = cost
    this.decider = decider
  }

  /** What was admitted has been given back: it did not happen. */
  takeBack(): void {
    this.cost = 0
  }
}
