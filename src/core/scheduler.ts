// Durations and timers, so that what waits and retries can be played in virtual time. Promise: its time never goes back, and a waiting
// call does not keep the process alive. Next: clock.ts, which is about instants.

import { monotonicMs } from './clock.ts'

/** Measures time that passes, and calls back later. */
export interface Scheduler {
  /** Ms since some instant in the past; never goes back. */
  now(): number
  /** Calls once, in so many ms. Returns what cancels it. */
  after(ms: number, call: () => void): () => void
}

/** The machine's. */
export const systemScheduler: Scheduler = {
  now: monotonicMs,
  after(ms, call) {
    const timer = setTimeout(call, ms)
    // Edge runtimes have plain numbers here.
    if (typeof timer === 'object') timer.unref()
    return () => clearTimeout(timer)
  },
}
