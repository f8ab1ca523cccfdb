// The memory store: synchronous, bounded, flood-safe. It runs the laws over tables of fingerprints; no key is kept as text.
// Promises: never more than `memoryMaxKeys` counters and `memoryMaxBytes` bytes; a counter that still matters is never
// evicted, past the bound new keys share overflow counters; no timer per key or hit. Next: table.ts, segment.ts.

import { bannedForMs, strike } from '../../algorithms/ban.ts'
import { ABSENT } from '../../algorithms/law.ts'
import type { BanTerms } from '../../core/ban-terms.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { ConfigError, StoreError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import { type Mode, READING_WIDTH, type State, type SyncStore, type Taken } from '../store.ts'
import { Fingerprint } from './fingerprint.ts'
import { LimitLayout, cellLaw } from './layout.ts'
import type { Budget, Layout, Segment } from './segment.ts'
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
/** Segments swept per tick of the timer: about a thousand places each. */
const SEGMENTS_PER_TICK = 8
/** When full, one segment is looked through for room per so many new keys: a flood pays O(1) for each. */
const NEW_KEYS_PER_SWEEP = 64

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
  idle: (segment, place, now) => now >= (segment.words[place + 3] as number),
}

class Memory implements MemoryStore {
  readonly name = 'memory'
  readonly sync = true
  readonly clock: Clock
  readonly #maxKeys: number
  readonly #budget: Budget
  readonly #sweepIntervalMs: number | false
  readonly #tables: (Table | undefined)[] = []
  readonly #bans: (Table | undefined)[] = []
  readonly #fingerprint = new Fingerprint()
  readonly #taken: Taken & { readings: Float64Array }
  #size = 0
  #banCount = 0
  #sinceSweep = 0
  #sweepTable = 0
  #timer: ReturnType<typeof setInterval> | undefined
  #closed = false
  /** Where the last lookup landed; fields, so that the hot path returns no object. */
  #segment: Segment | undefined
  #place = 0
  #shared = false

  constructor(options: Required<MemoryStoreOptions>) {
    this.clock = options.clock
    this.#maxKeys = options.memoryMaxKeys
    this.#budget = { bytes: 0, maxBytes: options.memoryMaxBytes }
    this.#sweepIntervalMs = options.sweepIntervalMs
    this.#taken = { granted: false, now: 0, readings: new Float64Array(READING_WIDTH), bannedForMs: 0, source: 'primary' }
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#budget.bytes
  }

  take(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): Taken {
    const now = this.clock.now()
    const table = this.#tables[set.scopeId] ?? this.#open(set)
    const layout = table.layout as LimitLayout
    layout.use(set)
    this.#fingerprint.of(identity)
    this.#locate(table, mode === 'take' || mode === 'charge', now)
    const segment = this.#segment as Segment
    const taken = this.#taken
    taken.now = now
    taken.source = this.#shared ? 'shared' : 'primary'
    taken.bannedForMs = this.#banCount === 0 ? 0 : this.#bannedForMs(set, now)
    const { limits } = set
    if (taken.readings.length < limits.length * READING_WIDTH) taken.readings = new Float64Array(limits.length * READING_WIDTH)
    const charging = (mode === 'take' || mode === 'charge') && taken.bannedForMs === 0

    let fit = true
    for (let i = 0; i < limits.length; i++) {
      const limit = limits[i] as Limit
      const at = this.#place + (layout.offsets[i] as number)
      if (limit.kind === 'sliding') {
        chain.settle(segment, at, limit, now)
        if (charging) chain.heal(segment, at, limit, now)
        if (!chain.fits(segment, at, limit, cost)) fit = false
      } else {
        const law = cellLaw(limit)
        if (charging && (segment.words[at] as number) > now) law.heal(segment.words, at, limit, now)
        if (!law.fits(segment.words, at, limit, cost, now)) fit = false
      }
    }
    taken.granted = fit && taken.bannedForMs === 0
    const pours = charging && (fit || mode === 'charge')
    for (let i = 0; i < limits.length; i++) {
      const limit = limits[i] as Limit
      const at = this.#place + (layout.offsets[i] as number)
      if (limit.kind === 'sliding') {
        if (pours) chain.pour(segment, at, limit, cost, now)
        else if (mode === 'refund') chain.refund(segment, at, limit, cost, takenAt)
        chain.read(segment, at, limit, cost, now, taken.readings, i * READING_WIDTH)
      } else {
        const law = cellLaw(limit)
        if (pours) law.pour(segment.words, at, limit, cost, now)
        else if (mode === 'refund') law.refund(segment.words, at, limit, cost, now, takenAt)
        law.read(segment.words, at, limit, cost, now, taken.readings, i * READING_WIDTH)
      }
    }
    return taken
  }

  reset(set: LimitSet, identity: string): void {
    this.#clear(this.#tables[set.scopeId], identity)
    this.unban(set, identity)
  }

  ban(set: LimitSet, identity: string, terms: BanTerms): number {
    const now = this.clock.now()
    const table = this.#bans[set.scopeId] ?? (this.#bans[set.scopeId] = new Table(BAN_LAYOUT, this.#budget, this.#maxKeys))
    this.#fingerprint.of(identity)
    const segment = table.segment(this.#fingerprint.high)
    let place = segment.find(this.#fingerprint.low, this.#fingerprint.high)
    if (place < 0) {
      if (this.#banCount >= this.#maxKeys) this.#banCount -= table.sweepNext(now)
      if (this.#banCount >= this.#maxKeys) throw new StoreError(this.name, `already holds ${this.#maxKeys} bans (memoryMaxKeys)`)
      const before = segment.size
      place = this.#occupy(segment, now)
      this.#banCount += segment.size - before
      if (place < 0) throw new StoreError(this.name, 'has no memory left for a ban (memoryMaxBytes)')
    }
    const lastsMs = strike(segment.words, place + 1, terms, now)
    segment.words[place + 3] = now + lastsMs + terms.forgetAfterMs
    this.#startSweeping()
    return lastsMs
  }

  unban(set: LimitSet, identity: string): void {
    this.#clear(this.#bans[set.scopeId], identity)
  }

  read(set: LimitSet, identity: string): readonly State[] | undefined {
    const table = this.#tables[set.scopeId]
    if (table === undefined) return undefined
    const now = this.clock.now()
    this.#fingerprint.of(identity)
    this.#locate(table, false, now)
    const segment = this.#segment as Segment
    if (table.layout.idle(segment, this.#place, now)) return undefined
    const { offsets } = table.layout as LimitLayout
    return set.limits.map((limit, i) => {
      const at = this.#place + (offsets[i] as number)
      if (limit.kind !== 'sliding') return segment.words[at] === ABSENT ? [] : [...segment.words.subarray(at, at + 2)]
      chain.settle(segment, at, limit, now)
      return chain.entriesOf(segment, at, limit)
    })
  }

  ping(): void {
    if (this.#closed) throw new StoreError(this.name, 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
  }

  /** Sweeps everything. For callers that choose the moment; the store itself sweeps in small pieces. */
  sweep(): number {
    const now = this.clock.now()
    let dropped = 0
    for (const table of this.#tables) {
      for (let n = table?.segmentCount ?? 0; n > 0; n--) dropped += (table as Table).sweepNext(now)
    }
    this.#size -= dropped
    for (const table of this.#bans) {
      for (let n = table?.segmentCount ?? 0; n > 0; n--) this.#banCount -= (table as Table).sweepNext(now)
    }
    return dropped
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== undefined) clearInterval(this.#timer)
    this.#timer = undefined
    for (const table of [...this.#tables, ...this.#bans]) table?.release()
    this.#tables.length = 0
    this.#bans.length = 0
    this.#size = 0
    this.#banCount = 0
  }

  #open(set: LimitSet): Table {
    this.ping()
    return (this.#tables[set.scopeId] = new Table(new LimitLayout(set), this.#budget, this.#maxKeys))
  }

  /** Finds the place of the fingerprint: its own, a new one where that is wanted, a shared one, or the blank one. */
  #locate(table: Table, make: boolean, now: number): void {
    const { low, high } = this.#fingerprint
    const segment = make ? table.segment(high) : table.peekSegment(high)
    this.#shared = false
    if (segment !== undefined) {
      const place = segment.find(low, high)
      if (place >= 0) {
        this.#segment = segment
        this.#place = place
        return
      }
    }
    this.#segment = table.blank
    this.#place = 0
    if (make) this.#make(table, segment as Segment, now)
    else if (table.overflowing) this.#share(table)
  }

  #make(table: Table, segment: Segment, now: number): void {
    if (this.#size >= this.#maxKeys) this.#makeRoom(now)
    const before = segment.size
    const place = this.#size < this.#maxKeys ? this.#occupy(segment, now) : -1
    this.#size += segment.size - before
    if (place < 0) {
      this.#share(table)
      return
    }
    this.#segment = segment
    this.#place = place
    if (table.overflowing) {
      // The key may have counted in a shared place while there was no room.
      const from = table.overflow()
      const at = table.overflowPlace(this.#fingerprint.low)
      if (!table.layout.idle(from, at, now)) segment.copyState(from, at, place)
    }
    this.#startSweeping()
  }

  #share(table: Table): void {
    this.#segment = table.overflow()
    this.#place = table.overflowPlace(this.#fingerprint.low)
    this.#shared = true
  }

  /** Takes a place in the segment for the fingerprint, rebuilding it when it is full; −1 past the bound on bytes. */
  #occupy(segment: Segment, now: number): number {
    const { low, high } = this.#fingerprint
    if (!segment.roomy && segment.rebuild(now, 1 + (segment.capacity >> 3)) < 0) return -1
    const place = ~segment.find(low, high)
    segment.occupy(place, low, high)
    return place
  }

  /** Looks for expired entries, a segment at a time, and not for every key of a flood. */
  #makeRoom(now: number): void {
    if (this.#sinceSweep++ % NEW_KEYS_PER_SWEEP !== 0) return
    this.#sweepSome(1, now)
  }

  #sweepSome(segments: number, now: number): void {
    for (let n = 0; n < segments; n++) {
      const table = this.#tables[this.#sweepTable]
      if (table !== undefined) this.#size -= table.sweepNext(now)
      if (table === undefined || table.swept) this.#nextTable()
    }
  }

  #nextTable(): void {
    const count = this.#tables.length
    for (let n = 0; n < count; n++) {
      this.#sweepTable = (this.#sweepTable + 1) % count
      if (this.#tables[this.#sweepTable] !== undefined) return
    }
  }

  #startSweeping(): void {
    if (this.#timer !== undefined || this.#sweepIntervalMs === false) return
    this.#timer = setInterval(() => {
      const now = this.clock.now()
      this.#sweepSome(SEGMENTS_PER_TICK, now)
      for (const table of this.#bans) if (table !== undefined) this.#banCount -= table.sweepNext(now)
      if (this.#size === 0 && this.#banCount === 0) {
        clearInterval(this.#timer)
        this.#timer = undefined
      }
    }, this.#sweepIntervalMs)
    // Housekeeping must not keep a process alive; edge runtimes have plain numbers here.
    if (typeof this.#timer === 'object') this.#timer.unref()
  }

  #bannedForMs(set: LimitSet, now: number): number {
    const table = this.#bans[set.scopeId]
    const segment = table?.peekSegment(this.#fingerprint.high)
    if (segment === undefined) return 0
    const place = segment.find(this.#fingerprint.low, this.#fingerprint.high)
    return place < 0 ? 0 : bannedForMs(segment.words, place + 1, now)
  }

  /** Makes a state absent; the next sweep takes its place back. */
  #clear(table: Table | undefined, identity: string): void {
    if (table === undefined) return
    this.#fingerprint.of(identity)
    const segment = table.peekSegment(this.#fingerprint.high)
    if (segment === undefined) return
    const place = segment.find(this.#fingerprint.low, this.#fingerprint.high)
    if (place >= 0) segment.vacate(place)
  }
}

function checked(options: MemoryStoreOptions): Required<MemoryStoreOptions> {
  if (typeof options !== 'object' || options === null) throw new ConfigError('memoryStore(options)', 'an object', options)
  const known = [...Object.keys(DEFAULTS), 'clock']
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw new ConfigError(`memoryStore.${key}`, `one of ${known.join(', ')}`, options[key as keyof MemoryStoreOptions])
  }
  const whole = (key: 'memoryMaxKeys' | 'memoryMaxBytes' | 'sweepIntervalMs', least: number, most: number): number => {
    const value = options[key] ?? DEFAULTS[key]
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
      throw new ConfigError(`memoryStore.${key}`, `a whole number from ${least} to ${most}`, value)
    }
    return value as number
  }
  const clock = options.clock ?? systemClock
  if (typeof clock !== 'object' || typeof clock.now !== 'function') throw new ConfigError('memoryStore.clock', 'a clock { now() }', clock)
  return {
    memoryMaxKeys: whole('memoryMaxKeys', 1, 100_000_000),
    memoryMaxBytes: whole('memoryMaxBytes', 65_536, Number.MAX_SAFE_INTEGER),
    sweepIntervalMs: options.sweepIntervalMs === false ? false : whole('sweepIntervalMs', 10, 86_400_000),
    clock,
  }
}
