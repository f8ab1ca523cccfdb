import { afterEach, describe, expect, it } from 'vitest'
import { type ManualClock, manualClock } from '../core/clock.ts'
import { ConfigError, StoreError } from '../core/errors.ts'
import type { Scheduler } from '../core/scheduler.ts'
import { storeChanged, warningFound } from '../core/watching.ts'
import { createLimiter } from '../limiter/create-limiter.ts'
import { multiStore } from '../stores/failover/multi-store.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import type { LiveViewOptions } from './live-options.ts'
import { TABLES } from './live-tables.ts'
import { type LiveView, liveView } from './live-view.ts'

const START = 1_700_000_000_000
const open: LiveView[] = []
afterEach(() => {
  for (const view of open.splice(0)) view.close()
})

/** Timers in the time of a clock. */
function timers(clock: ManualClock): Scheduler & { advance(ms: number): void; waiting(): number } {
  let due: { at: number; call: () => void }[] = []
  return {
    now: () => clock.now(),
    after(ms, call) {
      const one = { at: clock.now() + ms, call }
      due.push(one)
      return () => {
        due = due.filter((other) => other !== one)
      }
    },
    advance(ms) {
      const until = clock.now() + ms
      for (;;) {
        const next = due.toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > until) break
        due = due.filter((other) => other !== next)
        clock.set(next.at)
        next.call()
      }
      clock.set(until)
    },
    waiting: () => due.length,
  }
}

function setUp(options: LiveViewOptions = {}) {
  const clock = manualClock(START)
  const scheduler = timers(clock)
  const view = liveView({ clock, scheduler, ...options })
  open.push(view)
  return { clock, scheduler, view, store: memoryStore({ clock, sweepIntervalMs: false, memoryMaxKeys: 2_000_000 }) }
}

describe('the charts of the live view', () => {
  it('have each decision in its second and its minute', () => {
    const { scheduler, view, store } = setUp()
    const limiter = createLimiter({ rate: '3/m', name: 'api', store, algorithm: 'fixed_window' })
    limiter.check('k')
    limiter.check('k')
    scheduler.advance(1500)
    limiter.check('k')
    scheduler.advance(58_500)
    limiter.check('k')
    limiter.check('k')
    const seconds = view.timeline('second')
    expect(seconds).toHaveLength(300)
    expect(seconds.filter(({ granted }) => granted > 0).map(({ at, granted }) => [at - START, granted])).toEqual([
      [0, 2],
      [1000, 1],
      [60_000, 2],
    ])
    expect(seconds.at(-1)?.at).toBe(START + 60_000)
    const minutes = view.timeline('minute', { policy: 'api' }, 3)
    expect(minutes.map(({ granted, refused }) => [granted, refused])).toEqual([
      [0, 0],
      [3, 0],
      [2, 0],
    ])
    expect(view.timeline('minute', { source: 'primary' }, 1)[0]?.granted).toBe(2)
    expect(view.timeline('minute', { policy: 'nobody' }, 1)[0]?.granted).toBe(0)
  })

  it('run no timer while nothing is decided, nor after they are closed', () => {
    const { scheduler, view, store } = setUp()
    const limiter = createLimiter({ rate: '9/m', store })
    expect(scheduler.waiting()).toBe(0)
    limiter.check('k')
    expect(scheduler.waiting()).toBe(1)
    scheduler.advance(5000)
    expect(scheduler.waiting()).toBe(0)
    limiter.check('k')
    view.close()
    limiter.check('k')
    expect(scheduler.waiting()).toBe(0)
    expect(view.snapshot().totals.granted).toBe(2)
  })

  it('begin with the view, whatever others have counted before', () => {
    const first = setUp()
    const limiter = createLimiter({ rate: '9/m', name: 'api', store: first.store })
    limiter.check('k')
    const second = setUp()
    expect(second.view.snapshot().totals.granted).toBe(0)
    limiter.check('k')
    expect(second.view.snapshot().policies.map(({ name, totals }) => [name, totals.granted])).toEqual([['api', 1]])
    expect(first.view.snapshot().totals.granted).toBe(2)
  })

  it('forget what is older than they remember', () => {
    const { clock, scheduler, view, store } = setUp({ seconds: 10, minutes: 10 })
    createLimiter({ rate: '9/m', store }).check('k')
    scheduler.advance(9000)
    expect(view.timeline('second')[0]).toMatchObject({ at: clock.now() - 9000, granted: 1 })
    scheduler.advance(1000)
    expect(view.timeline('second').every(({ granted }) => granted === 0)).toBe(true)
  })
})

describe('the live view', () => {
  it('tells policies with their exact bounds, and what a shadow would have refused', () => {
    const { view, store } = setUp()
    const enforced = createLimiter({ rate: '100/m', name: 'api', store })
    const proposed = createLimiter({ rate: '2/m', name: 'api, proposed', store, shadow: true })
    const bucket = createLimiter({
      rate: '60/m',
      name: 'burst',
      algorithm: 'token_bucket',
      algorithmConfig: { bucketSize: 90 },
      store,
    })
    for (let i = 0; i < 5; i++) for (const limiter of [enforced, proposed, bucket]) limiter.check('ip:203.0.113.9')
    const { policies, shadow, totals } = view.snapshot()
    expect(policies.map(({ name, shadow: tried, limits: [limit] }) => [name, tried, limit?.rate, limit?.bound])).toEqual([
      ['api', false, '100/m', 'at most 100 in any 1 min'],
      ['api, proposed', true, '2/m', 'at most 2 in any 1 min'],
      ['burst', false, '60/m', 'at most 90 at once, and 90 + 1 a second over any time'],
    ])
    expect(shadow.map(({ policy, admitted, wouldRefuse }) => [policy, admitted, wouldRefuse])).toEqual([['api, proposed', 2, 3]])
    expect(totals).toMatchObject({ granted: 12, refused: 0, would_refuse: 3 })
    expect(view.offenders()).toEqual([])
    expect(view.wouldBeOffenders()).toMatchObject([{ key: 'ip:203.0.113.9', count: 3, error: 0 }])
  })

  it('names who is refused most, for one to two windows', () => {
    const { scheduler, view, store } = setUp({ offendersWindowMs: 60_000 })
    const limiter = createLimiter({ rate: '1/h', name: 'login', store })
    for (let i = 0; i < 4; i++) limiter.check('a')
    for (let i = 0; i < 3; i++) limiter.check('b')
    expect(view.offenders().map(({ key, count }) => [key, count])).toEqual([
      ['a', 3],
      ['b', 2],
    ])
    scheduler.advance(70_000)
    for (let i = 0; i < 5; i++) limiter.check('b')
    expect(view.offenders(1)).toMatchObject([
      { key: 'b', count: 7, firstAt: START, policies: { login: 7 }, reasons: { limit: 7 } },
    ])
    scheduler.advance(60_000)
    expect(view.offenders().map(({ key, count }) => [key, count])).toEqual([['b', 5]])
    expect(view.offender('a')).toBeUndefined()
    scheduler.advance(1_000_000)
    expect(view.offenders()).toEqual([])
  })

  it('knows the bans that run, whoever made them, and lifts them', async () => {
    const { scheduler, view, store } = setUp()
    const limiter = createLimiter({ rate: '1/h', name: 'login', penalty: { durationMs: 60_000 }, store })
    limiter.check('a')
    limiter.check('a')
    limiter.ban('b', 5000)
    expect(view.snapshot().bans).toEqual([
      { policy: 'login', key: 'b', since: START, until: START + 5000, cause: 'call' },
      { policy: 'login', key: 'a', since: START, until: START + 60_000, cause: 'penalty' },
    ])
    scheduler.advance(5000)
    expect(view.snapshot().bans.map(({ key }) => key)).toEqual(['a'])
    expect(await view.lift('login', 'nobody')).toBe(false)
    expect(await view.lift('login', 'a')).toBe(true)
    expect(view.snapshot().bans).toEqual([])
    expect(limiter.peek('a').reason).not.toBe('ban')
    // One that was made before the view began.
    view.close()
    limiter.ban('c', 60_000)
    const late = setUp()
    late.clock.set(scheduler.now())
    limiter.check('c')
    expect(late.view.snapshot().bans).toMatchObject([{ key: 'c', cause: 'seen' }])
    expect(await late.view.lift('login', 'c')).toBe(true)
    expect(limiter.check('c').allowed).toBe(true)
  })

  it('keeps the history of the stores and how they are, without a secret', async () => {
    const { view } = setUp({ storeEvents: 2 })
    const down = {
      ...memoryStore(),
      name: 'far',
      sync: false as const,
      take: async () => Promise.reject(new StoreError('far', 'refused')),
    }
    const store = multiStore(
      [
        { name: 'far', store: down as never },
        { name: 'near', store: memoryStore() },
      ],
      { circuitBreaker: { failureThreshold: 1 } },
    )
    const limiter = createLimiter({ rate: '9/m', store })
    expect((await limiter.check('k')).source).toBe('fallback:near')
    const { stores, storeHistory, sources } = view.snapshot()
    expect(stores).toMatchObject([
      { name: 'far', state: 'open', healthy: false, lastError: 'store far: refused' },
      { name: 'near', state: 'closed', healthy: true },
    ])
    expect(storeHistory).toMatchObject([{ store: 'far', kind: 'down', error: 'store far: refused' }])
    expect(sources.map(({ source }) => source)).toEqual(['fallback:near'])
    for (let i = 0; i < 3; i++) storeChanged({ kind: 'up', store: `s${i}` })
    expect(view.snapshot().storeHistory.map(({ store: name }) => name)).toEqual(['s1', 's2'])
    await store.close()
  })

  it('has warnings and failures', () => {
    warningFound('a warning for the live view')
    const { view } = setUp()
    createLimiter({
      rate: '1/m',
      cost: () => {
        throw new Error('app')
      },
    }).check('k')
    expect(view.snapshot().warnings).toContain('a warning for the live view')
    expect(view.snapshot().errors).toEqual({ cost: 1 })
  })

  it('with everywhere: false watches those limiters that have it among their observers', () => {
    const { view, store } = setUp({ everywhere: false })
    createLimiter({ rate: '9/m', name: 'other', store }).check('k')
    createLimiter({ rate: '9/m', name: 'own', store, observers: [view] }).check('k')
    expect(view.snapshot().policies.map(({ name }) => name)).toEqual(['own'])
  })

  it('gives every table as CSV, and no formula', () => {
    const { view, store } = setUp()
    const limiter = createLimiter({ rate: '1/h', name: '=api', store })
    limiter.check('=1+1')
    limiter.check('=1+1')
    limiter.ban('@x', 1000)
    for (const table of TABLES) expect(view.csv(table).split('\r\n')[0]).toMatch(/^[a-z_]+(,[a-z_]+)+$/)
    expect(view.csv('offenders')).toMatch(/\r\n"'=1\+1",1,0,2023-11-14T22:13:20.000Z,2023-11-14T22:13:20.000Z,,"'=api: 1"/)
    expect(view.csv('policies')).toMatch(/\r\n"'=api",false,/)
    expect(view.csv('bans')).toMatch(/\r\n"'=api","'@x",/)
    expect(() => view.csv('keys' as never)).toThrow(ConfigError)
  })

  it.each([
    [{ second: 10 }, 'liveView.second: expected one of'],
    [{ seconds: 1.5 }, 'liveView.seconds: expected a whole number from 10 to 3600, received 1.5'],
    [{ everywhere: 'yes' }, 'liveView.everywhere'],
    [{ stores: ['redis://:s3cr3t@:/?#@host'] }, 'liveView.stores: expected a list of stores'],
    [{ clock: {} }, 'liveView.clock'],
    [{ scheduler: {} }, 'liveView.scheduler'],
  ])('refuses %j', (options, message) => {
    expect(() => liveView(options as never)).toThrow(message)
    expect(() => liveView(options as never)).not.toThrow('s3cr3t')
  })
})

describe('a million keys', () => {
  it('do not grow the view past its bound', () => {
    const { scheduler, view, store } = setUp({ offenders: 500 })
    const limiter = createLimiter({ rate: '0/m', name: 'login', store })
    const flood = (from: number, count: number): void => {
      for (let i = 0; i < count; i++) {
        limiter.check(`ip:2001:db8:${(from + i).toString(16)}::/56 and a long tail to weigh something`)
        // Within what is looked at one by one, so that every key gets to the offenders.
        if (i % 5000 === 0) scheduler.advance(1000)
      }
    }
    flood(0, 20_000)
    const before = heapUsed()
    flood(20_000, 1_000_000)
    const grown = heapUsed() - before
    expect(view.offenders(10_000).length).toBeLessThanOrEqual(1000)
    expect(view.snapshot().totals.refused).toBe(1_020_000)
    // The keys alone, were they kept, would be over 100 MB.
    expect(grown).toBeLessThan(4 * 1024 * 1024)
  })

  it('or an attack by one: past 10 000 refusals a second some stand for all, and the sum is about right', () => {
    const { scheduler, view, store } = setUp()
    const limiter = createLimiter({ rate: '0/m', store })
    for (let i = 0; i < 200_000; i++) limiter.check('attacker')
    expect(view.offender('attacker')?.count).toBeGreaterThan(150_000)
    expect(view.offender('attacker')?.count).toBeLessThan(250_000)
    expect(view.snapshot().totals.refused).toBe(200_000)
    scheduler.advance(1000)
    for (let i = 0; i < 200; i++) limiter.check('quiet')
    expect(view.offender('quiet')?.count).toBe(200)
  })

  it('of policies, paths and reasons neither: what is not told apart is "other"', () => {
    const { view, store } = setUp({ maxPolicies: 5 })
    for (let i = 0; i < 50; i++) createLimiter({ rate: '9/m', name: `p${i}`, store }).check('k')
    const { policies } = view.snapshot()
    expect(policies.map(({ name }) => name)).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'other'])
    expect(policies.at(-1)?.totals.granted).toBe(45)
  })
})

function heapUsed(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
