import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type IncomingMessage, get } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RateLimitError } from '../core/errors.ts'
import type { DashboardData } from '../monitor/dashboard/data.ts'
import { startDemo } from './demo.ts'

async function start(port = 0, traffic = false) {
  const lines: string[] = []
  const demo = await startDemo({ port, host: '127.0.0.1', print: (line) => void lines.push(line), colour: false, traffic })
  return { demo, lines }
}

test('the demo limits real requests, shows every decision, and counts them when it ends', async () => {
  const { demo, lines } = await start()
  const statuses: number[] = []
  for (let i = 0; i < 7; i++) statuses.push((await fetch(`${demo.url}/login`)).status)
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429])
  const refused = await fetch(`${demo.url}/login`)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(await (await fetch(`${demo.url}/`)).text()).toContain('/search')
  expect((await fetch(`${demo.url}/nowhere`)).status).toBe(404)
  expect(lines.some((line) => line.includes(`curl -si ${demo.url}/login`))).toBe(true)
  expect(lines.filter((line) => line.includes('allowed') && line.includes('ip:127.0.0.1'))).toHaveLength(5)
  expect(lines.at(-1)).toMatch(/REFUSED.*login.*0 left of 5, again in \d+\.\d{3} s/)
  expect(await demo.stop()).toEqual({ allowed: 5, refused: 3 })
})

test('the demo has a dashboard of its traffic, for this machine alone', async () => {
  const { demo, lines } = await start()
  expect(lines.some((line) => line.startsWith(`Dashboard at ${demo.dashboardUrl}, for this machine alone`))).toBe(true)
  for (let i = 0; i < 6; i++) await fetch(`${demo.url}/login`)
  for (let i = 0; i < 4; i++) await fetch(`${demo.url}/code`)
  await fetch(`${demo.url}/api`, { headers: { 'X-Forwarded-For': '203.0.113.9' } })
  expect(await (await fetch(demo.dashboardUrl)).text()).toContain('<title>smart-ratelimit demo</title>')
  const shown = (await (await fetch(`${demo.dashboardUrl}/api/snapshot`)).json()) as DashboardData
  expect(shown.policies.rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['login', 'api', 'api-strict']))
  expect(shown.paths.rows.map(({ pattern }) => pattern)).toEqual(expect.arrayContaining(['GET /login', 'GET /api']))
  expect(shown.bans.rows).toMatchObject([{ policy: 'code', key: 'ip:127.0.0.1' }])
  expect(shown.stores).toMatchObject([{ name: 'memory', healthy: true }])
  // A page elsewhere whose name has been made to lead here.
  const rebound = get(`${demo.dashboardUrl}/`, { headers: { host: 'rebound.example' } })
  const [answer] = (await once(rebound, 'response')) as [IncomingMessage]
  answer.resume()
  expect(answer.statusCode).toBe(403)
  await demo.stop()
})

test('with --traffic it makes traffic of several clients, and stops with the demo', async () => {
  const { demo, lines } = await start(0, true)
  await expect
    .poll(() => new Set(lines.flatMap((line) => /ip:[\d.]+/.exec(line) ?? [])).size, { timeout: 10_000 })
    .toBeGreaterThan(1)
  await demo.stop()
  const count = lines.length
  await expect(fetch(demo.url)).rejects.toThrow('fetch failed')
  expect(lines).toHaveLength(count)
})

test('a port in use is a clear error', async () => {
  const { demo } = await start()
  const port = Number(new URL(demo.url).port)
  await expect(start(port)).rejects.toThrow(RateLimitError)
  await expect(start(port)).rejects.toThrow(new RegExp(`port ${port} on 127.0.0.1 is in use`))
  await demo.stop()
})

test('Ctrl-C ends the demo with exit code 0', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), 'demo', '--port', '0'])
  let out = ''
  const code = await new Promise<number | null>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString()
      if (out.includes('Ctrl-C ends') && !child.killed) child.kill('SIGINT')
    })
    child.on('close', resolve)
  })
  expect(code).toBe(0)
  expect(out).toContain('0 allowed, 0 refused')
})
