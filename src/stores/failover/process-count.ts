// How many processes use a store: each counts itself there, once in each window. Promise: a count that was disturbed is never taken for
// fewer: shares would be too large. Next: member.ts, which looks with each probe.

import { PROCESSES } from '../canary.ts'
import type { Store } from '../store.ts'

/** Windows that tell nothing of who has gone: that of a disturbance, and the next, in which some may still be away. */
const DISTURBED = 2

/** The processes of one store. */
export class ProcessCount {
  /** How many there are; undefined before that is known. */
  processes: number | undefined
  readonly #store: Store
  readonly #canary: string
  #window: number | undefined
  /** The window in which this process has counted itself. */
  #counted: number | undefined
  #seen = 0
  /** Windows yet to come to their end in which not all may have been counted. */
  #disturbed = 0
  /** Counts the looks: only the latest tells. */
  #looks = 0

  /** @param canary whose counter it is */
  constructor(store: Store, canary: string) {
    this.#store = store
    this.#canary = canary
  }

  /** Looks how many are there, and counts this process where it has not been yet. Without an answer, it is as many as it was. */
  async look(): Promise<void> {
    const look = ++this.#looks
    try {
      const counts = this.#counted === undefined || this.#counted !== this.#window
      const { readings } = await this.#store.take(PROCESSES, this.#canary, 1, counts ? 'take' : 'peek')
      if (look !== this.#looks) return
      const [window, count] = readings as unknown as [number, number]
      if (counts) this.#counted = window
      if (window !== this.#window) this.#begin(window)
      this.#seen = Math.max(this.#seen, count)
      this.processes = Math.max(this.processes ?? 1, this.#seen)
    } catch {
      // The probe beside it tells how the store is.
    }
  }

  /** The store was away. */
  disturbed(): void {
    this.#disturbed = DISTURBED
  }

  /** The store has lost what it was told. */
  forgotten(): void {
    this.disturbed()
    this.#counted = undefined
  }

  #begin(window: number): void {
    // What was seen last of a window that has passed is how many were there.
    if (this.#disturbed > 0) this.#disturbed--
    else if (this.#window !== undefined && this.#seen > 0) this.processes = this.#seen
    this.#window = window
    this.#seen = 0
  }
}
