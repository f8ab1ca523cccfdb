// A way to a server on which no connection is ever made: each breaks off in the handshake. Next: table.ts.

import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

/** How a connection breaks off. */
export interface Break {
  /** In order (FIN), or not (RST). */
  readonly how: 'end' | 'reset'
  /** After so many messages of the client, which the server has had; undefined: as soon as it is accepted. */
  readonly after?: number
  /** What the client is told in the server's place: the server then hears of nothing. */
  readonly says?: string
  /** What becomes of the server's first message on its way. */
  readonly changes?: (first: Buffer) => Buffer
}

/** See the head of this file. `port` is where it listens, `broken` how many connections have broken off. */
export interface BrokenWay extends AsyncDisposable {
  readonly port: number
  readonly broken: number
}

export async function breakHandshakes(
  serverPort: number,
  { how, after, says, changes = (first) => first }: Break,
): Promise<BrokenWay> {
  const sockets = new Set<Socket>()
  let broken = 0
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  }
  const way = createServer((client) => {
    keep(client)
    const breakOff = (server?: Socket): void => {
      broken++
      if (how === 'reset') client.resetAndDestroy()
      else client.end()
      server?.destroy()
    }
    if (after === undefined) return breakOff()
    const server = says === undefined ? connect(serverPort, '127.0.0.1') : undefined
    if (server !== undefined) {
      keep(server)
      server.once('data', (first) => {
        client.write(changes(first))
        server.on('data', (data) => client.write(data))
      })
    }
    let messages = 0
    client.on('data', (data) => {
      if (messages++ === after) return breakOff(server)
      if (says === undefined) server?.write(data)
      else client.write(says)
    })
    client.on('close', () => server?.destroy())
  })
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve))
  return {
    port: (way.address() as AddressInfo).port,
    get broken() {
      return broken
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => way.close(resolve))
    },
  }
}
