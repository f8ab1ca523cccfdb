// A store made of stores. Promise: every decision settles within the deadline; a store that fails is not asked until it is well, and nobody
// waits to find out; whoever decides instead starts from what was known, and what it grants is added where it belongs when that store is
// back. Next: asking.ts (the walk of a question), member.ts (is a store well), carrier.ts (what is carried over), local-share.ts (no store
// is left).

import type { BanTerms } from '../../core/ban-terms.ts'
import type { Clock } from '../../core/clock.ts'
import { StoreError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { MaybePromise } from '../../core/maybe.ts'
import type { StoreEvent } from '../../core/observer.ts'
import { storeChanged } from '../../core/watching.ts'
import type { LateTeller } from '../late.ts'
import type { AsyncStore, LocalAnswer, LoneDecider, Mode, State, Store, SyncStore, Taken } from '../store.ts'
import { Asker, mayAsk, noneLeft, partOf } from './asking.ts'
import { Carrier } from './carrier.ts'
import { hashOf } from './hash.ts'
import { LocalShare } from './local-share.ts'
import type { Member } from './member.ts'
import { Servers, type StoreStatus } from './servers.ts'
import { StoresClock } from './store-clock.ts'
import type { FailoverSettings, NamedStore, Strategy } from './options.ts'

/** What a failover store is made of. */
export interface FailoverParts {
  readonly name: string
  readonly members: readonly NamedStore[]
  readonly strategy: Strategy
  readonly settings: FailoverSettings
  /** Makes this process's own store, when no other is left. */
  readonly makeLocal: (clock: Clock) => SyncStore
  /** Whether closing it closes its stores. */
  readonly closes: boolean
}

/** Names processes apart in what they add to a store. */
const WRITER_LETTERS = 12
const OWNER_SEED = 0x9e3779b9
const EVENTS = { closed: 'up', open: 'down', half_open: 'probing', returning: 'returning' } as const

/** See `multiStore`. A class, as it has more to say than a store has to. */
export class FailoverStore implements AsyncStore, LoneDecider {
  readonly name: string
  readonly sync = false
  readonly deadlineMs: number
  readonly #settings: FailoverSettings
  readonly #strategy: Strategy
  readonly #stores: readonly Servers[]
  /** Who is asked about every key, where that is the same for all. */
  readonly #always: readonly Member[] | undefined
  readonly #closes: boolean
  readonly #asker: Asker
  readonly #local: LocalShare
  readonly #carrier: Carrier
  readonly #stopListening: (() => void)[] = []
  #closed = false

  constructor({ name, members, strategy, settings, makeLocal, closes }: FailoverParts) {
    const { deadlineMs, scheduler, random } = settings
    this.name = name
    this.deadlineMs = deadlineMs
    this.#settings = settings
    this.#strategy = strategy
    this.#closes = closes
    const events = {
      changed: (member: Member): void => this.#changed(member),
      forgot: (member: Member, place: string): void => {
        this.#tell('forgot', member)
        this.#carrier.lost(place)
      },
      patienceMs: (member: Member): number => {
        const isOnly = this.#servers().every((one) => one.name === member.name || one.breaker.state.kind === 'open')
        return isOnly ? deadlineMs : partOf(deadlineMs, members.length)
      },
    }
    const writer = Array.from({ length: WRITER_LETTERS }, () => Math.floor(random() * 36).toString(36)).join('')
    this.#stores = members.map((member) => new Servers(member, { ...settings, writer }, events))
    const only = this.#stores.flatMap((store) => store.only ?? [])
    if (only.length === members.length && (strategy === 'first_healthy' || only.length === 1)) this.#always = only
    // Its windows are those of the stores it stands in for.
    const localClock = new StoresClock(() => this.#servers().map(({ clock }) => clock))
    this.#local = new LocalShare(makeLocal, localClock)
    // One store has no standby to copy to.
    const own = members.length === 1 ? { ...settings, copyIntervalMs: undefined } : settings
    this.#carrier = new Carrier(
      own,
      (set, identity) => this.#ordered(set, identity),
      writer,
      () => this.instances,
      localClock,
    )
    this.#asker = new Asker({
      name,
      count: members.length,
      deadlineMs,
      scheduler,
      carrier: this.#carrier,
      failed: ({ member, askedAt }, error) => this.#failed(member, error, askedAt),
      labelled: (taken, set, { name: by }) => ({
        ...taken,
        source: `fallback:${by}`,
        excess: this.#excess(set, this.#stores.length - 1),
      }),
    })
    for (const servers of this.#stores) {
      const { onLateGrant } = servers.store as Partial<LateTeller>
      const stop = onLateGrant?.call(servers.store, (late) =>
        this.#carrier.answeredLate(servers.of(late.set, late.identity), late, late.taken),
      )
      if (stop !== undefined) this.#stopListening.push(stop)
    }
  }

  /** How each store is. */
  get stores(): readonly StoreStatus[] {
    return this.#stores.map((store) => store.status())
  }

  /** The stores themselves, to be asked by who looks after them. */
  get members(): readonly NamedStore[] {
    return this.#stores
  }

  get strategy(): Strategy {
    return this.#strategy
  }

  /** Among how many processes limits are shared when no store answers. */
  get instances(): number {
    if (this.#settings.expectedInstances !== undefined) return this.#settings.expectedInstances
    let most = 1
    for (const { processes } of this.#servers()) most = Math.max(most, processes ?? 1)
    return most
  }

  take(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): Promise<Taken> {
    if (this.#closed) return Promise.reject(this.#closedError())
    for (const store of this.#stores) store.start()
    const members = this.#ordered(set, identity)
    const askedAt = this.#settings.scheduler.now()
    return this.#asker.ask({ set, identity, cost, mode, takenAt, members, askedAt, until: askedAt + this.deadlineMs })
  }

  mayAsk(set: LimitSet, identity: string): boolean {
    // Closed, or not yet asked: asking tells what it has to.
    if (this.#closed) return true
    const members = this.#ordered(set, identity)
    for (let i = 0; i < members.length; i++) {
      const { kind } = (members[i] as Member).breaker.state
      if (kind === 'closed') return true
      if (kind !== 'open' && mayAsk(members[i] as Member, identity, this.#settings.scheduler.now())) return true
    }
    return false
  }

  whyAlone(): StoreError {
    return noneLeft(this.name, this.#lastError())
  }

  /** Decides by this process's share of the limits. For when no store answers; counted, and added to the stores later. */
  takeLocally(set: LimitSet, identity: string, cost: number, mode: Mode, takenAt?: number): LocalAnswer {
    const { instances } = this
    const share = this.#local.shareOf(set, instances)
    const known = this.#carrier.knownForLocal(set, identity)
    if (known !== undefined) {
      this.#local.seed(share, identity, set, known.states)
      if (known.bannedForMs > 0) this.#local.ban(share, identity, known.bannedForMs)
    }
    const taken = this.#local.take(share, identity, cost, mode, takenAt)
    this.#carrier.decidedLocally({ set, identity, cost, mode, takenAt }, taken)
    // A limit smaller than the number of processes is 1 for each of them.
    taken.excess = this.#excess(set, this.#stores.length) + Math.max(0, instances - set.maxCost)
    return { set: share, taken }
  }

  reset(set: LimitSet, identity: string): Promise<void> {
    this.#carrier.forget(set, identity)
    this.#local.reset(this.#local.shareOf(set, this.instances), identity)
    return this.#everywhere(set, identity, (store) => store.reset(set, identity))
  }

  async ban(set: LimitSet, identity: string, terms: BanTerms): Promise<number> {
    const { answers, untold } = await this.#asked(set, identity, (store) => store.ban(set, identity, terms))
    const lastsMs = Math.max(...answers)
    this.#carrier.banned(set, identity, lastsMs, untold)
    return lastsMs
  }

  unban(set: LimitSet, identity: string): Promise<void> {
    this.#carrier.unbanned(set, identity)
    this.#local.unban(this.#local.shareOf(set, this.instances), identity)
    return this.#everywhere(set, identity, (store) => store.unban(set, identity))
  }

  /** As the store tells it that would decide now. */
  async read(set: LimitSet, identity: string): Promise<readonly State[] | undefined> {
    const now = this.#settings.scheduler.now()
    const member = this.#ordered(set, identity).find((one) => mayAsk(one, identity, now))
    if (member === undefined) throw noneLeft(this.name, this.#lastError())
    return this.#within(() => member.store.read(set, identity))
  }

  /** Resolves if at least one store can decide now. */
  async ping(): Promise<void> {
    let last: unknown
    for (const { store } of this.#stores) {
      try {
        await this.#within(() => store.ping())
        return
      } catch (error) {
        last = error
      }
    }
    throw noneLeft(this.name, last)
  }

  async sweep(): Promise<number> {
    let swept = 0
    for (const { store, all } of this.#stores)
      if (all.every(({ breaker }) => breaker.state.kind === 'closed')) swept += await store.sweep()
    return swept
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const stop of this.#stopListening) stop()
    this.#carrier.close()
    this.#local.close()
    for (const store of this.#stores) store.close()
    this.#asker.close(this.#closedError())
    if (this.#closes) await Promise.allSettled(this.#stores.map(async ({ store }) => store.close()))
  }

  /** Notes a failure; false for an error that no store made. */
  #failed(member: Member, error: unknown, askedAt: number): boolean {
    if (!(error instanceof Error)) return false
    const kind = error instanceof StoreError ? error.kind : undefined
    // A store that was closed while this one goes on has been closed by mistake, unless others are left.
    const wasClosed = error instanceof StoreError && error.code === 'ERR_RATELIMIT_STORE_CLOSED'
    if (wasClosed && (this.#closed || this.#stores.length === 1)) return false
    member.failed(error, kind === 'misconfigured' || kind === 'wrong_node', askedAt)
    if (kind === 'misconfigured') this.#tell('misconfigured', member, error)
    return true
  }

  /** The stores in the order in which a key asks them; the first is its own. */
  #ordered(set: LimitSet, identity: string): readonly Member[] {
    if (this.#always !== undefined) return this.#always
    const stores = this.#stores
    const first = this.#strategy === 'first_healthy' ? 0 : Math.floor(hashOf(identity, OWNER_SEED) * stores.length)
    const members: Member[] = []
    for (let i = 0; i < stores.length; i++) members.push((stores[(first + i) % stores.length] as Servers).of(set, identity))
    return members
  }

  /** The servers of all stores that were asked so far. */
  #servers(): readonly Member[] {
    return this.#always ?? this.#stores.flatMap(({ all }) => all)
  }

  #lastError(): Error | undefined {
    return this.#servers().find(({ lastError }) => lastError !== undefined)?.lastError
  }

  /**
   * How much more than the limits could be admitted by now: each process may have lost its way to a store that others still ask.
   * @param others how many stores others may ask
   */
  #excess(set: LimitSet, others: number): number {
    return set.maxCost * Math.min(this.instances - 1, others)
  }

  #changed(member: Member): void {
    const { kind } = member.breaker.state
    this.#tell(EVENTS[kind], member, kind === 'open' ? member.lastError : undefined)
    if (kind === 'closed' || kind === 'returning') this.#carrier.isBack(member)
  }

  #tell(kind: StoreEvent['kind'], member: Member, error?: Error): void {
    const { name } = member
    const server = this.#stores.find((one) => one.name === name)?.addressOf(member)
    const event: StoreEvent = { kind, store: name, ...(server !== undefined && { server }), error }
    storeChanged(event)
    try {
      this.#settings.onStoreEvent(event)
    } catch {
      // A watcher that fails is not the stores' business.
    }
  }

  /** On all stores that are not known to be down; at least one must succeed. */
  async #asked<T>(
    set: LimitSet,
    identity: string,
    call: (store: Store) => MaybePromise<T>,
  ): Promise<{ answers: T[]; untold: Member[] }> {
    const answers: T[] = []
    const untold: Member[] = []
    let cause: unknown
    const ask = async (member: Member): Promise<void> => {
      try {
        if (member.breaker.state.kind === 'open') throw member.lastError
        answers.push(await this.#within(() => call(member.store)))
      } catch (error) {
        untold.push(member)
        cause ??= error
      }
    }
    await Promise.all(this.#ordered(set, identity).map(ask))
    if (answers.length === 0) throw noneLeft(this.name, cause)
    return { answers, untold }
  }

  async #everywhere(set: LimitSet, identity: string, call: (store: Store) => MaybePromise<void>): Promise<void> {
    await this.#asked(set, identity, call)
  }

  #within<T>(call: () => MaybePromise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closedError())
    return this.#asker.within(Promise.resolve().then(call))
  }

  #closedError(): StoreError {
    return new StoreError(this.name, 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
  }
}
