// Whether a store is asked. A circuit breaker: closed, open for a while after failures, half open while a probe finds out, and returning
// while a growing part of the keys comes back. Promise: callers never wait for a probe; a store that hangs is as bad as one that fails;
// one that keeps failing is asked ever more rarely, up to a bound. Pure: time and chance are handed in. Next: member.ts.

/** How a breaker stands. */
export type BreakerState =
  | { readonly kind: 'closed' }
  /** Not asked until an instant, when a probe may go. */
  | { readonly kind: 'open'; readonly until: number; readonly attempt: number }
  /** Probed; so many probes in a row have been answered. */
  | { readonly kind: 'half_open'; readonly good: number; readonly attempt: number }
  /** Well again: for a while every process brings what it owes, then a part of the keys is asked about that grows to all. */
  | {
      readonly kind: 'returning'
      readonly since: number
      readonly settleMs: number
      readonly rampMs: number
      readonly attempt: number
    }

/** When a breaker opens, and how it closes. Times in ms. */
export interface BreakerOptions {
  /** Failures in a row that open it (default 5). */
  readonly failureThreshold?: number
  /** Share of failures among the last 64 calls, of at least 20, that opens it (default 0.5). */
  readonly failureRatio?: number
  /** A call that takes longer counts as a failure (default: 80 % of the deadline). */
  readonly slowMs?: number
  /** The first wait before a probe (default 250, at most `maxBackoffMs`'s default); each failed probe doubles it, with jitter. */
  readonly backoffMs?: number
  /** The longest wait before a probe (default: half of `healthCheckIntervalMs`). */
  readonly maxBackoffMs?: number
  /** Probes in a row that must succeed before keys come back (default 2). */
  readonly successThreshold?: number
  /** Over how long all keys come back (default 1000; 0: at once). A store that flaps takes up to eight times as long. */
  readonly rampMs?: number
}

/** {@link BreakerOptions} with every default in place. */
export type BreakerSettings = Required<BreakerOptions>

const RECENT = 64
const ENOUGH = 20
/** A store that fails again so soon after its return is one that flaps. */
const FLAP_MS = 30_000
const MOST_DAMPING = 8
/** Slow answers so close to each other came in one turn of the event loop. */
const SAME_TURN_MS = 5
/** A stream of slow answers that lasts longer is no turn of the event loop. */
const LONGEST_TURN_MS = 50

/** One store's breaker. */
export class Breaker {
  readonly #settings: BreakerSettings
  readonly #random: () => number
  #state: BreakerState = { kind: 'closed' }
  /** The latest outcomes, 1 for a failure, as a ring. */
  readonly #recent = new Uint8Array(RECENT)
  #calls = 0
  #failures = 0
  #inARow = 0
  #closedAt = -Infinity
  /** When the latest slow answer came, and the latest that counted. */
  #slowAt = -Infinity
  #slowCountedAt = -Infinity
  #damping = 1

  /** @param random a number from 0 to 1, for jitter */
  constructor(settings: BreakerSettings, random: () => number) {
    this.#settings = settings
    this.#random = random
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Whether the store is asked about a key at this place between 0 and 1. */
  admits(place: number, now: number): boolean {
    const state = this.#state
    if (state.kind === 'closed') return true
    if (state.kind !== 'returning') return false
    const passed = now - state.since - state.settleMs
    if (passed >= state.rampMs) {
      this.#close(now)
      return true
    }
    return passed >= 0 && place < Math.max(0.01, passed / state.rampMs)
  }

  /** Ms until a probe may go; undefined when none is wanted. */
  probeInMs(now: number): number | undefined {
    if (this.#state.kind === 'half_open') return 0
    return this.#state.kind === 'open' ? Math.max(0, this.#state.until - now) : undefined
  }

  /** A call was answered, a refusal included. Tells whether it was quick enough. */
  succeeded(tookMs: number, now: number): boolean {
    if (tookMs > this.#settings.slowMs) {
      // Answers that arrive together were kept waiting together, often by this process: they count as one.
      if (now - this.#slowAt >= SAME_TURN_MS || now - this.#slowCountedAt >= LONGEST_TURN_MS) {
        this.#slowCountedAt = now
        this.failed(now)
      }
      this.#slowAt = now
      return false
    }
    this.#note(0)
    this.#inARow = 0
    return true
  }

  /** A call failed or took too long. Calls that were on their way when it opened do not open it further. */
  failed(now: number): void {
    const state = this.#state
    if (state.kind === 'open' || state.kind === 'half_open') return
    this.#note(1)
    this.#inARow++
    const { failureThreshold, failureRatio } = this.#settings
    const known = Math.min(this.#calls, RECENT)
    const returning = state.kind === 'returning'
    if (returning || this.#inARow >= failureThreshold || (known >= ENOUGH && this.#failures >= known * failureRatio))
      this.#open(returning ? state.attempt + 1 : 0, now)
  }

  /** The store is known to be of no use now: no more calls are needed to find out. */
  trip(now: number): void {
    if (this.#state.kind === 'closed' || this.#state.kind === 'returning') this.#open(0, now)
  }

  /** A probe was answered. */
  probeSucceeded(tookMs: number, now: number): void {
    const state = this.#state
    if (state.kind === 'closed' || state.kind === 'returning') {
      this.admits(0, now)
      this.succeeded(tookMs, now)
      return
    }
    const good = (state.kind === 'half_open' ? state.good : 0) + 1
    if (good < this.#settings.successThreshold) {
      this.#state = { kind: 'half_open', good, attempt: state.attempt }
      return
    }
    const rampMs = this.#settings.rampMs * this.#damping
    this.#forget()
    // By then every process has noticed that the store is back.
    const settleMs = this.#settings.maxBackoffMs
    if (rampMs === 0) this.#close(now)
    else this.#state = { kind: 'returning', since: now, settleMs, rampMs, attempt: state.attempt }
  }

  /** A probe failed. */
  probeFailed(now: number): void {
    const state = this.#state
    if (state.kind === 'open' || state.kind === 'half_open') this.#wait(state.attempt + 1, now)
    else this.failed(now)
  }

  #open(attempt: number, now: number): void {
    const flaps = now - this.#closedAt < FLAP_MS || this.#state.kind === 'returning'
    this.#damping = flaps ? Math.min(MOST_DAMPING, this.#damping * 2) : 1
    this.#forget()
    this.#wait(attempt, now)
  }

  #wait(attempt: number, now: number): void {
    const { backoffMs, maxBackoffMs } = this.#settings
    const longest = Math.min(maxBackoffMs, backoffMs * 2 ** Math.min(attempt, 20))
    // Half fixed, half by chance: processes that lost the store together do not come back together.
    this.#state = { kind: 'open', until: now + longest * (0.5 + this.#random() / 2), attempt }
  }

  #close(now: number): void {
    this.#state = { kind: 'closed' }
    this.#closedAt = now
  }

  #note(failure: 0 | 1): void {
    const at = this.#calls % RECENT
    if (this.#calls >= RECENT) this.#failures -= this.#recent[at] as number
    this.#recent[at] = failure
    this.#failures += failure
    this.#calls++
  }

  #forget(): void {
    this.#calls = 0
    this.#failures = 0
    this.#inARow = 0
  }
}
