// Whether a client can send now, and waiting until it can. Promise: nobody waits for a connection that is known to be down for long,
// and nothing is handed to a client that would only keep it. Next: ioredis.ts, node-redis.ts.

import { monotonicMs } from '../../core/clock.ts'
import { NotConnected } from './connection.ts'

/** What emits the events of a client. */
export interface Watched {
  on(event: string, listener: (error: Error) => void): unknown
  off(event: string, listener: (error: Error) => void): unknown
}

/** Watches one client. */
export class Readiness {
  readonly #state: () => 'ready' | 'waiting' | 'ended'
  readonly #listening: (() => void)[] = []
  #everReady = false
  /** The connection is about to be lost on purpose, which its client does not show yet. */
  #renewing = false
  #error: Error | undefined
  /** Monotonic ms at which the connection was lost; undefined while it is up or has never been. */
  #lostAt: number | undefined
  #waiting: { readonly promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined

  /**
   * @param own whether the client is the store's: then its errors are listened to, as nobody else does
   * @param state asked before each command; `waiting` if it may become ready
   */
  constructor(client: Watched, own: boolean, state: () => 'ready' | 'waiting' | 'ended') {
    this.#state = state
    const lost = (): void => {
      this.#lostAt ??= monotonicMs()
    }
    // A cluster of node-redis says that it is connected, and not that it is ready.
    for (const event of ['ready', 'connect']) this.#listen(client, event, () => state() === 'ready' && this.#up())
    for (const event of ['close', 'end', 'reconnecting']) this.#listen(client, event, lost)
    this.#listen(client, 'end', () => this.#fail())
    if (own) client.on('error', (error: Error) => this.#down(error))
  }

  /** Ends the watching. An own client's errors are still heard: unheard ones end a process. */
  stop(): void {
    for (const stop of this.#listening.splice(0)) stop()
  }

  /**
   * Nothing if the client can send now.
   * @param patienceMs how long after a loss one waits for the client to come back, before one fails at once
   */
  ready(patienceMs: number): Promise<void> | undefined {
    const state = this.#state()
    if (state === 'ready' && !this.#renewing) {
      this.#everReady = true
      return undefined
    }
    if (state === 'ended' || this.#isDown(patienceMs)) return Promise.reject(this.#problem())
    if (this.#waiting === undefined) {
      const { promise, resolve, reject } = withResolvers()
      // Those who wait have their own deadline; with none left nobody would hear of it.
      promise.catch(() => {})
      this.#waiting = { promise, resolve, reject }
    }
    return this.#waiting.promise
  }

  /** The connection is ended in order to be made anew. */
  renew(): void {
    this.#renewing = true
    this.#lostAt ??= monotonicMs()
  }

  #listen(client: Watched, event: string, listener: () => unknown): void {
    client.on(event, listener)
    this.#listening.push(() => client.off(event, listener))
  }

  #up(): void {
    this.#everReady = true
    this.#renewing = false
    this.#lostAt = undefined
    this.#error = undefined
    this.#waiting?.resolve()
    this.#waiting = undefined
  }

  #down(error: Error): void {
    this.#error = error
    // The first connection failing is the answer; a lost one may be back in a moment.
    if (!this.#everReady) this.#fail()
  }

  #isDown(patienceMs: number): boolean {
    if (!this.#everReady) return this.#error !== undefined
    return this.#lostAt !== undefined && monotonicMs() - this.#lostAt > patienceMs
  }

  #fail(): void {
    this.#waiting?.reject(this.#problem())
    this.#waiting = undefined
  }

  #problem(): Error {
    const cause = this.#error
    return new NotConnected(cause === undefined ? 'not connected' : cause.message || 'not connected', { cause })
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
