// Counts decisions, for whoever exports or shows them. Promise: a decision costs a few additions; what is counted apart is bounded, whatever
// comes: policies, sources and stores past the bound are "other", and no key is ever a name. Next: metric-families.ts, live-view.ts.

import type { Asked, Decision, Source } from '../core/decision.ts'
import type { BanEvent, DecisionContext, ObservedRequest, Observer, StoreEvent } from '../core/observer.ts'
import { BoundedMap } from './bounded-map.ts'
import { Durations } from './durations.ts'
import { REASONS, RESULTS, reasonAt, resultAt } from './results.ts'
import { StoresSeen } from './stores-seen.ts'

/** What is counted of one policy, by one source, on one store. */
export class Row {
  readonly policy: Policy
  readonly source: Source | 'other'
  readonly store: string
  /** In the order of `RESULTS`. */
  readonly results = new Float64Array(RESULTS.length)
  /** Refusals, enforced or not, in the order of `REASONS`. */
  readonly reasons = new Float64Array(REASONS.length)
  /** What granted requests have cost. */
  cost = 0

  constructor(policy: Policy, source: Source | 'other', store: string) {
    this.policy = policy
    this.source = source
    this.store = store
  }
}

/** A policy that has decided. */
export class Policy {
  readonly name: string
  readonly rows: Row[] = []
  shadow = false
  /** Its limits, as they were asked last. */
  asked: Asked | undefined

  constructor(name: string) {
    this.name = name
  }
}

/** Hears what is known of some decisions only. What it throws is counted. */
export interface TallyListener {
  /** A check was timed. */
  readonly onDuration?: (store: string, ms: number) => void
  /** A decision over HTTP. */
  readonly onRequest?: (decision: Decision, request: ObservedRequest) => void
}

const OTHER = 'other'
const MOST_ROWS = 24
const MOST_STORES = 32
const MOST_WHERES = 64

/** Watches, and counts. */
export class Tally implements Observer {
  readonly stores = new StoresSeen()
  readonly durations = new Durations(MOST_STORES)
  /** By policy and cause. */
  readonly bans: BoundedMap<number>
  /** Failures while limiting went on, by where. */
  readonly errors = new BoundedMap<number>(MOST_WHERES, () => 0)
  /** By store and kind. */
  readonly storeEvents = new BoundedMap<number>(MOST_STORES * 6, () => 0)
  readonly #policies: BoundedMap<Policy>
  readonly #listeners = new Set<TallyListener>()
  readonly #sleepers = new Set<() => void>()
  #asleep = false
  /** The row that was counted in last, mostly the next one too, and what it was found by. */
  #row: Row | undefined
  #source: Source | undefined
  #context: DecisionContext | undefined

  /** @param maxPolicies policies that are told apart */
  constructor(maxPolicies: number) {
    this.#policies = new BoundedMap(maxPolicies, (name) => new Policy(name))
    this.bans = new BoundedMap(maxPolicies * 2, () => 0)
  }

  /** All that is counted. */
  get policies(): Iterable<Policy> {
    return this.#policies.values()
  }

  /** One of them. */
  policy(name: string): Policy | undefined {
    return this.#policies.peek(name)
  }

  onDecision(decision: Decision, _key: string | undefined, context: DecisionContext): void {
    this.count(decision, context)
  }

  /** Counts a decision, and tells where. */
  count(decision: Decision, context: DecisionContext): Row {
    const { source } = decision
    let row = this.#row
    // Decisions of a limiter of which nothing else is known share one context.
    if (row === undefined || this.#context !== context || this.#source !== source) {
      row = this.#find(decision, context)
      this.#row = row
      this.#source = source
      // One that has a request is of that request alone, and would keep it from being let go of.
      this.#context = context.request === undefined ? context : undefined
      this.#tell(decision, row.store, context)
    }
    if (this.#asleep) this.#wake()
    const result = resultAt(decision)
    row.results[result] = (row.results[result] as number) + 1
    if (result === 0) row.cost += decision.cost
    else if (decision.reason !== undefined) {
      const at = reasonAt(decision.reason)
      row.reasons[at] = (row.reasons[at] as number) + 1
    }
    return row
  }

  /** Tells more about decisions. Returns what ends it. */
  listen(listener: TallyListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls once, at the next decision. Returns what keeps it from that. */
  atNext(call: () => void): () => void {
    this.#sleepers.add(call)
    this.#asleep = true
    return () => this.#sleepers.delete(call)
  }

  onBan({ policy, cause }: BanEvent): void {
    this.bans.update(`${cause}:${policy}`, (count) => count + 1)
  }

  onError(_error: unknown, where: string): void {
    this.errors.update(where, (count) => count + 1)
  }

  onStoreEvent({ store, kind }: StoreEvent): void {
    this.storeEvents.update(`${kind}:${store}`, (count) => count + 1)
  }

  #tell(decision: Decision, store: string, { request, tookMs }: DecisionContext): void {
    if (tookMs !== undefined) this.durations.note(store, tookMs)
    for (const listener of this.#listeners) {
      try {
        if (tookMs !== undefined) listener.onDuration?.(store, tookMs)
        if (request !== undefined) listener.onRequest?.(decision, request)
      } catch (error) {
        this.onError(error, 'metrics')
      }
    }
  }

  #wake(): void {
    this.#asleep = false
    const calls = [...this.#sleepers]
    this.#sleepers.clear()
    for (const call of calls) call()
  }

  #find(decision: Decision, context: DecisionContext): Row {
    const policy = this.#policies.at(decision.policy)
    policy.shadow = context.shadow
    if (decision.limits.length > 0) policy.asked = decision.asked
    this.stores.note(context.store)
    const { source } = decision
    const { name } = context.store
    const known = policy.rows.find((row) => row.source === source && row.store === name)
    if (known !== undefined) return known
    // The last place is for all that does not fit.
    const fits = policy.rows.length < MOST_ROWS - 1
    const last = policy.rows[MOST_ROWS - 1]
    if (!fits && last !== undefined) return last
    const row = fits ? new Row(policy, source, name) : new Row(policy, OTHER, OTHER)
    policy.rows.push(row)
    return row
  }
}
