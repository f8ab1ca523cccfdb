import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type IoredisClient, ownIoredisConnection } from './ioredis.ts'

/** A client that is ready when it has connected, a moment later. */
class Client extends EventEmitter implements IoredisClient {
  status = 'wait'
  readonly options = {}
  connects = 0

  async call(): Promise<unknown> {
    return 'OK'
  }

  async connect(): Promise<void> {
    this.connects++
    this.status = 'connecting'
    await Promise.resolve()
    this.status = 'ready'
    this.emit('ready')
  }

  disconnect(): void {
    this.#end()
  }

  /** As it does when it is told of another primary while it connects. */
  endsByItself(): void {
    this.#end()
  }

  #end(): void {
    this.status = 'end'
    this.emit('end')
  }
}

describe('a client of the store’s own', () => {
  it('that has ended by itself is brought back, not more often than now and then', async () => {
    const client = new Client()
    const connection = ownIoredisConnection(client)
    await connection.ready(100)
    expect([client.connects, connection.ready(100)]).toEqual([1, undefined])
    client.endsByItself()
    await connection.ready(100)
    expect([client.connects, connection.ready(100)]).toEqual([2, undefined])
    client.endsByItself()
    const soon = connection.ready(0)
    expect(client.connects).toBe(2)
    await Promise.race([soon, Promise.resolve()]).catch(() => undefined)
    await connection.close()
  })

  it('that was closed stays so', async () => {
    const client = new Client()
    const connection = ownIoredisConnection(client)
    await connection.ready(100)
    await connection.close()
    await expect(connection.ready(100)).rejects.toThrow('not connected')
    expect(client.connects).toBe(1)
  })
})
