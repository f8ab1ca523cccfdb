// The store every other store is compared with: plain records in Maps, the laws as they are written, nothing clever.
// Promise: what it decides is what the laws say; it never forgets, so expiry can be seen to change nothing.
// Next: store-conformance.ts; ../stores/record.ts for the laws over one counter.

import type { BanTerms } from '../core/ban-terms.ts'
import type { Clock } from '../core/clock.ts'
import type { LimitSet } from '../core/limit-set.ts'
import { type CounterRecord, banRecord, emptyRecord, heldStates, takeFromRecord } from '../stores/record.ts'
import { type Mode, READING_WIDTH, type State, type SyncStore, type Taken } from '../stores/store.ts'

/** A store for comparing others with: exact, synchronous, unbounded. Not for production: it never forgets a key. */
export interface ReferenceStore extends SyncStore {
  readonly clock: Clock
  /** Puts raw states in place, one per limit (an empty list: nothing held). For states no sequence of calls leads to. */
  plant(set: LimitSet, identity: string, states: readonly State[]): void
  /** Another that holds the same, and goes its own way from here. For a store that is set back to what it was. */
  copy(): ReferenceStore
}

/** Makes a reference store that reads the time from this clock. */
export function referenceStore(clock: Clock): ReferenceStore {
  return new Reference(clock)
}

class Reference implements ReferenceStore {
  readonly name = 'reference'
  readonly sync = true
  readonly clock: Clock
  readonly #records: Map<string, Map<string, CounterRecord>>

  constructor(clock: Clock, records = new Map<string, Map<string, CounterRecord>>()) {
    this.clock = clock
    this.#records = records
  }

  copy(): ReferenceStore {
    return new Reference(this.clock, structuredClone(this.#records))
  }

  take(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): Taken {
    const readings = new Float64Array(set.limits.length * READING_WIDTH)
    const record = this.#find(set, identity) ?? emptyRecord(set)
    const { granted, now, bannedForMs, changed } = takeFromRecord(record, set, cost, mode, this.clock.now(), takenAt, readings)
    if (changed && mode !== 'refund') this.#put(set, identity, record)
    return { granted, now, readings, bannedForMs, source: 'primary' }
  }

  plant(set: LimitSet, identity: string, states: readonly State[]): void {
    const record = this.#find(set, identity)
    this.#put(set, identity, { states: states.map((state) => [...state]), ban: record?.ban })
  }

  reset(set: LimitSet, identity: string): void {
    this.#records.get(set.scope)?.delete(identity)
  }

  ban(set: LimitSet, identity: string, terms: BanTerms): number {
    const record = this.#find(set, identity) ?? emptyRecord(set)
    this.#put(set, identity, record)
    return banRecord(record, terms, this.clock.now())
  }

  unban(set: LimitSet, identity: string): void {
    const record = this.#find(set, identity)
    if (record !== undefined) record.ban = undefined
  }

  read(set: LimitSet, identity: string): readonly State[] | undefined {
    const record = this.#find(set, identity)
    return record === undefined ? undefined : heldStates(record, set, this.clock.now())
  }

  ping(): void {}

  sweep(): number {
    return 0
  }

  close(): void {
    this.#records.clear()
  }

  #find(set: LimitSet, identity: string): CounterRecord | undefined {
    return this.#records.get(set.scope)?.get(identity)
  }

  #put(set: LimitSet, identity: string, record: CounterRecord): void {
    const keys = this.#records.get(set.scope) ?? new Map<string, CounterRecord>()
    this.#records.set(set.scope, keys.set(identity, record))
  }
}
