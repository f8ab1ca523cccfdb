// The memory store: synchronous, bounded, flood-safe. It runs the laws over tables of fingerprints; no key is kept as text.
// Promises: never more than `memoryMaxKeys` counters and `memoryMaxBytes` bytes; a counter that still matters is never
// evicted, past the bound new keys share overflow counters; no timer per key or hit. Next: table.ts, slots.ts.

import { bannedForMs, strike } from '../../algorithms/ban.ts'
import { bucketLaw } from '../../algorithms/bucket.ts'
import { CHARGE, CHARGE_IF_FITS, type Commit, LOOK } from '../../algorithms/law.ts'
import { fixedLaw } from '../../algorithms/window.ts'
import type { BanTerms } from '../../core/ban-terms.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { ConfigError, StoreError } from '../../core/errors.ts'
import { type LimitSet, MAX_LIMITS } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import { type Mode, READING_WIDTH, type State, type SyncStore, type Taken } from '../store.ts'
import { Fingerprint } from './fingerprint.ts'
import { LimitLayout, cellLaw } from './layout.ts'
import type { Budget, Layout, Slots } from './slots.ts'
import * as chain from './sliding-chain.ts'
import { Table } from './table.ts'

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions {
  /** Most counters held at once, over all policies (default 10 000). Past it new keys share overflow counters. */
  readonly memoryMaxKeys?: number
  /** Most bytes of counters (default 256 MiB). Reached only by many sliding windows with `precision: 'exact'`. */
  readonly memoryMaxBytes?: number
  /** Ms between background sweeps (default 1000), each under a millisecond of work; false sweeps with traffic alone. */
  readonly sweepIntervalMs?: number | false
  /** Where the time comes from (default: the system's clock, guarded against going back). */
  readonly clock?: Clock
}

/** A store in this process's memory. */
export interface MemoryStore extends SyncStore {
  readonly clock: Clock
  /** Counters held now, some of them perhaps expired and not yet swept. */
  readonly size: number
  /** Bytes held for counters now. */
  readonly bytes: number
}

const DEFAULTS = { memoryMaxKeys: 10_000, memoryMaxBytes: 256 * 1024 * 1024, sweepIntervalMs: 1000 } as const
/** Slots looked at per tick of the timer: well under a millisecond of work. */
const SWEPT_PER_TICK = 16_384
/** Slots looked at for room per new key when the store is full: a flood pays the same for each. */
const SWEPT_PER_NEW_KEY = 32

/**
 * Counters in this process's memory: exact, synchronous, gone when the process ends.
 * @throws ConfigError for an option that is unknown or out of range
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return new Memory(checked(options))
}

const BAN_LAYOUT: Layout = {
  stride: 4,
  chains: [],
  // Third word: the instant at which the strikes are forgotten too.
  idle: (slots, at, now) => now >= (slots.words[at + 3] as number),
}

const COMMITS: Readonly<Record<Mode, Commit>> = { take: CHARGE_IF_FITS, charge: CHARGE, peek: LOOK, refund: LOOK }

class Memory implements MemoryStore {
  readonly name = 'memory'
  readonly sync = true
  readonly clock: Clock
  readonly #maxKeys: number
  readonly #budget: Budget
  readonly #sweepIntervalMs: number | false
  /** By the number of the scope. */
  readonly #tables = new Map<number, Table>()
  readonly #bans = new Map<number, Table>()
  /** The tables as a list, for sweeping one after the other. */
  readonly #sweeping: Table[] = []
  readonly #fingerprint = new Fingerprint()
  readonly #taken: Taken & { readings: Float64Array }
  #size = 0
  /** Whether there may be a ban; false keeps decisions from looking. */
  #anyBans = false
  #sweepAt = 0
  #timer: ReturnType<typeof setInterval> | undefined
  #closed = false
  /** The set that was asked last, and its table: mostly the next one too. */
  #set: LimitSet | undefined
  #table: Table | undefined
  /** Where the last lookup landed; fields, so that the hot path returns no object. */
  #slots: Slots | undefined
  #at = 0
  #shared = false

  constructor(options: Required<MemoryStoreOptions>) {
    this.clock = options.clock
    this.#maxKeys = options.memoryMaxKeys
    this.#budget = { bytes: 0, maxBytes: options.memoryMaxBytes }
    this.#sweepIntervalMs = options.sweepIntervalMs
    this.#taken = {
      granted: false,
      now: 0,
      readings: new Float64Array(MAX_LIMITS * READING_WIDTH),
      bannedForMs: 0,
      source: 'primary',
    }
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#budget.bytes
  }

  take(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): Taken {
    const table = set === this.#set ? (this.#table as Table) : this.#tableOf(set)
    const now = this.clock.now()
    const at = this.#find(table, identity)
    const { only } = set
    if (at < 0 || mode !== 'take' || only === undefined || this.#anyBans)
      return this.#takeOther(table, at, set, cost, mode, now, takenAt)
    // The common case, one limit and a key that is known: straight to its law.
    const taken = this.#taken
    taken.now = now
    taken.source = 'primary'
    taken.bannedForMs = 0
    taken.granted = takeOne(table.slots, at + 1, only, cost, now, CHARGE_IF_FITS, true, taken.readings, 0)
    return taken
  }

  #takeOther(
    table: Table,
    found: number,
    set: LimitSet,
    cost: number,
    mode: Mode,
    now: number,
    takenAt: number | undefined,
  ): Taken {
    const layout = table.layout as LimitLayout
    this.#locate(table, found, mode === 'take' || mode === 'charge', now)
    const taken = this.#taken
    const slots = this.#slots as Slots
    taken.now = now
    taken.source = this.#shared ? 'shared' : 'primary'
    taken.bannedForMs = this.#anyBans ? this.#bannedForMs(set, now) : 0
    const commit = taken.bannedForMs > 0 ? LOOK : COMMITS[mode]
    const { only } = set
    if (only !== undefined) {
      const at = this.#at + 1
      if (mode === 'refund') this.#refund(slots, at, only, cost, now, takenAt)
      const granted = takeOne(slots, at, only, cost, now, commit, commit !== LOOK, taken.readings, 0)
      taken.granted = granted && taken.bannedForMs === 0
    } else {
      taken.granted = this.#takeAll(slots, layout.offsets, set, cost, now, mode, commit, takenAt) && taken.bannedForMs === 0
    }
    return taken
  }

  /** All limits of a set: looked at first, then charged if that is to be. */
  #takeAll(
    slots: Slots,
    offsets: readonly number[],
    set: LimitSet,
    cost: number,
    now: number,
    mode: Mode,
    commit: Commit,
    takenAt: number | undefined,
  ): boolean {
    const { limits } = set
    const { readings } = this.#taken
    // Before the look, each state is prepared for the charge that may come.
    const mends = commit !== LOOK
    let fits = true
    for (let i = 0; i < limits.length; i++) {
      const at = this.#at + (offsets[i] as number)
      if (mode === 'refund') this.#refund(slots, at, limits[i] as Limit, cost, now, takenAt)
      if (!takeOne(slots, at, limits[i] as Limit, cost, now, LOOK, mends, readings, i * READING_WIDTH)) fits = false
    }
    if (fits ? commit === LOOK : commit !== CHARGE) return fits
    for (let i = 0; i < limits.length; i++) {
      const at = this.#at + (offsets[i] as number)
      takeOne(slots, at, limits[i] as Limit, cost, now, CHARGE, true, readings, i * READING_WIDTH)
    }
    return fits
  }

  #refund(slots: Slots, at: number, limit: Limit, cost: number, now: number, takenAt: number | undefined): void {
    // Whose a shared counter's consumption is nobody knows; only a decision says that this key has a part in it.
    if (this.#shared && takenAt === undefined) return
    if (limit.kind === 'sliding') chain.refund(slots, at, limit, cost, now, takenAt)
    else cellLaw(limit).refund(slots.words, at, limit, cost, now, takenAt)
  }

  reset(set: LimitSet, identity: string): void {
    const table = this.#tables.get(set.scopeId)
    const before = table?.keys ?? 0
    this.#clear(table, identity)
    this.#size += (table?.keys ?? 0) - before
    this.unban(set, identity)
  }

  ban(set: LimitSet, identity: string, terms: BanTerms): number {
    this.ping()
    const now = this.clock.now()
    let table = this.#bans.get(set.scopeId)
    if (table === undefined) this.#bans.set(set.scopeId, (table = new Table(BAN_LAYOUT, this.#budget)))
    let at = this.#find(table, identity)
    if (at < 0) {
      const { low, high } = this.#fingerprint
      if (table.keys >= this.#maxKeys) table.sweep(SWEPT_PER_TICK, now)
      if (table.keys >= this.#maxKeys) throw new StoreError(this.name, `already holds ${this.#maxKeys} bans (memoryMaxKeys)`)
      if (!table.occupy(low, high, now)) throw new StoreError(this.name, 'has no memory left for a ban (memoryMaxBytes)')
      at = table.placed
      this.#anyBans = true
    }
    const { words } = table.slots
    const lastsMs = strike(words, at + 1, terms, now)
    // A ban on other terms must not make the store forget sooner.
    words[at + 3] = Math.max(words[at + 3] as number, now + lastsMs + terms.forgetAfterMs)
    this.#startSweeping()
    return lastsMs
  }

  unban(set: LimitSet, identity: string): void {
    this.#clear(this.#bans.get(set.scopeId), identity)
  }

  read(set: LimitSet, identity: string): readonly State[] | undefined {
    const table = this.#tables.get(set.scopeId)
    if (table === undefined) return undefined
    const now = this.clock.now()
    this.#locate(table, this.#find(table, identity), false, now)
    const slots = this.#slots as Slots
    const { offsets } = table.layout as LimitLayout
    const states = set.limits.map((limit, i): State => {
      const at = this.#at + (offsets[i] as number)
      if (limit.kind === 'sliding') return chain.entriesOf(slots, at, limit, now)
      const { words } = slots
      return cellLaw(limit).idle(words, at, limit, limit.drain, now) ? [] : [...words.subarray(at, at + 2)]
    })
    return states.every((state) => state.length === 0) ? undefined : states
  }

  ping(): void {
    if (this.#closed) throw new StoreError(this.name, 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
  }

  /** Sweeps everything. For callers that choose the moment; the store itself sweeps in small pieces. */
  sweep(): number {
    const now = this.clock.now()
    const before = this.#size
    for (const table of this.#sweeping) this.#sweepTable(table, Infinity, now)
    for (const table of this.#bans.values()) table.sweep(Infinity, now)
    return before - this.#size
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== undefined) clearInterval(this.#timer)
    this.#timer = undefined
    for (const table of [...this.#tables.values(), ...this.#bans.values()]) table.release()
    this.#tables.clear()
    this.#bans.clear()
    this.#sweeping.length = 0
    this.#set = undefined
    this.#table = undefined
    this.#size = 0
    this.#anyBans = false
  }

  /** First word of the key's slot, or a negative number. Leaves its fingerprint for what comes after. */
  #find(table: Table, identity: string): number {
    this.#fingerprint.of(identity)
    return table.find(this.#fingerprint.low, this.#fingerprint.high)
  }

  #tableOf(set: LimitSet): Table {
    let table = this.#tables.get(set.scopeId)
    if (table === undefined) {
      this.ping()
      table = new Table(new LimitLayout(set), this.#budget)
      this.#tables.set(set.scopeId, table)
      this.#sweeping.push(table)
    }
    ;(table.layout as LimitLayout).use(set)
    this.#set = set
    this.#table = table
    return table
  }

  /** The slot of the key that was found at `at` or not: its own, a new one where that is wanted, a shared one, or the one that holds nothing. */
  #locate(table: Table, at: number, make: boolean, now: number): void {
    this.#shared = false
    this.#slots = table.slots
    this.#at = at
    if (at >= 0) return
    if (make) {
      this.#make(table, now)
    } else if (table.overflowing) {
      this.#share(table)
    } else {
      this.#slots = table.nothing
      this.#at = 0
    }
  }

  #make(table: Table, now: number): void {
    const { low, high } = this.#fingerprint
    // Twice, as the first look may meet the end of a table.
    for (let look = 0; look < 2 && this.#size >= this.#maxKeys; look++) this.#sweepSome(SWEPT_PER_NEW_KEY, now)
    const before = table.keys
    const made = this.#size < this.#maxKeys && table.occupy(low, high, now)
    this.#size += table.keys - before
    if (!made) {
      this.#share(table)
      return
    }
    this.#slots = table.slots
    this.#at = table.placed
    if (table.overflowing) {
      // The key may have counted in a shared slot while there was no room.
      const from = table.overflow()
      const at = table.overflowSlot(low)
      if (!table.layout.idle(from, at, now)) table.slots.copyState(from, at, table.placed)
    }
    this.#startSweeping()
  }

  #share(table: Table): void {
    this.#slots = table.overflow()
    this.#at = table.overflowSlot(this.#fingerprint.low)
    this.#shared = true
  }

  /** Sweeps on where the last sweep ended, one table after the other. */
  #sweepSome(count: number, now: number): void {
    const table = this.#sweeping[this.#sweepAt]
    if (table === undefined) return
    this.#sweepTable(table, count, now)
    if (table.swept) this.#sweepAt = (this.#sweepAt + 1) % this.#sweeping.length
  }

  #sweepTable(table: Table, count: number, now: number): void {
    const before = table.keys
    table.sweep(count, now)
    // The table may have moved: what the last lookup remembers would keep the slots it left.
    this.#slots = undefined
    this.#size += table.keys - before
  }

  #startSweeping(): void {
    if (this.#timer !== undefined || this.#sweepIntervalMs === false) return
    this.#timer = setInterval(() => {
      const now = this.clock.now()
      this.#sweepSome(SWEPT_PER_TICK, now)
      let bans = 0
      for (const table of this.#bans.values()) {
        table.sweep(SWEPT_PER_TICK, now)
        bans += table.keys
      }
      this.#anyBans = bans > 0
      if (this.#size === 0 && bans === 0) {
        // Nothing is held, so this only gives empty slots back.
        this.sweep()
        clearInterval(this.#timer)
        this.#timer = undefined
      }
    }, this.#sweepIntervalMs)
    // Housekeeping must not keep a process alive; edge runtimes have plain numbers here.
    if (typeof this.#timer === 'object') this.#timer.unref()
  }

  #bannedForMs(set: LimitSet, now: number): number {
    const table = this.#bans.get(set.scopeId)
    const at = table === undefined ? -1 : table.find(this.#fingerprint.low, this.#fingerprint.high)
    return at < 0 ? 0 : bannedForMs((table as Table).slots.words, at + 1, now)
  }

  #clear(table: Table | undefined, identity: string): void {
    if (table === undefined) return
    const at = this.#find(table, identity)
    if (at >= 0) table.slots.remove(at)
  }
}

/** One limit. `mends` prepares the state for a charge (see `heal` in law.ts); a look that changes nothing must not. */
function takeOne(
  slots: Slots,
  at: number,
  limit: Limit,
  cost: number,
  now: number,
  commit: Commit,
  mends: boolean,
  out: Float64Array,
  to: number,
): boolean {
  const { words } = slots
  // Each law is named where it is called: through a variable, engines would call what they could otherwise put in place.
  switch (limit.kind) {
    case 'bucket':
      if (mends && ((words[at] as number) > now || limit.forgetMs > 0)) bucketLaw.heal(words, at, limit, now)
      return bucketLaw.take(words, at, limit, cost, now, commit, out, to)
    case 'fixed':
      if (mends && (words[at] as number) > now) fixedLaw.heal(words, at, limit, now)
      return fixedLaw.take(words, at, limit, cost, now, commit, out, to)
    case 'sliding':
      return chain.take(slots, at, limit, cost, now, commit, mends, out, to)
  }
}

function checked(options: MemoryStoreOptions): Required<MemoryStoreOptions> {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new ConfigError('memoryStore(options)', 'an object', options)
  const known = [...Object.keys(DEFAULTS), 'clock']
  for (const key of Object.keys(options)) {
    if (!known.includes(key))
      throw new ConfigError(`memoryStore.${key}`, `one of ${known.join(', ')}`, options[key as keyof MemoryStoreOptions])
  }
  const whole = (key: 'memoryMaxKeys' | 'memoryMaxBytes' | 'sweepIntervalMs', least: number, most: number): number => {
    const value = options[key] === undefined ? DEFAULTS[key] : options[key]
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
      throw new ConfigError(`memoryStore.${key}`, `a whole number from ${least} to ${most}`, value)
    }
    return value as number
  }
  const { clock = systemClock } = options
  if (typeof clock?.now !== 'function') throw new ConfigError('memoryStore.clock', 'a clock { now() }', clock)
  return {
    memoryMaxKeys: whole('memoryMaxKeys', 1, 100_000_000),
    memoryMaxBytes: whole('memoryMaxBytes', 65_536, Number.MAX_SAFE_INTEGER),
    sweepIntervalMs: options.sweepIntervalMs === false ? false : whole('sweepIntervalMs', 10, 86_400_000),
    clock,
  }
}
