// The store every other store is compared with: plain states in Maps, the laws as they are written, nothing clever.
// Promise: what it decides is what the laws say; it never forgets, so expiry can be seen to change nothing.
// Next: store-conformance.ts; ../algorithms/law.ts for the laws it runs.

import { bannedForMs, strike } from '../algorithms/ban.ts'
import { bucketLaw } from '../algorithms/bucket.ts'
import { ABSENT, CHARGE, type CellLaw, LOOK } from '../algorithms/law.ts'
import {
  type Entries,
  fixedLaw,
  leavesAt,
  slidingPour,
  slidingRead,
  slidingRefund,
  slidingSettle,
  slidingTotal,
} from '../algorithms/window.ts'
import type { BanTerms } from '../core/ban-terms.ts'
import type { Clock } from '../core/clock.ts'
import type { LimitSet } from '../core/limit-set.ts'
import type { Limit } from '../core/limit.ts'
import { type Mode, READING_WIDTH, type State, type SyncStore, type Taken } from '../stores/store.ts'

/** A store for comparing others with: exact, synchronous, unbounded. Not for production: it never forgets a key. */
export interface ReferenceStore extends SyncStore {
  readonly clock: Clock
  /** Puts raw states in place, one per limit (an empty list: nothing held). For states no sequence of calls leads to. */
  plant(set: LimitSet, identity: string, states: readonly State[]): void
}

/** Makes a reference store that reads the time from this clock. */
export function referenceStore(clock: Clock): ReferenceStore {
  return new Reference(clock)
}

class Reference implements ReferenceStore {
  readonly name = 'reference'
  readonly sync = true
  readonly clock: Clock
  readonly #states = new Map<string, Map<string, State[]>>()
  readonly #bans = new Map<string, Map<string, Float64Array>>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  take(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): Taken {
    const now = this.clock.now()
    const ban = this.#bans.get(set.scope)?.get(identity)
    const banMs = ban === undefined ? 0 : bannedForMs(ban, 0, now)
    const known = this.#states.get(set.scope)?.get(identity)
    const laws = set.limits.map((limit, i) => lawOf(limit, known?.[i] ?? []))
    const readings = new Float64Array(set.limits.length * READING_WIDTH)
    if (mode === 'refund') for (const law of laws) law.refund(cost, now, takenAt)
    const spends = banMs === 0 && (mode === 'take' || mode === 'charge')
    if (spends) for (const law of laws) law.heal(now)
    const fits = laws.map((law, i) => law.fits(cost, now, readings, i * READING_WIDTH)).every(Boolean)
    if (spends && (fits || mode === 'charge')) laws.forEach((law, i) => law.pour(cost, now, readings, i * READING_WIDTH))
    if (spends || (mode === 'refund' && known !== undefined))
      this.plant(
        set,
        identity,
        laws.map((law) => law.state()),
      )
    return { granted: fits && banMs === 0, now, readings, bannedForMs: banMs, source: 'primary' }
  }

  plant(set: LimitSet, identity: string, states: readonly State[]): void {
    const keys = this.#states.get(set.scope) ?? new Map<string, State[]>()
    this.#states.set(set.scope, keys.set(identity, [...states]))
  }

  reset(set: LimitSet, identity: string): void {
    this.#states.get(set.scope)?.delete(identity)
    this.unban(set, identity)
  }

  ban(set: LimitSet, identity: string, terms: BanTerms): number {
    const bans = this.#bans.get(set.scope) ?? new Map<string, Float64Array>()
    const ban = bans.get(identity) ?? new Float64Array([ABSENT, 0])
    this.#bans.set(set.scope, bans.set(identity, ban))
    return strike(ban, 0, terms, this.clock.now())
  }

  unban(set: LimitSet, identity: string): void {
    this.#bans.get(set.scope)?.delete(identity)
  }

  read(set: LimitSet, identity: string): readonly State[] | undefined {
    const known = this.#states.get(set.scope)?.get(identity)
    if (known === undefined) return undefined
    const now = this.clock.now()
    const states = set.limits.map((limit, i) => lawOf(limit, known[i] ?? []).held(now))
    return states.every((state) => state.length === 0) ? undefined : states
  }

  ping(): void {}

  sweep(): number {
    return 0
  }

  close(): void {
    this.#states.clear()
    this.#bans.clear()
  }
}

/** A law over one state of its own. */
interface Running {
  refund(cost: number, now: number, takenAt: number | undefined): void
  heal(now: number): void
  fits(cost: number, now: number, out: Float64Array, to: number): boolean
  pour(cost: number, now: number, out: Float64Array, to: number): void
  state(): State
  /** The state without what no longer matters. */
  held(now: number): State
}

function lawOf(limit: Limit, state: State): Running {
  return limit.kind === 'sliding'
    ? overEntries(limit, [...state])
    : overCells(limit, limit.kind === 'bucket' ? bucketLaw : fixedLaw, state)
}

function overCells(limit: Limit, law: CellLaw, before: State): Running {
  const cells = new Float64Array(before.length === 0 ? [ABSENT, ABSENT] : before)
  const state = (): State => (cells[0] === ABSENT ? [] : [...cells])
  return {
    refund: (cost, now, takenAt) => law.refund(cells, 0, limit, cost, now, takenAt),
    heal: (now) => void law.heal(cells, 0, limit, now),
    fits: (cost, now, out, to) => law.take(cells, 0, limit, cost, now, LOOK, out, to),
    pour: (cost, now, out, to) => void law.take(cells, 0, limit, cost, now, CHARGE, out, to),
    state,
    held: (now) => (law.idle(cells, 0, limit, limit.drain, now) ? [] : state()),
  }
}

function overEntries(limit: Limit, entries: Entries): Running {
  const settled = (now: number): Entries => {
    const copy = [...entries]
    slidingSettle(copy, limit, now)
    return copy
  }
  return {
    refund(cost, now, takenAt) {
      slidingSettle(entries, limit, now)
      slidingRefund(entries, limit, cost, takenAt)
    },
    heal: (now) => void slidingSettle(entries, limit, now),
    fits(cost, now, out, to) {
      const counting = settled(now)
      slidingRead(counting, limit, cost, now, out, to)
      return slidingTotal(counting) + cost <= limit.amount
    },
    pour(cost, now, out, to) {
      slidingPour(entries, limit, cost, now)
      slidingRead(entries, limit, cost, now, out, to)
    },
    state: () => [...entries],
    held: (now) => entries.slice(entries.findIndex((start, i) => i % 2 === 0 && now < leavesAt(limit, start)) >>> 0),
  }
}
