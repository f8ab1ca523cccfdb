// Whether a server answers, asked in its own protocol and without a driver. Promise: nothing here rejects for a server that is not
// there or not ready yet, and no question takes longer than a second. Next: redis.ts, postgres.ts, mariadb.ts.

import { type Socket, connect } from 'node:net'

const LIMIT_MS = 1_000

/** Sends one command to a Redis and resolves to the raw reply, or to an empty text where none came. */
export function askRedis(port: number, ...command: readonly string[]): Promise<string> {
  const request = `*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
  return ask(port, request, (reply) => {
    const text = reply.toString()
    const line = text.indexOf('\r\n')
    if (line < 0) return false
    return text[0] === '$' ? reply.length >= line + 2 + Number(text.slice(1, line)) + 2 : true
  }).then(String)
}

/** Whether a PostgreSQL accepts sessions: it asks for a password then, and says that it is starting up before. */
export async function postgresAnswers(port: number): Promise<boolean> {
  const parameters = Buffer.from('user\0probe\0database\0probe\0\0')
  const startup = Buffer.alloc(8)
  startup.writeInt32BE(startup.length + parameters.length, 0)
  startup.writeInt32BE(0x0003_0000, 4)
  const reply = await ask(port, Buffer.concat([startup, parameters]), (bytes) => bytes.length > 0)
  return reply[0] === 'R'.charCodeAt(0)
}

/** Whether a MariaDB or MySQL greets: packet header, then protocol version 10. A refusal to serve begins with 255. */
export async function mariadbAnswers(port: number): Promise<boolean> {
  const greeting = await ask(port, '', (bytes) => bytes.length > 4)
  return greeting[4] === 10
}

/** Whether anything accepts connections there. */
export function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 5_000 })
    const end = (answer: boolean) => () => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false))
  })
}

function ask(port: number, request: string | Buffer, isComplete: (reply: Buffer) => boolean): Promise<Buffer> {
  return new Promise((resolve) => {
    let reply = Buffer.alloc(0)
    const socket: Socket = connect({ host: '127.0.0.1', port })
    const end = (): void => {
      clearTimeout(limit)
      socket.destroy()
      resolve(reply)
    }
    const limit = setTimeout(end, LIMIT_MS)
    socket.once('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      reply = Buffer.concat([reply, chunk])
      if (isComplete(reply)) end()
    })
    socket.once('error', end).once('close', end)
  })
}
