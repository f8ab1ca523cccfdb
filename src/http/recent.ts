// A bounded memory of what was computed lately. Promise: it never holds more than twice its capacity, whoever chooses the keys.
// Next: parse-address.ts, which remembers IPv6 spellings in it.

/**
 * Remembers values by string. Two generations: a full one becomes the old one and the previous old one is dropped whole, so
 * nothing is sorted or counted per entry, and what is asked for again survives.
 */
export class Recent<V> {
  #young = new Map<string, V>()
  #old = new Map<string, V>()
  readonly #capacity: number

  /** @param capacity entries of one generation; at most twice as many are held */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Entries held now. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(key: string): V | undefined {
    const value = this.#young.get(key)
    if (value !== undefined || this.#old.size === 0) return value
    const aged = this.#old.get(key)
    if (aged !== undefined) {
      this.#old.delete(key)
      this.set(key, aged)
    }
    return aged
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#capacity) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
