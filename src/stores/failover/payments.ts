// What is owed to the stores, and its paying. Promise: a pile is added to a store once, also when it is sent again; what a store cannot be
// told now stays owed. Next: debts.ts, what a debt is; carrier.ts, which decides when it is paid.

import { StoreError, type StoreErrorKind } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { Deadlines } from '../deadlines.ts'
import type { State } from '../store.ts'
import type { Updated } from '../update.ts'
import type { Debt, Pile } from './debt.ts'
import { Debts } from './debts.ts'
import type { Member } from './member.ts'
import { absorb, shift, usedAt, usedBy } from './seeding.ts'
import { type Update, update } from './updates.ts'

/** Debts are as many keys as an outage meets; past this, those that come later come back as they were. */
const MOST_DEBTS = 100_000

/** Failures after which nothing has been charged. */
const NOT_MADE: ReadonlySet<StoreErrorKind | undefined> = new Set([
  'not_executed',
  'wrong_node',
  'unavailable',
  'no_room',
  'misconfigured',
])

/** Of what is owed of each limit, how much is paid to an owner that holds so much of each. */
export type Most = (held: readonly number[], owed: readonly number[]) => readonly number[]

/** See the head of this file. */
export class Payments {
  /** Owed to each store: what was granted without it that it has to know of. */
  readonly #debts = new Map<string, Debts>()
  /** What this process has granted alone: owed to whichever store is told next what was known before. */
  readonly alone: Debts
  readonly #deadlines: Deadlines
  readonly #writer: string
  readonly #shares: () => number
  #sequence = 0

  /**
   * @param writer names this process in what it adds to a store
   * @param shares among how many processes a limit's refill is shared
   */
  constructor(deadlines: Deadlines, writer: string, shares: () => number) {
    this.#deadlines = deadlines
    this.#writer = writer
    this.alone = new Debts(MOST_DEBTS, `${writer}0`)
    this.#shares = shares
  }

  /** What is owed to a store. */
  to({ id }: Member): Debts {
    let debts = this.#debts.get(id)
    if (debts === undefined) this.#debts.set(id, (debts = new Debts(MOST_DEBTS, this.#writer)))
    return debts
  }

  find(owner: Member, set: LimitSet, identity: string): Debt | undefined {
    return this.#debts.get(owner.id)?.find(set, identity)
  }

  /** Nothing is owed for a key any more: it was reset. */
  forget(set: LimitSet, identity: string): void {
    for (const debts of [...this.#debts.values(), this.alone]) {
      const debt = debts.find(set, identity)
      if (debt !== undefined) debts.remove(debt)
    }
  }

  /** Sets aside what is owed so far: see there. */
  aside(debt: Debt): readonly Pile[] {
    return debt.aside(this.#shares(), () => ++this.#sequence)
  }

  /**
   * Pays what is owed so far.
   * @param most no more of each limit than this, for an owner that holds so much of each
   * @returns what the store holds after it; undefined when nothing was owed
   */
  async pay(debt: Debt, to: Member, most: Most): Promise<Updated | undefined> {
    let told: Updated | undefined
    for (const pile of this.aside(debt)) {
      const isWorthless = debt.owed(pile, this.#shares(), to.clock.now()).every((amount) => amount <= 0)
      if (!isWorthless) told = await this.send(debt, pile, to, most)
      debt.covered([pile])
    }
    return told
  }

  /**
   * Adds a pile to what a store holds, if it is not in it yet.
   * @param byMs what the store's clock shows more than the one the pile's instants are by
   */
  async send(debt: Debt, pile: Pile, to: Member, most: Most = (_, owed) => owed, byMs = 0): Promise<Updated> {
    const { set, identity, writer } = debt
    const owed = (held: readonly number[], now: number): readonly number[] =>
      most(held, debt.owed(pile, this.#shares(), now - byMs))
    const entries = pile.states.map((state) => [...state])
    shift(set, entries, byMs)
    const what: Update = {
      set,
      identity,
      change: (record, now) => absorb(record, set, owed(usedBy(record, set, now), now), entries, now),
      entry: { writer, sequence: pile.sequence },
      costs: (have, now) => {
        const held = set.limits.map((limit, i) => usedAt(limit, have[i] as State, now))
        return owed(held, now).map((amount, i) => Math.ceil(amount / (set.limits[i]?.unit || 1)))
      },
    }
    try {
      return await update(to, what, this.#deadlines)
    } catch (error) {
      // It may have arrived: when it is sent again, it is the same pile.
      if (!(error instanceof StoreError && NOT_MADE.has(error.kind))) pile.sent = true
      throw error
    }
  }

  clear(): void {
    for (const debts of this.#debts.values()) debts.clear()
    this.alone.clear()
  }
}
