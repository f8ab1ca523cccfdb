// A server in virtual time: the reference store behind a network that can be slow, cut, or deaf, on a machine that can die with or without
// its memory. Promise: what it was asked and answered is counted where no limiter can see. Next: virtual-time.ts.

import type { BanTerms } from '../../src/core/ban-terms.ts'
import type { Clock } from '../../src/core/clock.ts'
import { StoreError } from '../../src/core/errors.ts'
import type { LimitSet } from '../../src/core/limit-set.ts'
import type { CounterRecord } from '../../src/stores/record.ts'
import type { AsyncStore, Mode, State, Taken } from '../../src/stores/store.ts'
import type { Change, Entry, Updated } from '../../src/stores/update.ts'
import { type ReferenceStore, referenceStore } from '../../src/testing/reference-store.ts'
import type { ProcessTime } from './process-time.ts'
import type { VirtualTime } from './virtual-time.ts'

/** How a server is: fails at once, never answers, executes and loses the answer, or works. */
export type Condition = 'well' | 'refuses' | 'hangs' | 'loses answers' | 'misconfigured'

/** The way from one process to a server. */
export interface Link {
  condition: Condition
}

/** What a server held. */
export interface Kept {
  readonly store: ReferenceStore
  readonly entries: Map<string, number>
}

/** A server that any number of processes share. */
export class SimulatedServer {
  condition: Condition = 'well'
  latencyMs = 1
  calls = 0
  /** How often it has lost its memory. */
  lives = 0
  readonly #time: VirtualTime
  readonly #clock: Clock
  #store: ReferenceStore
  #entries = new Map<string, number>()

  constructor(time: VirtualTime, startMs: number) {
    this.#time = time
    this.#clock = time.clock(startMs)
    this.#store = referenceStore(this.#clock)
  }

  /** Dies, and comes back with nothing. */
  forget(): void {
    this.lives++
    this.#store = referenceStore(this.#clock)
    this.#entries = new Map()
  }

  /** All it holds, to be brought back later. */
  keep(): Kept {
    return { store: this.#store.copy(), entries: new Map(this.#entries) }
  }

  /** Comes back with what it held at an earlier time. */
  restore({ store, entries }: Kept): void {
    this.lives++
    this.#store = store.copy()
    this.#entries = new Map(entries)
  }

  /**
   * A client of it.
   * @param link the way there, which may be cut while others reach the server
   * @param process whose client it is: answers reach it when it is awake
   */
  client(
    name: string,
    link: Link = { condition: 'well' },
    process?: ProcessTime,
  ): AsyncStore & { update(set: LimitSet, identity: string, change: Change, entry?: Entry): Promise<Updated> } {
    const call = async <T>(run: (store: ReferenceStore) => T): Promise<T> => {
      try {
        return await this.#call(name, link, run)
      } finally {
        await process?.awake()
      }
    }
    return {
      name,
      sync: false,
      take: (set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): Promise<Taken> =>
        call((store) => {
          const taken = store.take(set, identity, cost, mode, takenAt)
          return { ...taken, readings: Float64Array.from(taken.readings) }
        }),
      reset: (set, identity) => call((store) => store.reset(set, identity)),
      ban: (set: LimitSet, identity: string, terms: BanTerms) => call((store) => store.ban(set, identity, terms)),
      unban: (set, identity) => call((store) => store.unban(set, identity)),
      read: (set, identity): Promise<readonly State[] | undefined> => call((store) => store.read(set, identity)),
      ping: () => call(() => undefined),
      sweep: async () => 0,
      close: async () => undefined,
      update: (set, identity, change, entry) =>
        call((store): Updated => {
          const mark = `${set.scope} ${identity} ${entry?.writer}`
          const states = (store.read(set, identity) ?? set.limits.map(() => [])).map((state) => [...state])
          const now = this.#clock.now()
          if (entry !== undefined && (this.#entries.get(mark) ?? 0) >= entry.sequence) return { outcome: 'already', states, now }
          const record: CounterRecord = { states, ban: undefined }
          const changed = change(record, this.#clock.now())
          if (changed) store.plant(set, identity, record.states)
          if (record.ban !== undefined) {
            const lastsMs = record.ban[0] - this.#clock.now()
            store.ban(set, identity, { durationMs: lastsMs, factor: 1, maxMs: lastsMs, forgetAfterMs: 0 })
          }
          if (entry !== undefined) this.#entries.set(mark, entry.sequence)
          return { outcome: changed ? 'changed' : 'unchanged', states, now }
        }),
    }
  }

  async #call<T>(name: string, link: Link, run: (store: ReferenceStore) => T): Promise<T> {
    this.calls++
    if (this.condition === 'hangs' || link.condition === 'hangs') return never()
    await this.#time.wait(this.latencyMs / 2)
    const condition = this.condition === 'well' ? link.condition : (this.condition as Condition)
    if (condition === 'refuses') throw new StoreError(name, 'connection refused', { kind: 'unavailable' })
    if (condition === 'misconfigured') throw new StoreError(name, 'wrong password', { kind: 'misconfigured' })
    if (condition === 'hangs') return never()
    const result = run(this.#store)
    await this.#time.wait(this.latencyMs / 2)
    if (condition === 'loses answers') return never()
    return result
  }
}

function never(): Promise<never> {
  return new Promise(() => {})
}
