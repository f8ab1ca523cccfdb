// What the stores last said of the keys in use, so that the next store starts from there. Promise: bounded; an answer is remembered by
// what it was worth, and counts for no longer than its law says. Next: seeding.ts, which makes use of it.

import { slidingRefund, slidingSettle } from '../../algorithms/window.ts'
import type { Clock } from '../../core/clock.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { READING_WIDTH, type Taken } from '../store.ts'
import { copyOf, shift, usedAt } from './seeding.ts'

/** A store that held what was known of a key. */
export interface Home {
  /** The store, in one of its lives. */
  readonly place: string
  /** What it held when another took over, by its own clock; undefined while none has. */
  left: number[][] | undefined
}

/** The place of a key that this process alone decided about last, and of one that nobody holds. */
export const LOCAL = 'local'
export const NOWHERE = ''

/** Who decides: a store in one of its lives, or this process alone. */
export interface Decider {
  readonly place: string
  readonly clock: Clock
}

/** The latest answer about one key. */
export interface Known {
  set: LimitSet
  readonly identity: string
  /** Per limit, by this clock: what whoever decides must hold, after what has been said so far. */
  readonly states: number[][]
  clock: Clock
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
  /** While its place is being told what is known. */
  arriving: Promise<void> | undefined
  /** The longest time between two answers in which others used it: what they used may have been used that much earlier. */
  slackMs: number
}

/** The keys used last, by scope and identity. */
export class Shadow {
  readonly #most: number
  readonly #scopes: (Map<string, Known> | undefined)[] = []
  #size = 0
  /** Keys to be copied, those that wait longest first. */
  readonly #dirty = new Set<Known>()

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#size
  }

  find(set: LimitSet, identity: string): Known | undefined {
    return this.#scopes[set.scopeId]?.get(identity)
  }

  /**
   * Keeps an answer.
   * @param from whose it is
   * @param order that store's place in the order in which the key asks
   * @param at this process's time
   * @param cost what was charged by it
   */
  note(set: LimitSet, identity: string, taken: Taken, from: Decider, order: number, at: number, cost: number): Known {
    const known = this.#open(set, identity, from)
    const { place, clock } = from
    if (known.place !== place) moveTo(known, place, order)
    turnTo(known, clock)
    const gapMs = taken.now - known.now
    const others = remember(known, taken, cost)
    if (others !== 'none') known.slackMs = others === 'all' ? gapMs : Math.max(known.slackMs, gapMs)
    if (others !== 'none' || cost > 0) {
      // What this store grants is not owed to those that are asked after it: they no longer hold all there is.
      for (const other of known.homes.keys()) if (other > order) known.homes.delete(other)
    }
    known.now = taken.now
    if (taken.bannedForMs > 0 && known.bannedUntil <= at) {
      // Stores that are not asked now do not know of the ban.
      for (const [other, home] of known.homes) if (home.place !== place) known.homes.delete(other)
    }
    known.bannedUntil = taken.bannedForMs > 0 ? at + taken.bannedForMs : 0
    return known
  }

  /** What is known of a key; nothing where it is new. */
  #open(set: LimitSet, identity: string, { clock }: Decider): Known {
    const keys = (this.#scopes[set.scopeId] ??= new Map())
    const found = keys.get(identity)
    if (found !== undefined) {
      // Other amounts of the same limits: what is known stays known.
      found.set = set
      return found
    }
    const known: Known = {
      set,
      identity,
      states: set.limits.map(() => []),
      clock,
      now: 0,
      bannedUntil: 0,
      stragglers: 0,
      place: NOWHERE,
      homes: new Map(),
      base: undefined,
      arriving: undefined,
      slackMs: 0,
    }
    keys.set(identity, known)
    if (++this.#size > this.#most) this.#drop(known)
    return known
  }

  /** A key's counter is another than before: it is to be copied. */
  changed(known: Known): void {
    this.#dirty.add(known)
  }

  /** A place holds nothing any more: all keys that it held are to be copied. */
  lost(place: string): void {
    for (const keys of this.#scopes) {
      for (const known of keys?.values() ?? []) {
        if (known.place === place || [...known.homes.values()].some((home) => home.place === place)) this.#dirty.add(known)
      }
    }
  }

  /** A key was reset, or its ban lifted: what was known of it no longer holds. */
  forget(set: LimitSet, identity: string): void {
    this.#delete(this.#scopes[set.scopeId], identity)
  }

  /** At most so many of the keys that have changed. */
  takeDirty(most: number): readonly Known[] {
    const taken: Known[] = []
    for (const known of this.#dirty) {
      if (taken.length >= most) break
      taken.push(known)
      this.#dirty.delete(known)
    }
    return taken
  }

  get hasDirty(): boolean {
    return this.#dirty.size > 0
  }

  clear(): void {
    this.#scopes.length = 0
    this.#size = 0
    this.#dirty.clear()
  }

  #delete(keys: Map<string, Known> | undefined, identity: string): void {
    const known = keys?.get(identity)
    if (known === undefined) return
    keys?.delete(identity)
    this.#dirty.delete(known)
    this.#size--
  }

  /** Makes room, a tenth at a time: first of keys with little used, which have little to lose to a flood of new ones. */
  #drop(keep: Known): void {
    const goal = Math.floor(this.#most * 0.9)
    for (const atMost of [0.1, 0.5, Infinity]) {
      for (const keys of this.#scopes) {
        for (const [identity, known] of keys ?? []) {
          if (this.#size <= goal) return
          if (known === keep || usedShare(known) > atMost) continue
          this.#delete(keys, identity)
        }
      }
    }
  }
}

/**
 * Another decides about a key from now on. The one before is remembered with what it held.
 * @param order the new one's place in the order in which the key asks; Infinity for one that is not at home there yet, or never is
 */
export function moveTo(known: Known, place: string, order: number): void {
  for (const home of known.homes.values()) {
    if (home.place === known.place) home.left = copyOf(known.base ?? known.states)
  }
  if (order !== Infinity) known.homes.set(order, { place, left: undefined })
  known.place = place
}

/** Whether a store that the key asks at this place does not even hold what was known before others decided in its stead. */
export function lacks({ place, homes }: Known, store: Decider, order: number): boolean {
  return place !== store.place && homes.get(order)?.place !== store.place
}

/** Turns what is known to another clock. */
export function turnTo(known: Known, clock: Clock): void {
  const byMs = differenceMs(clock, known.clock)
  for (const states of [known.states, known.base]) if (states !== undefined) shift(known.set, states, byMs)
  known.now += byMs
  known.clock = clock
}

/** Clocks so close to each other are taken for one: it is within what a question's way makes uncertain. */
const SAME_CLOCK_MS = 20

/** What one clock shows more than another. */
export function differenceMs(clock: Clock, other: Clock): number {
  const difference = clock === other ? 0 : clock.now() - other.now()
  return Math.abs(difference) <= SAME_CLOCK_MS ? 0 : difference
}

/** How much of its limits a key uses: 1 is all of one. */
function usedShare({ set, states, clock }: Known): number {
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
function remember({ set, states }: Known, { readings, now }: Taken, cost: number): 'none' | 'some' | 'all' {
  let others: 'none' | 'some' | 'all' = 'none'
  for (const [i, limit] of set.limits.entries()) {
    const state = states[i] as number[]
    const stamp = readings[i * READING_WIDTH] as number
    const used = readings[i * READING_WIDTH + 1] as number
    const before = usedAt(limit, state, now)
    const more = used - before - (limit.kind === 'bucket' ? cost * limit.unit : cost)
    if (more > 0) others = before > 0 ? 'some' : 'all'
    if (limit.kind !== 'sliding') {
      state.splice(0, 2, stamp, used)
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
