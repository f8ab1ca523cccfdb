// A TCP proxy between a client and a server that treats each direction as it is told, also in the middle of a connection. Promise: what
// passes is what came, in order and to the last byte; what is held is delivered when the way is open again; a connection that has lost
// bytes is never used again. Next: proxy.test.ts, what each condition does.

import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'

/** `up` is from the client to the server. */
export type Direction = 'up' | 'down'

/**
 * How a direction treats bytes:
 * `pass` at once · `delay` each after `ms` · `drip` one byte each `ms` · `split` byte by byte, at once · `hold` none until it passes again, as
 * when packets are lost and sent again later · `swallow` they are gone; the connection is reset when the direction changes again
 */
export type Condition =
  | { readonly kind: 'pass' | 'split' | 'hold' | 'swallow' }
  | { readonly kind: 'delay' | 'drip'; readonly ms: number }

const PASS: Condition = { kind: 'pass' }

/** See the head of this file. */
export class FaultProxy implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #conditions: Record<Direction, Condition> = { up: PASS, down: PASS }
  #targetPort: number
  #refuses = false
  /** Connections that were accepted so far. */
  accepted = 0

  private constructor(server: Server, targetPort: number) {
    this.#server = server
    this.#targetPort = targetPort
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (client) => this.#accept(client))
  }

  /** Listens on a free port of 127.0.0.1 for a server on another one. */
  static async start(targetPort: number): Promise<FaultProxy> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new FaultProxy(server, targetPort)
  }

  /** An address with the proxy's port in the place of the server's. */
  addressOf(url: string): string {
    const through = new URL(url)
    through.port = `${this.port}`
    return through.href
  }

  /** Changes one direction or both, of connections that are there and of those that come. */
  set(condition: Condition, ...directions: readonly Direction[]): void {
    for (const direction of directions.length === 0 ? (['up', 'down'] as const) : directions) {
      this.#conditions[direction] = condition
      for (const pair of this.#pairs) pair.lanes[direction].change(condition)
    }
  }

  /** Everything passes again. */
  heal(): void {
    this.#refuses = false
    this.set(PASS)
  }

  /** Resets every connection, on both sides (RST). New ones are served. */
  reset(): void {
    for (const pair of this.#pairs) pair.reset()
  }

  /** Ends every connection with RST, and new ones as soon as they are accepted, until `heal()`. */
  refuse(): void {
    this.#refuses = true
    this.reset()
  }

  /** New connections lead to another server; those that are there stay where they are. */
  retarget(port: number): void {
    this.#targetPort = port
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.reset()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #accept(client: Socket): void {
    this.accepted++
    client.on('error', () => undefined)
    if (this.#refuses) {
      client.resetAndDestroy()
      return
    }
    const pair = new Pair(client, this.#targetPort, this.#conditions, () => this.#pairs.delete(pair))
    this.#pairs.add(pair)
  }
}

/** One connection of a client, and the one to the server that belongs to it. */
class Pair {
  readonly lanes: Readonly<Record<Direction, Lane>>
  readonly #sides: readonly [Socket, Socket]

  constructor(client: Socket, targetPort: number, conditions: Readonly<Record<Direction, Condition>>, gone: () => void) {
    const server = connect({ host: '127.0.0.1', port: targetPort, noDelay: true })
    this.#sides = [client, server]
    const reset = (): void => this.reset()
    this.lanes = {
      up: new Lane(client, server, conditions.up, reset),
      down: new Lane(server, client, conditions.down, reset),
    }
    for (const side of this.#sides) {
      // What ends in disorder on one side does so on the other.
      side.on('error', reset)
      side.on('close', () => {
        if (this.#sides.every(({ destroyed }) => destroyed)) gone()
      })
    }
  }

  reset(): void {
    for (const lane of Object.values(this.lanes)) lane.close()
    for (const side of this.#sides) if (!side.destroyed) side.resetAndDestroy()
  }
}

/** One direction of one connection. Bytes wait in a list, and leave as the condition says. */
class Lane {
  readonly #to: Socket
  readonly #reset: () => void
  #condition: Condition
  #waiting: { bytes: Buffer; readonly arrivedAt: number }[] = []
  #ended = false
  #lost = false
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket, condition: Condition, reset: () => void) {
    this.#to = to
    this.#reset = reset
    this.#condition = condition
    from.on('data', (bytes: Buffer) => {
      if (this.#condition.kind === 'swallow') {
        this.#lost = true
        return
      }
      this.#waiting.push({ bytes, arrivedAt: performance.now() })
      this.#move()
    })
    from.on('end', () => {
      this.#ended = true
      this.#move()
    })
    // A side that is gone without a farewell was reset, or has ended before.
    from.on('close', () => {
      if (!this.#ended) this.#reset()
    })
  }

  change(condition: Condition): void {
    if (this.#lost && condition.kind !== 'swallow') {
      this.#reset()
      return
    }
    this.#condition = condition
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#move()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#waiting = []
  }

  #move(): void {
    const condition = this.#condition
    if (condition.kind === 'hold' || condition.kind === 'swallow' || this.#timer !== undefined) return
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (condition.kind === 'delay') {
        const leftMs = next.arrivedAt + condition.ms - performance.now()
        if (leftMs > 0) return this.#later(leftMs)
      }
      if (condition.kind === 'split' || condition.kind === 'drip') {
        this.#write(next.bytes.subarray(0, 1))
        next.bytes = next.bytes.subarray(1)
        if (next.bytes.length === 0) this.#waiting.shift()
        if (condition.kind === 'drip') return this.#later(condition.ms)
        continue
      }
      this.#write(next.bytes)
      this.#waiting.shift()
    }
    if (this.#ended && !this.#to.destroyed) this.#to.end()
  }

  #write(bytes: Buffer): void {
    if (!this.#to.destroyed) this.#to.write(bytes)
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#move()
    }, ms)
  }
}
