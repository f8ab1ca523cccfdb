// How a SQLite file is asked: the questions of a trip in one transaction, the laws run here, what changed is written. Promise: the same
// decisions as one by one, alone among all processes on the file; looks take no lock. Next: connection.ts, ../counter.ts.

import type { BanTerms } from '../../core/ban-terms.ts'
import { systemClock } from '../../core/clock.ts'
import { StoreError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { Counter } from '../counter.ts'
import { type CounterRecord, banRecord, heldStates, keepMs } from '../record.ts'
import type { Driver, Found, Question } from '../remote-driver.ts'
import type { RemoteSettings } from '../remote-options.ts'
import type { State } from '../store.ts'
import type { Change, Entry, Updated } from '../update.ts'
import type { Connection } from './connection.ts'
import type { Sweeper } from './sweeper.ts'
import type { Statements } from './statements.ts'

/** See {@link Driver}. */
export class SqliteDriver implements Driver {
  readonly name: string
  /** A file has one writer at a time, and it is this thread. */
  readonly concurrency = 1
  readonly immediate = true
  readonly #connection: Connection
  readonly #sweeper: Sweeper
  readonly #prefix: string
  readonly #now: () => number

  constructor(connection: Connection, sweeper: Sweeper, { name, keyPrefix, clock = systemClock }: RemoteSettings) {
    this.name = name
    this.#connection = connection
    this.#sweeper = sweeper
    this.#prefix = keyPrefix
    this.#now = () => clock.now()
  }

  decide(questions: readonly Question[], wanted: (i: number) => boolean): Promise<readonly (Found | StoreError)[]> {
    this.#sweeper.wake()
    if (questions.every(({ mode }) => mode === 'peek'))
      return this.#connection.read((statements) => this.#answer(statements, questions))
    let asked = questions.map(() => true)
    return this.#connection.change(
      (statements) => this.#answer(statements, questions, asked),
      undefined,
      () => {
        asked = questions.map((_, i) => wanted(i))
        return asked.includes(true)
      },
    )
  }

  #answer(statements: Statements, questions: readonly Question[], asked?: readonly boolean[]): readonly (Found | StoreError)[] {
    const now = this.#now()
    const counters = new Map<string, Counter>()
    const answers = questions.map((question, i) => {
      if (asked?.[i] === false) return this.#unasked
      const key = this.#prefix + question.key
      let counter = counters.get(key)
      if (counter === undefined) counters.set(key, (counter = new Counter(statements.find(key), now)))
      return counter.decide(question)
    })
    for (const [key, counter] of counters) write(statements, key, counter, now)
    return answers
  }

  forget(key: string): Promise<void> {
    return this.#connection.change((statements) => statements.drop(this.#prefix + key))
  }

  ban(set: LimitSet, key: string, terms: BanTerms): Promise<number> {
    return this.#one(key, (counter) => counter.change(set, (record, now) => banRecord(record, terms, now)))
  }

  unban(set: LimitSet, key: string): Promise<void> {
    return this.#one(key, (counter) =>
      counter.change(set, (record) => {
        record.ban = undefined
      }),
    )
  }

  read(_set: LimitSet, key: string): Promise<{ readonly text: string | undefined; readonly now: number }> {
    return this.#connection.read((statements) => ({ text: statements.find(this.#prefix + key), now: this.#now() }))
  }

  /** See {@link UpdatableStore}. The last entry of each writer stands in a row beside the counter's. */
  update(set: LimitSet, key: string, change: Change, entry: Entry | undefined): Promise<Updated> {
    return this.#connection.change((statements) => {
      const now = this.#now()
      const name = this.#prefix + key
      const entryName = `${name} ${entry?.writer}`
      const counter = new Counter(statements.find(name), now)
      const answer = (outcome: Updated['outcome']): Updated => ({ outcome, states: heldOf(counter.record(set), set, now), now })
      if (entry !== undefined && Number(statements.find(entryName) ?? 0) >= entry.sequence) return answer('already')
      if (!counter.change(set, change)) return answer('unchanged')
      write(statements, name, counter, now)
      if (entry !== undefined) statements.put(entryName, String(entry.sequence), now + keepMs(set), now)
      return answer('changed')
    })
  }

  /** Also finds out whether the file can be written. */
  ping(): Promise<void> {
    this.#connection.look()
    return this.#connection.change((statements) => statements.touch())
  }

  sweep(): Promise<number> {
    this.#connection.look()
    return this.#sweeper.sweep()
  }

  async close(): Promise<void> {
    this.#sweeper.stop()
    this.#connection.close()
  }

  #one<T>(key: string, act: (counter: Counter) => T): Promise<T> {
    return this.#connection.change((statements) => {
      const name = this.#prefix + key
      const now = this.#now()
      const counter = new Counter(statements.find(name), now)
      const answer = act(counter)
      write(statements, name, counter, now)
      return answer
    })
  }

  /** For those who have been told already that it took too long. */
  get #unasked(): StoreError {
    return new StoreError(this.name, 'nobody waits for this answer', { kind: 'not_executed' })
  }
}

function heldOf(record: CounterRecord, set: LimitSet, now: number): readonly State[] {
  return heldStates(record, set, now) ?? set.limits.map(() => [])
}

function write(statements: Statements, key: string, counter: Counter, now: number): void {
  const text = counter.written()
  if (text === '') statements.drop(key)
  else if (text !== undefined) statements.put(key, text, counter.keepUntil(), now)
}
