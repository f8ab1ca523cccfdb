// Deciding without a store: this process's share of each limit. Promise: with N processes all shares together are the limit (where it
// is at least N); a key starts with what was last known of it, so that an outage hands out nothing fresh; bounded. Next: failover-store.ts.

import type { Clock } from '../../core/clock.ts'
import { type LimitSet, type MutableLimit, derivedSet } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import { subWindowStart } from '../../algorithms/window.ts'
import type { Mode, State, SyncStore, Taken } from '../store.ts'
import { type States, missingCost } from './seeding.ts'

/** More charges than this for one seed are a limit that is tiny beside another: that one is full long before. */
const MOST_CHARGES = 1000
/** Two capacities are added in a decision, and the sum must stay whole. */
const MOST_WEIGHT = 2 ** 52

/** This process's part of the limits. */
export class LocalShare {
  readonly #makeStore: (clock: Clock) => SyncStore
  readonly #clock: Clock
  /** While something is entered that happened before. */
  #past: number | undefined
  #store: SyncStore | undefined
  readonly #sets = new WeakMap<LimitSet, { readonly shares: number; readonly set: LimitSet }>()

  /**
   * @param makeStore makes the store of this process, when it is first needed
   * @param clock the time of the stores it stands in for
   */
  constructor(makeStore: (clock: Clock) => SyncStore, clock: Clock) {
    this.#makeStore = makeStore
    this.#clock = clock
  }

  /** The process's share of a set's limits. */
  shareOf(set: LimitSet, shares: number): LimitSet {
    const known = this.#sets.get(set)
    if (known?.shares === shares) return known.set
    const share = derivedSet(set, 'local', (limit) => divide(limit, shares))
    this.#sets.set(set, { shares, set: share })
    return share
  }

  /** As a store's `take`. A cost that no share holds is refused: all processes together would exceed the limit by it. */
  take(share: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): Taken {
    const store = this.#here()
    const isHeld = cost <= share.maxCost
    const taken =
      isHeld || mode === 'refund'
        ? store.take(share, identity, Math.min(cost, share.maxCost), mode, takenAt)
        : store.take(share, identity, share.maxCost, 'peek')
    const { granted, now, readings, bannedForMs } = taken
    return { granted: granted && (isHeld || mode === 'refund'), now, readings, bannedForMs, source: 'local' }
  }

  /** Raises a key to what is known of it. */
  seed(share: LimitSet, identity: string, whole: LimitSet, states: States): void {
    if (share.maxCost === 0) return
    const store = this.#here()
    const now = this.#clock.now()
    const wanted = share.limits.map((limit, i) => partOf(limit, whole.limits[i] as Limit, states[i] as State, now))
    const have = store.read(share, identity)
    // A key that has nothing here gets its entries one by one, each at its time: each leaves when it would have.
    if (have === undefined)
      for (const at of startsOf(share, wanted, now)) this.#at(at, () => this.#charge(share, identity, wanted, at))
    this.#charge(share, identity, wanted, now)
  }

  /** Charges what is missing of what was wanted until then. */
  #charge(share: LimitSet, identity: string, wanted: States, at: number): void {
    const store = this.#here()
    const have = store.read(share, identity)
    let missing = 0
    for (const [i, limit] of share.limits.entries()) {
      const until = limit.kind === 'sliding' ? upTo(wanted[i] as State, at) : (wanted[i] as State)
      missing = Math.max(missing, missingCost(limit, have?.[i] ?? [], until, at))
    }
    for (let i = 0; i < MOST_CHARGES && missing > 0; i++) {
      const cost = Math.min(missing, share.maxCost)
      store.take(share, identity, cost, 'charge')
      missing -= cost
    }
  }

  #at(time: number, call: () => void): void {
    this.#past = time
    try {
      call()
    } finally {
      this.#past = undefined
    }
  }

  reset(share: LimitSet, identity: string): void {
    this.#store?.reset(share, identity)
  }

  ban(share: LimitSet, identity: string, lastsMs: number): void {
    this.#here().ban(share, identity, { durationMs: lastsMs, factor: 1, maxMs: lastsMs, forgetAfterMs: 0 })
  }

  unban(share: LimitSet, identity: string): void {
    this.#store?.unban(share, identity)
  }

  close(): void {
    this.#store?.close()
    this.#store = undefined
  }

  #here(): SyncStore {
    return (this.#store ??= this.#makeStore({ now: () => this.#past ?? this.#clock.now() }))
  }
}

/** One share of a limit; of a limit smaller than the number of shares it is 1. */
function divide(limit: MutableLimit, shares: number): void {
  if (limit.amount === 0) return
  if (limit.kind === 'bucket') {
    // Each request weighs as if the others made one too: the level drains as fast as ever.
    const weight = limit.unit * shares
    limit.unit = Math.min(weight, MOST_WEIGHT)
    limit.drain = Math.floor(limit.drain * (limit.unit / weight))
    if (limit.burst >= 1) widen(limit)
    limit.burst = limit.capacity / limit.unit
  } else {
    limit.burst = Math.max(1, Math.floor(limit.amount / shares))
    limit.capacity = limit.burst
  }
  limit.amount = Math.max(1, Math.floor(limit.amount / shares))
}

/** Makes room for one request, where a share of the burst has less: it drains no faster for that. */
function widen(limit: MutableLimit): void {
  const more = limit.unit - limit.capacity
  if (more <= 0) return
  limit.capacity = limit.unit
  if (limit.forgetMs > 0 && limit.drain > 0) limit.forgetMs += Math.ceil(more / limit.drain)
}

/** The share's part of a state. A bucket's level means the same in the share, whose drops weigh more; a window's count is shared as N is. */
function partOf(limit: Limit, whole: Limit, state: State, now: number): State {
  if (limit.kind === 'bucket') return state
  const part = (count: number): number => Math.ceil((count * limit.amount) / Math.max(1, whole.amount))
  if (limit.kind === 'fixed') return state.length === 0 ? [] : [state[0] as number, part(state[1] as number)]
  // Rounded from the newest on, so that no entry is rounded up by itself.
  const entries: number[] = []
  let sum = 0
  let given = 0
  for (let i = state.length - 2; i >= 0; i -= 2) {
    sum += state[i + 1] as number
    const count = part(sum) - given
    // One that was turned to this clock may lie a little ahead of it.
    if (count > 0) entries.unshift(Math.min(state[i] as number, subWindowStart(limit, now)), count)
    given += Math.max(0, count)
  }
  return entries
}

function upTo(entries: State, at: number): State {
  return entries.slice(0, 2 * entries.filter((start, i) => i % 2 === 0 && start <= at).length)
}

/** The instants of the sliding windows' entries, oldest first. */
function startsOf(share: LimitSet, states: States, now: number): number[] {
  const starts = new Set<number>()
  for (const [i, limit] of share.limits.entries()) {
    if (limit.kind !== 'sliding') continue
    for (const [at, start] of (states[i] as State).entries()) if (at % 2 === 0 && start <= now) starts.add(start)
  }
  return [...starts].toSorted((a, b) => a - b)
}
