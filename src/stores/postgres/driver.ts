// How PostgreSQL is asked: one call of one function for all questions of a trip. Promise: a question's answer is the laws' at one
// instant of the server's clock; rows are taken in the order of their keys. Next: wire.ts, take.sql.

import { monotonicMs, systemClock } from '../../core/clock.ts'
import type { BanTerms } from '../../core/ban-terms.ts'
import { StoreError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { heldStates, keepUntil, parseRecord } from '../record.ts'
import type { Driver, Found, Question } from '../remote-driver.ts'
import type { RemoteSettings } from '../remote-options.ts'
import type { Change, Entry, Updated } from '../update.ts'
import type { Value } from './clients.ts'
import type { Calls } from './calls.ts'
import { isHeld, isMadeAlready, isReadOnly } from './errors.ts'
import { sweepPage } from './housekeeping.ts'
import type { Statements } from './statements.ts'
import { type Act, Answer, Call, keysValue, recordText, stateValue, termsValue } from './wire.ts'

/** What the driver needs of the store's options. */
export interface DriverSettings extends RemoteSettings {
  readonly concurrency: number
  readonly synchronousCommit: string
}

export class PostgresDriver implements Driver {
  readonly name: string
  readonly concurrency: number
  readonly #calls: Calls
  readonly #statements: Statements
  readonly #settings: DriverSettings
  /** How far the server's clock is ahead of this process's, as last seen. */
  #aheadMs = 0
  /** Where the next sweep goes on. */
  #sweptTo = ''

  constructor(calls: Calls, statements: Statements, settings: DriverSettings) {
    this.name = settings.name
    this.concurrency = settings.concurrency
    this.#calls = calls
    this.#statements = statements
    this.#settings = settings
  }

  async decide(questions: readonly Question[], wanted: (i: number) => boolean): Promise<readonly (Found | StoreError)[]> {
    const answers: (Found | StoreError)[] = []
    const order = inOrderOfKeys(questions)
    try {
      await this.#answer(questions, order, wanted, answers)
    } catch (error) {
      const others = await this.#others(questions, order, error, answers)
      if (others.length > 0) await this.#answer(questions, others, wanted, answers)
    }
    const outside = order.filter((i) => isOutside(answers[i]))
    if (outside.length === 0) return answers
    // Its clock is now known.
    await this.#answer(questions, outside, wanted, answers)
    return answers.map((found) => (isOutside(found) ? this.#unsteady() : found))
  }

  async forget(key: string): Promise<void> {
    await this.#calls.send(this.#statements.forget, () => [this.#settings.keyPrefix + key])
  }

  async ban(set: LimitSet, key: string, terms: BanTerms): Promise<number> {
    return (await this.#act(set, key, 'ban', termsValue(terms))).bannedForMs
  }

  async unban(set: LimitSet, key: string): Promise<void> {
    await this.#act(set, key, 'unban', '{}')
  }

  async read(set: LimitSet, key: string): Promise<{ readonly text: string | undefined; readonly now: number }> {
    const [row] = await this.#calls.send(this.#statements.read, () => [this.#settings.keyPrefix + key])
    const [state, now] = row ?? []
    const { clock } = this.#settings
    return { text: typeof state === 'string' ? recordText(state, set) : undefined, now: clock?.now() ?? Number(now) }
  }

  /** See {@link UpdatableStore}. The last entry of each writer stands in a row beside the counter's. */
  async update(set: LimitSet, key: string, change: Change, entry: Entry | undefined): Promise<Updated> {
    const { keyPrefix, deadlineMs, synchronousCommit, clock } = this.#settings
    const name = keyPrefix + key
    const mark = entry === undefined ? null : `${name} ${entry.writer}`
    const until = monotonicMs() + deadlineMs
    do {
      const [row] = await this.#calls.send(this.#statements.readBeside, () => [name, mark])
      const now = clock?.now() ?? Number(row?.[2])
      const state = row?.[0] ?? null
      const record = parseRecord(set, state === null ? undefined : recordText(state, set), now)
      const answer = (outcome: Updated['outcome']): Updated => {
        return { outcome, states: heldStates(record, set, now) ?? set.limits.map(() => []), now }
      }
      if (entry !== undefined && Number(row?.[1]?.slice(1, -1) ?? 0) >= entry.sequence) return answer('already')
      if (!change(record, now)) return answer('unchanged')
      const expires = String(keepUntil(record, set, now))
      const values = [name, state, stateValue(record, set), expires, String(now), mark, String(entry?.sequence ?? 0)]
      try {
        const [written] = await this.#calls.send(this.#statements.update, () => [
          ...values,
          String(deadlineMs),
          synchronousCommit,
        ])
        if (written?.[0] === 'true') return answer('changed')
      } catch (error) {
        if (!isMadeAlready(error)) throw error
      }
    } while (monotonicMs() < until)
    throw new StoreError(this.name, 'the counter kept changing while it was to be changed', { kind: 'not_executed' })
  }

  async ping(): Promise<void> {
    const [row] = await this.#calls.send(this.#statements.ready, () => this.#values(new Call(0), '{}'))
    if (row?.[1] === 'on')
      throw new StoreError(this.name, 'the server is read-only: connect to the primary', { kind: 'wrong_node' })
  }

  async sweep(): Promise<number> {
    const { deleted, last } = await sweepPage(this.#calls, this.#statements, this.#settings, this.#sweptTo)
    this.#sweptTo = last
    return deleted
  }

  close(): Promise<void> {
    return this.#calls.client.close()
  }

  /** Asks some of the questions, in the order in which they are named; those that nobody waits for any more are left out. */
  async #answer(
    questions: readonly Question[],
    order: readonly number[],
    wanted: (i: number) => boolean,
    answers: (Found | StoreError)[],
  ): Promise<void> {
    const { keyPrefix } = this.#settings
    let asked = order
    const [row] = await this.#calls.send(this.#statements.take, () => {
      const call = new Call(this.#now())
      asked = order.filter((i) => {
        if (!wanted(i)) return false
        const question = questions[i] as Question
        call.ask(question, keyPrefix + question.key)
        return true
      })
      return this.#values(call, '{}')
    })
    const answer = new Answer(row?.[0])
    for (const i of asked) answers[i] = this.#seen(answer.next((questions[i] as Question).set))
  }

  /** The questions that may do better without the one that failed all of them; the others' answer is the error. */
  async #others(
    questions: readonly Question[],
    order: readonly number[],
    error: unknown,
    answers: (Found | StoreError)[],
  ): Promise<readonly number[]> {
    if (order.length === 1 || !(error instanceof StoreError)) throw error
    const others = isHeld(error)
      ? await this.#free(questions, order)
      : isReadOnly(error)
        ? order.filter((i) => questions[i]?.mode === 'peek')
        : []
    if (others.length === 0) throw error
    for (const i of order) answers[i] = error
    return others
  }

  /** The questions about rows that no other session holds. */
  async #free(questions: readonly Question[], order: readonly number[]): Promise<readonly number[]> {
    const { keyPrefix } = this.#settings
    const keyOf = (i: number): string => keyPrefix + (questions[i] as Question).key
    const rows = await this.#calls.send(this.#statements.held, () => [keysValue(order.map(keyOf))])
    const held = new Set(rows.map(([key]) => key))
    return order.filter((i) => !held.has(keyOf(i)))
  }

  async #act(set: LimitSet, key: string, mode: Act, terms: string): Promise<Found> {
    for (let attempt = 0; ; attempt++) {
      const [row] = await this.#calls.send(this.#statements.take, () => {
        const call = new Call(this.#now())
        call.ask({ set, cost: 0, mode, takenAt: undefined, count: 1 }, this.#settings.keyPrefix + key)
        return this.#values(call, terms)
      })
      const found = this.#seen(new Answer(row?.[0]).next(set))
      if (!isOutside(found)) return found
      if (attempt > 0) throw this.#unsteady()
    }
  }

  #values(call: Call, terms: string): Value[] {
    const { clock, deadlineMs, synchronousCommit } = this.#settings
    const now = clock === undefined ? null : String(clock.now())
    // Half of the time is left for those that do not wait for a row.
    return [...call.values(), terms, now, String(Math.ceil(deadlineMs / 2)), synchronousCommit]
  }

  #now(): number {
    return this.#settings.clock?.now() ?? systemClock.now() + this.#aheadMs
  }

  #seen(found: Found): Found {
    this.#aheadMs = found.now - systemClock.now()
    return found
  }

  #unsteady(): StoreError {
    return new StoreError(this.name, 'the server’s clock jumped by more than a period while it was asked', {
      kind: 'unavailable',
    })
  }
}

function isOutside(found: Found | StoreError | undefined): boolean {
  return found !== undefined && 'granted' in found && found.granted === -1
}

/** Places of the questions by their keys, and questions about one key in the order in which they were asked. */
function inOrderOfKeys(questions: readonly Question[]): number[] {
  const order = questions.map((_, i) => i)
  if (questions.length > 1) {
    order.sort((a, b) => {
      const [first, second] = [(questions[a] as Question).key, (questions[b] as Question).key]
      return first < second ? -1 : first > second ? 1 : a - b
    })
  }
  return order
}
