// Promises that settle in time, whatever happens to what they wait for. One timer for all of them, not one each.
// Promise: everything handed in settles within the deadline and a turn of the event loop; an answer that has reached this process
// by then still counts. Next: remote.ts, which waits for stores.

import { monotonicMs } from '../core/clock.ts'
import type { Scheduler } from '../core/scheduler.ts'

/** Somebody who waits. Settled once; what comes later is dropped. */
export class Waiter<T> {
  readonly expiresAt: number
  #settled = false
  readonly #owner: Deadlines
  readonly #resolve: (value: T) => void
  readonly #reject: (error: unknown) => void
  readonly #late: () => Error

  constructor(
    owner: Deadlines,
    expiresAt: number,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
    late: () => Error,
  ) {
    this.#owner = owner
    this.expiresAt = expiresAt
    this.#resolve = resolve
    this.#reject = reject
    this.#late = late
  }

  get settled(): boolean {
    return this.#settled
  }

  resolve(value: T): void {
    if (this.#settle()) this.#resolve(value)
  }

  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error)
  }

  expire(): void {
    if (this.#settle()) this.#reject(this.#late())
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#owner.settledOne()
    return true
  }
}

/** A timer of the machine, or what cancels one of a scheduler. */
type Timer = ReturnType<typeof setTimeout> | (() => void)

/** Places of settled waiters that are kept before the list is moved up. */
const MOST_GAPS = 1024

/** Hands out waiters that all expire after the same time. */
export class Deadlines {
  readonly deadlineMs: number
  /** In the order in which they expire, from `#first` on; settled ones in between stay until those before them are settled. */
  #waiting: (Waiter<never> | undefined)[] = []
  #first = 0
  #unsettled = 0
  #timer: Timer | undefined
  readonly #scheduler: Scheduler | undefined

  /** @param scheduler for virtual time (default: the machine's) */
  constructor(deadlineMs: number, scheduler?: Scheduler) {
    this.deadlineMs = deadlineMs
    this.#scheduler = scheduler
  }

  /** How many are not settled. */
  get size(): number {
    return this.#unsettled
  }

  /** A promise that is settled through the waiter handed to `start`, or rejected with `late()` when the time is over. */
  promise<T>(late: () => Error, start: (waiter: Waiter<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => start(this.add(resolve, reject, late, this.#now())))
  }

  /**
   * The same for a promise that is being made: calls one of these once.
   * @param now ms of the monotonic clock, of this turn
   */
  add<T>(resolve: (value: T) => void, reject: (error: unknown) => void, late: () => Error, now: number): Waiter<T> {
    const waiter = new Waiter<T>(this, now + this.deadlineMs, resolve, reject, late)
    this.#waiting.push(waiter as Waiter<never>)
    if (this.#timer === undefined) this.#timer = this.#start(this.deadlineMs)
    else if (this.#unsettled === 0) hold(this.#timer, true)
    this.#unsettled++
    return waiter
  }

  /** Settles as the other promise does, if that is in time. */
  within<T>(promise: PromiseLike<T>, late: () => Error): Promise<T> {
    return this.promise(late, (waiter: Waiter<T>) => {
      promise.then(
        (value) => waiter.resolve(value),
        (error: unknown) => waiter.reject(error),
      )
    })
  }

  /** Ends the waiting of all. */
  close(error: Error): void {
    if (typeof this.#timer === 'function') this.#timer()
    else clearTimeout(this.#timer)
    this.#timer = undefined
    const waiting = this.#waiting.slice(this.#first)
    this.#forget()
    for (const waiter of waiting) waiter?.reject(error)
  }

  /** A waiter has been settled. With nobody left the timer does not keep the process alive. */
  settledOne(): void {
    if (--this.#unsettled === 0) {
      this.#forget()
      if (this.#timer !== undefined) hold(this.#timer, false)
      return
    }
    // Answers mostly come in the order of the questions: what is settled is let go of while it is young.
    const waiting = this.#waiting
    while (waiting[this.#first]?.settled === true) waiting[this.#first++] = undefined
    if (this.#first > MOST_GAPS && this.#first * 2 > waiting.length) {
      waiting.splice(0, this.#first)
      this.#first = 0
    }
  }

  #forget(): void {
    this.#waiting = []
    this.#first = 0
  }

  #now(): number {
    return this.#scheduler === undefined ? monotonicMs() : this.#scheduler.now()
  }

  #start(ms: number): Timer {
    return this.#scheduler === undefined ? setTimeout(this.#ring, ms) : this.#scheduler.after(ms, this.#expire)
  }

  // Timers run before sockets are read: after a loop that was busy, answers that are there get their turn first.
  readonly #ring = (): void => void afterSockets(this.#expire)

  readonly #expire = (): void => {
    this.#timer = undefined
    const now = this.#now()
    for (;;) {
      const waiter = this.#waiting[this.#first]
      if (waiter === undefined || (!waiter.settled && waiter.expiresAt > now)) break
      // Settling it may let go of it, and of others.
      if (waiter.settled) this.#waiting[this.#first++] = undefined
      else waiter.expire()
    }
    const next = this.#waiting[this.#first]
    if (next !== undefined) this.#timer = this.#start(Math.max(1, Math.ceil(next.expiresAt - now)))
  }
}

/** Runs when this turn's sockets have been read; edge runtimes have no setImmediate and get a timer. */
export function afterSockets(run: () => void): unknown {
  return typeof setImmediate === 'function' ? setImmediate(run) : setTimeout(run, 0)
}

/** Whether a timer keeps the process alive; edge runtimes have plain numbers here. */
function hold(timer: Timer, alive: boolean): void {
  if (typeof timer !== 'object') return
  if (alive) timer.ref()
  else timer.unref()
}
