// The dashboard's page in a real browser. Time is fed to the process, and so to the page, which knows no other. Next: browser.ts;
// ../monitor/dashboard.test.ts has what the server answers.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { addObserver, createLimiter, memoryStore } from '../../src/index.ts'
import { rateLimit } from '../../src/adapters/express.ts'
import { dashboard } from '../../src/monitor/dashboard/index.ts'
import { liveView } from '../../src/monitor/index.ts'
import { multiStore } from '../../src/stores/failover/multi-store.ts'
import { SimulatedServer } from '../faults/simulated-store.ts'
import { VirtualTime } from '../faults/virtual-time.ts'
import { describeWithBrowser } from './browser.ts'

const IMAGE = '<img src=x onerror="document.title=`stolen`">'
const WIDE = `key-${'without-a-break'.repeat(12)}`

/** A server with a dashboard, over limiters that are asked directly, all in virtual time. */
async function stage({ maxListeners = 20 } = {}) {
  const time = new VirtualTime()
  const clock = time.clock(1_700_000_000_000)
  const store = memoryStore({ clock })
  const view = liveView({ clock, scheduler: time, everywhere: false, stores: [store] })
  const common = { store, clock, observers: [view] }
  const limiters = {
    api: createLimiter({ ...common, name: 'api', rate: '3/m' }),
    trial: createLimiter({ ...common, name: 'trial', rate: '1/m', shadow: true }),
    login: createLimiter({ ...common, name: 'login', rate: '1/m', penalty: { durationMs: 600_000 } }),
  }
  let isOpen = true
  const dash = dashboard({ auth: () => isOpen, view, scheduler: time, maxListeners, title: 'Limits of a test' })
  const routed = rateLimit({ store, observers: [view], key: 'ip', rate: '2/m', name: 'routed' })
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/dashboard') === true) dash(request, response)
    else routed(Object.assign(request, { route: { path: '/orders/:id' } }), response, () => response.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    time,
    view,
    limiters,
    origin,
    server,
    close: (door: boolean) => (isOpen = !door),
    async end() {
      dash.close()
      view.close()
      store.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describeWithBrowser('the page', (browser) => {
  let s: Awaited<ReturnType<typeof stage>>
  let page: Page
  let problems: string[]
  let addresses: string[]

  beforeEach(async () => {
    s = await stage()
    page = await browser().newPage({ viewport: { width: 1280, height: 900 } })
    problems = []
    addresses = []
    page.on('console', (message) => void (['error', 'warning'].includes(message.type()) && problems.push(message.text())))
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('request', (request) => addresses.push(request.url()))
  })

  afterEach(async () => {
    await page.close()
    await s.end()
  })

  async function open(): Promise<void> {
    await page.goto(`${s.origin}/dashboard`)
    await page.waitForSelector('.status.live')
  }

  /** Lets the process live on for some seconds, and the page hear of it. */
  async function pass(seconds: number): Promise<void> {
    await s.time.advance(seconds * 1000)
    // The last tick is less than a second ago.
    const told = s.view.snapshot().at - 1000
    await expect.poll(async () => Number(await page.locator('main').getAttribute('data-now'))).toBeGreaterThan(told)
  }

  function banSome(keys: readonly string[]): void {
    for (const key of keys) for (let i = 0; i < 2; i++) s.limiters.login.check(key)
  }

  const text = (selector: string): Promise<string> => page.locator(selector).innerText()

  test('loads without an error, a warning or a request to anywhere else, and breaks no policy of its own', async () => {
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective }) => {
        throw new Error(`broke ${violatedDirective}`)
      })
    })
    s.limiters.api.check('user:1')
    await fetch(`${s.origin}/orders/1`)
    await s.time.advance(2000)
    await open()
    await pass(2)
    expect(await page.title()).toBe('Limits of a test')
    expect(await text('#policies')).toMatch(/api[\s\S]*3\/m sliding_window: at most 3 in any 1 min/)
    expect(await text('#paths')).toContain('GET /orders/:id')
    expect(await text('#stores')).toMatch(/memory\s*in use/)
    expect(problems).toEqual([])
    expect(addresses.length).toBeGreaterThanOrEqual(5)
    expect(addresses.filter((address) => !address.startsWith(`${s.origin}/dashboard`))).toEqual([])
  })

  test('draws what happens as it happens', async () => {
    await open()
    const chart = page.locator('.chart')
    const drawn = (): Promise<string> => chart.locator('canvas').evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL())
    expect(await chart.getAttribute('aria-label')).toContain('0 allowed, 0 refused')
    const before = await drawn()
    for (let i = 0; i < 5; i++) s.limiters.api.check('user:1')
    for (let i = 0; i < 4; i++) s.limiters.trial.check('user:1')
    await pass(3)
    expect(await chart.getAttribute('aria-label')).toBe(
      'Decisions per second in the last 5 minutes: 7 allowed, 2 refused, 3 of the allowed would have been refused by limits in shadow',
    )
    expect(await drawn()).not.toBe(before)
    expect(await text('.legend')).toMatch(/Allowed 7\s*Refused 2\s*Would refuse 3/)
    expect(await text('#shadow')).toContain('would have refused 3 of 4 requests, 75.0 %')
    await page.getByRole('combobox').selectOption({ label: 'api' })
    await expect.poll(() => chart.getAttribute('aria-label')).toContain('3 allowed, 2 refused')
    await page.getByRole('button', { name: '24 h' }).click()
    await expect.poll(() => chart.getAttribute('aria-label')).toContain('Decisions per minute in the last 24 hours')
  })

  test('shows hostile keys as text, opened up too', async () => {
    banSome([IMAGE])
    for (let i = 0; i < 2; i++) s.limiters.trial.check(IMAGE)
    await s.time.advance(1500)
    await open()
    await page.locator('#offenders').getByRole('button', { name: IMAGE }).click()
    expect(await text('#offenders .detail')).toMatch(/By policy\s*login/)
    expect(await page.getByText(IMAGE, { exact: true }).count()).toBe(3)
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.title()).toBe('Limits of a test')
    expect(problems).toEqual([])
  })

  test('opens an offender by keyboard, and says whether it is open', async () => {
    banSome(['user:7'])
    await s.time.advance(1500)
    await open()
    const key = page.locator('#offenders').getByRole('button', { name: 'user:7' })
    expect(await key.getAttribute('aria-expanded')).toBe('false')
    await key.focus()
    await page.keyboard.press('Enter')
    expect(await key.getAttribute('aria-expanded')).toBe('true')
    await pass(2)
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('user:7')
    await page.keyboard.press('Space')
    expect(await page.locator('#offenders .detail').count()).toBe(0)
  })

  test('lifts a ban by keyboard alone, says so, and goes on to the next', async () => {
    banSome(['user:1', 'user:2'])
    await open()
    const focused = (): Promise<string | null | undefined> =>
      page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent)
    for (let i = 0; i < 60 && (await focused()) !== 'Lift the ban of user:2 by login'; i++) await page.keyboard.press('Tab')
    expect(await focused()).toBe('Lift the ban of user:2 by login')
    await page.keyboard.press('Enter')
    await page.getByText('The ban of user:2 is lifted.').waitFor({ state: 'attached' })
    expect(s.limiters.login.peek('user:2').reason).not.toBe('ban')
    expect(s.limiters.login.peek('user:1').reason).toBe('ban')
    expect(await text('#bans table')).not.toContain('user:2')
    await expect.poll(focused).toBe('Lift the ban of user:1 by login')
    await page.keyboard.press('Enter')
    await page.getByText('Nobody is banned.').waitFor()
    await expect.poll(focused).toMatch(/^Bans/)
    await pass(2)
    expect(await text('#bans')).toContain('Nobody is banned.')
  })

  test('is dark where the system is, unless the reader chooses, and remembers the choice', async () => {
    const brightness = (): Promise<number> =>
      page.evaluate(() => {
        const [r = 0, g = 0, b = 0] = (getComputedStyle(document.body).backgroundColor.match(/\d+/g) ?? []).map(Number)
        return (r + g + b) / 3
      })
    await open()
    expect(await brightness()).toBeGreaterThan(230)
    await page.emulateMedia({ colorScheme: 'dark' })
    await expect.poll(brightness).toBeLessThan(40)
    await page.getByRole('button', { name: 'Light' }).click()
    await expect.poll(brightness).toBeGreaterThan(230)
    await page.reload()
    await page.waitForSelector('.status.live')
    expect(await brightness()).toBeGreaterThan(230)
    expect(await page.getByRole('button', { name: 'Light' }).getAttribute('aria-pressed')).toBe('true')
    await page.getByRole('button', { name: 'Auto' }).click()
    await expect.poll(brightness).toBeLessThan(40)
  })

  test.each([320, 375])('fits a screen of %i points without scrolling sideways', async (width) => {
    await page.setViewportSize({ width, height: 700 })
    banSome([WIDE, IMAGE])
    s.limiters.api.check(WIDE)
    for (let i = 0; i < 2; i++) s.limiters.trial.check(WIDE)
    await fetch(`${s.origin}/orders/1`)
    await s.time.advance(1500)
    await open()
    await page.locator('#offenders .disclose').first().click()
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width)
    expect(await page.locator('.chart canvas').evaluate((canvas) => canvas.clientWidth)).toBeLessThanOrEqual(width)
    // The button that matters can be reached.
    const lift = await page.locator('.lift').first().boundingBox()
    expect((lift?.x ?? width) + (lift?.width ?? 0)).toBeLessThanOrEqual(width)
  })

  test('keeps still for those who asked for that, and pauses for everybody', async () => {
    const animated = (): Promise<string> => page.locator('.status .dot').evaluate((dot) => getComputedStyle(dot).animationName)
    await open()
    expect(await animated()).toBe('beat')
    await page.emulateMedia({ reducedMotion: 'reduce' })
    expect(await animated()).toBe('none')
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.waitForSelector('.status.paused')
    const before = await text('main')
    s.limiters.api.check('user:1')
    await s.time.advance(5000)
    expect(await text('main')).toBe(before)
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.waitForSelector('.status.live')
    await expect.poll(() => text('#policies')).toContain('api')
  })

  test('shows a store that goes down, who decides instead, and how it was', async () => {
    const { time } = s
    const server = new SimulatedServer(time, 1_700_000_000_000)
    const store = multiStore(
      [
        { name: 'cache', store: server.client('cache') },
        { name: 'standby', store: new SimulatedServer(time, 1_700_000_000_000).client('standby') },
      ],
      { scheduler: time },
    )
    const limiter = createLimiter({ name: 'orders', rate: '1000/m', store, observers: [s.view] })
    const ask = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) await time.until(limiter.check('user:1'))
    }
    const told = addObserver({ onStoreEvent: (event) => s.view.onStoreEvent(event) })
    await ask(3)
    await open()
    await pass(1)
    expect(await text('.stores')).toMatch(/cache\s*in use[\s\S]*standby\s*in use/)
    server.condition = 'refuses'
    await ask(30)
    await pass(1)
    expect(await text('.stores')).toMatch(/cache\s*not asked[\s\S]*connection refused/)
    expect(await text('.events')).toMatch(/cache no longer asked: .*connection refused/)
    expect(await text('#stores .breakdown')).toMatch(/standby, standing in/)
    expect(await text('.summary')).toMatch(/1 down\s*cache/)
    expect(await page.locator('.stores li', { hasText: 'cache' }).locator('.strip').getAttribute('aria-label')).toMatch(
      /it went down once$/,
    )
    server.condition = 'well'
    await pass(60)
    await ask(30)
    await pass(60)
    expect(await text('.stores')).toMatch(/cache\s*(in use|coming back)/)
    told()
    await store.close()
  })

  test('says what each table and control is', async () => {
    banSome(['user:1'])
    s.limiters.trial.check('user:1')
    await fetch(`${s.origin}/orders/1`)
    await s.time.advance(1500)
    await open()
    const captions = await page.locator('table > caption').allInnerTexts()
    expect(captions.length).toBeGreaterThanOrEqual(4)
    expect(captions.length).toBe(await page.locator('table').count())
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, a, select, [role=img]')]
        .filter(
          (one) =>
            (one.textContent ?? '').trim() === '' && one.getAttribute('aria-label') === null && one.closest('label') === null,
        )
        .map((one) => one.outerHTML),
    )
    expect(nameless).toEqual([])
    expect(await page.locator('h1').count()).toBe(1)
    const sort = page.locator('#policies').getByRole('button', { name: 'Decisions' })
    await sort.press('Enter')
    expect(await page.locator('#policies th[aria-sort=descending]').innerText()).toContain('Decisions')
  })

  describe('when the line is lost', () => {
    test('says so, and comes back by itself', async () => {
      await open()
      s.server.closeAllConnections()
      await page.waitForSelector('.status.lost')
      await page.waitForSelector('.status.live', { timeout: 15_000 })
      s.limiters.api.check('user:1')
      await pass(2)
      expect(await text('#policies')).toContain('api')
    })

    test('and too many look already, asks every few seconds', async () => {
      await s.end()
      s = await stage({ maxListeners: 1 })
      await open()
      s.limiters.api.check('user:1')
      const second = await browser().newPage()
      await second.goto(`${s.origin}/dashboard`)
      await second.waitForSelector('.status.polling')
      expect(await second.locator('#policies').innerText()).toContain('api')
      await page.close()
      await second.waitForSelector('.status.live', { timeout: 15_000 })
      await second.close()
    })

    test('and the reader may not look any more, says that', async () => {
      await open()
      s.close(true)
      s.server.closeAllConnections()
      await page.waitForSelector('.status.refused', { timeout: 15_000 })
      expect(await text('.status')).toContain('Not signed in any more')
    })
  })
})
