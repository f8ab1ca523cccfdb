// The dashboard over HTTP: who gets in, what may change something, what hostile keys come to, and what is left when a page is closed.
// Next: ../../src/monitor/dashboard/routes.ts; ../browser/dashboard.test.ts has the page itself.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError, createLimiter, memoryStore } from '../../src/index.ts'
import { type Dashboard, type DashboardOptions, dashboard, tokenAuth } from '../../src/monitor/dashboard/index.ts'
import { liveView } from '../../src/monitor/index.ts'
import { TABLES } from '../../src/monitor/live-tables.ts'
import { VirtualTime } from '../faults/virtual-time.ts'
import { serve } from '../adapters/http.ts'

const START_MS = 1_700_000_000_000
const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '</script><script>alert(1)</script>',
  '=HYPERLINK("http://evil.example","x")',
  '@SUM(1+1)',
  '-2+3',
  '+1\tx',
  '"quoted", with a comma',
  '__proto__',
  'data: x\n\nevent: all\ndata: {}',
  '\ud800 alone',
]

/** A dashboard in virtual time over limiters whose keys are all hostile: each refused, and banned. */
async function stage(options: Partial<DashboardOptions<never>> = {}) {
  const time = new VirtualTime()
  const clock = time.clock(START_MS)
  const store = memoryStore({ clock })
  const view = liveView({ clock, scheduler: time, everywhere: false, stores: [store] })
  const limiter = createLimiter({
    name: 'logins',
    rate: '1/m',
    store,
    clock,
    observers: [view],
    penalty: { durationMs: 3_600_000 },
  })
  for (const key of HOSTILE) for (let i = 0; i < 2; i++) limiter.check(key)
  await time.advance(1500)
  const dash = dashboard({ auth: false, view, scheduler: time, ...options } as DashboardOptions)
  const ask = (path: string, init: RequestInit = {}): Promise<Response> => dash(new Request(`http://localhost${path}`, init))
  return { time, view, limiter, dash, ask }
}

type Stage = Awaited<ReturnType<typeof stage>>
let s: Stage

beforeEach(async () => {
  s = await stage()
})

afterEach(() => {
  s.dash.close()
  s.view.close()
})

async function tokenOf(ask: Stage['ask']): Promise<string> {
  return /name="token" content="([\w-]{22})"/.exec(await (await ask('/dashboard/')).text())?.[1] ?? ''
}

async function banIds(ask: Stage['ask']): Promise<string[]> {
  const { bans } = (await (await ask('/dashboard/api/snapshot')).json()) as { bans: { rows: { id: string }[] } }
  return bans.rows.map(({ id }) => id)
}

const PLACES = [
  '',
  '/',
  '/api/snapshot',
  '/api/events',
  '/api/timeline',
  '/api/export/bans.csv',
  '/api/unban',
  '/assets/x.js',
  '/x',
]

describe('a dashboard', () => {
  test('is not built without an auth decision', () => {
    expect(() => dashboard()).toThrow(/^dashboard\.auth: expected a function of the request, such as tokenAuth/)
    expect(() => dashboard({ auth: undefined } as never)).toThrow(ConfigError)
  })

  test.each([
    [{ auth: false, basepath: '/x' }, 'dashboard.basepath'],
    [{ auth: false, basePath: 'x' }, 'dashboard.basePath'],
    [{ auth: false, view: {} }, 'dashboard.view'],
    [{ auth: false, title: '' }, 'dashboard.title'],
    [{ auth: false, intervalMs: 10 }, 'dashboard.intervalMs'],
    [{ auth: false, maxListeners: 0 }, 'dashboard.maxListeners'],
    [{ auth: false, scheduler: 1 }, 'dashboard.scheduler'],
    [{ auth: 'secret' }, 'dashboard.auth'],
    [undefined, 'dashboard.auth'],
    [null, 'dashboard'],
  ])('names the option that is wrong: %j', (options, name) => {
    const build = (): Dashboard => dashboard(options as DashboardOptions)
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(new RegExp(`^${name.replace('.', '\\.')}: expected`))
  })

  test('lets nobody past auth, to no place and by no method', async () => {
    const { ask, dash, view } = await stage({ auth: tokenAuth('a-token-of-some-length') })
    const bans = view.snapshot().bans.length
    for (const place of PLACES) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const answer = await ask(`/dashboard${place}`, { method })
        expect(answer.status, `${method} ${place}`).toBe(401)
        expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
        expect(answer.headers.get('cache-control')).toBe('no-store')
        expect(await answer.text()).not.toContain('logins')
      }
    }
    const headers = { authorization: 'Bearer a-token-of-some-length' }
    expect((await ask('/dashboard/api/snapshot', { headers })).status).toBe(200)
    expect(view.snapshot().bans).toHaveLength(bans)
    dash.close()
  })

  test('what auth throws goes to whoever called, and lets nobody in', async () => {
    const { ask, dash } = await stage({ auth: () => Promise.reject(new Error('no sessions')) })
    await expect(ask('/dashboard/api/snapshot')).rejects.toThrow('no sessions')
    dash.close()
  })

  test('says of every answer that it is not to be kept, framed, sniffed or scripted from elsewhere', async () => {
    for (const place of PLACES) {
      const { headers } = await s.ask(`/dashboard${place}`)
      const policy = headers.get('content-security-policy') ?? ''
      for (const part of [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
      ])
        expect(policy, place).toContain(part)
      expect(policy).not.toMatch(/unsafe|https?:|\*|data:/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('cache-control')).toMatch(/^no-store/)
    }
  })

  test('has a page without inline script or style, whose files are its own', async () => {
    for (const [path, root] of [
      ['/dashboard/', './'],
      ['/dashboard', './dashboard/'],
    ] as const) {
      const answer = await s.ask(path)
      expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
      const html = await answer.text()
      expect(html).not.toMatch(/<style|style=|<script(?![^>]*\bsrc=)|\son\w+=|https?:|\{\{/i)
      const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file)
      expect(files).toHaveLength(3)
      for (const file of files) {
        expect(file.startsWith(`${root}assets/`)).toBe(true)
        const found = await s.ask(new URL(file, `http://localhost${path}`).pathname)
        expect([file, found.status]).toEqual([file, 200])
        expect(found.headers.get('cache-control')).toBe('private, max-age=31536000, immutable')
        expect((await found.text()).length).toBeGreaterThan(100)
      }
    }
  })

  test('sends its files compressed to who takes that', async () => {
    const script = /src="\.\/([^"]+)"/.exec(await (await s.ask('/dashboard/')).text())?.[1] ?? ''
    const [plain, packed, refused] = await Promise.all(
      ['identity', 'br, gzip', 'gzip;q=0'].map((encoding) =>
        s.ask(`/dashboard/${script}`, { headers: { 'accept-encoding': encoding } }),
      ),
    )
    expect([plain, packed, refused].map((one) => one?.headers.get('content-encoding'))).toEqual([null, 'gzip', null])
    const text = await plain?.text()
    const unpacked = packed?.body?.pipeThrough(new DecompressionStream('gzip'))
    expect(await new Response(unpacked).text()).toBe(text)
    expect(await refused?.text()).toBe(text)
  })

  test('escapes its title', async () => {
    const { ask, dash } = await stage({ title: `<script>alert("&'")</script>` })
    expect(await (await ask('/dashboard/')).text()).toContain(
      '<title>&lt;script&gt;alert(&quot;&amp;&#39;&quot;)&lt;/script&gt;</title>',
    )
    dash.close()
  })

  test('knows no other places, whatever they look like', async () => {
    const unknown = [
      '/x',
      '/api',
      '/api/',
      '/api/export/nothing.csv',
      '/api/export/bans',
      '/assets/',
      '/assets/__proto__',
      '/assets/../api/snapshot/x',
    ]
    for (const place of [...unknown, '/api/export/constructor.csv', '/api/timeline?unit=year', '//', '/%00']) {
      const answer = await s.ask(`/dashboard${place}`)
      expect([place, answer.status]).toEqual([place, 404])
    }
    expect((await s.ask('/elsewhere')).status).toBe(404)
  })

  test('answers other methods with what there is', async () => {
    for (const place of ['/', '/api/snapshot', '/api/events', '/assets/x.js']) {
      const answer = await s.ask(`/dashboard${place}`, { method: 'POST' })
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    }
    const answer = await s.ask('/dashboard/api/unban')
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test('answers HEAD as GET, without a body and without keeping a line open', async () => {
    const idle = s.time.waiting
    for (const place of ['/', '/api/snapshot', '/api/events']) {
      const [get, head] = [await s.ask(`/dashboard${place}`), await s.ask(`/dashboard${place}`, { method: 'HEAD' })]
      await get.body?.cancel()
      expect([head.status, head.headers.get('content-type')]).toEqual([200, get.headers.get('content-type')])
      expect(head.body).toBeNull()
    }
    expect(s.time.waiting).toBe(idle)
  })
})

describe('lifting a ban', () => {
  const good = (token: string): Record<string, string> => ({ 'x-dashboard-token': token, 'sec-fetch-site': 'same-origin' })
  const post = (id: string, headers: Record<string, string>, { ask }: Pick<Stage, 'ask'> = s): Promise<Response> =>
    ask(`/dashboard/api/unban?id=${id}`, { method: 'POST', headers })

  test('works from the page: the store forgets it, and the list too', async () => {
    const token = await tokenOf(s.ask)
    const [id = ''] = await banIds(s.ask)
    expect(await banIds(s.ask)).toHaveLength(HOSTILE.length)
    const key = s.view.snapshot().bans[0]?.key ?? ''
    expect(s.limiter.peek(key).reason).toBe('ban')
    expect((await post(id, good(token))).status).toBe(204)
    expect(s.limiter.peek(key).reason).not.toBe('ban')
    expect(await banIds(s.ask)).toHaveLength(HOSTILE.length - 1)
    expect((await post(id, good(token))).status).toBe(404)
  })

  test.each([
    ['no token', { 'x-dashboard-token': '' }],
    ['another token', { 'x-dashboard-token': 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['a sibling host', { 'sec-fetch-site': 'same-site' }],
    ['an address typed in', { 'sec-fetch-site': 'none' }],
    ['another site that names us as its origin', { 'sec-fetch-site': 'cross-site', origin: 'http://localhost' }],
    ['no word of where from', { 'sec-fetch-site': undefined }],
    ['an older browser on another site', { 'sec-fetch-site': undefined, origin: 'http://evil.example' }],
    ['an older browser in a sandboxed frame', { 'sec-fetch-site': undefined, origin: 'null' }],
    ['another port', { 'sec-fetch-site': undefined, origin: 'http://localhost:81' }],
  ])('is refused with %s', async (_, changed) => {
    const token = await tokenOf(s.ask)
    const [id = ''] = await banIds(s.ask)
    const headers = Object.entries({ ...good(token), ...changed }).filter(([, value]) => value !== undefined)
    expect((await post(id, Object.fromEntries(headers) as Record<string, string>)).status).toBe(403)
    expect(await banIds(s.ask)).toHaveLength(HOSTILE.length)
  })

  test('works from an older browser that says its origin', async () => {
    const token = await tokenOf(s.ask)
    const [id = ''] = await banIds(s.ask)
    expect((await post(id, { 'x-dashboard-token': token, origin: 'https://localhost' })).status).toBe(204)
  })

  test('takes the token of this dashboard alone', async () => {
    const other = await stage()
    const token = await tokenOf(other.ask)
    const [id = ''] = await banIds(s.ask)
    expect((await post(id, good(token))).status).toBe(403)
    other.dash.close()
  })

  test('is never done by GET: no place changes anything by being looked at', async () => {
    const token = await tokenOf(s.ask)
    const [id = ''] = await banIds(s.ask)
    const before = JSON.stringify(s.view.snapshot())
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
      expect((await s.ask(`/dashboard/api/unban?id=${id}`, { method, headers: good(token) })).status).toBe(405)
    for (const place of PLACES) {
      const answer = await s.ask(`/dashboard${place}?id=${id}`, { headers: good(token) })
      await answer.body?.cancel()
    }
    expect(JSON.stringify(s.view.snapshot())).toBe(before)
  })
})

describe('hostile keys', () => {
  test('travel as JSON, and are in no page', async () => {
    const answer = await s.ask('/dashboard/api/snapshot')
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    const { offenders } = (await answer.json()) as { offenders: { key: string }[] }
    expect(new Set(offenders.map(({ key }) => key))).toEqual(new Set(HOSTILE))
    const html = await (await s.ask('/dashboard/')).text()
    for (const key of HOSTILE) expect(html).not.toContain(key)
  })

  test('do not break the lines of events', async () => {
    const answer = await s.ask('/dashboard/api/events')
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    const text = new TextDecoder().decode((await reader.read()).value)
    expect(text.match(/^event:/gm)).toHaveLength(1)
    expect(text.match(/^data:/gm)).toHaveLength(1)
    const { offenders } = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '') as { offenders: { key: string }[] }
    expect(offenders).toHaveLength(HOSTILE.length)
    await reader.cancel()
  })

  test('are no formulas in CSV', async () => {
    for (const table of TABLES) {
      const answer = await s.ask(`/dashboard/api/export/${table}.csv`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8')
      expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="ratelimit-${table}.csv"`)
      expect(await answer.text(), table).not.toMatch(/(^|[,\n])"?[=+@\-\t]/)
    }
    const csv = await (await s.ask('/dashboard/api/export/offenders.csv')).text()
    expect(csv).toContain(`"'=HYPERLINK(""http://evil.example"",""x"")"`)
  })

  test('longer than anybody reads are cut off, and their bans can be lifted all the same', async () => {
    const long = 'k'.repeat(10_000)
    for (let i = 0; i < 2; i++) s.limiter.check(long)
    const text = await (await s.ask('/dashboard/api/snapshot')).text()
    expect(text).not.toContain('k'.repeat(300))
    const [id = ''] = await banIds(s.ask)
    const headers = { 'x-dashboard-token': await tokenOf(s.ask), 'sec-fetch-site': 'same-origin' }
    expect((await s.ask(`/dashboard/api/unban?id=${id}`, { method: 'POST', headers })).status).toBe(204)
    expect(s.limiter.peek(long).reason).not.toBe('ban')
  })
})

describe('live data', () => {
  test('a page that is closed leaves nothing behind', async () => {
    await using server = await serve((request, response) => s.dash(request, response))
    const idle = s.time.waiting
    const left = server.abandon?.('/dashboard/api/events')
    await expect.poll(() => s.time.waiting).toBe(idle + 1)
    await left?.leave()
    await expect.poll(() => s.time.waiting).toBe(idle)
  })

  test('one listener more than there may be is told to ask again', async () => {
    const { ask, dash } = await stage({ maxListeners: 1 })
    const first = await ask('/dashboard/api/events')
    const second = await ask('/dashboard/api/events')
    expect([second.status, second.headers.get('retry-after')]).toEqual([503, '10'])
    await first.body?.cancel()
    const third = await ask('/dashboard/api/events')
    expect(third.status).toBe(200)
    await third.body?.cancel()
    dash.close()
  })

  test('a chart of one policy or path has its own counts alone', async () => {
    const sum = async (query: string): Promise<number> => {
      const chunk = (await (await s.ask(`/dashboard/api/timeline?${query}`)).json()) as { refused: number[] }
      return chunk.refused.reduce((all, one) => all + one, 0)
    }
    expect(await sum('unit=second&policy=logins')).toBe(HOSTILE.length)
    expect(await sum('unit=minute')).toBe(HOSTILE.length)
    expect(await sum('policy=nobody')).toBe(0)
    expect(await sum('path=__proto__')).toBe(0)
  })

  test('is bounded, however much there is to tell', async () => {
    for (let i = 0; i < 2000; i++) {
      const limiter = createLimiter({ name: `p${i}`, rate: '1/m', observers: [s.view], penalty: { durationMs: 60_000 } })
      for (let j = 0; j < 2; j++) limiter.check(`${'key'.repeat(200)} ${i}`)
    }
    await s.time.advance(1000)
    const text = await (await s.ask('/dashboard/api/snapshot')).text()
    expect(text.length).toBeLessThan(200_000)
    expect((JSON.parse(text) as { policies: { rows: unknown[] } }).policies.rows).toHaveLength(50)
  })
})
