// A line to a MySQL server that can be cut at a given word of the client's. Next: mysql-faults.test.ts.

import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

/** A line that does as it is told. */
export interface Line {
  /** The server's address by way of this line. */
  url(of: string): string
  /** The next message with this word reaches the server; the line is cut before an answer comes back. */
  loseAnswerTo(word: string): void
  /** The next message with this word does not reach the server, and the server does not learn that the client has gone. */
  holdBack(word: string): void
  close(): Promise<void>
}

/** Opens a line on a free port. */
export async function openLine(port: number): Promise<Line> {
  let [lost, held]: (string | undefined)[] = []
  const sockets = new Set<Socket>()
  const line = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    let still = false
    let deaf = false
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    client.on('data', (data) => {
      const text = data.toString('latin1')
      if (held !== undefined && text.includes(held)) [still, held] = [true, undefined]
      if (still) return
      if (lost !== undefined && text.includes(lost)) [deaf, lost] = [true, undefined]
      server.write(data)
    })
    server.on('data', (data) => {
      if (deaf) client.destroy()
      else client.write(data)
    })
    client.on('close', () => {
      if (!still) server.destroy()
    })
    server.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve))
  return {
    url(of) {
      const url = new URL(of)
      url.port = String((line.address() as AddressInfo).port)
      return url.href
    },
    loseAnswerTo: (word) => (lost = word),
    holdBack: (word) => (held = word),
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => line.close(resolve))
    },
  }
}
