// What a store's clock shows now, by what it has told. Promise: an answer that took long does not spoil what a quick one told; a clock that
// was set anew is followed at once. Next: member.ts, which tells it.

import { type Clock, systemClock } from '../../core/clock.ts'
import type { Scheduler } from '../../core/scheduler.ts'

/** Clocks of two machines part by less than this. */
const DRIFT = 0.001

/** A clock that may not have been told yet. */
export interface ToldClock extends Clock {
  readonly isKnown: boolean
}

/** One store's clock, seen from here. */
export class StoreClock implements ToldClock {
  readonly #scheduler: Scheduler
  /** What it shows more than this process's time, and by how much that may be wrong, as of an instant; ms. */
  #offsetMs: number | undefined
  #unsureMs = 0
  #at = 0

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** Whether the store has told its time yet. */
  get isKnown(): boolean {
    return this.#offsetMs !== undefined
  }

  /** How long the quickest answer of late took, ms; 0 while there is none. */
  get tripMs(): number {
    return 2 * this.#unsureMs
  }

  /** Epoch ms; this process's own time while nothing is known. */
  now(): number {
    return Math.floor(this.#scheduler.now() + (this.#offsetMs ?? 0))
  }

  /** An answer to a question of one instant has come at another: the store's time was read in between. */
  told(storeNow: number, askedAt: number, now: number): void {
    const unsureMs = (now - askedAt) / 2
    // Times are told in whole ms, rounded down.
    const offsetMs = storeNow + 0.5 - (askedAt + unsureMs)
    const knownMs = this.#unsureMs + (now - this.#at) * DRIFT
    const isContrary = this.#offsetMs !== undefined && Math.abs(offsetMs - this.#offsetMs) > unsureMs + knownMs + 1
    if (this.#offsetMs !== undefined && !isContrary && unsureMs > knownMs) return
    this.#offsetMs = offsetMs
    this.#unsureMs = unsureMs
    this.#at = now
  }
}

/** The time of several stores: what the first of them shows that has told it. */
export class StoresClock implements ToldClock {
  readonly #clocks: () => readonly StoreClock[]

  constructor(clocks: () => readonly StoreClock[]) {
    this.#clocks = clocks
  }

  get isKnown(): boolean {
    return this.#clocks().some((clock) => clock.isKnown)
  }

  /** Epoch ms; the machine's own while nothing is known. */
  now(): number {
    return (this.#clocks().find((clock) => clock.isKnown) ?? systemClock).now()
  }
}
