// `dashboard`: an app's dashboard shown on this machine, by a real process before a real app. Next: command.ts,
// ../../src/cli/dashboard-viewer.ts.

import { spawn } from 'node:child_process'
import { request as send } from 'node:http'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Viewer, startViewer } from '../../src/cli/dashboard-viewer.ts'
import { createLimiter } from '../../src/index.ts'
import { dashboard, tokenAuth } from '../../src/monitor/dashboard/index.ts'
import { liveView } from '../../src/monitor/index.ts'
import { type TestServer, serve } from '../adapters/http.ts'
import { freePort } from '../examples/running.ts'
import { type BuiltCommand, buildCommand } from './command.ts'

const TOKEN = 's3cr3t@:/?#-long-enough'
const view = liveView({ everywhere: false })
const dash = dashboard({ auth: tokenAuth(TOKEN), view })
let command: BuiltCommand
let app: TestServer
let viewer: Viewer
let closedPort: number

beforeAll(async () => {
  command = await buildCommand()
  closedPort = await freePort()
  app = await serve((request, response) =>
    request.url?.startsWith('/dashboard') === true ? dash(request, response) : response.end('private'),
  )
  viewer = await startViewer({ address: address(), token: TOKEN, port: 0 })
})

afterAll(async () => {
  await viewer.stop()
  dash.close()
  view.close()
  await app[Symbol.asyncDispose]()
  command.remove()
})

const address = (): string => `http://127.0.0.1:${app.port}/dashboard`

const at = (path: string, init: RequestInit = {}): Promise<Response> => fetch(new URL(path, viewer.url), init)

it('shows the page, its files and its data, without a password', async () => {
  const page = await at('')
  expect(page.status).toBe(200)
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
  const html = await page.text()
  for (const [, file = ''] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
    const found = await at(file)
    expect([file, found.status]).toEqual([file, 200])
    expect((await found.text()).length).toBeGreaterThan(100)
  }
  expect(Object.keys((await (await at('api/snapshot')).json()) as object)).toContain('policies')
})

it('passes events on as they come, and hangs up when the browser does', async () => {
  const left = new AbortController()
  const { body } = await at('api/events', { signal: left.signal })
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  expect(new TextDecoder().decode((await reader.read()).value)).toMatch(/^retry: 2000\nevent: all\n/)
  left.abort()
  const one = dashboard({ auth: false, view, maxListeners: 1 })
  await using other = await serve((incoming, outgoing) => one(incoming, outgoing))
  const second = await startViewer({ address: `http://127.0.0.1:${other.port}/dashboard`, token: undefined, port: 0 })
  const leaving = new AbortController()
  const first = await fetch(`${second.url}api/events`, { signal: leaving.signal })
  expect(first.status).toBe(200)
  expect((await fetch(`${second.url}api/events`)).status).toBe(503)
  leaving.abort()
  await expect
    .poll(async () => {
      const again = new AbortController()
      const { status } = await fetch(`${second.url}api/events`, { signal: again.signal })
      again.abort()
      return status
    })
    .toBe(200)
  await second.stop()
  one.close()
})

it('lifts a ban from its own page, and from no other', async () => {
  const limiter = createLimiter({ rate: '1/m', observers: [view] })
  limiter.ban('user:1', 60_000)
  const [, token = ''] = /name="token" content="([\w-]+)"/.exec(await (await at('')).text()) ?? []
  const { bans } = (await (await at('api/snapshot')).json()) as { bans: { rows: { id: string }[] } }
  const lift = async (site: string): Promise<number | undefined> => {
    const url = new URL(`api/unban?id=${bans.rows[0]?.id}`, viewer.url)
    const sent = send(url, { method: 'POST', headers: { 'x-dashboard-token': token, 'sec-fetch-site': site } }).end()
    const [answer] = (await once(sent, 'response')) as [{ statusCode?: number; resume(): void }]
    answer.resume()
    return answer.statusCode
  }
  expect(await lift('cross-site')).toBe(403)
  expect(limiter.peek('user:1').reason).toBe('ban')
  expect(await lift('same-origin')).toBe(204)
  expect(limiter.peek('user:1').reason).not.toBe('ban')
})

it('answers under its secret path alone, to this machine by its own name', async () => {
  const { origin, pathname } = new URL(viewer.url)
  expect(pathname).toMatch(/^\/[\w-]{22}\/$/)
  for (const path of ['/', '/dashboard/', '/AAAAAAAAAAAAAAAAAAAAAA/', '/api/snapshot', pathname.slice(0, -1)])
    expect([path, (await fetch(`${origin}${path}`)).status]).toEqual([path, 404])
  const sent = send(viewer.url, { headers: { host: 'rebound.example' } }).end()
  const [answer] = (await once(sent, 'response')) as [{ statusCode?: number; resume(): void }]
  answer.resume()
  expect(answer.statusCode).toBe(404)
  // What is beside the dashboard stays out of reach.
  for (const path of [
    '../secret',
    '..%2fsecret',
    '%2e%2e/secret',
    'api/../../secret',
    'assets/..%2f..%2fsecret',
    '/../secret',
    '@x/',
    'api',
  ]) {
    const aside = send(viewer.url, { path: `${pathname}${path}` }).end()
    const [reply] = (await once(aside, 'response')) as [{ statusCode?: number; resume(): void }]
    reply.resume()
    expect([path, reply.statusCode]).toEqual([path, 404])
  }
})

it('prints where to look, shows no password, and ends with Ctrl-C', async () => {
  const env = { PATH: process.env['PATH'] ?? '', RATELIMIT_DASHBOARD_TOKEN: TOKEN }
  const child = spawn(process.execPath, [command.file, 'dashboard', address()], { env })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      printed += data.toString()
      if (printed.includes('Ctrl-C ends') && !child.killed) child.kill('SIGINT')
    })
  const [code] = (await once(child, 'close')) as [number | null]
  expect(code).toBe(0)
  expect(printed).toMatch(
    /^The dashboard of http:\/\/127\.0\.0\.1:\d+\/dashboard is at\n\n {2}http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}\/\n/,
  )
  expect(printed).not.toContain(TOKEN)
})

it.each([
  ['without a token', () => address(), {}, 'it says 401: the token is missing or wrong'],
  ['with a wrong token', () => address(), { RATELIMIT_DASHBOARD_TOKEN: `${TOKEN}x` }, 'it says 401'],
  ['with a wrong password', () => address().replace('//', '//me:s3cr3t%40%3A%2F%3F%23@'), {}, 'it says 401'],
  ['where something else answers', () => address().replace('/dashboard', ''), {}, 'and is no dashboard'],
  ['where nobody answers', () => `http://me:s3cr3t%40%3A%2F%3F%23@127.0.0.1:${closedPort}/x`, {}, 'ECONNREFUSED'],
  ['for what is no address', () => 'redis://me:s3cr3t@h/', {}, 'the address of a dashboard'],
])('%s it says what is wrong, and shows no password', async (_, url, env, message) => {
  const { code, out, err } = await command.run(['dashboard', url()], { env })
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain(message)
  expect(err).toContain('ERR_RATELIMIT_CONFIG')
  expect(err).not.toMatch(/s3cr3t/)
})

it('takes the password of the address', async () => {
  const one = await startViewer({
    address: address().replace('//', `//me:${encodeURIComponent(TOKEN)}@`),
    token: undefined,
    port: 0,
  })
  expect((await fetch(one.url)).status).toBe(200)
  expect(one.shown).toBe(address())
  await one.stop()
})
