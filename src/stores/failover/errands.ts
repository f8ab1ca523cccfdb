// What is done in the background: copying what changes to the store that would be asked next, and paying what is owed to a store that is
// back. Promise: a little at a time; one round after another for each purpose; no timer outlives it. Next: carrier.ts, which says what to do.

import type { Scheduler } from '../../core/scheduler.ts'

/** Rounds of work, each purpose by itself. */
export class Errands {
  readonly #scheduler: Scheduler
  /** What cancels the next round of each purpose; nothing while one is under way. */
  readonly #rounds = new Map<string, (() => void) | undefined>()
  #closed = false

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /**
   * Does something soon, if it is not to be done soon already.
   * @param round does a part of it; resolves to the ms until the next part, or undefined when nothing is left
   */
  run(purpose: string, inMs: number, round: () => Promise<number | undefined>): void {
    if (this.#closed || this.#rounds.has(purpose)) return
    const begin = (): void => {
      this.#rounds.set(purpose, undefined)
      void round().then((nextMs) => {
        this.#rounds.delete(purpose)
        if (nextMs !== undefined) this.run(purpose, nextMs, round)
      })
    }
    this.#rounds.set(purpose, this.#scheduler.after(inMs, begin))
  }

  close(): void {
    this.#closed = true
    for (const cancel of this.#rounds.values()) cancel?.()
    this.#rounds.clear()
  }
}
