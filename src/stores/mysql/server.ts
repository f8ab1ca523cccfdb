// What is done on the server: reading, and changing rows that are locked. Every call has the deadline and ends its connection with it.
// Promise: what was not executed is tried again while there is time; what may have been executed never is. No connection goes back into
// the pool within a transaction or with other settings than it had. Next: borrowing.ts, statements.ts; driver.ts, which asks.

import { monotonicMs } from '../../core/clock.ts'
import { StoreError } from '../../core/errors.ts'
import { patienceOf, pause } from '../again.ts'
import { Deadlines } from '../deadlines.ts'
import { Borrowing, Trip } from './borrowing.ts'
import type { Connection, Connections, ResultRow } from './clients.ts'
import { type Stage, isReadOnly, storeError } from './errors.ts'
import { checkVersion, probe } from './probe.ts'
import { type Dialect, type RowUse, type Statements, begin, end, trips } from './statements.ts'

/** What stands in the table, by key; a key that is not in it has no row. */
export type Texts = ReadonlyMap<string, string>

/** Rows, and what to do with what they hold. */
export interface Change<T> {
  /** Sorted, each once. */
  readonly keys: readonly string[]
  readonly use: (key: string) => RowUse
  /** Called with the rows locked; again if the transaction has to be. Tells what to write, and what to answer. */
  readonly apply: (texts: Texts, now: number) => Applied<T>
}

/** Statements that write, and the answer once they are committed. */
export interface Applied<T> {
  readonly statements: readonly string[]
  readonly result: T
}

/** A store's server. */
export class Server {
  readonly name: string
  readonly statements: Statements
  readonly #borrowing: Borrowing
  readonly #deadlines: Deadlines
  /** For how long, at most, the server waits for a lock or for a process that holds some, in seconds. */
  readonly #patience: number
  #dialect: Dialect | undefined

  constructor(name: string, statements: Statements, connections: Connections, deadlineMs: number) {
    this.name = name
    this.statements = statements
    this.#borrowing = new Borrowing(connections)
    this.#deadlines = new Deadlines(deadlineMs)
    this.#patience = Math.max(1, Math.ceil(deadlineMs / 1000))
  }

  /** Reads without a lock. */
  read(keys: readonly string[]): Promise<{ readonly texts: Texts; readonly now: number }> {
    return this.#attempt(async (connection) => gathered(await connection.query(this.statements.read(keys))))
  }

  /** Reads, changes and writes as one step that nothing comes between. */
  change<T>(change: Change<T>): Promise<T> {
    return this.#attempt((connection, dialect, reached) => this.#transaction(connection, dialect, reached, change))
  }

  /** Whether it decides: the table is the right one, and takes writes. */
  ping(): Promise<void> {
    return this.#attempt(async (connection) => {
      await checkVersion(connection, this.name, this.statements)
      await connection.query(this.statements.touch())
    })
  }

  /** Work with a connection of its own and all the time it needs. */
  async unhurried<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const trip = new Trip()
    try {
      const result = await work(await this.#borrowing.borrow(trip))
      trip.release()
      return result
    } catch (error) {
      trip.giveUp()
      throw this.failure(error, 'reading')
    }
  }

  failure(error: unknown, stage: Stage): StoreError {
    return storeError(error, this.name, this.statements.table, stage)
  }

  async close(): Promise<void> {
    this.#deadlines.close(new StoreError(this.name, 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' }))
    await this.#borrowing.close()
  }

  /** Does it within the deadline, and again while that makes sense. */
  async #attempt<T>(work: (connection: Connection, dialect: Dialect, reached: (stage: Stage) => void) => Promise<T>): Promise<T> {
    const until = monotonicMs() + patienceOf(this.#deadlines.deadlineMs)
    const trip = new Trip()
    const attempts = async (): Promise<T> => {
      for (let attempt = 0; ; attempt++) {
        let stage: Stage = 'connecting'
        try {
          const connection = await this.#borrowing.borrow(trip)
          stage = 'reading'
          const dialect = (this.#dialect ??= await probe(connection, this.name, this.statements))
          const result = await work(connection, dialect, (next) => (stage = next))
          trip.release()
          return result
        } catch (error) {
          if (isReadOnly(error)) trip.destroy()
          else trip.release()
          const failure = this.failure(error, stage)
          if (failure.kind !== 'not_executed' || trip.over || monotonicMs() >= until) throw failure
        }
        await pause(attempt)
      }
    }
    try {
      return await this.#deadlines.within(attempts(), this.#late)
    } finally {
      trip.giveUp()
    }
  }

  async #transaction<T>(
    connection: Connection,
    dialect: Dialect,
    reached: (stage: Stage) => void,
    { keys, use, apply }: Change<T>,
  ): Promise<T> {
    try {
      const opening = [...begin(this.#patience), ...this.statements.lock(keys, use, dialect)]
      const { texts, now } = gathered(await send(connection, opening, dialect))
      const { statements, result } = apply(texts, now)
      if (statements.length > 0) reached('writing')
      await send(connection, [...statements, ...end('COMMIT')], dialect)
      return result
    } catch (error) {
      // What cannot be undone in order is undone by ending the connection.
      await send(connection, end('ROLLBACK'), dialect).catch(() => connection.destroy())
      throw error
    }
  }

  readonly #late = (): StoreError =>
    new StoreError(this.name, `no answer within ${this.#deadlines.deadlineMs} ms (deadlineMs)`, {
      code: 'ERR_RATELIMIT_STORE_TIMEOUT',
      kind: 'ambiguous',
    })
}

async function send(connection: Connection, statements: readonly string[], dialect: Dialect): Promise<ResultRow[]> {
  const rows: ResultRow[] = []
  for (const text of trips(statements, dialect)) rows.push(...(await connection.query(text)))
  return rows
}

/** Rows `[key, state, now]`: the time is in a row of its own. */
function gathered(rows: readonly ResultRow[]): { readonly texts: Texts; readonly now: number } {
  const texts = new Map<string, string>()
  let now = Number.NaN
  for (const [key, state, time] of rows) {
    if (key === null || key === undefined) now = Number(time)
    else texts.set(String(key), String(state))
  }
  return { texts, now }
}
