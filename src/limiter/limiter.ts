// One question, one answer: may this key spend this much now?
// Promise: on a store that answers at once, so does every call here, by type; an observer never breaks a decision.
// Next: call-terms.ts, what a call asks for; headline.ts for the figures, ../stores/store.ts for what is asked.

import { type Clock, systemClock } from '../core/clock.ts'
import type { Asked, Decision } from '../core/decision.ts'
import type { BanTerms } from '../core/ban-terms.ts'
import { ConfigError } from '../core/errors.ts'
import type { LimitSet, RateInput } from '../core/limit-set.ts'
import { checkAlgorithm } from '../core/limit.ts'
import { type MaybePromise, andThen, isPromise } from '../core/maybe.ts'
import type { ObservedRequest } from '../core/observer.ts'
import { Watchers, isWatched } from '../core/watching.ts'
import type { AsyncStore, LocalDecider, LoneDecider, Mode, Store, SyncStore, Taken } from '../stores/store.ts'
import { CallTerms, checkKey, checkedCost } from './call-terms.ts'
import { decide, exempt, refusedUnasked } from './headline.ts'
import { type OnStoreError, decideAlone, decideWithoutStore, giveBackWithoutStore } from './outage.ts'
import { type LimiterOptions, banTerms, checkOptions, isCost } from './options.ts'

/** What a limiter on this store answers with: the value, or a promise of it. */
export type Answer<S extends Store, T> = S extends SyncStore ? T : Promise<T>

/** What a single call may say. */
export interface CheckOptions<Subject = unknown> {
  /** Whole number ≥ 1 (default: the limiter's). */
  readonly cost?: number
  /** Another rate for this call, null for none; the counter is the same where algorithm and period are. */
  readonly rate?: RateInput | null
  /** What the limiter's functions are called with (default: the key). */
  readonly subject?: Subject
  /** The request it is about, for those who watch. */
  readonly request?: ObservedRequest
}

/** What a refund may say. */
export interface RefundOptions {
  /** Whole number ≥ 1 (default: the decision's, or 1). Never more than the decision's, over all refunds of it. */
  readonly cost?: number
  /** The decision that is given back. With it, nothing returns that its window has already forgotten. */
  readonly of?: Decision
  /** Without `of`: the rate of the refunded call, where it had one of its own. */
  readonly rate?: RateInput
}

/** A limit or several, on a store. */
export interface Limiter<S extends Store = Store, Subject = unknown> {
  readonly name: string
  readonly store: S
  /**
   * Decides and charges.
   * @throws RateLimitError `ERR_RATELIMIT_KEY` for an empty key, `ERR_RATELIMIT_COST` for a cost that is no whole number ≥ 1
   */
  check(key: string, options?: CheckOptions<Subject>): Answer<S, Decision>
  /** What the next `check` with this cost would say. Changes nothing. */
  peek(key: string, options?: CheckOptions<Subject>): Answer<S, Decision>
  /** Gives back what a call was charged: never above the limit, never into a later window, never for a key that has nothing. */
  refund(key: string, options?: RefundOptions): Answer<S, void>
  /** Forgets the key's counters and bans. Limiters whose rate is a function: of the rate given, or of the subject's. */
  reset(key: string, options?: CheckOptions<Subject>): Answer<S, void>
  /** Refuses the key for so many ms, whatever its counters say. A running ban is prolonged, never shortened. */
  ban(key: string, durationMs: number, options?: CheckOptions<Subject>): Answer<S, void>
  /** Lifts a ban. */
  unban(key: string, options?: CheckOptions<Subject>): Answer<S, void>
  /** The limits a call would be decided by; undefined for none. */
  limitsFor(key: string, options?: CheckOptions<Subject>): LimitSet | undefined
}

const unnamed = new WeakMap<Store, number>()

/**
 * Builds a limiter over a store. The package's `createLimiter` is this one with a memory store as the default.
 * @param withNet puts a store that answers later over a safety net: one that can decide without it
 * @throws ConfigError for anything that is wrong with the options, naming the option
 */
export function buildLimiter<S extends Store, Subject = unknown>(
  options: LimiterOptions<S, Subject> & { readonly store: S },
  option = 'createLimiter',
  withNet: (store: AsyncStore) => AsyncStore = (store) => store,
): Limiter<S, Subject> {
  checkOptions(options as LimiterOptions<Store, never>, option)
  const decider: Store = options.store.sync ? options.store : withNet(options.store)
  return new StoreLimiter<S, Subject>(options, option, decider) as unknown as Limiter<S, Subject>
}

class StoreLimiter<S extends Store, Subject> {
  readonly name: string
  readonly store: S
  /** Who is asked: the store, or its safety net. */
  readonly #decider: Store
  readonly #onStoreError: OnStoreError
  /** Who decides alone, where that is what is to happen when no store answers. */
  readonly #alone: LoneDecider | undefined
  readonly #terms: CallTerms<Subject>
  /** Who answers for exempt requests. */
  readonly #nothing: Asked
  readonly #cost: number
  readonly #shadow: boolean
  readonly #mode: Mode
  readonly #penalty: BanTerms | undefined
  readonly #clock: Clock
  readonly #watchers: Watchers
  /** Whether this limiter has observers of its own. */
  readonly #isWatched: boolean
  /** How much of a decision has been given back, so that nothing is given back twice. */
  readonly #refunded = new WeakMap<Decision, number>()
  /** The limits, where nothing but the store stands between a key and its decision. */
  readonly #plainSet: LimitSet | undefined

  constructor(options: LimiterOptions<S, Subject> & { readonly store: S }, option: string, decider: Store) {
    this.store = options.store
    this.#decider = decider
    this.#onStoreError = options.onStoreError ?? 'local'
    const isAble = this.#onStoreError === 'local' && !decider.sync && 'mayAsk' in decider
    this.#alone = isAble ? (decider as AsyncStore & LoneDecider) : undefined
    this.#clock = options.clock ?? (options.store as { readonly clock?: Clock }).clock ?? systemClock
    this.name = options.name ?? `policy-${nextNumber(options.store)}`
    this.#nothing = { policy: this.name, limits: [] }
    this.#shadow = options.shadow ?? false
    this.#mode = options.chargeRefused === true ? 'charge' : 'take'
    this.#watchers = new Watchers(options.observers, decider, this.#shadow)
    this.#isWatched = this.#watchers.own
    this.#penalty = options.penalty === undefined ? undefined : banTerms(options.penalty, `${option}.penalty`)
    this.#terms = new CallTerms<Subject>(options, option, this.name, (error, where) => this.#report(error, where))
    const { fixed, cost } = this.#terms
    this.#cost = cost
    // What a rate function leaves open cannot be checked yet; a misspelt setting can.
    if (fixed === undefined) checkAlgorithm(options.algorithm, options.algorithmConfig, option)
    // A rate of 0 refuses everything on purpose; any other limit must be able to grant what it is always asked for.
    if (fixed !== undefined && fixed.maxCost > 0 && cost > fixed.maxCost) {
      throw new ConfigError(`${option}.cost`, `at most what the limit can ever grant, ${fixed.maxCost}`, cost)
    }
    const plain =
      typeof options.cost !== 'function' &&
      options.skipIf === undefined &&
      (options.enabled === undefined || options.enabled === true) &&
      this.#penalty === undefined
    this.#plainSet = plain ? fixed : undefined
  }

  check(key: string, options?: CheckOptions<Subject>): MaybePromise<Decision> {
    const set = this.#plainSet
    if (set !== undefined && options?.rate === undefined) {
      const cost = options?.cost === undefined ? this.#cost : options.cost
      if (typeof key === 'string' && key !== '' && isCost(cost) && cost <= set.maxCost) {
        if (this.#isWatched || isWatched()) return this.#checkWatched(set, key, cost, options)
        const store = this.#decider
        if (store.sync) return decide(set, store.take(set, key, cost, this.#mode), cost, this.#shadow)
        return this.#asked(set, key, cost, this.#mode)
      }
    }
    return this.#checkAll(key, options)
  }

  // Apart from `check`, which must not make room for what these functions hold on to.

  /** `check`, with those who watch. */
  #checkWatched(set: LimitSet, key: string, cost: number, options: CheckOptions<Subject> | undefined): MaybePromise<Decision> {
    const watchers = this.#watchers
    const begunAt = watchers.begin()
    const store = this.#decider
    if (store.sync) {
      const decision = decide(set, store.take(set, key, cost, this.#mode), cost, this.#shadow)
      watchers.decided(decision, key, options?.request, begunAt)
      return decision
    }
    return this.#asked(set, key, cost, this.#mode).then((decision) => {
      watchers.decided(decision, key, options?.request, begunAt)
      return decision
    })
  }

  /** Asks a store that answers later; or nobody, while this process decides alone anyway. */
  #asked(set: LimitSet, key: string, cost: number, mode: Mode): Promise<Decision> {
    const alone = this.#alone
    if (alone === undefined || alone.mayAsk(set, key))
      return this.#later(this.#decider.take(set, key, cost, mode) as PromiseLike<Taken>, set, key, cost, mode)
    if (this.#watchers.any) this.#report(alone.whyAlone(), 'store')
    return Promise.resolve(decideAlone(alone, set, key, cost, mode, this.#shadow))
  }

  #later(taken: PromiseLike<Taken>, set: LimitSet, key: string, cost: number, mode: Mode): Promise<Decision> {
    return taken.then(
      (answer) => {
        const decision = decide(set, answer, cost, this.#shadow)
        return answer.excess === undefined ? decision : decision.exceeding(answer.excess)
      },
      (error: unknown) => {
        const asked = { set, key, cost, mode, now: this.#clock.now() }
        const decision = decideWithoutStore(error, this.#onStoreError, this.#decider, asked, this.#shadow)
        // What is thrown, its caller hears of.
        this.#report(error, 'store')
        return decision
      },
    ) as Promise<Decision>
  }

  #checkAll(key: string, options: CheckOptions<Subject> | undefined): MaybePromise<Decision> {
    const begunAt = this.#watchers.any ? this.#watchers.begin() : undefined
    return this.#answer(
      andThen(this.#ask(key, options, this.#mode), (decision) =>
        andThen(this.#punish(key, options, decision), (final) => {
          if (this.#watchers.any) this.#watchers.decided(final, key, options?.request, begunAt)
          return final
        }),
      ),
    )
  }

  /** What was at hand although the store answers later, as an exempt call is: callers are promised a promise. */
  #answer<T>(value: MaybePromise<T>): MaybePromise<T> {
    return this.store.sync ? value : Promise.resolve(value)
  }

  peek(key: string, options?: CheckOptions<Subject>): MaybePromise<Decision> {
    return this.#answer(this.#ask(key, options, 'peek'))
  }

  refund(key: string, options: RefundOptions = {}): MaybePromise<void> {
    checkKey(key)
    const { of, cost: asked } = options
    if (asked !== undefined) checkedCost(asked)
    if (of === undefined) {
      const { fixed } = this.#terms
      const set = options.rate === undefined ? fixed : this.#terms.byRate(options.rate)
      if (set !== undefined) return this.#giveBack(set, key, asked ?? 1)
      throw new ConfigError('refund.rate', 'the rate of the call, as the limiter computes it by a function', undefined)
    }
    // An exempt call was not charged. A refused one was at most pressed into a full counter, which gives nothing back.
    if (of.kind !== 'granted') return this.#answer(undefined)
    const given = this.#refunded.get(of) ?? 0
    const cost = Math.min(asked ?? of.cost, of.cost - given)
    if (cost <= 0) return this.#answer(undefined)
    this.#refunded.set(of, given + cost)
    if (of.source === 'local') {
      const { takeLocally } = this.#decider as Partial<LocalDecider>
      takeLocally?.call(this.#decider, of.asked as LimitSet, key, cost, 'refund', of.now)
      return this.#answer(undefined)
    }
    return this.#giveBack(of.asked as LimitSet, key, cost, of.now)
  }

  reset(key: string, options?: CheckOptions<Subject>): MaybePromise<void> {
    const set = this.#setFor(key, options)
    return this.#answer(set === undefined ? undefined : andThen(this.#decider.reset(set, key), () => this.#unbanned(key)))
  }

  ban(key: string, durationMs: number, options?: CheckOptions<Subject>): MaybePromise<void> {
    const set = this.#setFor(key, options)
    const terms = banTerms({ durationMs, maxMs: durationMs, forgetAfterMs: 0 }, 'ban')
    if (set === undefined) return this.#answer(undefined)
    return this.#answer(andThen(this.#decider.ban(set, key, terms), (lastsMs) => this.#banned(set, key, lastsMs, 'call')))
  }

  unban(key: string, options?: CheckOptions<Subject>): MaybePromise<void> {
    const set = this.#setFor(key, options)
    return this.#answer(set === undefined ? undefined : this.#lift(set, key))
  }

  limitsFor(key: string, options?: CheckOptions<Subject>): LimitSet | undefined {
    return this.#setFor(key, options)
  }

  #giveBack(set: LimitSet, key: string, cost: number, takenAt?: number): MaybePromise<void> {
    const given = this.#decider.take(set, key, cost, 'refund', takenAt)
    if (!isPromise(given)) return this.#answer(undefined)
    return given.then(
      () => undefined,
      (error: unknown) => {
        giveBackWithoutStore(error, this.#onStoreError, this.#decider, { set, key, cost, takenAt })
        this.#report(error, 'store')
      },
    )
  }

  #ask(key: string, options: CheckOptions<Subject> | undefined, mode: Mode): MaybePromise<Decision> {
    if (!this.#terms.enabled()) return this.#exempt()
    const subject = options?.subject ?? (key as Subject)
    if (this.#terms.skips(subject)) return this.#exempt()
    const set = this.#setFor(key, options)
    if (set === undefined) return this.#exempt()
    const cost = options?.cost === undefined ? this.#terms.costOf(subject) : checkedCost(options.cost)
    if (cost > set.maxCost) {
      return refusedUnasked(set, set.maxCost === 0 ? 'limit' : 'cost', this.#shadow, cost, this.#clock.now())
    }
    const store = this.#decider
    return store.sync ? decide(set, store.take(set, key, cost, mode), cost, this.#shadow) : this.#asked(set, key, cost, mode)
  }

  #exempt(): Decision {
    return exempt(this.#nothing, this.#clock.now())
  }

  #setFor(key: string, options: CheckOptions<Subject> | undefined): LimitSet | undefined {
    checkKey(key)
    return this.#terms.limitsFor(options?.rate, options?.subject ?? (key as Subject))
  }

  /** A refusal by a limit bans the key, if so configured. */
  #punish(key: string, options: CheckOptions<Subject> | undefined, decision: Decision): MaybePromise<Decision> {
    if (this.#penalty === undefined || decision.kind !== 'refused' || decision.reason !== 'limit' || this.#shadow) return decision
    if (decision.source === 'none' || decision.source === 'shared') return decision
    const banned = (): MaybePromise<Decision> => {
      const set = this.#setFor(key, options) as LimitSet
      return andThen(this.#decider.ban(set, key, this.#penalty as BanTerms), (lastsMs) => {
        this.#banned(set, key, lastsMs, 'penalty')
        return decision.waitingAtLeast(lastsMs)
      })
    }
    const failed = (error: unknown): Decision => {
      this.#report(error, 'penalty')
      return decision
    }
    try {
      const result = banned()
      return isPromise(result) ? result.then((final) => final, failed) : result
    } catch (error) {
      return failed(error)
    }
  }

  #lift(set: LimitSet, key: string): MaybePromise<void> {
    return andThen(this.#decider.unban(set, key), () => this.#unbanned(key))
  }

  #banned(set: LimitSet, key: string, lastsMs: number, cause: 'penalty' | 'call'): void {
    this.#watchers.banned({ policy: this.name, key, lastsMs, cause, lift: () => this.#lift(set, key) })
  }

  #unbanned(key: string): void {
    this.#watchers.unbanned({ policy: this.name, key })
  }

  #report(error: unknown, where: string): void {
    this.#watchers.failed(error, where)
  }
}

function nextNumber(store: Store): number {
  const number = (unnamed.get(store) ?? 0) + 1
  unnamed.set(store, number)
  return number
}
