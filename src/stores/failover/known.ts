// What is known of one key: what whoever decides about it must hold, where that is, and who else held it before. Promise: what is known is in
// the time of whoever decides; a move to another loses nothing. Next: shadow.ts, which keeps it for many keys.

import { slidingRefund, slidingSettle } from '../../algorithms/window.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { READING_WIDTH, type Taken } from '../store.ts'
import type { Debt } from './debt.ts'
import { type States, copyOf, raise, shift, usedAt } from './seeding.ts'
import type { ToldClock } from './store-clock.ts'

/** A store that held what was known of a key. */
export interface Home {
  /** The store, in one of its lives. */
  readonly place: string
  /** What it held when another took over; undefined while none has. */
  left: number[][] | undefined
  readonly clock: ToldClock
}

/** The place of a key that this process alone decided about last, and of one that nobody holds. */
export const LOCAL = 'local'
export const NOWHERE = ''

/** Who decides: a store in one of its lives, or this process alone. */
export interface Decider {
  readonly place: string
  readonly clock: ToldClock
}

/** A debt, and what its owner's clock shows more than this process's own. */
export interface Owed {
  readonly debt: Debt
  readonly clockMs: number
}

/** The latest answer about one key. */
export interface Known {
  set: LimitSet
  readonly identity: string
  /** Per limit, by this clock: what whoever decides must hold, after what has been said so far. */
  readonly states: number[][]
  clock: ToldClock
  /** What the clock showed when it was told. */
  now: number
  /** Until when the key is banned, by this process's time; 0 when it is not. */
  bannedUntil: number
  /** How often something was added by a store that had been asked before the key was brought to another. */
  stragglers: number
  /** Which store told, and in which of its lives: a store that has lost its memory starts another. */
  place: string
  /** By their place in the order in which the key asks: stores that held what was known when others took over. */
  readonly homes: Map<number, Home>
  /** What was known before this process began to decide about it alone; undefined once a store knows what came of that. */
  base: number[][] | undefined
  /** Where what this process grants alone is owed, by these limits; as long as all of it is kept. And the `base` of the latest time alone. */
  owedAlone: { readonly set: LimitSet; readonly to: readonly Owed[]; base: States | undefined } | undefined
  /** While its place is being told what is known. */
  arriving: Promise<void> | undefined
  /** The longest time between two answers in which others used it: what they used may have been used that much earlier. */
  slackMs: number
}

/**
 * Another decides about a key from now on. The one before is remembered with what it held.
 * @param order the new one's place in the order in which the key asks; Infinity for one that is not at home there yet, or never is
 */
export function moveTo(known: Known, { place, clock }: Decider, order: number): void {
  for (const home of known.homes.values()) {
    if (home.place === known.place) home.left = copyOf(known.base ?? known.states)
  }
  if (order !== Infinity) known.homes.set(order, { place, clock, left: undefined })
  // What is on its way is on its way to the store before.
  if (known.place !== place) known.arriving = undefined
  known.place = place
}

/** Whether a store that the key asks at this place does not even hold what was known before others decided in its stead. */
export function lacks({ place, homes }: Known, store: Decider, order: number): boolean {
  return place !== store.place && homes.get(order)?.place !== store.place
}

/** What is known of where a key is, with all that was known of where it was, by a clock. */
export function allKnown({ set, clock: own, homes }: Known, states: States, clock: ToldClock): number[][] {
  const all = copyOf(states)
  shift(set, all, differenceMs(clock, own))
  for (const home of homes.values()) {
    if (home.left === undefined) continue
    const left = copyOf(home.left)
    shift(set, left, differenceMs(clock, home.clock))
    raise({ states: all, ban: undefined }, set, left, clock.now())
  }
  return all
}

/** Turns what is known to another clock. */
export function turnTo(known: Known, clock: ToldClock): void {
  const byMs = differenceMs(clock, known.clock)
  for (const states of [known.states, known.base]) if (states !== undefined) shift(known.set, states, byMs)
  known.now += byMs
  known.clock = clock
}

/** Clocks so close to each other are taken for one: it is within what a question's way makes uncertain. */
const SAME_CLOCK_MS = 20

/** What one clock shows more than another, as far as both are known. */
export function differenceMs(clock: ToldClock, other: ToldClock): number {
  if (clock === other || !clock.isKnown || !other.isKnown) return 0
  const difference = clock.now() - other.now()
  return Math.abs(difference) <= SAME_CLOCK_MS ? 0 : difference
}

/** How much of its limits a key uses: 1 is all of one. */
export function usedShare({ set, states, clock }: Known): number {
  const now = clock.now()
  let most = 0
  for (const [i, limit] of set.limits.entries()) {
    most = Math.max(most, usedAt(limit, states[i] as number[], now) / Math.max(1, limit.capacity))
  }
  return most
}

/**
 * Takes an answer's readings over. Of a sliding window they tell the sum: what is more than was known counts from its newest entry.
 * Tells what of it others have used since the answer before: none, some, or all that is held now.
 */
export function remember({ set, states }: Known, { readings, now }: Taken, cost: number): 'none' | 'some' | 'all' {
  let others: 'none' | 'some' | 'all' = 'none'
  for (const [i, limit] of set.limits.entries()) {
    const state = states[i] as number[]
    const stamp = readings[i * READING_WIDTH] as number
    const used = readings[i * READING_WIDTH + 1] as number
    const before = usedAt(limit, state, now)
    const more = used - before - (limit.kind === 'bucket' ? cost * limit.unit : cost)
    if (more > 0) others = before > 0 ? 'some' : 'all'
    if (limit.kind !== 'sliding') {
      state[0] = stamp
      state[1] = used
      continue
    }
    slidingSettle(state, limit, now)
    if (more < 0) slidingRefund(state, limit, -more, undefined)
    // What was charged just now is the newest for certain, whatever was known of the rest.
    if (Math.max(0, more) + cost > 0) addNewest(state, stamp, Math.max(0, more) + cost)
  }
  return others
}

function addNewest(state: number[], stamp: number, more: number): void {
  const newest = state.length - 2
  if (newest >= 0 && (state[newest] as number) >= stamp) state[newest + 1] = (state[newest + 1] as number) + more
  else state.push(stamp, more)
}
