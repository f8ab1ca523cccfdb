// What every store behind a connection has in common: the decisions of one event-loop turn travel together, each settles within the
// deadline, and what was refused a moment ago is refused here. A store adds a driver: how to ask its server.
// Promise: the answers are those of asking one by one in order; a question that fails does not fail its neighbours; nothing is asked
// twice. Next: remote-driver.ts, how a server is asked; remote-asking.ts, a question on its way; deadlines.ts, refusal-memory.ts.

import { type Clock, monotonicMs } from '../core/clock.ts'
import type { BanTerms } from '../core/ban-terms.ts'
import { StoreError, withoutStack } from '../core/errors.ts'
import type { LimitSet } from '../core/limit-set.ts'
import { Deadlines, type Waiter, afterSockets } from './deadlines.ts'
import type { LateGrant, LateTeller } from './late.ts'
import { heldStates, parseRecord } from './record.ts'
import { RefusalMemory } from './refusal-memory.ts'
import type { RemoteSettings } from './remote-options.ts'
import { storeKey } from './store-key.ts'
import { Asking, isWanted, onlyWanted, takenBy } from './remote-asking.ts'
import type { Driver, Found } from './remote-driver.ts'
import type { AsyncStore, Mode, State, Taken } from './store.ts'
import type { Change, Entry, UpdatableStore, Updated } from './update.ts'

/** The questions of one turn. */
interface Turn {
  readonly askings: Asking[]
  /** The latest question about each counter: the same question again joins it, another one must come after it. */
  readonly latest: Map<string, Asking>
}

/** Through a connection that pipelines, so many questions leave before their turn is over, if half of all that wait are with them. */
const PART = 32

/** So many questions of a turn are asked at once where the answers are there at once; more of them gain by travelling together. */
const AT_ONCE = 4

/** Makes a store of a driver. */
export function remoteStore(driver: Driver, settings: RemoteSettings): AsyncStore {
  return new RemoteStore(driver, settings)
}

/** See {@link remoteStore}. A class for stores that can do more. */
export class RemoteStore implements AsyncStore, UpdatableStore, LateTeller {
  readonly name: string
  readonly sync = false
  readonly clock?: Clock
  /** Ms within which every decision settles. */
  readonly deadlineMs: number
  readonly #driver: Driver
  readonly #settings: RemoteSettings
  readonly #deadlines: Deadlines
  readonly #refusals: RefusalMemory | undefined
  #turn: Turn | undefined
  /** Whether the turn is over and its questions only wait for a free connection. */
  #due = false
  #onTheirWay = 0
  /** Whether trips follow each other in order without waiting for one another. */
  readonly #pipelines: boolean
  /** How many questions may still be asked alone in this turn, where answers are there at once. */
  #atOnce: number
  /** Questions of the last trip. */
  #lastTrip = 0
  /** Monotonic ms, read once a turn. */
  #turnMs = 0
  #inTurn = false
  #closed = false
  readonly #listeners = new Set<(late: LateGrant) => void>()

  constructor(driver: Driver, settings: RemoteSettings) {
    this.name = driver.name
    this.#driver = driver
    this.#pipelines = driver.concurrency === Infinity
    this.#atOnce = driver.immediate === true ? AT_ONCE : 0
    this.#settings = settings
    if (settings.clock !== undefined) this.clock = settings.clock
    this.deadlineMs = settings.deadlineMs
    this.#deadlines = new Deadlines(settings.deadlineMs)
    this.#refusals = settings.rememberRefusalsMs > 0 ? new RefusalMemory(settings.rememberRefusalsMs) : undefined
  }

  take(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): Promise<Taken> {
    const refusals = this.#refusals
    if (refusals !== undefined) {
      if (mode === 'take') {
        const refused = refusals.recall(set, identity, cost, this.#now)
        if (refused !== undefined) return Promise.resolve(refused)
      } else if (mode === 'refund') refusals.forget(set, identity)
    }
    const blocked = this.#blocked()
    if (blocked !== undefined) return Promise.reject(blocked)
    return new Promise((resolve, reject) => {
      this.#ask(set, identity, cost, mode, takenAt, resolve, reject)
    })
  }

  reset(set: LimitSet, identity: string): Promise<void> {
    return this.#run(set, identity, (key) => this.#driver.forget(key))
  }

  ban(set: LimitSet, identity: string, terms: BanTerms): Promise<number> {
    return this.#run(set, identity, (key) => this.#driver.ban(set, key, terms))
  }

  unban(set: LimitSet, identity: string): Promise<void> {
    return this.#run(set, identity, (key) => this.#driver.unban(set, key))
  }

  read(set: LimitSet, identity: string): Promise<readonly State[] | undefined> {
    return this.#run(set, identity, async (key) => {
      const { text, now } = await this.#driver.read(set, key)
      return heldStates(parseRecord(set, text, now), set, now)
    })
  }

  ping(): Promise<void> {
    return this.#within(() => this.#driver.ping())
  }

  /** Housekeeping has all the time it needs. */
  async sweep(): Promise<number> {
    const blocked = this.#blocked()
    if (blocked !== undefined) throw blocked
    return this.#driver.sweep()
  }

  /** Ends what is waiting with an error, then the connections the store made itself. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#turn = undefined
    this.#deadlines.close(this.#closedError())
    this.#refusals?.clear()
    await this.#driver.close()
  }

  onLateGrant(listener: (late: LateGrant) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  update(set: LimitSet, identity: string, change: Change, entry?: Entry): Promise<Updated> {
    return this.#run(set, identity, (key) => this.#driver.update(set, key, change, entry))
  }

  /** One call that is not a decision: it waits for nobody and shares no trip. */
  #run<T>(set: LimitSet, identity: string, call: (key: string) => Promise<T>): Promise<T> {
    return this.#within(() => call(storeKey(set, identity))).then((result) => {
      this.#refusals?.forget(set, identity)
      return result
    })
  }

  #within<T>(call: () => Promise<T>): Promise<T> {
    const blocked = this.#blocked()
    if (blocked !== undefined) return Promise.reject(blocked)
    return this.#deadlines.within(call(), this.#late)
  }

  #ask(
    set: LimitSet,
    identity: string,
    cost: number,
    mode: Mode,
    takenAt: number | undefined,
    resolve: (taken: Taken) => void,
    reject: (error: unknown) => void,
  ): void {
    const key = storeKey(set, identity)
    const alone = this.#isAlone()
    if (alone && this.#pipelines) this.#turnMs = monotonicMs()
    else if (!this.#inTurn) this.#begin()
    const waiter = this.#deadlines.add(resolve, reject, this.#late, this.#turnMs)
    const turn = this.#turn
    const last = turn?.latest.get(key)
    if (last !== undefined && mode === 'take' && last.mode === 'take' && last.set === set && last.cost === cost) {
      last.count++
      last.waiters.push(waiter)
      return
    }
    const askedAt = this.clock === undefined ? this.#turnMs : this.clock.now()
    const asking = new Asking(set, key, cost, mode, takenAt, identity, askedAt, waiter)
    if (alone) return this.#start([asking])
    let askings: number
    if (turn === undefined) {
      this.#turn = { askings: [asking], latest: new Map([[key, asking]]) }
      this.#due = false
      askings = 1
    } else {
      turn.latest.set(key, asking)
      askings = turn.askings.push(asking)
    }
    if (askings < this.#enough()) return
    this.#due = true
    this.#send()
  }

  /** Who asks one by one does not wait for the end of the turn, which costs more than the rest. */
  #isAlone(): boolean {
    if (this.#lastTrip !== 1 || this.#onTheirWay > 0 || this.#turn !== undefined) return false
    return this.#pipelines || this.#atOnce-- > 0
  }

  /** How many questions are not kept for the end of the turn: so a server has something to do while more are gathered. */
  #enough(): number {
    const { batchSize } = this.#settings
    return this.#pipelines ? Math.min(batchSize, Math.max(PART, this.#deadlines.size >> 1)) : batchSize
  }

  /** A turn of the event loop has begun for this store. */
  #begin(): void {
    this.#inTurn = true
    this.#turnMs = monotonicMs()
    afterSockets(this.#end)
  }

  readonly #end = (): void => {
    this.#inTurn = false
    if (this.#driver.immediate === true) this.#atOnce = AT_ONCE
    this.#due = true
    this.#send()
  }

  /** Sends what is due if a connection is free; until then it goes on gathering. */
  #send(): void {
    for (let turn = this.#turn; turn !== undefined; turn = this.#turn) {
      if (!this.#due || this.#onTheirWay >= this.#driver.concurrency) return
      const batch = this.#batchOf(turn)
      // Whoever has been told already that it took too long must not be charged on top.
      const askings = batch.every(isWanted) ? batch : batch.filter(onlyWanted)
      if (askings.length > 0) return this.#start(askings)
    }
  }

  #start(askings: readonly Asking[]): void {
    this.#lastTrip = askings.length
    const { partOf } = this.#driver
    if (partOf === undefined || askings.length === 1) {
      this.#onTheirWay++
      void this.#trip(askings)
      return
    }
    const parts = new Map<number, Asking[]>()
    for (const asking of askings) {
      const part = partOf(asking.key)
      const others = parts.get(part)
      if (others === undefined) parts.set(part, [asking])
      else others.push(asking)
    }
    this.#onTheirWay += parts.size
    for (const part of parts.values()) void this.#trip(part)
  }

  /** Takes the questions of one trip. What gathered while all connections were busy may be more; the rest goes on gathering. */
  #batchOf(turn: Turn): Asking[] {
    const { batchSize } = this.#settings
    if (turn.askings.length <= batchSize) {
      this.#turn = undefined
      return turn.askings
    }
    const batch = turn.askings.splice(0, batchSize)
    for (const asking of batch) if (turn.latest.get(asking.key) === asking) turn.latest.delete(asking.key)
    if (!this.#inTurn) this.#begin()
    return batch
  }

  async #trip(askings: readonly Asking[]): Promise<void> {
    try {
      const answers = await this.#decided(askings)
      for (let i = 0; i < askings.length; i++) this.#answer(askings[i] as Asking, answers[i])
    } catch (error) {
      const failure = this.#failure(error)
      for (const { waiters } of askings) for (const waiter of waiters) waiter.reject(failure)
    }
    this.#send()
  }

  /** Before anybody is answered the way is free again: who asks one by one finds it so. */
  async #decided(askings: readonly Asking[]): Promise<readonly (Found | StoreError)[]> {
    try {
      return await this.#driver.decide(askings, (i) => onlyWanted(askings[i] as Asking))
    } finally {
      this.#onTheirWay--
    }
  }

  #answer(asking: Asking, found: Found | StoreError | undefined): void {
    const { waiters, identity, askedAt } = asking
    if (found === undefined || found instanceof StoreError) {
      const failure = found ?? new StoreError(this.name, 'gave no answer to a question')
      for (const waiter of waiters) waiter.reject(failure)
      return
    }
    for (let i = 0; i < waiters.length; i++) {
      const waiter = waiters[i] as Waiter<Taken>
      if (waiter.settled) this.#wasLate(asking, found, i)
      else waiter.resolve(takenBy(asking, found, i))
    }
    const refusals = this.#refusals
    if (refusals === undefined || asking.mode === 'peek') return
    if (asking.mode === 'take' && found.granted < asking.count)
      refusals.keep(asking.set, identity, asking.cost, takenBy(asking, found, asking.count - 1), askedAt)
    // A change of this store's own shows at once, also to an answer that was on its way.
    else if (refusals.size > 0) refusals.forget(asking.set, identity)
  }

  /** Nobody waits for this answer any more; what it was charged is not lost on those who listen. */
  #wasLate(asking: Asking, found: Found, i: number): void {
    const { set, identity, cost, mode, takenAt } = asking
    if (this.#listeners.size === 0 || i >= found.granted || (mode !== 'take' && mode !== 'charge')) return
    for (const listener of this.#listeners) listener({ set, identity, cost, mode, takenAt, taken: takenBy(asking, found, i) })
  }

  #failure(error: unknown): StoreError {
    if (error instanceof StoreError) return error
    return new StoreError(this.name, error instanceof Error ? error.message : 'failed', { cause: error })
  }

  #blocked(): StoreError | undefined {
    if (this.#closed) return this.#closedError()
    if (this.#deadlines.size < this.#settings.maxWaiting) return undefined
    return new StoreError(this.name, `${this.#settings.maxWaiting} decisions are waiting for an answer already (maxWaiting)`)
  }

  #closedError(): StoreError {
    return new StoreError(this.name, 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
  }

  readonly #late = (): StoreError =>
    withoutStack(
      () =>
        new StoreError(this.name, `no answer within ${this.#settings.deadlineMs} ms (deadlineMs)`, {
          code: 'ERR_RATELIMIT_STORE_TIMEOUT',
          // It may be on its way.
          kind: 'ambiguous',
        }),
    )

  readonly #now = (): number => (this.clock === undefined ? monotonicMs() : this.clock.now())
}
