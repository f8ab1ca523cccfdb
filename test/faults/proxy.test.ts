// What each condition of the proxy does to bytes. Next: proxy.ts.

import { once } from 'node:events'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FaultProxy } from './proxy.ts'

let echo: Server
let proxy: FaultProxy
/** What the server has received. */
let received: string
const clients: Socket[] = []

beforeEach(async () => {
  received = ''
  echo = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      received += bytes.toString()
      socket.write(bytes)
    })
  }).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  proxy = await FaultProxy.start((echo.address() as AddressInfo).port)
})

afterEach(async () => {
  for (const socket of clients.splice(0)) socket.destroy()
  await proxy.stop()
  echo.close()
})

/** A client, and all that it has heard. */
async function client(): Promise<{ socket: Socket; heard: () => string; chunks: string[]; ended: Promise<string> }> {
  const socket = connect(proxy.port, '127.0.0.1')
  clients.push(socket)
  const chunks: string[] = []
  socket.on('data', (bytes) => chunks.push(bytes.toString()))
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    socket.on('close', () => resolve('closed'))
  })
  await Promise.race([once(socket, 'connect').catch(() => undefined), ended])
  return { socket, heard: () => chunks.join(''), chunks, ended }
}

describe('a direction that', () => {
  it('passes hands on what comes', async () => {
    const { socket, heard } = await client()
    socket.write('hello')
    await expect.poll(heard).toBe('hello')
  })

  it('delays hands on later', async () => {
    proxy.set({ kind: 'delay', ms: 80 }, 'down')
    const { socket, heard } = await client()
    const sentAt = performance.now()
    socket.write('hello')
    await expect.poll(heard, { interval: 2 }).toBe('hello')
    expect(performance.now() - sentAt).toBeGreaterThan(75)
  })

  it('drips hands on byte by byte', async () => {
    proxy.set({ kind: 'drip', ms: 40 }, 'up')
    const { socket, heard } = await client()
    const sentAt = performance.now()
    socket.write('abcd')
    await expect.poll(heard, { interval: 2 }).toBe('abcd')
    expect(performance.now() - sentAt).toBeGreaterThan(115)
  })

  it('splits loses nothing', async () => {
    proxy.set({ kind: 'split' })
    const { socket, heard } = await client()
    const text = 'x'.repeat(3000) + 'end'
    socket.write(text)
    await expect.poll(heard).toBe(text)
  })

  it('holds delivers when it passes again, while the other goes on', async () => {
    const { socket, heard } = await client()
    proxy.set({ kind: 'hold' }, 'down')
    socket.write('one ')
    socket.write('two')
    await expect.poll(() => received).toBe('one two')
    await delay(30)
    expect(heard()).toBe('')
    proxy.heal()
    await expect.poll(heard).toBe('one two')
  })

  it('swallows ends the connection when it passes again', async () => {
    const { socket, heard, ended } = await client()
    proxy.set({ kind: 'swallow' }, 'down')
    socket.write('lost')
    await expect.poll(() => received).toBe('lost')
    await delay(20)
    proxy.heal()
    expect(await ended).toBe('ECONNRESET')
    expect(heard()).toBe('')
    const other = await client()
    other.socket.write('new')
    await expect.poll(other.heard).toBe('new')
  })
})

describe('connections', () => {
  it('are reset, and new ones served', async () => {
    const { ended } = await client()
    proxy.reset()
    expect(await ended).toBe('ECONNRESET')
    const { socket, heard } = await client()
    socket.write('again')
    await expect.poll(heard).toBe('again')
  })

  it('are refused until it heals', async () => {
    proxy.refuse()
    expect(await (await client()).ended).toBe('ECONNRESET')
    proxy.heal()
    const { socket, heard } = await client()
    socket.write('again')
    await expect.poll(heard).toBe('again')
  })

  it('go elsewhere when the proxy is told, those that are there excepted', async () => {
    const other = createServer((socket) => void socket.end('other')).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const old = await client()
    // It reaches its server before the proxy is told of another.
    old.socket.write('first ')
    await expect.poll(old.heard).toBe('first ')
    proxy.retarget((other.address() as AddressInfo).port)
    const fresh = await client()
    await expect.poll(fresh.heard).toBe('other')
    old.socket.write('still here')
    await expect.poll(old.heard).toBe('first still here')
    other.close()
  })

  it('that a side ends in order end in order on the other', async () => {
    const { socket, ended } = await client()
    socket.end()
    expect(await ended).toBe('closed')
  })
})
