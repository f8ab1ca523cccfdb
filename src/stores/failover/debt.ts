// What this process has let through while a key's own store was away, to be added there when it is back. Promise: as much as is still
// owed and no more than the limit holds; bounded; a pile is paid once. Next: payments.ts, which pays.

import { slidingPour, slidingRefund, slidingSettle, slidingTotal } from '../../algorithms/window.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import { READING_WIDTH, type State, type Taken } from '../store.ts'
import { type States, usedAt } from './seeding.ts'

/** A part of a debt: what was granted in a while. Set aside, it stays what it is, however often it is sent. */
export interface Pile {
  /** Per limit: bucket [from when on it drains, level], fixed [start, count], sliding [start, count, …]. */
  readonly states: number[][]
  /** Tells it from others of this process; 0 until it is set aside. */
  sequence: number
  /** Whether it may have arrived somewhere. */
  sent: boolean
}

/** How a debt begins. */
export interface DebtParts {
  readonly set: LimitSet
  readonly identity: string
  /** The place of whoever granted what is to be added. */
  readonly granter: string
  /** The place of the owner, if it held all that was known before; and what that was. */
  readonly heldAt: string | undefined
  readonly before: States | undefined
  /** Else what was known before this process began to decide alone, if it did. */
  readonly base?: States | undefined
  /** That itself, of a debt that begins with the first that was granted alone after that. */
  readonly whole?: States | undefined
  readonly now: number
}

/** What is owed for one key. What is granted is piled up; a pile that is set aside stays what it is. */
export class Debt {
  /** The largest limits it was added to by. */
  set: LimitSet
  readonly identity: string
  /** Names this process, and the kind of debt, in what it adds to a store: the piles of each count up by themselves. */
  readonly writer: string
  /** The place of whoever granted all of it; undefined when several did. */
  granter: string | undefined
  /** The place of the owner, if it held all that was known when the debt began; and what that was. */
  readonly heldAt: string | undefined
  readonly before: States | undefined
  /** Else what was known before this process began to decide alone: the owner has to know that first. */
  base: States | undefined
  /** What was known before the time alone of which it holds all that was granted; undefined where it does not. */
  readonly whole: States | undefined
  /** Per limit, the instant from which a bucket's open pile drains: until then the owner, and what was piled up before, drain. */
  readonly #drainsFrom: number[]
  /** What is granted goes on top of it. */
  #open: Pile
  /** Piles set aside, oldest first. */
  #aside: Pile[] = []
  /** While it is being paid. */
  paying: Promise<void> | undefined
  /** Whether it is no longer kept: another begins. */
  isGone = false

  /** @param now by the owner's clock, as all instants here */
  constructor({ set, identity, granter, heldAt, before, base, whole, now }: DebtParts, writer: string) {
    this.heldAt = heldAt
    this.granter = granter
    this.writer = writer
    this.before = before?.map((state) => [...state])
    this.base = base
    this.whole = whole
    this.#drainsFrom = set.limits.map((limit, i) => drainsFrom(limit, (before ?? base)?.[i], now))
    this.set = set
    this.identity = identity
    this.#open = emptyPile(set)
  }

  /** Whether nothing is owed. */
  get isEmpty(): boolean {
    return this.#aside.length === 0 && isEmpty(this.#open)
  }

  /**
   * Adds what was granted.
   * @param clockMs what the owner's clock shows more than that of whoever granted it
   * @param shares among how many processes a limit's refill is shared: each counts with its part of it
   */
  add(cost: number, { now: at, readings }: Taken, clockMs: number, shares: number): void {
    const now = at + clockMs
    const { limits } = this.set
    const { states } = this.#open
    for (let i = 0; i < limits.length; i++) {
      const limit = limits[i] as Limit
      const state = states[i] as number[]
      if (limit.kind === 'bucket') {
        const level = owedOf(limit, state, now, shares) + cost * limit.unit
        state[0] = Math.max(now, this.#drainsFrom[i] as number)
        state[1] = Math.min(limit.capacity, level)
      } else if (limit.kind === 'fixed') {
        const start = (readings[i * READING_WIDTH] as number) + clockMs
        const before = usedAt(limit, state, now)
        state[0] = before > 0 ? Math.max(start, state[0] as number) : start
        state[1] = Math.min(limit.amount, before + cost)
      } else {
        slidingSettle(state, limit, now)
        slidingPour(state, limit, Math.min(cost, limit.amount), now)
      }
    }
  }

  /** How much of each limit a pile of it still owes. */
  owed({ states }: Pile, shares: number, now: number): readonly number[] {
    return this.set.limits.map((limit, i) => owedOf(limit, states[i] as State, now, shares))
  }

  /** Whether it is still worth anything. */
  owesAny(now: number): boolean {
    return [this.#open, ...this.#aside].some((pile) => this.owed(pile, 1, now).some((amount) => amount > 0))
  }

  /**
   * Takes back what was refunded, as far as it is not on its way.
   * @param takenAt when it was granted, if known: what is no longer held cannot be given back
   */
  giveBack(cost: number, now: number, takenAt: number | undefined): void {
    const piles = [this.#open, ...this.#aside.filter(({ sent }) => !sent).toReversed()]
    for (const [i, limit] of this.set.limits.entries()) {
      const drained = limit.kind === 'bucket' && takenAt !== undefined ? Math.max(0, now - takenAt) * limit.drain : 0
      let left = limit.kind === 'bucket' ? cost * limit.unit - drained : cost
      for (const pile of piles) if (left > 0) left -= giveBackOf(pile.states[i] as number[], limit, left, takenAt)
    }
  }

  /**
   * Sets aside what is owed so far, and tells what that is, oldest first. What is granted from now on is another pile.
   * @param number a number above all that were given before
   */
  aside(shares: number, number: () => number): readonly Pile[] {
    const open = this.#open
    if (!isEmpty(open)) {
      for (const [i, limit] of this.set.limits.entries()) {
        const [from, level] = open.states[i] as [number, number]
        if (limit.kind === 'bucket' && limit.drain > 0) this.#drainsFrom[i] = from + Math.ceil((level * shares) / limit.drain)
      }
      open.sequence = number()
      this.#aside.push(open)
      this.#open = emptyPile(this.set)
    }
    return [...this.#aside]
  }

  /** The owner has been told of these piles. */
  covered(piles: readonly Pile[]): void {
    this.#aside = this.#aside.filter((pile) => !piles.includes(pile))
  }
}

/** What is left of a pile's state. A bucket's drains by this process's part of the refill. */
function owedOf(limit: Limit, state: State, now: number, shares: number): number {
  if (limit.kind !== 'bucket' || state.length === 0) return usedAt(limit, state, now)
  const [from, level] = state as [number, number]
  return Math.max(0, level - Math.floor((Math.max(0, now - from) * limit.drain) / shares))
}

function isEmpty({ states }: Pile): boolean {
  return states.every((state) => state.length === 0)
}

/** Takes so much out of a state; tells how much it was. */
function giveBackOf(state: number[], limit: Limit, most: number, takenAt: number | undefined): number {
  if (state.length === 0) return 0
  if (limit.kind === 'sliding') {
    const before = slidingTotal(state)
    slidingRefund(state, limit, most, takenAt)
    return before - slidingTotal(state)
  }
  // A cost of an earlier window is gone with it.
  if (limit.kind === 'fixed' && takenAt !== undefined && takenAt < (state[0] as number)) return 0
  const given = Math.min(most, state[1] as number)
  state[1] = (state[1] as number) - given
  return given
}

function emptyPile(set: LimitSet): Pile {
  return { states: set.limits.map(() => []), sequence: 0, sent: false }
}

/** When a limit's owner has drained what it held; with nothing known it may have been full. */
function drainsFrom(limit: Limit, state: State | undefined, now: number): number {
  if (limit.kind !== 'bucket' || limit.drain === 0) return now
  const [at, level] =
    state === undefined || state.length === 0 ? [now, state === undefined ? limit.capacity : 0] : (state as [number, number])
  return at + Math.ceil(level / limit.drain)
}
