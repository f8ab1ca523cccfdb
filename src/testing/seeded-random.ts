// A small random source with a seed, so that a failing run can be played again. Not for secrets.
// Promise: the same seed gives the same numbers on every machine. Next: store-conformance.ts, which plays with it.

/** Pseudo-random numbers that a seed repeats. */
export interface SeededRandom {
  readonly seed: number
  /** At least 0, below 1. */
  fraction(): number
  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T
}

/**
 * Makes a random source (mulberry32).
 * @param seed any whole number; only its low 32 bits count
 */
export function seededRandom(seed: number): SeededRandom {
  let state = seed | 0
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const whole = (least: number, most: number): number => least + Math.floor(fraction() * (most - least + 1))
  return { seed, fraction, whole, pick: (list) => list[whole(0, list.length - 1)] as (typeof list)[number] }
}
