// Statements that are waited for no longer than the deadline. Promise: one that nobody waits for any more and that has not left this
// process does nothing when it does; a pool or a server that does not answer is not handed ever more. Next: driver.ts.

import { monotonicMs } from '../../core/clock.ts'
import { StoreError } from '../../core/errors.ts'
import { patienceOf, pause } from '../again.ts'
import { afterSockets } from '../deadlines.ts'
import type { PostgresClient, Row, Value } from './clients.ts'
import { isNotExecuted, storeError } from './errors.ts'
import type { Statement } from './statements.ts'

/** Ms after which a call that was given up no longer counts as being on its way: the client may have found another connection. */
const WRITE_OFF_MS = 10_000
/** Ms beyond the deadline after which a connection that does not answer is taken for dead. */
const DEAD_MS = 1000

/** Sends statements through one client. */
export class Calls {
  readonly client: PostgresClient
  readonly #store: string
  readonly #table: string
  readonly #deadlineMs: number
  readonly #most: number
  /** Calls that were given up and have not come back. */
  #lost = 0

  /** @param most calls given up and not come back, past which the next fail at once */
  constructor(client: PostgresClient, store: string, table: string, deadlineMs: number, most: number) {
    this.client = client
    this.#store = store
    this.#table = table
    this.#deadlineMs = deadlineMs
    this.#most = most
  }

  /**
   * Sends a statement within the deadline; again, while there is time, if the server has rolled it back for another's sake.
   * @param values called for each attempt
   */
  async send(statement: Statement, values: () => Value[]): Promise<readonly Row[]> {
    const until = monotonicMs() + patienceOf(this.#deadlineMs)
    for (let attempt = 0; ; attempt++) {
      const outgoing = new Outgoing(values())
      try {
        return await this.#once(statement, outgoing)
      } catch (error) {
        if (!isNotExecuted(error) || monotonicMs() >= until) throw storeError(error, this.#store, this.#table, outgoing.isSent)
      }
      await pause(attempt)
    }
  }

  /** Sends a statement that has all the time it needs. */
  async unhurried(statement: Statement, values: readonly Value[]): Promise<readonly Row[]> {
    const outgoing = new Outgoing([...values])
    try {
      return await this.client.query(statement, outgoing.values, 0)
    } catch (error) {
      throw storeError(error, this.#store, this.#table, outgoing.isSent)
    }
  }

  /** Sends several statements as one transaction. */
  async script(text: string): Promise<void> {
    try {
      await this.client.script(text)
    } catch (error) {
      throw storeError(error, this.#store, this.#table)
    }
  }

  #once(statement: Statement, outgoing: Outgoing): Promise<readonly Row[]> {
    if (this.#lost >= this.#most) {
      const message = `${this.#lost} calls are waiting for an answer or a free connection already: is the pool exhausted, or the server down?`
      return Promise.reject(new StoreError(this.#store, message, { kind: 'unavailable' }))
    }
    return new Promise((resolve, reject) => {
      let lost = false
      const giveUp = (): void => {
        if (timer === undefined) return
        timer = undefined
        lost = true
        this.#lost++
        const [what, kind] = outgoing.isSent ? (['answer', 'ambiguous'] as const) : (['free connection', 'unavailable'] as const)
        outgoing.replace(statement.nothing)
        setTimeout(back, WRITE_OFF_MS).unref()
        const message = `no ${what} within ${this.#deadlineMs} ms (deadlineMs)`
        reject(new StoreError(this.#store, message, { code: 'ERR_RATELIMIT_STORE_TIMEOUT', kind }))
      }
      const back = (): void => {
        if (lost) this.#lost--
        lost = false
      }
      const settle = <T>(how: (value: T) => void, value: T): void => {
        clearTimeout(timer)
        timer = undefined
        back()
        how(value)
      }
      // An answer that has reached this process by then still counts.
      let timer: ReturnType<typeof setTimeout> | undefined = setTimeout(() => afterSockets(giveUp), this.#deadlineMs)
      this.client.query(statement, outgoing.values, this.#deadlineMs + DEAD_MS).then(
        (rows) => settle(resolve, rows),
        (error: unknown) => settle(reject, error),
      )
    })
  }
}

/** Values on their way. A client reads them when it sends them and not before, which is how it is known whether they were sent. */
class Outgoing {
  readonly values: Value[]
  #isRead: boolean

  constructor(values: Value[]) {
    this.values = values
    this.#isRead = values.length === 0
    let first = values[0]
    if (first === undefined) return
    Object.defineProperty(values, 0, {
      enumerable: true,
      configurable: true,
      get: () => {
        this.#isRead = true
        return first
      },
      set: (value: Value) => {
        first = value
      },
    })
  }

  /** Whether they may have reached the server. */
  get isSent(): boolean {
    return this.#isRead
  }

  /** Others are sent in their place, if they are not on their way yet. */
  replace(others: readonly Value[]): void {
    this.values.length = others.length
    for (const [i, value] of others.entries()) this.values[i] = value
  }
}
