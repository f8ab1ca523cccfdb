// The keys that come most often, of any number of keys, in a fixed number of places (Space-Saving). Promise: memory is bounded by the places;
// a key with more than 1/places of all weight is always there; a count is too high by at most its `error`. Next: offenders.ts.

/** One of the keys that come most often. */
export class TopKey<T> {
  key: string
  count: number
  /** What of the count may have been another key's. */
  error: number
  readonly about: T
  /** Place in the heap. */
  at: number

  constructor(key: string, count: number, error: number, about: T, at: number) {
    this.key = key
    this.count = count
    this.error = error
    this.about = about
    this.at = at
  }
}

/** What is kept about a key, and then about the key that takes its place. */
export interface Forgetful {
  forget(): void
}

/** Counts keys in so many places. */
export class TopKeys<T extends Forgetful> {
  readonly #places: number
  readonly #make: () => T
  readonly #byKey = new Map<string, TopKey<T>>()
  /** The least count is first. */
  readonly #heap: TopKey<T>[] = []

  /** @param make what is kept about a key, from its arrival on */
  constructor(places: number, make: () => T) {
    this.#places = places
    this.#make = make
  }

  get size(): number {
    return this.#heap.length
  }

  /** Counts a key, so many times. */
  add(key: string, times = 1): T {
    const known = this.#byKey.get(key)
    if (known !== undefined) {
      known.count += times
      this.#down(known)
      return known.about
    }
    if (this.#heap.length < this.#places) {
      const added = new TopKey(owned(key), times, 0, this.#make(), this.#heap.length)
      this.#heap.push(added)
      this.#byKey.set(added.key, added)
      this.#up(added)
      return added.about
    }
    // The key with the least gives its place, and its count as what may be wrong. Nothing is made anew: a flood of keys comes this way.
    const least = this.#heap[0] as TopKey<T>
    this.#byKey.delete(least.key)
    least.key = owned(key)
    least.error = least.count
    least.count += times
    least.about.forget()
    this.#byKey.set(least.key, least)
    this.#down(least)
    return least.about
  }

  get(key: string): TopKey<T> | undefined {
    return this.#byKey.get(key)
  }

  /** All places, in no order. */
  all(): readonly TopKey<T>[] {
    return this.#heap
  }

  #down(moved: TopKey<T>): void {
    const heap = this.#heap
    for (;;) {
      const left = 2 * moved.at + 1
      if (left >= heap.length) return
      const right = left + 1
      const least = right < heap.length && (heap[right] as TopKey<T>).count < (heap[left] as TopKey<T>).count ? right : left
      const child = heap[least] as TopKey<T>
      if (child.count >= moved.count) return
      this.#swap(moved, child)
    }
  }

  #up(moved: TopKey<T>): void {
    while (moved.at > 0) {
      const parent = this.#heap[(moved.at - 1) >> 1] as TopKey<T>
      if (parent.count <= moved.count) return
      this.#swap(moved, parent)
    }
  }

  #swap(a: TopKey<T>, b: TopKey<T>): void {
    const { at } = a
    a.at = b.at
    b.at = at
    this.#heap[a.at] = a
    this.#heap[b.at] = b
  }
}

/** So long must a part of a text be before engines keep the whole in memory for it. */
const SHORT = 13

/** A copy of a text: a part of a longer one would keep all of it in memory. */
function owned(text: string): string {
  return text.length < SHORT ? text : (JSON.parse(JSON.stringify(text)) as string)
}
