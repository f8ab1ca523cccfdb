// Brings what is known and owed to a store. Promise: a store that held what was known is told what was granted since, once; another is told
// all there is, and is at home only when it has been; nothing is told to it that it would forget sooner than whoever told it.
// Next: seeding.ts, for the changes; payments.ts, for what is owed.

import { StoreError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { systemScheduler } from '../../core/scheduler.ts'
import { Deadlines } from '../deadlines.ts'
import { banRecord } from '../record.ts'
import type { State } from '../store.ts'
import type { Change, Updated } from '../update.ts'
import type { Debt, Pile } from './debt.ts'
import { Errands } from './errands.ts'
import type { Member } from './member.ts'
import { Pace } from './pace.ts'
import type { FailoverSettings } from './options.ts'
import { type Most, Payments } from './payments.ts'
import { type States, copyOf, missingCost, raise, shift, usedAt, usesAny } from './seeding.ts'
import { type Decider, type Known, LOCAL, NOWHERE, allKnown, differenceMs, lacks, moveTo, turnTo } from './known.ts'
import { Shadow } from './shadow.ts'
import { update } from './updates.ts'

/** Keys copied, and debts paid, in one round at most, and how long the next one waits when more are left. */
const MOST_COPIES = 500
const MOST_PAYMENTS = 200
const PAUSE_MS = 20
/** Bans that end so close to each other are one, seen from two sides. */
const SAME_BAN_MS = 200

/** Tells the stores, or their servers, in the order in which a key asks them. */
export type Ordered = (set: LimitSet, identity: string) => readonly Member[]

/** What a delivery has to know. */
export interface DeliveryParts {
  readonly settings: FailoverSettings
  /** The stores in the order in which a key asks them. */
  readonly ordered: Ordered
  /** Names this process in what it adds to a store. */
  readonly writer: string
  /** Among how many processes limits are shared. */
  readonly shares: () => number
  /** This process, as it decides alone. */
  readonly alone: Decider
}

/** See the head of this file. */
export class Delivery {
  /** What is known; undefined where nothing is to be remembered. */
  readonly shadow: Shadow | undefined
  readonly payments: Payments
  readonly #parts: DeliveryParts
  readonly #deadlines: Deadlines
  readonly #errands: Errands
  readonly #copies: Pace
  /** By member. */
  readonly #payments = new Map<string, Pace>()

  constructor(parts: DeliveryParts) {
    const { scheduler, deadlineMs, rememberedKeys } = parts.settings
    this.#parts = parts
    this.shadow = rememberedKeys > 0 ? new Shadow(rememberedKeys) : undefined
    this.#deadlines = new Deadlines(deadlineMs, scheduler === systemScheduler ? undefined : scheduler)
    this.payments = new Payments(this.#deadlines, parts.writer, parts.shares)
    this.#errands = new Errands(scheduler)
    this.#copies = new Pace(MOST_COPIES, deadlineMs)
  }

  close(): void {
    this.#errands.close()
    this.#deadlines.close(new StoreError('failover', 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' }))
    this.shadow?.clear()
    this.payments.clear()
  }

  /** A store is back: pays what is owed to it, a little at a time, also for keys that nobody asks about. */
  payBack(member: Member, inMs = 0): void {
    this.#errands.run(`pay ${member.id}`, inMs, async () => {
      const pace = this.#paceOf(member)
      const debts = this.payments.to(member).some(pace.next)
      const { kind } = member.breaker.state
      // While it returns, others still decide, and more is owed.
      if (kind !== 'returning' && (kind !== 'closed' || debts.length === 0)) return undefined
      const paid = debts.map((debt) => this.settle(debt, member, this.shadow?.find(debt.set, debt.identity)))
      const results = await this.#timed(pace, paid, member.clock.tripMs)
      const unpaid = debts.filter((_, i) => results[i]?.status === 'rejected')
      // Others come first the next time.
      for (const debt of unpaid) this.payments.to(member).defer(debt)
      const failed = unpaid.length
      return failed > 0 && failed === debts.length ? this.#parts.settings.healthCheckIntervalMs : PAUSE_MS
    })
  }

  #paceOf({ id }: Member): Pace {
    let pace = this.#payments.get(id)
    if (pace === undefined) this.#payments.set(id, (pace = new Pace(MOST_PAYMENTS, this.#parts.settings.deadlineMs)))
    return pace
  }

  /** Something is owed to a store that is well, as it did not answer in time: it need not have been away to be paid. */
  payLater(member: Member): void {
    if (member.breaker.state.kind === 'closed') this.payBack(member, this.#parts.settings.healthCheckIntervalMs)
  }

  /** A store has lost its memory, and with it this place: it is told what is known, also of keys that nobody asks about here. */
  lost(place: string): void {
    this.shadow?.lost(place)
    this.copyIn(0)
  }

  /** Pays a debt; or, where the owner never knew what was known before, or has lost its memory, tells it all there is. */
  settle(debt: Debt, owner: Member, known: Known | undefined): Promise<void> {
    return (debt.paying ??= this.#payNow(debt, owner, known).finally(() => {
      debt.paying = undefined
    }))
  }

  async #payNow(debt: Debt, owner: Member, known: Known | undefined): Promise<void> {
    const at = this.#placeOf(debt, owner)
    const current = this.#parts.ordered(debt.set, debt.identity)[at]
    if (current !== undefined && current !== owner && known !== undefined) {
      // Another server of the cluster has the key by now: it is told all there is, and nothing on top.
      if (lacks(known, current, at)) await this.seed(known, current, at, true)
      this.payments.to(owner).remove(debt)
      return
    }
    const isNews = debt.heldAt === owner.place || debt.granter === LOCAL
    // What another store has granted is in what is known of that store.
    if (known !== undefined && lacks(known, owner, at) && !isNews) return this.seed(known, owner, at, true)
    if (debt.heldAt !== owner.place && debt.base !== undefined) {
      await this.#raise(owner, debt, debt.base, 0)
      debt.base = undefined
    }
    let told: Updated | undefined
    // Also what is granted while it is being paid.
    while (!debt.isEmpty) {
      const most = this.#mostOwed(debt, known)
      let held: readonly number[] | undefined
      const paid = await this.payments.pay(debt, owner, (has, owed) => most((held ??= has), owed))
      if (paid !== undefined && holdsLess(debt, paid, held)) await owner.suspect()
      told = paid ?? told
    }
    this.payments.to(owner).remove(debt)
    if (known === undefined) return
    // Told what was known before this process decided alone, and all that it granted since, it knows all there is. Else what others owe has
    // to come first: it is told the rest when it is asked.
    const knowsAll = debt.granter === LOCAL && debt.heldAt === undefined && known.base !== undefined && debt.whole === known.base
    if (!knowsAll && lacks(known, owner, at)) return
    if (known.place !== owner.place) this.arrived(known, owner, at, told)
    else if (told !== undefined && told.now > known.now) this.#heldNow(known, owner, told.states)
    // What it has answered since may be newer.
    else if (told !== undefined) raise({ states: known.states, ban: undefined }, known.set, told.states, told.now)
  }

  /** The place of a debt's owner in the order. Of a cluster another server may have the key by now: the same store is told. */
  #placeOf({ set, identity }: Debt, { store }: Member): number {
    return this.#parts.ordered(set, identity).findIndex((one) => one.store === store)
  }

  /** No more can be owed than the store that granted it holds more than the owner did, as far as that is known. */
  #mostOwed({ set, granter, before }: Debt, known: Known | undefined): Most {
    if (known === undefined || known.place !== granter || granter === LOCAL) return (_, owed) => owed
    const now = known.clock.now()
    const states = copyOf(known.states)
    return (held, owed) =>
      set.limits.map((limit, i) => {
        const most = owed[i] as number
        // Entries have their times: a sum does not tell which of them are too many.
        if (limit.kind === 'sliding') return most
        // It holds less than it should when limits have been changed meanwhile.
        const left = before === undefined ? 0 : Math.min(held[i] as number, usedAt(limit, before[i] as State, now))
        return Math.max(0, Math.min(most, usedAt(limit, states[i] as State, now) - left))
      })
  }

  /** A store that holds what it held has been told all that was granted since: it decides from now on. */
  arrived(known: Known, member: Member, at: number, told?: Updated): void {
    const { set, identity } = known
    // What others have granted elsewhere they tell it themselves.
    const held = told?.states ?? known.homes.get(at)?.left
    moveTo(known, member, at)
    if (held === undefined) turnTo(known, member.clock)
    else this.#heldNow(known, member, held)
    known.base = undefined
    const alone = this.payments.alone.find(set, identity)
    if (alone !== undefined) this.payments.alone.remove(alone)
  }

  /** What a store holds now is what is known from now on. */
  #heldNow(known: Known, { clock }: Member, states: States): void {
    for (const [i, state] of states.entries()) known.states[i]?.splice(0, Infinity, ...state)
    known.clock = clock
    known.now = clock.now()
  }

  /**
   * Tells a store all that is known of a key.
   * @param withAlone adds what this process has granted alone to what was known before: that adds up with what others granted alone.
   * Else that has been paid already
   */
  seed(known: Known, member: Member, at: number, withAlone: boolean): Promise<void> {
    if (known.arriving !== undefined && known.place === member.place) return known.arriving
    const { set, identity } = known
    const { place } = member
    const debts = this.payments.to(member)
    const debt = debts.find(set, identity)
    const covered = debt === undefined ? [] : this.payments.aside(debt)
    const alone = known.base === undefined ? undefined : this.payments.alone.find(set, identity)
    const aloneCovered = alone === undefined ? [] : this.payments.aside(alone)
    // It is not at home there before it has been told.
    known.homes.delete(at)
    moveTo(known, member, Infinity)
    const { stragglers } = known
    const states = allKnown(known, withAlone ? (known.base ?? known.states) : known.states, member.clock)
    const arriving = this.#tell(known, member, states, alone, withAlone ? aloneCovered : []).then(
      (told) => {
        debts.covered(debt, covered)
        const isHere = known.place === place
        if (isHere || told !== undefined)
          known.homes.set(at, { place, clock: member.clock, left: isHere ? undefined : copyOf(told?.states as States) })
        if (!isHere) return
        known.base = undefined
        this.payments.alone.covered(alone, aloneCovered)
        if (told !== undefined && known.stragglers === stragglers) return this.#heldNow(known, member, told.states)
        turnTo(known, member.clock)
        if (told !== undefined) raise({ states: known.states, ban: undefined }, set, told.states, told.now)
      },
      (error: unknown) => {
        if (known.place === place) known.place = NOWHERE
        throw error
      },
    )
    const done = arriving.finally(() => {
      if (known.arriving === done) known.arriving = undefined
    })
    known.arriving = done
    return done
  }

  async #tell(
    known: Known,
    member: Member,
    states: States,
    alone: Debt | undefined,
    piles: readonly Pile[],
  ): Promise<Updated | undefined> {
    const now = this.#parts.settings.scheduler.now()
    const banMs = Math.max(0, Math.ceil(known.bannedUntil - now))
    const isUsed = usesAny(known.set, states, member.clock.now())
    let told = isUsed || banMs > 0 ? await this.#raise(member, known, states, banMs) : undefined
    const byMs = differenceMs(member.clock, this.#parts.alone.clock)
    for (const pile of piles) told = await this.payments.send(alone as Debt, pile, member, undefined, byMs)
    return told
  }

  #raise(member: Member, { set, identity }: Known | Debt, states: States, banMs: number): Promise<Updated> {
    const change: Change = (record, now) => {
      const raised = raise(record, set, states, now)
      // One that is there already is not another strike.
      if (banMs <= 0 || (record.ban?.[0] ?? 0) - now >= banMs - SAME_BAN_MS) return raised
      banRecord(record, { durationMs: banMs, factor: 1, maxMs: banMs, forgetAfterMs: 0 }, now)
      return true
    }
    const costs = (have: States, now: number): readonly number[] =>
      set.limits.map((limit, i) => missingCost(limit, have[i] as State, states[i] as State, now))
    return update(member, { set, identity, change, costs }, this.#deadlines)
  }

  /** Ends when all have, and tells a pace how long that took. */
  async #timed(pace: Pace, done: readonly Promise<void>[], tripMs: number): Promise<readonly PromiseSettledResult<void>[]> {
    const { scheduler } = this.#parts.settings
    const since = scheduler.now()
    const results = await Promise.allSettled(done)
    pace.took(done.length, scheduler.now() - since, tripMs)
    return results
  }

  /** How far away the farthest store is that these keys may be copied to. */
  #farthestMs([first]: readonly Known[]): number {
    if (first === undefined) return 0
    return Math.max(...this.#parts.ordered(first.set, first.identity).map(({ clock }) => clock.tripMs))
  }

  copyIn(ms: number): void {
    this.#errands.run('copy', ms, async () => {
      const { copyIntervalMs } = this.#parts.settings
      const dirty = this.shadow?.takeDirty(this.#copies.next) ?? []
      const results = await this.#timed(
        this.#copies,
        dirty.map((known) => this.#copy(known)),
        this.#farthestMs(dirty),
      )
      const failed = dirty.filter((_, i) => results[i]?.status === 'rejected')
      for (const known of failed) if (this.shadow?.find(known.set, known.identity) === known) this.shadow.changed(known)
      if (this.shadow?.hasDirty !== true) return undefined
      if (failed.length > 0 && failed.length === dirty.length) return this.#parts.settings.healthCheckIntervalMs
      return Math.min(PAUSE_MS, copyIntervalMs ?? PAUSE_MS)
    })
  }

  /** To a store that held it and has lost its memory since; else to the one that would be asked next. */
  async #copy(known: Known): Promise<void> {
    const { set, identity } = known
    const members = this.#parts.ordered(set, identity)
    const lost = members.findIndex(({ place }, i) => (known.homes.get(i)?.place ?? place) !== place)
    if (lost >= 0) return this.seed(known, members[lost] as Member, lost, true)
    const at = members.findIndex(({ place }) => place === known.place)
    if (at < 0) return
    const standby = members.find(({ breaker }, i) => i > at && breaker.state.kind === 'closed')
    if (standby === undefined || standby.store.sync || this.#parts.settings.copyIntervalMs === undefined) return
    const states = copyOf(known.states)
    shift(set, states, differenceMs(standby.clock, known.clock))
    await this.#tell(known, standby, states, undefined, [])
  }
}

/**
 * Whether a store held less than it did before anything was owed to it: it was reset, or has lost its memory.
 * @param held what it used before it was paid; undefined if it had been paid already
 */
function holdsLess({ set, before }: Debt, { states, now }: Updated, held: readonly number[] | undefined): boolean {
  if (before === undefined) return false
  return set.limits.some(
    (limit, i) => (held?.[i] ?? usedAt(limit, states[i] as State, now)) < usedAt(limit, before[i] as State, now),
  )
}
