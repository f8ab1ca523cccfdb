// Tells those who watch. Promise: while nobody does, a decision pays for one look; what a watcher throws goes to the watchers' `onError`
// and no further; whoever begins late hears of what comes then. Next: observer.ts (what is told), channels.ts (to whom besides).

import * as channels from './channels.ts'
import { monotonicMs } from './clock.ts'
import type { Decision } from './decision.ts'
import { ConfigError } from './errors.ts'
import type { BanEvent, DecisionContext, ObservedRequest, ObservedStore, Observer, StoreEvent, UnbanEvent } from './observer.ts'

const NOBODY: readonly Observer[] = []
/** Those who watch all limiters. A new list for each change, so that one that is being gone through stays as it is. */
let everywhere = NOBODY
let everywhereTimesAll = false
const MOST_WARNINGS = 50
/** What was found before anybody watched. */
const warned: string[] = []
/** Of decisions on stores that answer at once, one in 64 is timed: a mask, and a first one that is. */
const TIMED_IN = 63

/**
 * Lets an observer watch every limiter of the process, those that exist and those to come. It is told of the warnings there have been.
 * @returns ends it
 * @throws ConfigError for what is no object
 */
export function addObserver(observer: Observer): () => void {
  if (typeof observer !== 'object' || observer === null) throw new ConfigError('addObserver(observer)', 'an observer', observer)
  watchedBy([...everywhere, observer])
  for (const message of warned) guarded(observer, () => observer.onWarning?.(message))
  let watches = true
  return () => {
    if (!watches) return
    watches = false
    const at = everywhere.indexOf(observer)
    watchedBy(everywhere.filter((_, i) => i !== at))
  }
}

function watchedBy(observers: readonly Observer[]): void {
  everywhere = observers.length === 0 ? NOBODY : observers
  everywhereTimesAll = observers.some(timesAll)
}

/** Whether anybody hears of all decisions. The one look that each decision pays for. */
export function isWatched(): boolean {
  return (
    everywhere !== NOBODY ||
    channels.decisions.hasSubscribers ||
    channels.refusals.hasSubscribers ||
    channels.wouldBlocks.hasSubscribers
  )
}

/** Tells of a store. */
export function storeChanged(event: StoreEvent): void {
  for (const observer of everywhere) guarded(observer, () => observer.onStoreEvent?.(event))
  if (channels.stores.hasSubscribers) channels.stores.publish(event)
}

/** Tells of settings that are probably not meant. The message holds no secret. */
export function warningFound(message: string): void {
  if (warned.length < MOST_WARNINGS) warned.push(message)
  for (const observer of everywhere) guarded(observer, () => observer.onWarning?.(message))
  if (channels.warnings.hasSubscribers) channels.warnings.publish({ message })
}

/** Those who watch one limiter: its own observers, and those of the process. */
export class Watchers {
  /** Whether it has observers of its own. */
  readonly own: boolean
  readonly #own: readonly Observer[]
  readonly #store: ObservedStore
  readonly #shadow: boolean
  /** Whether every check is timed, for its own sake. */
  readonly #timesAll: boolean
  /** The context of decisions of which nothing else is known. */
  readonly #plain: DecisionContext
  #turn = TIMED_IN
  /** Its own observers and those of the process, and the list of the latter at that time. */
  #joined: readonly Observer[] = NOBODY
  #joinedFor: readonly Observer[] | undefined

  constructor(observers: readonly Observer[] | undefined, store: ObservedStore, shadow: boolean) {
    this.#own = observers ?? NOBODY
    this.own = this.#own.length > 0
    this.#timesAll = !store.sync || this.#own.some(timesAll)
    this.#store = store
    this.#shadow = shadow
    this.#plain = Object.freeze({ request: undefined, shadow, store, tookMs: undefined })
  }

  /** Whether anybody hears of this limiter's decisions. */
  get any(): boolean {
    return this.own || isWatched()
  }

  /** When a check begins, for `decided`; undefined for one that is not timed. */
  begin(): number | undefined {
    this.#turn = (this.#turn + 1) & TIMED_IN
    return this.#turn === 0 || this.#timesAll || everywhereTimesAll ? monotonicMs() : undefined
  }

  decided(decision: Decision, key: string | undefined, request: ObservedRequest | undefined, begunAt: number | undefined): void {
    const context = request === undefined && begunAt === undefined ? this.#plain : this.#context(request, begunAt)
    const refused = decision.kind === 'refused'
    for (const observer of this.#all()) {
      try {
        observer.onDecision?.(decision, key, context)
        if (!refused) continue
        if (this.#shadow) observer.onWouldBlock?.(decision, key, context)
        else observer.onRefused?.(decision, key, context)
      } catch (error) {
        this.failed(error, 'observer')
      }
    }
    if (channels.decisions.hasSubscribers) channels.decisions.publish({ decision, key, context })
    if (!refused) return
    const channel = this.#shadow ? channels.wouldBlocks : channels.refusals
    if (channel.hasSubscribers) channel.publish({ decision, key, context })
  }

  banned(event: BanEvent): void {
    this.#each((observer) => observer.onBan?.(event))
    if (channels.bans.hasSubscribers) channels.bans.publish(event)
  }

  unbanned(event: UnbanEvent): void {
    this.#each((observer) => observer.onUnban?.(event))
    if (channels.unbans.hasSubscribers) channels.unbans.publish(event)
  }

  /** Something failed while limiting went on. */
  failed(error: unknown, where: string): void {
    for (const observer of this.#all()) toldOfError(observer, error, where)
    if (channels.errors.hasSubscribers) channels.errors.publish({ error, where })
  }

  #each(tell: (observer: Observer) => void): void {
    for (const observer of this.#all()) {
      try {
        tell(observer)
      } catch (error) {
        this.failed(error, 'observer')
      }
    }
  }

  /** Both, those that are in both once. */
  #all(): readonly Observer[] {
    if (!this.own) return everywhere
    if (this.#joinedFor !== everywhere) {
      this.#joinedFor = everywhere
      this.#joined = [...new Set([...this.#own, ...everywhere])]
    }
    return this.#joined
  }

  #context(request: ObservedRequest | undefined, begunAt: number | undefined): DecisionContext {
    const tookMs = begunAt === undefined ? undefined : monotonicMs() - begunAt
    return { request, shadow: this.#shadow, store: this.#store, tookMs }
  }
}

function timesAll({ everyDuration }: Observer): boolean {
  return everyDuration === true
}

function guarded(observer: Observer, tell: () => void): void {
  try {
    tell()
  } catch (error) {
    for (const one of everywhere) toldOfError(one, error, 'observer')
    if (!everywhere.includes(observer)) toldOfError(observer, error, 'observer')
  }
}

function toldOfError(observer: Observer, error: unknown, where: string): void {
  try {
    observer.onError?.(error, where)
  } catch {
    // A watcher that fails even to hear of failures is not asked again for this one.
  }
}
