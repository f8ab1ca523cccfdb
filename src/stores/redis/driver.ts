// How Redis is asked: one call of one script for all questions of a turn; in a cluster one per server.
// Promise: nothing is sent that could not leave at once, so that nobody is charged after being told that it took too long.
// Next: calls.ts, which makes the calls; take.lua for the answers; ../remote.ts for who asks.

import { monotonicMs } from '../../core/clock.ts'
import type { BanTerms } from '../../core/ban-terms.ts'
import { StoreError } from '../../core/errors.ts'
import { type LimitSet, buildLimitSet } from '../../core/limit-set.ts'
import type { CounterPage } from '../listing.ts'
import type { Driver, Found, Question } from '../remote-driver.ts'
import type { RemoteSettings } from '../remote-options.ts'
import type { Change, Entry, Updated } from '../update.ts'
import { type Asked, Calls } from './calls.ts'
import { Changes } from './changes.ts'
import { ClusterParts } from './cluster-parts.ts'
import { clusterSlot } from './cluster-slot.ts'
import { counters } from './counters.ts'
import { NotConnected, type RedisConnection } from './connection.ts'
import { storeError } from './errors.ts'
import { READ_SPEC, banSpec, unbanSpec } from './wire.ts'

/** Ends no key of a counter: those hold `|` or begin with `#` and 43 characters. */
const CANARY = '#ping'
/** Not more often than this is a server left that calls itself a replica. */
const RENEW_EVERY_MS = 500

/** The driver of a connection that is there, or comes when it is first needed. */
export class RedisDriver implements Driver {
  readonly name: string
  /** Calls follow each other through one connection without waiting. */
  readonly concurrency = Infinity
  readonly #settings: RemoteSettings
  readonly #connect: () => RedisConnection | Promise<RedisConnection>
  readonly #calls: Calls
  readonly #changes = new Changes()
  #connection: RedisConnection | undefined
  #parts: ClusterParts | undefined
  /** Of a cluster that is connected to. */
  partOf: ((key: string) => number) | undefined
  #connecting: Promise<RedisConnection> | undefined
  #closed = false
  #renewedAt = -Infinity
  readonly #canary: LimitSet = buildLimitSet('ping', '1000000000/m', { algorithm: 'fixed_window' })

  constructor(connect: () => RedisConnection | Promise<RedisConnection>, settings: RemoteSettings) {
    this.name = settings.name
    this.#connect = connect
    this.#settings = settings
    this.#calls = new Calls(settings, { failed: (error) => this.#failure(error), inTime: async (ready) => this.#inTime(ready) })
  }

  decide(questions: readonly Question[], wanted: (i: number) => boolean): Promise<readonly (Found | StoreError)[]> {
    const connection = this.#connection
    const ready = connection?.ready(this.#settings.deadlineMs)
    if (connection !== undefined && ready === undefined && connection.nodeOf === undefined && questions.every(isPlainTake))
      return this.#takeAll(connection, questions)
    return this.#decideAny(questions, wanted, ready)
  }

  /** The common case: takes alone, by a server that can be asked now. */
  async #takeAll(connection: RedisConnection, questions: readonly Question[]): Promise<readonly (Found | StoreError)[]> {
    const answers: (Found | StoreError)[] = []
    const asked = questions.map((question, at) => ({ question, key: this.#settings.keyPrefix + question.key, at }))
    await this.#calls.ask(connection, asked, answers, false)
    return answers
  }

  async #decideAny(
    questions: readonly Question[],
    wanted: (i: number) => boolean,
    ready: Promise<void> | undefined,
  ): Promise<readonly (Found | StoreError)[]> {
    const connection = await this.#ready(ready)
    const answers: (Found | StoreError)[] = []
    let takes: Asked[] = []
    let looks: Asked[] = []
    for (const [at, question] of questions.entries()) {
      const asked = { question, key: this.#settings.keyPrefix + question.key, at }
      const problem = unsound(question)
      // Whoever has been told meanwhile that it took too long must not be charged on top.
      if (!wanted(at)) answers[at] = new StoreError(this.name, 'connected too late', { kind: 'not_executed' })
      else if (problem !== undefined) answers[at] = new StoreError(this.name, problem, { kind: 'not_executed' })
      else if (question.mode === 'peek') looks.push(asked)
      else takes.push(asked)
    }
    // Looking goes apart, so that it works where writing does not; but not past a charge of the same counter before it.
    if (takes.length > 0 && looks.length > 0) {
      const written = new Set(takes.map(({ key }) => key))
      const bound = looks.filter(({ key }) => written.has(key))
      if (bound.length > 0) {
        takes = [...takes, ...bound].toSorted((a, b) => a.at - b.at)
        looks = looks.filter(({ key }) => !written.has(key))
      }
    }
    await Promise.all([
      takes.length > 0 && this.#calls.ask(connection, takes, answers, false),
      looks.length > 0 && this.#calls.ask(connection, looks, answers, true),
    ])
    return answers
  }

  async forget(key: string): Promise<void> {
    const connection = await this.#ready()
    const name = this.#settings.keyPrefix + key
    await this.#guard(connection.send('DEL', [name], name))
  }

  async ban(set: LimitSet, key: string, terms: BanTerms): Promise<number> {
    for (const value of Object.values(terms)) {
      if (!Number.isSafeInteger(value) || value < 0) throw new StoreError(this.name, 'a ban’s terms are whole numbers of ms')
    }
    const { value } = await this.#other(key, (now) => banSpec(set, terms, now, this.#calls.keep), false)
    return Number(value)
  }

  async unban(set: LimitSet, key: string): Promise<void> {
    await this.#other(key, (now) => unbanSpec(set, now, this.#calls.keep), false)
  }

  async read(_set: LimitSet, key: string): Promise<{ text: string | undefined; now: number }> {
    const { value: text, now } = await this.#other(key, () => READ_SPEC, true)
    return { text, now }
  }

  /** See `UpdatableStore`. */
  async update(set: LimitSet, key: string, change: Change, entry: Entry | undefined): Promise<Updated> {
    const connection = await this.#ready()
    const { keyPrefix, clock } = this.#settings
    const place = { store: this.name, key: keyPrefix + key, now: clock === undefined ? undefined : () => clock.now() }
    return this.#guard(this.#changes.update(connection, place, set, change, entry))
  }

  /** Takes from a counter of its own by the same script: a server that answers PING may be read-only, full or out of slots. */
  async ping(): Promise<void> {
    const connection = await this.#ready()
    const keys = connection.nodeOf === undefined ? [CANARY] : canaryKeys(connection, this.#settings.keyPrefix)
    const questions = keys.map(
      (key) => ({ set: this.#canary, key, cost: 1, mode: 'take', takenAt: undefined, count: 1 }) as const,
    )
    for (const answer of await this.decide(questions, () => true)) if (answer instanceof StoreError) throw answer
  }

  /** See `PartedStore`. */
  addressOf(part: number): string | undefined {
    return this.#parts?.addressOf(part)
  }

  /** See `ListingStore`. */
  async *counters(pageSize: number): AsyncIterable<CounterPage> {
    const connection = await this.#ready()
    try {
      yield* counters(connection, this.#settings, pageSize)
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** Redis forgets by itself. */
  async sweep(): Promise<number> {
    return 0
  }

  async close(): Promise<void> {
    this.#closed = true
    const connection = this.#connection ?? (await this.#connecting?.catch(() => undefined))
    await connection?.close()
  }

  /** The connection, when a command would leave at once. */
  async #ready(ready = this.#connection?.ready(this.#settings.deadlineMs)): Promise<RedisConnection> {
    const connection = this.#connection
    try {
      if (connection !== undefined) {
        await this.#inTime(ready)
        return connection
      }
      const opening = this.#open()
      await this.#inTime(opening.then((opened) => opened.ready(this.#settings.deadlineMs)))
      return await opening
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** Waits; but whoever has been told meanwhile that it took too long must not be charged on top. */
  async #inTime(ready: Promise<void> | undefined): Promise<void> {
    if (ready === undefined) return
    const since = monotonicMs()
    await ready
    if (monotonicMs() - since > this.#settings.deadlineMs) throw new NotConnected('connected too late')
  }

  async #open(): Promise<RedisConnection> {
    this.#connecting ??= Promise.resolve(this.#connect())
    try {
      const connection = await this.#connecting
      if (this.#closed) await connection.close()
      if (connection.addressOf !== undefined) {
        const parts = new ClusterParts(connection, this.#settings.keyPrefix)
        this.#parts = parts
        this.partOf = (key) => parts.of(key)
      }
      return (this.#connection = connection)
    } finally {
      this.#connecting = undefined
    }
  }

  /** One question that is no decision. */
  async #other(key: string, spec: (now: number) => string, reads: boolean): ReturnType<Calls['askOther']> {
    const connection = await this.#ready()
    return this.#guard(this.#calls.askOther(connection, this.#settings.keyPrefix + key, spec, reads))
  }

  async #guard<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise
    } catch (error) {
      throw this.#failure(error)
    }
  }

  #failure(error: unknown): StoreError {
    return this.#noticed(storeError(this.name, error))
  }

  /** A primary that has become a replica stays one: its address may lead to another server by now. */
  #noticed(error: StoreError): StoreError {
    if (error.kind === 'wrong_node' && monotonicMs() - this.#renewedAt > RENEW_EVERY_MS) {
      this.#renewedAt = monotonicMs()
      this.#connection?.renew()
    }
    return error
  }
}

function isPlainTake({ mode, cost }: Question): boolean {
  return mode === 'take' && Number.isSafeInteger(cost) && cost >= 0
}

/** What would make the script's arithmetic inexact. */
function unsound({ cost, takenAt }: Question): string | undefined {
  if (!Number.isSafeInteger(cost) || cost < 0) return 'a cost is a whole number ≥ 0'
  if (takenAt !== undefined && !(Number.isSafeInteger(takenAt) && takenAt >= 0)) return 'a time is whole ms since 1970'
  return undefined
}

/** One canary for each server of a cluster. */
function canaryKeys({ nodeOf, nodes, keyPrefix }: RedisConnection, prefix: string): readonly string[] {
  const wanted = new Set(nodes?.())
  const keys: string[] = []
  for (let i = 0; i < 10_000 && wanted.size > 0; i++) {
    const node = nodeOf?.(clusterSlot(`${keyPrefix}${prefix}${CANARY}${i}`))
    if (node !== undefined && wanted.delete(node)) keys.push(`${CANARY}${i}`)
  }
  return keys.length > 0 ? keys : [CANARY]
}
