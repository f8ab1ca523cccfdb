// How long checks take, as a histogram per store. Promise: a note is one search of a short list and three additions; bounded by stores.
// Next: tally.ts.

import { BoundedMap } from './bounded-map.ts'

/** Upper bounds of the buckets, in seconds: from a decision in memory to a store that hangs. */
export const BOUNDS_S: readonly number[] = [
  0.000_001, 0.000_01, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1,
]

/** The durations of one store. */
export class Histogram {
  /** Per bucket, the last of which has no bound; not cumulative. */
  readonly buckets = new Float64Array(BOUNDS_S.length + 1)
  sumS = 0
  count = 0

  note(seconds: number): void {
    let at = 0
    while (at < BOUNDS_S.length && seconds > (BOUNDS_S[at] as number)) at++
    this.buckets[at] = (this.buckets[at] as number) + 1
    this.sumS += seconds
    this.count++
  }
}

/** Histograms by store. */
export class Durations {
  readonly #stores: BoundedMap<Histogram>

  constructor(mostStores: number) {
    this.#stores = new BoundedMap(mostStores, () => new Histogram())
  }

  note(store: string, ms: number): void {
    this.#stores.at(store).note(ms / 1000)
  }

  entries(): Iterable<[string, Histogram]> {
    return this.#stores.entries()
  }
}
