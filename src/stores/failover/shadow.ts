// What the stores last said of the keys in use, so that the next store starts from there. Promise: bounded; an answer is remembered by
// what it was worth, and counts for no longer than its law says. Next: known.ts, what is kept of
// each.

import type { LimitSet } from '../../core/limit-set.ts'
import type { Taken } from '../store.ts'
import { type Decider, type Known, NOWHERE, moveTo, remember, turnTo, usedShare } from './known.ts'

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
   * @param found what `find` finds
   */
  note(
    set: LimitSet,
    identity: string,
    taken: Taken,
    from: Decider,
    order: number,
    at: number,
    cost: number,
    found: Known | undefined = this.find(set, identity),
  ): Known {
    const known = found ?? this.#new(set, identity, from)
    // Other amounts of the same limits: what is known stays known.
    known.set = set
    const { place } = from
    if (known.place !== place) moveTo(known, from, order)
    turnTo(known, from.clock)
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

  /** Of a key that is new nothing is known. */
  #new(set: LimitSet, identity: string, { clock }: Decider): Known {
    const keys = (this.#scopes[set.scopeId] ??= new Map())
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
      owedAlone: undefined,
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
