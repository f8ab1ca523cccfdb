// The time of one process: a clock that runs a little fast or slow, on a process that stands still at times.
// Promise: while it stands still no timer of it fires and no answer reaches it; then all come at once. Next: virtual-time.ts.

import type { Scheduler } from '../../src/core/scheduler.ts'
import type { VirtualTime } from './virtual-time.ts'

/** See the head of this file. */
export class ProcessTime implements Scheduler {
  /** How often it has stood still. */
  stalls = 0
  readonly #time: VirtualTime
  readonly #rate: number
  #stalledUntil = 0

  /** @param driftPpm what its clock gains, in millionths */
  constructor(time: VirtualTime, driftPpm: number) {
    this.#time = time
    this.#rate = 1 + driftPpm / 1_000_000
  }

  get isStalled(): boolean {
    return this.#time.now() < this.#stalledUntil
  }

  now(): number {
    return this.#time.now() * this.#rate
  }

  after(ms: number, call: () => void): () => void {
    let cancel = this.#time.after(ms / this.#rate, () => {
      if (this.isStalled) cancel = this.#time.after(this.#stalledUntil - this.#time.now(), call)
      else call()
    })
    return () => cancel()
  }

  /** Stands still for so many ms. */
  stall(ms: number): void {
    this.stalls++
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#time.now() + ms)
  }

  /** Resolves when it does not stand still. */
  async awake(): Promise<void> {
    while (this.isStalled) await this.#time.wait(this.#stalledUntil - this.#time.now())
  }
}
