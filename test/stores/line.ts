// A line to a server that can be cut at a given word of the client's. Next: mysql-faults.test.ts, ../faults/taxonomy/.

import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

/** A line that does as it is told. */
export interface Line {
  /** The server's address by way of this line. */
  url(of: string): string
  /** The next message with this word reaches the server; the line is cut before an answer comes back. */
  loseAnswerTo(word: string): void
  /** The line is cut on both sides when the next message with this word comes, which does not reach the server. */
  loseQuestion(word: string): void
  /** Cuts the line now. */
  cut(): void
  /** Lets nobody on it until `heal()`: who comes is cut off. */
  refuse(): void
  heal(): void
  /** The next message with this word does not reach the server, and the server does not learn that the client has gone. */
  holdBack(word: string): void
  close(): Promise<void>
}

/** Opens a line on a free port. */
export async function openLine(port: number): Promise<Line> {
  let [lost, held, unheard]: (string | undefined)[] = []
  let refuses = false
  const sockets = new Set<Socket>()
  const line = createServer((client) => {
    if (refuses) {
      client.destroy()
      return
    }
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
      if (unheard !== undefined && text.includes(unheard)) {
        unheard = undefined
        client.destroy()
        return
      }
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
    loseQuestion: (word) => (unheard = word),
    holdBack: (word) => (held = word),
    refuse: () => (refuses = true),
    heal: () => (refuses = false),
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => line.close(resolve))
    },
  }
}
