// One store of several, or one server of a store that is several: its breaker, and the probes that find out whether it is of use. Promise:
// a probe is a real decision on a key of our own, one at a time, and ends in time whatever the store does; from its answer follows whether
// the store has lost its memory, or the latest of it: then it has begun another life.
// Next: life.ts, what it asks; servers.ts, who is one; failover-store.ts.

import { StoreError, type StoreErrorKind } from '../../core/errors.ts'
import { type MaybePromise, isPromise } from '../../core/maybe.ts'
import type { Scheduler } from '../../core/scheduler.ts'
import { PROCESSES, type PartedStore, canaryOf } from '../canary.ts'
import type { Store, Taken } from '../store.ts'
import { Breaker, type BreakerSettings } from './breaker.ts'
import { Life, type Looked } from './life.ts'
import { ProcessCount } from './process-count.ts'
import { StoreClock } from './store-clock.ts'

/** What a member tells of itself. */
export interface MemberEvents {
  /** The breaker stands differently than before. */
  changed(member: Member): void
  /** The store has lost its memory, and with it its former place. */
  forgot(member: Member, place: string): void
  /** For how long a decision would wait for it now, ms: a probe that takes longer shows that it is of no use. */
  patienceMs(member: Member): number
}

/** How members are kept. Times in ms. */
export interface MemberSettings {
  readonly breaker: BreakerSettings
  readonly healthCheckIntervalMs: number
  readonly healthCheckTimeoutMs: number
  readonly scheduler: Scheduler
  readonly random: () => number
  /** Names this process. */
  readonly writer: string
}

/** A window of the life's counter ends while nobody looks, by so many probes. */
const GRACE = 3

/** A store among others, or a server of one. */
export class Member {
  /** The store's name. */
  readonly name: string
  /** Which of the store's servers it is; 0 for a store that is one. */
  readonly part: number
  /** Tells it from all others. */
  readonly id: string
  readonly store: Store
  readonly breaker: Breaker
  /** Counts the times it was found to have lost its memory. */
  life = 0
  /** The store's time as far as it has told it. */
  readonly clock: StoreClock
  /** The latest failure, without secrets. */
  lastError: Error | undefined
  readonly #settings: MemberSettings
  readonly #events: MemberEvents
  readonly #life: Life
  readonly #count: ProcessCount
  /** Whether it was asked or told anything since the last probe. */
  #isUsed = false
  #probing = false
  #started = false
  #closed = false
  /** Who waits for the next probe. */
  #doubters: ((found: boolean) => void)[] = []
  #cancel: () => void = () => {}
  #kind = 'closed'

  constructor(name: string, store: Store, settings: MemberSettings, events: MemberEvents, part = 0) {
    this.name = name
    this.part = part
    this.id = part === 0 ? name : `${name}/${part}`
    this.store = store
    this.#life = new Life(store, part, settings.writer, GRACE * settings.healthCheckIntervalMs)
    this.#count = new ProcessCount(store, canaryOf(part))
    this.#settings = settings
    this.#events = events
    this.breaker = new Breaker(settings.breaker, settings.random)
    this.clock = new StoreClock(settings.scheduler)
  }

  /** The store and its life, as the shadow notes them. */
  get place(): string {
    return `${this.life}#${this.id}`
  }

  /** How many processes use it; undefined before that is known. */
  get processes(): number | undefined {
    return this.#count.processes
  }

  /** Whether it is one: a server of a cluster may have lost its name to another, by slots that moved. */
  get isThere(): boolean {
    const { partOf } = this.store as Partial<PartedStore>
    return partOf === undefined || partOf.call(this.store, PROCESSES, canaryOf(this.part)) === this.part
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

  /** It is told something that it has to keep. */
  told(): void {
    this.#isUsed = true
  }

  /** A decision was answered. */
  answered(taken: Taken, askedAt: number, now: number): void {
    this.#isUsed = true
    this.clock.told(taken.now, askedAt, now)
    this.breaker.succeeded(now - askedAt, now)
    this.#tell()
  }

  /** A decision failed. */
  failed(error: Error, isFinal: boolean, askedAt: number): void {
    this.#isUsed = true
    this.lastError = error
    const now = this.#settings.scheduler.now()
    // For counters that are there it is as well as ever.
    if (hasNoRoom(error)) return
    // Others were quicker, and the store said so at once: that is a busy counter, not a store that fails.
    if (kindOf(error) === 'not_executed' && now - askedAt <= this.#settings.breaker.slowMs) return
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
    if (!this.isThere) {
      this.#probing = false
      for (const tell of doubters) tell(false)
      this.#cancel = this.#settings.scheduler.after(this.#settings.healthCheckIntervalMs, () => this.#probe())
      return
    }
    const { kind } = this.breaker.state
    const isUsed = this.#isUsed
    this.#isUsed = false
    const end = (error?: unknown): void => {
      this.#probing = false
      if (this.#closed || isClosedError(error)) {
        // Closed on purpose, it will not come back: the next decision tells so.
        if (!this.#closed) this.lastError = error as Error
        this.close()
        for (const tell of doubters) tell(false)
        return
      }
      const isAnswered = error === undefined
      if (!isAnswered && !hasNoRoom(error)) this.#probeFailed(error)
      this.#tell()
      for (const tell of doubters) tell(isAnswered)
      if (this.#doubters.length > 0) this.#probe()
      else this.#again()
    }
    const tell = (): void =>
      this.#ask(
        () => this.#life.tell(),
        end,
        (tookMs) => this.#answered(tookMs),
      )
    // What is told in vain might make up for what it has lost: a store that may not answer is looked at first.
    if (kind === 'open')
      this.#ask(
        () => this.#life.look(),
        (error) => (error === undefined || hasNoRoom(error) ? tell() : end(error)),
      )
    // While nobody asks or tells it anything, a look shows as much.
    else if (kind === 'closed' && !isUsed)
      this.#ask(
        () => this.#life.look(),
        end,
        (tookMs) => this.#answered(tookMs),
      )
    else tell()
    if (!this.store.sync && (kind === 'closed' || kind === 'returning')) void this.#count.look()
  }

  /** Asks one thing, for as long as a probe may take. */
  #ask(ask: () => MaybePromise<Looked>, end: (error?: unknown) => void, answered: (tookMs: number) => void = () => {}): void {
    const { scheduler, healthCheckTimeoutMs } = this.#settings
    const askedAt = scheduler.now()
    let settled = false
    const settle = (looked: Looked | undefined, error?: unknown): void => {
      // Also what comes too late.
      if (looked?.isOther === true && !this.#closed) this.#forgot()
      if (settled) return
      settled = true
      cancelTimeout()
      const now = scheduler.now()
      const tookMs = now - askedAt
      if (!this.#closed && looked !== undefined) this.clock.told(looked.now, askedAt, now)
      // For counters that are there, a store without room for more is as well as ever.
      if (!this.#closed && (looked !== undefined || hasNoRoom(error))) answered(tookMs)
      end(looked === undefined ? error : undefined)
    }
    const cancelTimeout = scheduler.after(healthCheckTimeoutMs, () =>
      settle(undefined, new Error(`no answer to a health check within ${healthCheckTimeoutMs} ms`)),
    )
    try {
      const answer = ask()
      if (isPromise(answer)) answer.then(settle, (error: unknown) => settle(undefined, error ?? new Error('failed')))
      else settle(answer)
    } catch (error) {
      settle(undefined, error ?? new Error('failed'))
    }
  }

  #forgot(): void {
    this.#count.forgotten()
    const { place } = this
    this.life++
    this.#events.forgot(this, place)
  }

  #answered(tookMs: number): void {
    const now = this.#settings.scheduler.now()
    const longestMs = Math.min(this.#settings.breaker.slowMs, this.#events.patienceMs(this))
    if (tookMs > longestMs) this.breaker.probeFailed(now)
    else this.breaker.probeSucceeded(tookMs, now)
  }

  #probeFailed(error: unknown): void {
    this.lastError = error instanceof Error ? error : new Error(String(error))
    this.breaker.probeFailed(this.#settings.scheduler.now())
  }

  /** The next probe: soon while one is wanted, else in an interval. */
  #again(): void {
    this.#cancel()
    const { scheduler, healthCheckIntervalMs } = this.#settings
    const { breaker } = this
    const wanted = breaker.probeInMs(scheduler.now())
    if (breaker.state.kind === 'closed' && this.store.sync) return
    // Half open it asks again at once, but not in a loop that never rests.
    const inMs = wanted === undefined ? healthCheckIntervalMs : Math.max(5, wanted)
    this.#cancel = scheduler.after(inMs, () => this.#probe())
  }

  #tell(): void {
    const { kind } = this.breaker.state
    if (kind === this.#kind) return
    this.#kind = kind
    if (kind === 'open') this.#count.disturbed()
    if (!this.#probing && !this.#closed) {
      this.#again()
    }
    this.#events.changed(this)
  }
}

function isClosedError(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'ERR_RATELIMIT_STORE_CLOSED'
}

/** Whether a store has only no room for another counter. */
function hasNoRoom(error: unknown): boolean {
  return kindOf(error) === 'no_room'
}

function kindOf(error: unknown): StoreErrorKind | undefined {
  return error instanceof StoreError ? error.kind : undefined
}
