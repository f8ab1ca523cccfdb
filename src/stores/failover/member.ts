// One store of several: its breaker, and the probes that find out whether it is of use. Promise: a probe is a real decision on a key of
// our own, one at a time, and ends in time whatever the store does; from its answer follow the store's life (a store that has lost its
// memory has begun another) and how many processes use it. Next: failover-store.ts.

import { StoreError } from '../../core/errors.ts'
import { buildLimitSet } from '../../core/limit-set.ts'
import { isPromise } from '../../core/maybe.ts'
import type { Scheduler } from '../../core/scheduler.ts'
import { CANARY_GROUP } from '../store-key.ts'
import type { Store, Taken } from '../store.ts'
import { Breaker, type BreakerSettings } from './breaker.ts'
import { StoreClock } from './store-clock.ts'

/**
 * The key of the probes. Its first limit's window begins when it is first used and lasts for ten years: its beginning names the store's
 * life. The second counts the processes that were there in a window.
 */
const CANARY = buildLimitSet(
  CANARY_GROUP,
  [
    { rate: '9007199254740991/3650d', algorithm: 'fixed_window', algorithmConfig: { align: 'first' }, name: 'life' },
    { rate: '1000000/10s', algorithm: 'fixed_window', name: 'processes' },
  ],
  {},
)

/** What a member tells of itself. */
export interface MemberEvents {
  /** The breaker stands differently than before. */
  changed(member: Member): void
  /** The store has lost its memory, and with it its former place. */
  forgot(member: Member, place: string): void
}

/** How members are kept. Times in ms. */
export interface MemberSettings {
  readonly breaker: BreakerSettings
  readonly healthCheckIntervalMs: number
  readonly healthCheckTimeoutMs: number
  readonly scheduler: Scheduler
  readonly random: () => number
}

/** A store among others. */
export class Member {
  readonly name: string
  readonly store: Store
  readonly breaker: Breaker
  /** Counts the times it was found to have lost its memory. */
  life = 0
  /** How many processes used it in the last window; undefined before that is known. */
  processes: number | undefined
  /** The store's time as far as it has told it. */
  readonly clock: StoreClock
  /** The latest failure, without secrets. */
  lastError: Error | undefined
  readonly #settings: MemberSettings
  readonly #events: MemberEvents
  #begunAt: number | undefined
  #window: number | undefined
  #counted: number | undefined
  #seen = 0
  #probing = false
  #started = false
  #closed = false
  /** Who waits for the next probe. */
  #doubters: ((found: boolean) => void)[] = []
  #cancel: () => void = () => {}
  #kind = 'closed'

  constructor(name: string, store: Store, settings: MemberSettings, events: MemberEvents) {
    this.name = name
    this.store = store
    this.#settings = settings
    this.#events = events
    this.breaker = new Breaker(settings.breaker, settings.random)
    this.clock = new StoreClock(settings.scheduler)
  }

  /** The store and its life, as the shadow notes them. */
  get place(): string {
    return `${this.life}#${this.name}`
  }

  /** Begins to probe. A store that answers at once needs no probes until it fails. */
  start(): void {
    if (this.#started || this.#closed) return
    this.#started = true
    if (!this.store.sync) this.#probe()
  }

  close(): void {
    this.#closed = true
    this.#cancel()
    for (const tell of this.#doubters.splice(0)) tell(false)
  }

  /** A decision was answered. */
  answered(taken: Taken, askedAt: number): void {
    const now = this.#settings.scheduler.now()
    this.clock.told(taken.now, askedAt)
    this.breaker.succeeded(now - askedAt, now)
    this.#tell()
  }

  /** A decision failed. */
  failed(error: Error, isFinal: boolean): void {
    this.lastError = error
    const now = this.#settings.scheduler.now()
    if (isFinal) this.breaker.trip(now)
    else this.breaker.failed(now)
    this.#tell()
  }

  /** Something looks as if the store had lost its memory: resolves when a probe that begins from now on has found out; false if it could not. */
  suspect(): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false)
    if (this.store.sync) return Promise.resolve(true)
    return new Promise((resolve) => {
      this.#doubters.push(resolve)
      // One that is on its way may have left before.
      if (!this.#probing) this.#probe()
    })
  }

  #probe(): void {
    this.#cancel()
    this.#probing = true
    const doubters = this.#doubters
    this.#doubters = []
    const { scheduler, healthCheckTimeoutMs } = this.#settings
    const askedAt = scheduler.now()
    let settled = false
    let counts = true
    const settle = (taken: Taken | undefined, error?: unknown): void => {
      if (settled) return
      settled = true
      this.#probing = false
      cancelTimeout()
      if (this.#closed) {
        for (const tell of doubters) tell(false)
        return
      }
      const now = scheduler.now()
      if (isClosedError(error)) {
        // Closed on purpose, it will not come back: the next decision tells so.
        this.lastError = error
        this.close()
        for (const tell of doubters) tell(false)
        return
      }
      if (taken === undefined) this.#probeFailed(error, now)
      else this.#probed(taken, counts, askedAt, now)
      this.#tell()
      // A look that finds no window cannot tell a new life from the old one: the next probe does.
      if (taken !== undefined && this.#counted === undefined) this.#doubters.push(...doubters)
      else for (const tell of doubters) tell(taken !== undefined)
      // A store that was closed does not open again.
      if (error instanceof StoreError && error.code === 'ERR_RATELIMIT_STORE_CLOSED') return this.close()
      if (this.#doubters.length > 0) this.#probe()
      else this.#again()
    }
    const cancelTimeout = scheduler.after(healthCheckTimeoutMs, () =>
      settle(undefined, new Error(`no answer to a health check within ${healthCheckTimeoutMs} ms`)),
    )
    try {
      // Counted once in each window; a look is enough for the rest. A store that may have lost its memory begins its life by it.
      counts = this.#counted === undefined || this.#counted !== this.#window
      const answer = this.store.take(CANARY, 'canary', 1, counts ? 'take' : 'peek')
      if (isPromise(answer))
        answer.then(
          (taken) => settle(taken),
          (error: unknown) => settle(undefined, error),
        )
      else settle(answer)
    } catch (error) {
      settle(undefined, error)
    }
  }

  #probed({ readings, now: storeNow }: Taken, counts: boolean, askedAt: number, now: number): void {
    const [begunAt, , , , window, count] = readings as unknown as number[]
    const tookMs = now - askedAt
    this.clock.told(storeNow, askedAt)
    if (tookMs > this.#settings.breaker.slowMs) this.breaker.probeFailed(now)
    else this.breaker.probeSucceeded(tookMs, now)
    if (!counts && begunAt !== this.#begunAt) {
      // A store that has forgotten the window cannot say when it began, before it has begun another.
      this.#counted = undefined
      return
    }
    if (counts) this.#counted = window
    if (window !== this.#window) {
      // What was seen last of a window that has passed is how many were there.
      if (this.#window !== undefined && this.#seen > 0) this.processes = this.#seen
      this.#window = window
      this.#seen = 0
    }
    this.#seen = Math.max(this.#seen, count as number)
    this.processes = Math.max(this.processes ?? 1, this.#seen)
    const forgot = this.#begunAt !== undefined && begunAt !== this.#begunAt
    this.#begunAt = begunAt
    if (forgot) {
      const { place } = this
      this.life++
      this.#events.forgot(this, place)
    }
  }

  #probeFailed(error: unknown, now: number): void {
    this.lastError = error instanceof Error ? error : new Error(String(error))
    this.breaker.probeFailed(now)
  }

  /** The next probe: soon while one is wanted, else in an interval. */
  #again(): void {
    const { scheduler, healthCheckIntervalMs } = this.#settings
    const { breaker } = this
    const wanted = breaker.probeInMs(scheduler.now())
    if (breaker.state.kind === 'closed' && this.store.sync) return
    // Half open it asks again at once, but not in a loop that never rests.
    const soon = this.#counted === undefined ? 0 : healthCheckIntervalMs
    const inMs = wanted === undefined ? soon : Math.max(5, wanted)
    this.#cancel = scheduler.after(inMs, () => this.#probe())
  }

  #tell(): void {
    const { kind } = this.breaker.state
    if (kind === this.#kind) return
    this.#kind = kind
    if (!this.#probing && !this.#closed) {
      this.#cancel()
      this.#again()
    }
    this.#events.changed(this)
  }
}

function isClosedError(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'ERR_RATELIMIT_STORE_CLOSED'
}
