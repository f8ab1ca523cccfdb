// How busy the machine is: a Redis that nothing befalls, asked all the time. Promise: what it is kept waiting for is not the fault of a
// limiter, so that times are judged only where the machine had time. Next: row.ts.

import { Redis } from 'ioredis'
import { startRedis } from '../servers.ts'

const EVERY_MS = 20

/** See the head of this file. */
export class Witness implements AsyncDisposable {
  readonly #client: Redis
  readonly #server: AsyncDisposable
  readonly #timer: NodeJS.Timeout
  #worstMs = 0

  private constructor(server: AsyncDisposable, client: Redis) {
    this.#server = server
    this.#client = client
    this.#timer = setInterval(() => {
      const since = performance.now()
      void client.ping().then(() => {
        this.#worstMs = Math.max(this.#worstMs, performance.now() - since)
      })
    }, EVERY_MS)
  }

  static async start(): Promise<Witness> {
    const server = await startRedis()
    return new Witness(server, new Redis(server.url))
  }

  /** The longest it waited since the last call, ms. */
  take(): number {
    const worstMs = this.#worstMs
    this.#worstMs = 0
    return worstMs
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#client.disconnect()
    await this.#server[Symbol.asyncDispose]()
  }
}
