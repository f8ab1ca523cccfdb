// Who watches: what is told of decisions, stores, bans and settings. Promise: a watcher that throws never reaches the request, and a
// watcher that is not there costs nothing. Next: watching.ts, which tells them.

import type { Decision } from './decision.ts'
import type { MaybePromise } from './maybe.ts'

/** The request a decision is about, as watchers may see it. Hostile input, all of it but `address`. */
export interface ObservedRequest {
  /** Upper case. */
  readonly method: string
  /** The route pattern the framework matched, when it has; `'/orders/:id'`. */
  readonly route: string | undefined
  /** The request target as received, query included. */
  readonly url: string
  /** The client's whole address, the one that the key `ip` is made of. */
  readonly address: string | undefined
  /** The authenticated user's id. */
  readonly user: string | undefined
}

/** The store a decision is asked of. */
export interface ObservedStore {
  readonly name: string
  /** Whether it answers at once. */
  readonly sync: boolean
}

/** What is known about a decision beside itself. */
export interface DecisionContext {
  /** Over HTTP: the request. */
  readonly request: ObservedRequest | undefined
  /** Whether the limiter only tries its limits out: a refusal of it is none. */
  readonly shadow: boolean
  /** The store that the limiter asks; of a store that may fail, its safety net. */
  readonly store: ObservedStore
  /** Ms from the question to the decision, where that was measured (see {@link Observer.everyDuration}). */
  readonly tookMs: number | undefined
}

/** Something happened to a store. */
export interface StoreEvent {
  /**
   * `down` it is no longer asked · `probing` it is being tried · `returning` a growing part of the keys comes back · `up` it is asked
   * about all of them · `forgot` it has lost its memory · `misconfigured` it refuses us until somebody changes a setting
   */
  readonly kind: 'down' | 'probing' | 'returning' | 'up' | 'forgot' | 'misconfigured'
  readonly store: string
  /** Of a cluster, the server that it happened to: `host:port`. */
  readonly server?: string
  /** Why, where there is a reason. Holds no secret. */
  readonly error?: Error | undefined
}

/** A key is refused for a while, whatever its counters say. */
export interface BanEvent {
  readonly policy: string
  readonly key: string
  /** How long from now, in ms. */
  readonly lastsMs: number
  /** A `penalty` after a refusal, or the app's own `call` of `ban`. */
  readonly cause: 'penalty' | 'call'
  /** Lifts it. */
  readonly lift: () => MaybePromise<void>
}

/** A ban is over before its time. */
export interface UnbanEvent {
  readonly policy: string
  readonly key: string
}

/**
 * Watches limiters: those it is given to as one of their `observers`, or all of the process by `addObserver`. Called after the decision,
 * outside its control flow; what it throws is told to every `onError` and goes no further.
 */
export interface Observer {
  /**
   * Ask for `tookMs` of every decision (default false: of every one on a store that answers later, and of one in 64 on a store that
   * answers at once, where looking at the time takes as long as half a decision).
   */
  readonly everyDuration?: boolean
  /** Every decision, with the key it was for; undefined where none was looked for. Keys made from secrets arrive hashed. */
  onDecision?(decision: Decision, key: string | undefined, context: DecisionContext): void
  /** Every refusal that is enforced, after `onDecision`. */
  onRefused?(decision: Decision, key: string | undefined, context: DecisionContext): void
  /** What a limiter in `shadow` would have refused, after `onDecision`. */
  onWouldBlock?(decision: Decision, key: string | undefined, context: DecisionContext): void
  /** A key was banned. */
  onBan?(event: BanEvent): void
  /** A ban was lifted. */
  onUnban?(event: UnbanEvent): void
  /** Something an app's function (`skipIf`, `cost`, …), a store or a penalty threw while limiting went on. `where` names it. */
  onError?(error: unknown, where: string): void
  /** A store goes down or comes back. Told to the observers of the process only. */
  onStoreEvent?(event: StoreEvent): void
  /** Something is set in a way that is probably not meant. Told to the observers of the process only, also what was found before. */
  onWarning?(message: string): void
}
