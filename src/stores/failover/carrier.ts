// Carries what is known from one store to another: to the next one before it decides about a key, to the standby in the background, and
// back to a key's own store what others granted in its place. Promise: a store does not decide about a key before it knows what this process
// knows of it; what is owed to a store is added there, once. Next: shadow.ts (what is known), payments.ts (what is owed), seeding.ts (how
// it is told).

import type { LimitSet } from '../../core/limit-set.ts'
import { takeFromRecord } from '../record.ts'
import { type Mode, READING_WIDTH, type State, type Taken } from '../store.ts'
import type { Debt } from './debt.ts'
import { Delivery, type Ordered } from './delivery.ts'
import type { Member } from './member.ts'
import type { FailoverSettings } from './options.ts'
import type { Payments } from './payments.ts'
import type { ToldClock } from './store-clock.ts'
import { type States, copyOf, pour, shift, usedAt } from './seeding.ts'
import { type Decider, type Known, LOCAL, NOWHERE, type Owed, allKnown, differenceMs, lacks, moveTo, turnTo } from './known.ts'
import type { Shadow } from './shadow.ts'

/** A ban that ends within this may have ended by the store's clock. */
const BAN_SLACK_MS = 50

/** What a store was asked. */
export interface Heard {
  readonly set: LimitSet
  readonly identity: string
  readonly cost: number
  readonly mode: Mode
  readonly takenAt: number | undefined
}

/** What is known of a key, for this process's own share. */
export interface KnownStates {
  readonly states: States
  readonly bannedForMs: number
}

/** See the head of this file. */
export class Carrier {
  readonly #settings: FailoverSettings
  readonly #ordered: Ordered
  readonly #shares: () => number
  readonly #alone: Decider
  readonly #nobody: Decider
  readonly #delivery: Delivery
  readonly #shadow: Shadow | undefined
  readonly #payments: Payments

  /**
   * @param ordered the stores in the order in which a key asks them
   * @param writer names this process in what it adds to a store
   * @param shares among how many processes limits are shared
   * @param localClock what this process's own share is decided by
   */
  constructor(settings: FailoverSettings, ordered: Ordered, writer: string, shares: () => number, localClock: ToldClock) {
    this.#settings = settings
    this.#ordered = ordered
    this.#shares = shares
    this.#alone = { place: LOCAL, clock: localClock }
    this.#nobody = { place: NOWHERE, clock: localClock }
    this.#delivery = new Delivery({ settings, ordered, writer, shares, alone: this.#alone })
    this.#shadow = this.#delivery.shadow
    this.#payments = this.#delivery.payments
  }

  /**
   * What must be done before a store decides about a key; undefined for nothing.
   * @param at its place in the order in which the key asks
   */
  prepare(member: Member, at: number, set: LimitSet, identity: string): Promise<void> | undefined {
    const known = this.#shadow?.find(set, identity)
    const debt = this.#payments.find(member, set, identity)
    if (known === undefined) return debt === undefined ? undefined : this.#delivery.settle(debt, member, undefined)
    if (known.place === member.place && known.arriving !== undefined) return known.arriving
    if (debt !== undefined) {
      const rest = (): Promise<void> | undefined =>
        lacks(known, member, at) ? this.#delivery.seed(known, member, at, false) : undefined
      return this.#delivery.settle(debt, member, known).then(rest)
    }
    if (known.place === member.place) return undefined
    if (lacks(known, member, at)) return this.#delivery.seed(known, member, at, true)
    // It still knows what it knew, and nothing was granted elsewhere.
    this.#delivery.arrived(known, member, at)
    return undefined
  }

  /** Whether a store grants although it knows of less than it must: somebody has reset the key, or it has lost its memory. */
  doubts(member: Member, at: number, { set, cost, mode }: Heard, taken: Taken, known: Known | undefined): boolean {
    if (known === undefined || mode !== 'take' || !taken.granted || member.store.sync) return false
    if (known.bannedUntil > this.#settings.scheduler.now() + BAN_SLACK_MS) return true
    const home = known.homes.get(at)
    const states = known.place === member.place ? known.states : home?.place === member.place ? home.left : undefined
    if (states === undefined) return false
    const { now, readings } = taken
    return set.limits.some((limit, i) => {
      const weight = limit.kind === 'bucket' ? cost * limit.unit : cost
      const until = limit.kind === 'sliding' ? now + known.slackMs + limit.widthMs : now
      return (readings[i * READING_WIDTH + 1] as number) - weight < usedAt(limit, states[i] as State, until)
    })
  }

  /** What is known of a key. */
  known({ set, identity }: Heard): Known | undefined {
    return this.#shadow?.find(set, identity)
  }

  /** A store has answered about a key, of which so much was known, at this process's time. */
  answered(member: Member, at: number, call: Heard, taken: Taken, known: Known | undefined, now: number): void {
    const { set, identity, cost, mode } = call
    const grants = taken.granted && (mode === 'take' || mode === 'charge')
    const straggles = known !== undefined && known.place !== member.place
    if (mode === 'refund') this.#giveBack(call, taken.now, member.clock, this.#ordered(set, identity).slice(0, at))
    else if (grants && (at > 0 || straggles)) this.#owe(member, at, call, taken, known)
    if (straggles) {
      // Meanwhile another has been told what is known, without this.
      const home = known.homes.get(at)
      if (grants) pour(set, known.states, cost, known.clock.now())
      if (grants && home?.place === member.place && home.left !== undefined) pour(set, home.left, cost, taken.now)
      known.stragglers++
      return
    }
    const { copyIntervalMs } = this.#settings
    const charged = grants || mode === 'charge' ? cost : 0
    const noted = this.#shadow?.note(set, identity, taken, member, at, now, charged, known)
    if (noted === undefined || copyIntervalMs === undefined || (charged === 0 && mode !== 'refund')) return
    this.#shadow?.changed(noted)
    this.#delivery.copyIn(copyIntervalMs)
  }

  /** A store has charged a request after it was given up: so much less is owed to it. */
  answeredLate(member: Member, call: Heard, taken: Taken): void {
    if (!taken.granted || (call.mode !== 'take' && call.mode !== 'charge')) return
    // As much of it as still counts: what is owed may be of a later time.
    this.#giveBack({ ...call, takenAt: taken.now }, Math.max(taken.now, member.clock.now()), member.clock, [member])
  }

  /** What this process's own share has to start from; undefined for nothing new. */
  knownForLocal(set: LimitSet, identity: string): KnownStates | undefined {
    const known = this.#shadow?.find(set, identity)
    if (known === undefined || (known.place === LOCAL && known.set === set)) return undefined
    const states = allKnown(known, known.states, this.#alone.clock)
    return { states, bannedForMs: Math.max(0, Math.ceil(known.bannedUntil - this.#settings.scheduler.now())) }
  }

  /** This process has decided by its own share: what it granted is known from now on, and owed. */
  decidedLocally(call: Heard, taken: Taken): void {
    const { set, identity, cost, mode, takenAt } = call
    const shadow = this.#shadow
    const at = this.#settings.scheduler.now()
    const grants = taken.granted && (mode === 'take' || mode === 'charge')
    let known = shadow?.find(set, identity)
    if (shadow !== undefined && known === undefined && grants) {
      // A bucket's level in the share is not one in the whole; what is known is what was granted.
      const none = { ...taken, readings: new Float64Array(set.limits.length * READING_WIDTH), bannedForMs: 0 }
      known = shadow.note(set, identity, none, this.#nobody, Infinity, at, 0)
    }
    if (known !== undefined && known.place !== LOCAL) {
      moveTo(known, this.#alone, Infinity)
      const states = allKnown(known, known.states, this.#alone.clock)
      turnTo(known, this.#alone.clock)
      for (const [i, state] of states.entries()) known.states[i]?.splice(0, Infinity, ...state)
      known.base ??= states
    }
    if (known !== undefined) known.set = set
    if (mode === 'refund') {
      this.#giveBack(call, taken.now, this.#alone.clock)
      if (known === undefined) return
      const readings = new Float64Array(set.limits.length * READING_WIDTH)
      takeFromRecord({ states: known.states, ban: undefined }, set, cost, 'refund', taken.now, takenAt, readings)
      // Where more was used than the share holds, it has given back too much: it is told again.
      known.place = NOWHERE
    }
    if (!grants) return
    const shares = this.#shares()
    for (const { debt, clockMs } of this.#owedAlone(set, identity, taken.now, known)) debt.add(cost, taken, clockMs, shares)
    if (known === undefined) return
    pour(set, known.states, cost, taken.now)
    known.now = taken.now
  }

  /** A key was reset. */
  forget(set: LimitSet, identity: string): void {
    this.#shadow?.forget(set, identity)
    this.#payments.forget(set, identity)
  }

  /** A key was banned, but for the stores that could not be told. */
  banned(set: LimitSet, identity: string, lastsMs: number, untold: readonly Member[]): void {
    if (this.#shadow === undefined) return
    const now = this.#settings.scheduler.now()
    const none = {
      granted: false,
      now: 0,
      readings: new Float64Array(set.limits.length * READING_WIDTH),
      bannedForMs: 0,
      source: 'primary',
    } as const
    const known = this.#shadow.find(set, identity) ?? this.#shadow.note(set, identity, none, this.#nobody, Infinity, now, 0)
    known.bannedUntil = Math.max(known.bannedUntil, now + lastsMs)
    for (const [at, home] of known.homes) if (untold.some(({ place }) => place === home.place)) known.homes.delete(at)
    // This process's own share has to be told as well.
    if (known.place === LOCAL || untold.some(({ place }) => place === known.place)) known.place = NOWHERE
  }

  unbanned(set: LimitSet, identity: string): void {
    const known = this.#shadow?.find(set, identity)
    if (known !== undefined) known.bannedUntil = 0
  }

  /** A store is back: it is paid what is owed to it. */
  isBack(member: Member): void {
    this.#delivery.payBack(member)
  }

  /** A store has lost its memory, and with it this place. */
  lost(place: string): void {
    this.#delivery.lost(place)
  }

  close(): void {
    this.#delivery.close()
  }

  /** A store has granted what others have to know of: those the key asks first, and who it has been brought to meanwhile. */
  #owe(granter: Member, at: number, { set, identity, cost }: Heard, taken: Taken, known: Known | undefined): void {
    const shares = this.#shares()
    for (const [i, owner] of this.#ordered(set, identity).entries()) {
      if (i === at || (i > at && owner.place !== known?.place)) continue
      const clockMs = differenceMs(owner.clock, granter.clock)
      const debt = this.#open(owner, i, granter.place, set, identity, taken.now + clockMs, known)
      debt?.add(cost, taken, clockMs, shares)
      this.#delivery.payLater(owner)
    }
    if (known?.place === LOCAL) this.#openAlone(set, identity, taken.now, known)?.add(cost, taken, 0, shares)
  }

  /** What this process grants alone all stores have to know of, and whichever is told first what was known before. */
  #owedAlone(set: LimitSet, identity: string, now: number, known: Known | undefined): readonly Owed[] {
    const kept = known?.owedAlone
    const begins = kept?.base !== known?.base
    if (kept !== undefined && kept.set === set && kept.to.every(({ debt }) => !debt.isGone)) {
      kept.base = known?.base
      return kept.to
    }
    const to: Owed[] = []
    for (const [i, owner] of this.#ordered(set, identity).entries()) {
      const clockMs = differenceMs(owner.clock, this.#alone.clock)
      const base = known?.base === undefined ? undefined : copyOf(known.base)
      if (base !== undefined) shift(set, base, clockMs)
      const debt = this.#open(owner, i, LOCAL, set, identity, now + clockMs, known, base, begins ? known?.base : undefined)
      if (debt !== undefined) to.push({ debt, clockMs })
      this.#delivery.payLater(owner)
    }
    const alone = this.#openAlone(set, identity, now, known)
    if (alone !== undefined) to.push({ debt: alone, clockMs: 0 })
    if (known !== undefined) known.owedAlone = { set, to, base: known.base }
    return to
  }

  #open(
    owner: Member,
    at: number,
    granter: string,
    set: LimitSet,
    identity: string,
    now: number,
    known: Known | undefined,
    base?: States,
    whole?: States,
  ): Debt | undefined {
    const home = known?.homes.get(at)
    const heldAt = home?.place === owner.place ? owner.place : undefined
    const [before, ownBase] = [home?.left, heldAt === undefined ? base : undefined]
    const parts = { set, identity, granter, heldAt, before, base: ownBase, whole, now }
    return this.#payments.to(owner).open(parts)
  }

  #openAlone(set: LimitSet, identity: string, now: number, known: Known | undefined): Debt | undefined {
    const before = known?.base ?? known?.states
    return this.#payments.alone.open({ set, identity, granter: LOCAL, heldAt: undefined, before, now })
  }

  /**
   * Something granted was given back.
   * @param clock what its instants are by
   * @param owners to whom less is owed; undefined for all, and for what was granted alone
   */
  #giveBack({ set, identity, cost, takenAt }: Heard, now: number, clock: ToldClock, owners?: readonly Member[]): void {
    for (const owner of owners ?? this.#ordered(set, identity)) {
      const byMs = differenceMs(owner.clock, clock)
      this.#payments.find(owner, set, identity)?.giveBack(cost, now + byMs, takenAt === undefined ? undefined : takenAt + byMs)
    }
    if (owners === undefined) this.#payments.alone.find(set, identity)?.giveBack(cost, now, takenAt)
  }
}
