// Things by name, where names may come from anywhere. Promise: never more than so many; all further names are one, "other".
// Next: tally.ts.

const OTHER = 'other'

/** A map that makes its values, and stops at a bound. */
export class BoundedMap<T> {
  readonly #most: number
  readonly #make: (name: string) => T
  readonly #map = new Map<string, T>()

  /** @param most names told apart, "other" not among them */
  constructor(most: number, make: (name: string) => T) {
    this.#most = most
    this.#make = make
  }

  /** The value of a name, or that of "other". */
  at(name: string): T {
    const known = this.#map.get(name)
    if (known !== undefined) return known
    const own = this.#nameFor(name)
    const made = this.#map.get(own) ?? this.#make(own)
    this.#map.set(own, made)
    return made
  }

  /** The value of a name that has one of its own. */
  peek(name: string): T | undefined {
    return this.#map.get(name)
  }

  /** Puts another value in the place of a name's. */
  update(name: string, next: (value: T) => T): void {
    const own = this.#map.has(name) ? name : this.#nameFor(name)
    this.#map.set(own, next(this.#map.get(own) ?? this.#make(own)))
  }

  values(): Iterable<T> {
    return this.#map.values()
  }

  entries(): Iterable<[string, T]> {
    return this.#map.entries()
  }

  #nameFor(name: string): string {
    return this.#map.size < this.#most ? name : OTHER
  }
}
