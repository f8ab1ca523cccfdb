// Connections of a pool that may be exhausted, slow or down. Promise: the pool is asked for no more connections than there are trips
// that want one, however many gave up before; a connection that comes too late goes to the next trip, or back. Next: server.ts.

import type { Connection, Connections } from './clients.ts'

/** One piece of work on the server, which its caller may give up. */
export class Trip {
  #over = false
  #connection: Connection | undefined

  get over(): boolean {
    return this.#over
  }

  /** From here on giving up means losing this connection. */
  hold(connection: Connection): void {
    this.#connection = connection
  }

  /** Gives the connection back: it is in no transaction. */
  release(): void {
    this.#connection?.release()
    this.#connection = undefined
  }

  /** Ends the connection: the server takes back what was not committed. */
  destroy(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }

  /** Nobody waits any more. */
  giveUp(): void {
    this.#over = true
    this.destroy()
  }
}

interface Waiting {
  readonly trip: Trip
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: unknown) => void
}

/** Hands a pool's connections to trips, in the order in which they ask. */
export class Borrowing {
  readonly #connections: Connections
  #waiting: Waiting[] = []
  /** Requests to the pool that are not answered yet. */
  #asked = 0

  constructor(connections: Connections) {
    this.#connections = connections
  }

  /** Never settles for a trip that is given up while it waits. */
  borrow(trip: Trip): Promise<Connection> {
    return new Promise((resolve, reject) => {
      this.#waiting = this.#waiting.filter((other) => !other.trip.over)
      this.#waiting.push({ trip, resolve, reject })
      if (this.#asked < this.#waiting.length) this.#ask()
    })
  }

  close(): Promise<void> {
    return this.#connections.close()
  }

  #ask(): void {
    this.#asked++
    this.#connections.acquire().then(
      (connection) => {
        this.#asked--
        const next = this.#next()
        if (next === undefined) return connection.release()
        next.trip.hold(connection)
        next.resolve(connection)
      },
      (error: unknown) => {
        this.#asked--
        this.#next()?.reject(error)
      },
    )
  }

  #next(): Waiting | undefined {
    for (;;) {
      const next = this.#waiting.shift()
      if (next === undefined || !next.trip.over) return next
    }
  }
}
