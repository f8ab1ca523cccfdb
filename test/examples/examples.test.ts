// Every example of examples/ starts, serves, and refuses exactly the request that it says. Next: running.ts, ../../examples/run.ts.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { io } from 'socket.io-client'
import { WebSocket } from 'ws'
import { beforeAll, describe, expect, test } from 'vitest'
import { describeWithServer } from '../servers.ts'
import { type Running, runToEnd, startExample } from './running.ts'

const NAMES = readdirSync('examples')
  .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  .map((file) => file.slice(0, -'.ts'.length))

beforeAll(() => {
  if (!existsSync('dist/index.js')) throw new Error('dist/ is missing: npm run build')
})

interface Ask {
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Statuses of this request, sent so many times in a row. */
  readonly statuses: readonly number[]
}

const THREE = [200, 200, 200, 429]
const ada = { 'x-user': 'ada' }

/** What is asked of each example that serves HTTP, in order. */
const ASKS: Readonly<Record<string, readonly Ask[]>> = {
  express: [
    { path: '/login', statuses: THREE },
    { path: '/api/items', statuses: [200, 200, 200, 200, 200, 429] },
    { path: '/health', statuses: [200] },
  ],
  fastify: [
    { path: '/login', statuses: THREE },
    { path: '/health', statuses: [200] },
    { path: '/', statuses: [200] },
  ],
  koa: [{ path: '/', statuses: THREE }],
  hono: [{ path: '/login', statuses: THREE }],
  fetch: [
    { path: '/', headers: { 'x-api-key': 'mine' }, statuses: THREE },
    { path: '/', statuses: [429] },
  ],
  'node-http': [{ path: '/', statuses: THREE }],
  next: [
    { path: '/api/search?q=cats', headers: { 'x-forwarded-for': '192.0.2.1' }, statuses: THREE },
    { path: '/api/search?q=cats', headers: { 'x-forwarded-for': '192.0.2.2' }, statuses: [200] },
  ],
  basic: [
    { path: '/by-address', statuses: THREE },
    { path: '/by-user', headers: ada, statuses: THREE },
    { path: '/by-user', headers: { 'x-user': 'bob' }, statuses: [200] },
    { path: '/by-session', headers: { cookie: 'sid=abc' }, statuses: THREE },
    { path: '/by-api-key', headers: { 'x-api-key': 'mine' }, statuses: THREE },
    { path: '/by-api-key', statuses: [429] },
  ],
  advanced: [
    { path: '/burst', statuses: THREE },
    { path: '/report?pages=6', statuses: [200, 429] },
    { path: '/report?pages=4', statuses: [200] },
    { path: '/search', statuses: [200, 200, 429] },
    { path: '/search', headers: { 'x-plan': 'pro' }, statuses: [200, 200, 200, 200, 200, 429] },
    { path: '/search', headers: { 'x-plan': 'staff' }, statuses: Array<number>(9).fill(200) },
    { path: '/login?password=swordfish', statuses: [200, 200, 200, 200] },
    { path: '/login?password=guess', statuses: [401, 401, 401, 429] },
    { path: '/login?password=swordfish', statuses: [429] },
    { path: '/paced', statuses: [200, 200, 429] },
    { path: '/shadow', statuses: [200, 200] },
    { path: '/friendly', statuses: [200, 429] },
  ],
  'custom-keys': [
    { path: '/by-country', statuses: THREE },
    { path: '/by-device', headers: { 'user-agent': 'one' }, statuses: THREE },
    { path: '/by-device', headers: { 'user-agent': 'two' }, statuses: [200] },
    { path: '/by-branch', headers: { 'x-branch': 'Lugo' }, statuses: THREE },
    { path: '/by-branch', headers: { 'x-branch': 'LUGO' }, statuses: [429] },
    { path: '/by-hour', statuses: THREE },
  ],
  tenant: [
    { path: '/orders', headers: ada, statuses: [200, 200] },
    { path: '/orders', headers: { 'x-user': 'bob' }, statuses: [200, 429] },
    { path: '/orders', headers: { ...ada, 'x-tenant-id': 'globex' }, statuses: [429] },
    { path: '/orders', headers: { 'x-tenant-id': 'globex' }, statuses: [200, 200, 200, 200, 200, 429] },
    { path: '/orders', statuses: [429] },
  ],
  nest: [
    { path: '/login', statuses: THREE },
    { path: '/', statuses: [200, 200, 200, 200, 200, 429] },
    { path: '/health', statuses: [200] },
  ],
  trpc: [
    { path: '/hello', statuses: THREE },
    { path: '/health', statuses: [200] },
  ],
  graphql: [
    { path: '/graphql?query=%7Bsearch(text:"cats")%7D', statuses: THREE },
    { path: '/graphql?query=%7Ba:hello,b:hello,c:hello%7D', statuses: [200, 200, 429] },
  ],
  monitoring: [
    { path: '/api', statuses: THREE },
    { path: '/new', statuses: [200, 200] },
  ],
}

async function statusesOf({ port }: Running, { path, headers = {}, statuses }: Ask): Promise<number[]> {
  const found: number[] = []
  for (const _ of statuses) {
    const response = await fetch(`http://localhost:${port}${path}`, { headers })
    await response.text()
    found.push(response.status)
  }
  return found
}

describe('the example', () => {
  test.each(Object.entries(ASKS))('%s answers as it says', async (name, asks) => {
    await using running = await startExample(name)
    for (const ask of asks) {
      expect(await statusesOf(running, ask), `${ask.path} ${JSON.stringify(ask.headers ?? {})}`).toEqual(ask.statuses)
    }
    expect(running.printed).toContain(`http://localhost:${running.port}/`)
  })

  test('jwt-and-role answers as it says', async () => {
    await using running = await startExample('jwt-and-role')
    const bearer = (name: string) => ({ authorization: `Bearer ${new RegExp(`${name}=(\\S+)`).exec(running.printed)?.[1]}` })
    const forged = { authorization: `${bearer('BOB').authorization.slice(0, -4)}AAAA` }
    for (const ask of [
      { path: '/by-token', headers: bearer('ADA'), statuses: THREE },
      { path: '/by-role', headers: bearer('ADA'), statuses: THREE },
      { path: '/by-role', headers: bearer('BOB'), statuses: [200, 200, 200, 200, 200] },
      { path: '/by-role', headers: forged, statuses: [200, 429] },
    ])
      expect(await statusesOf(running, ask), ask.path).toEqual(ask.statuses)
  })

  test('monitoring tells what it has seen', async () => {
    await using running = await startExample('monitoring')
    await statusesOf(running, { path: '/api', statuses: THREE })
    const metrics = await (await fetch(`http://localhost:${running.port}/metrics`)).text()
    expect(metrics).toContain('requests_total{policy="api",result="granted",source="primary",store="memory"} 3\n')
    expect(metrics).toContain('requests_total{policy="api",result="refused",source="primary",store="memory"} 1\n')
    expect(await (await fetch(`http://localhost:${running.port}/top`)).json()).toEqual([[expect.stringMatching(/^ip:/), 1]])
    await statusesOf(running, { path: '/new', statuses: [200, 200] })
    expect(await (await fetch(`http://localhost:${running.port}/shadow`)).json()).toMatchObject([
      { policy: 'new', admitted: 1, wouldRefuse: 1 },
    ])
    expect(await (await fetch(`http://localhost:${running.port}/health`)).json()).toEqual({ healthy: true, status: 'healthy' })
  })

  test('trpc refuses the fourth call of a batch, and no other', async () => {
    await using running = await startExample('trpc')
    const response = await fetch(`http://localhost:${running.port}/hello,hello,hello,hello?batch=1`)
    const answers = (await response.json()) as { error?: { data: { httpStatus: number } } }[]
    expect(answers.map(({ error }) => error?.data.httpStatus)).toEqual([undefined, undefined, undefined, 429])
  })

  test('all-stores counts in memory and in a file where it has no servers', async () => {
    await using running = await startExample('all-stores')
    for (const name of ['memory', 'sqlite', 'redis', 'postgres', 'mysql'])
      expect(await statusesOf(running, { path: `/${name}`, statuses: THREE }), name).toEqual(THREE)
  })

  test('complete-project limits, tells how it is, is switched off and on, and ends cleanly', async () => {
    await using running = await startExample('complete-project')
    const url = `http://localhost:${running.port}`
    const operator = { authorization: /Bearer \S+(?=')/.exec(running.printed)?.[0] ?? '' }
    const login = async () => {
      const headers = { 'content-type': 'application/json' }
      return (await fetch(`${url}/login`, { method: 'POST', headers, body: '{"password":"guess"}' })).status
    }
    expect([await login(), await login(), await login(), await login()]).toEqual([401, 401, 401, 429])
    for (const ask of [
      { path: '/search', statuses: [200, 200, 429] },
      { path: '/search', headers: { 'x-api-key': 'made-up' }, statuses: [429] },
      { path: '/search', headers: { 'x-api-key': 'key-of-ada' }, statuses: THREE },
      { path: '/search?deep', headers: { 'x-api-key': 'key-of-bob' }, statuses: THREE },
      { path: '/operator/refused', statuses: [403] },
      { path: '/operator/refused', headers: operator, statuses: [200] },
    ])
      expect(await statusesOf(running, ask), ask.path).toEqual(ask.statuses)
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ store: 'memory', well: true, enabled: true })
    const refused = await (await fetch(`${url}/operator/refused`, { headers: operator })).json()
    expect(refused).toEqual({ login: 1, search: 4 })
    await fetch(`${url}/operator/limits/off`, { method: 'POST', headers: operator })
    expect(await statusesOf(running, { path: '/search', statuses: [200, 200] })).toEqual([200, 200])
    await fetch(`${url}/operator/limits/on`, { method: 'POST', headers: operator })
    expect(await statusesOf(running, { path: '/search', statuses: [429] })).toEqual([429])
    expect(await running.stop()).toBe('Closed.')
  })

  test('ws closes the connection at the fourth message, and answers the fifth handshake with 429', async () => {
    await using running = await startExample('ws')
    const url = `ws://localhost:${running.port}`
    const client = new WebSocket(url)
    await once(client, 'open')
    const heard: string[] = []
    client.on('message', (data: Buffer) => void heard.push(String(data)))
    for (const text of ['a', 'b', 'c', 'd']) client.send(text)
    const [code] = (await once(client, 'close')) as [number]
    expect([code, heard]).toEqual([1008, ['heard a', 'heard b', 'heard c']])
    for (let i = 0; i < 3; i++) {
      const next = new WebSocket(url)
      await once(next, 'open')
      next.terminate()
    }
    const refused = new WebSocket(url)
    const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number; destroy(): void }]
    response.destroy()
    expect(response.statusCode).toBe(429)
  })

  test('socket-io refuses the fourth message and the fifth connection, as its client shows', async () => {
    await using running = await startExample('socket-io')
    const connect = () => io(`http://localhost:${running.port}`, { reconnection: false, forceNew: true })
    const client = connect()
    const answers: unknown[] = []
    for (const text of ['a', 'b', 'c', 'd']) answers.push(await client.emitWithAck('chat', text))
    expect(answers.slice(0, 3)).toEqual([{ sent: 'a' }, { sent: 'b' }, { sent: 'c' }])
    expect(answers[3]).toMatchObject({ error: { code: 'RATE_LIMITED', limit: 3 } })
    const clients = [client]
    for (let i = 0; i < 3; i++) {
      const next = connect()
      clients.push(next)
      await new Promise((resolve) => next.once('connect', () => resolve(undefined)))
    }
    const refused = connect()
    const error = await new Promise<Error>((resolve) => void refused.once('connect_error', resolve))
    expect(error).toMatchObject({ data: { code: 'RATE_LIMITED', limit: 4 } })
    for (const one of [...clients, refused]) one.disconnect()
  })
})

describe('the starter', () => {
  test('lists all examples with what they show', async () => {
    const { code, text } = await runToEnd([])
    expect(code).toBe(0)
    for (const name of NAMES) expect(text).toMatch(new RegExp(`^  ${name} +\\S.*[.]$`, 'm'))
  })

  test('says when a port is taken, and which could be had', async () => {
    const taken = createServer().listen(0)
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    for (const name of ['express', 'fastify', 'ws']) {
      const { code, text } = await runToEnd([name], { PORT: String(port) })
      expect([code, text]).toEqual([
        1,
        expect.stringContaining(`Port ${port} is taken. Choose another one: PORT=${port + 1} npm run example ${name}\n`),
      ])
    }
    taken.close()
  })

  test('says when there is no such example', async () => {
    const { code, text } = await runToEnd(['expres'])
    expect([code, text]).toEqual([1, expect.stringContaining('There is no example "expres".')])
  })
})

test('every example is tested here and told of in docs/examples.md', () => {
  const page = readFileSync('docs/examples.md', 'utf8')
  const told = [...page.matchAll(/^\| \[`([\w-]+)`\]\(\.\.\/examples\/([\w-]+)\.ts\)/gm)].map(([, name = '', file]) => [
    name,
    file,
  ])
  expect(told.every(([name, file]) => name === file)).toBe(true)
  expect(new Set(told.map(([name]) => name))).toEqual(new Set(NAMES))
  const source = readFileSync('test/examples/examples.test.ts', 'utf8')
  expect(NAMES.filter((name) => !(name in ASKS) && !source.includes(`startExample('${name}')`))).toEqual([])
})

describeWithServer('redis', 'the example all-stores', (server) => counted('redis', { REDIS_URL: server.url }))
describeWithServer('postgres', 'the example all-stores', (server) => counted('postgres', { POSTGRES_URL: server.url }))
describeWithServer('mariadb', 'the example all-stores', (server) => counted('mysql', { MYSQL_URL: server.url }))

function counted(name: string, environment: Record<string, string>): void {
  test(`counts by ${name} where it has an address`, async () => {
    await using running = await startExample('all-stores', environment)
    const response = await fetch(`http://localhost:${running.port}/${name}`)
    expect([response.status, await response.text()]).toEqual([200, `counted by ${name}\n`])
    expect(await statusesOf(running, { path: `/${name}`, statuses: [200, 200, 429] })).toEqual([200, 200, 429])
  })
}
