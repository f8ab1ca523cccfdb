// The only file that reads the time. Everything else is handed a Clock.
// Promise: within one process a clock never goes back. Next: rate.ts.

import { ConfigError } from './errors.ts'

/** A source of time: whole milliseconds since 1970-01-01T00:00:00Z. */
export interface Clock {
  now(): number
}

/** A clock that stands still until it is told to move. For tests and for replaying recorded traffic. */
export interface ManualClock extends Clock {
  /** Jump to this instant (epoch ms); going back is allowed, to test what that does. */
  set(ms: number): void
  /** Move by this many ms. */
  advance(ms: number): void
}

/** The guard of {@link systemClock}, over any source of milliseconds. */
export function guarded(read: () => number): Clock {
  return new GuardedClock(read)
}

/** A class, as its fields are overwritten in place; a closure's variables would be allocated anew on each reading. */
class GuardedClock implements Clock {
  #last = 0
  #offset = 0
  readonly #read: () => number

  constructor(read: () => number) {
    this.#read = read
  }

  now(): number {
    const time = this.#read() + this.#offset
    if (time < this.#last) {
      this.#offset += this.#last - time
      return this.#last
    }
    this.#last = time
    return time
  }
}

/**
 * The machine's clock, guarded: when the system time is set back, this one keeps its pace instead of repeating
 * the past, so no window opens twice and no quota freezes.
 */
export const systemClock: Clock = guarded(() => Date.now())

/** Ms since some instant in the past, for measuring how long things take: not touched by changes of the time of day. */
export function monotonicMs(): number {
  return performance.now()
}

/**
 * The system clock read once per turn of the event loop. Pays from about four decisions a turn (batches, socket
 * fan-in, queue workers); a plain web server decides about once a turn and should keep {@link systemClock}.
 */
export function turnClock(): Clock {
  // Edge runtimes have no setImmediate; there a macrotask timer ends the turn.
  const later: (fn: () => void) => unknown = typeof setImmediate === 'function' ? setImmediate : (fn) => setTimeout(fn, 0)
  let time = 0
  const forget = (): void => {
    time = 0
  }
  return {
    now() {
      if (time !== 0) return time
      later(forget)
      return (time = systemClock.now())
    },
  }
}

/**
 * A clock for tests and replays.
 * @param startMs epoch milliseconds, a whole number ≥ 0 (default 0)
 * @throws ConfigError when an instant is not a whole number ≥ 0
 */
export function manualClock(startMs = 0): ManualClock {
  let time = instant('manualClock(startMs)', startMs)
  return {
    now: () => time,
    set(ms) {
      time = instant('clock.set(ms)', ms)
    },
    advance(ms) {
      time = instant('clock.advance(ms)', time + ms)
    },
  }
}

function instant(where: string, ms: number): number {
  if (!Number.isSafeInteger(ms) || ms < 0) throw new ConfigError(where, 'whole milliseconds since 1970', ms)
  return ms
}
