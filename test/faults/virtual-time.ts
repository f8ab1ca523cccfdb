// Time that passes only when it is told to, for everything that waits: durations, timers and the promises in between.
// Promise: a timer fires at its instant and not before, in order; the same run is the same run. Next: ../../src/core/scheduler.ts.

import type { Clock } from '../../src/core/clock.ts'
import type { Scheduler } from '../../src/core/scheduler.ts'

interface Timer {
  readonly at: number
  readonly number: number
  readonly call: () => void
}

/** A scheduler that is moved by hand. */
export class VirtualTime implements Scheduler {
  #now = 0
  #number = 0
  #timers: Timer[] = []

  now(): number {
    return this.#now
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), number: this.#number++, call }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.length
  }

  /** A clock that shows an instant plus the time that has passed. */
  clock(startMs: number): Clock {
    return { now: () => Math.floor(startMs + this.#now) }
  }

  /** Resolves in so many virtual ms. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve))
  }

  /** Lets time pass, with all that happens in it. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const next = this.#next(end)
      if (next === undefined) break
      this.#now = next.at
      this.#timers = this.#timers.filter((one) => one !== next)
      next.call()
      await settle()
    }
    this.#now = end
    await settle()
  }

  /** Lets time pass until something is there; what it throws is thrown. */
  async until<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    const waiting = { for: true }
    const over = (): void => void (waiting.for = false)
    promise.then(over, over)
    await settle()
    for (let passed = 0; waiting.for && passed < limitMs; passed++) await this.advance(1)
    return promise
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.at > end) continue
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.number < next.number)) next = timer
    }
    return next
  }
}

/** Lets everything run that needs no time: promises of promises of promises. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve()
}
