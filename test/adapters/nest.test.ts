// What the decorators of NestJS say, over real HTTP on both platforms. Next: nest-module.test.ts, nest-calls.test.ts.

import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  HttpCode,
  UseFilters,
} from '@nestjs/common'
import { APP_GUARD } from '@nestjs/core'
import { describe, expect, test } from 'vitest'
import { RateLimit, RateLimitException, SkipRateLimit } from '../../src/adapters/nest/index.ts'
import { Decision } from '../../src/core/decision.ts'
import type { SyncStore, Taken } from '../../src/stores/store.ts'
import { later, setUp } from './contract.ts'
import { type NestServer, PLATFORMS, at, controller, decorateClass, decorateMethod, guardedModule, serveApp } from './nest-app.ts'

/** What each request finds left of the tightest limit; the status where it is refused. */
async function left(server: NestServer, ...paths: string[]): Promise<(string | number | undefined)[]> {
  const found = []
  for (const path of paths) {
    const { status, headers } = await server.get(path)
    found.push(status === 200 ? headers['x-ratelimit-remaining'] : status)
  }
  return found as (string | number | undefined)[]
}

const windows = { algorithm: 'fixed_window' } as const

describe.each(PLATFORMS)('in Nest on %s', (platform) => {
  test("a method's limit takes the place of its class's, that of the app's; each method counts by itself", async () => {
    const { store } = setUp()
    const cats = controller('CatsController', { one: at('one'), two: at('two'), own: at('own', RateLimit('2/m')) }, [
      RateLimit('5/m'),
    ])
    const dogs = controller('DogsController', { plain: at('plain'), other: at('other') })
    await using server = await serveApp(platform, guardedModule({ defaultRate: '9/m', store }, [cats, dogs]))
    expect(await left(server, '/one', '/one', '/two', '/own', '/own', '/own')).toEqual(['4', '3', '4', '1', '0', 429])
    // The app's own limit counts all that it is for together, and nothing else.
    expect(await left(server, '/plain', '/other', '/one')).toEqual(['8', '7', '2'])
  })

  test('a decorator inherits what the module says, but not its counter; group shares one', async () => {
    const { store } = setUp()
    const common = {
      algorithm: 'token_bucket',
      algorithmConfig: { bucketSize: 20 },
      key: 'header:x-team',
      onMissingKey: 'skip',
    } as const
    const routes = controller('RoutesController', {
      bucket: at('bucket', RateLimit({ rate: '5/m', algorithmConfig: { bucketSize: 7 } })),
      costly: at('costly', RateLimit({ cost: 4 })),
      windowed: at('windowed', RateLimit({ rate: '5/m', algorithm: 'sliding_window', key: 'ip' })),
      first: at('first', RateLimit({ rate: '5/m', group: 'both', algorithm: 'fixed_window', key: 'ip' })),
      second: at('second', RateLimit({ rate: '5/m', group: 'both', algorithm: 'fixed_window', key: 'ip' })),
    })
    await using server = await serveApp(platform, guardedModule({ defaultRate: '9/m', ...common, store }, [routes]))
    const team = { 'x-team': 'a' }
    expect((await server.get('/bucket', team)).headers).toMatchObject({
      'x-ratelimit-bucket-size': '7',
      'x-ratelimit-remaining': '6',
    })
    expect((await server.get('/costly', team)).headers).toMatchObject({
      'x-ratelimit-bucket-size': '20',
      'x-ratelimit-remaining': '16',
    })
    expect(await left(server, '/bucket', '/windowed', '/first', '/second')).toEqual([undefined, '4', '4', '3'])
  })

  test('limits by name stand beside the default one; a route may replace or skip them', async () => {
    const { store } = setUp()
    const routes = controller('RoutesController', {
      plain: at('plain'),
      other: at('other'),
      own: at('own', RateLimit({ name: 'burst', rate: '2/s' })),
      costly: at('costly', RateLimit({ name: 'burst', cost: 3 })),
      slow: at('slow', SkipRateLimit('burst')),
      further: at('further', RateLimit({ name: 'exports', rate: '1/h' }, '8/m')),
      free: at('free', SkipRateLimit()),
    })
    const limits = { burst: { rate: '3/s', ...windows }, hourly: '50/h' }
    await using server = await serveApp(platform, guardedModule({ limits, store, headers: 'ietf' }, [routes]))
    const standing = async (path: string) =>
      String((await server.get(path)).headers['ratelimit'] ?? 'none').replaceAll(/;t=\d+/g, '')
    // With limits, there is no default one.
    expect(await standing('/plain')).toBe('"3-per-s";r=2')
    expect(await standing('/other')).toBe('"3-per-s";r=1')
    expect(await standing('/own')).toBe('"2-per-s";r=1')
    expect(await standing('/costly')).toBe('"3-per-s";r=0')
    // What burst refuses, the hourly limit does not keep: 3 so far, and this one.
    expect((await server.get('/costly')).status).toBe(429)
    expect(await standing('/slow')).toBe('"50-per-h";r=45')
    expect(await standing('/further')).toBe('"1-per-h";r=0')
    expect((await server.get('/further')).status).toBe(429)
    expect(await standing('/free')).toBe('none')
    expect(await standing('/slow')).toBe('"50-per-h";r=43')
  })

  test('what is nearer counts: a method over its class, over its base class, over the module', async () => {
    const { store } = setUp()
    class Base {
      skipped() {
        return 'skipped'
      }
      limited() {
        return 'limited'
      }
    }
    decorateMethod(Base, 'skipped', Get('skipped'))
    decorateMethod(Base, 'limited', Get('limited'), RateLimit('3/m'))
    decorateClass(Base, RateLimit('7/m', { name: 'burst', rate: '6/m' }))
    class Inheriting extends Base {}
    decorateClass(Inheriting, Controller('inheriting'))
    class Free extends Base {}
    decorateClass(Free, Controller('free'), SkipRateLimit())
    class Half extends Base {}
    decorateClass(Half, Controller('half'), SkipRateLimit('burst'))
    await using server = await serveApp(platform, guardedModule({ limits: { burst: '5/m' }, store }, [Inheriting, Free, Half]))
    expect(await left(server, '/inheriting/skipped', '/inheriting/skipped', '/inheriting/limited')).toEqual(['5', '4', '2'])
    expect(await left(server, '/free/skipped', '/free/limited', '/free/limited')).toEqual([undefined, '2', '1'])
    expect(await left(server, '/half/skipped', '/half/limited')).toEqual(['6', '2'])
  })

  test('a scope is one counter wherever it applies, and scopes have different ones', async () => {
    const { store } = setUp()
    const scopes = { uploads: { rate: '5/d', ...windows }, reports: { rate: '5/d', ...windows } }
    const upload = RateLimit({ scope: 'uploads' })
    const first = controller('FirstController', {
      image: at('image', upload),
      report: at('report', RateLimit({ scope: 'reports' })),
    })
    const second = controller('SecondController', {
      video: at('video', RateLimit({ scope: 'uploads', cost: 2 })),
      none: at('none'),
    })
    await using server = await serveApp(platform, guardedModule({ defaultRate: null, scopes, store }, [first, second]))
    expect(await left(server, '/image', '/video', '/image', '/report', '/none')).toEqual(['4', '2', '1', '4', undefined])
    expect(await left(server, '/video', '/image', '/image')).toEqual([429, '0', 429])
  })

  test('a token bucket is one, with costs: three left do not pay for five', async () => {
    const { store } = setUp()
    const bucket = { rate: '6/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 8 } } as const
    const cost = ({ headers }: { headers: Record<string, unknown> }) => Number(headers['x-cost'])
    const routes = controller('RoutesController', { spend: at('', RateLimit({ ...bucket, cost })) })
    await using server = await serveApp(platform, guardedModule({ store }, [routes]))
    const spend = async (amount: number) => {
      const { status, headers } = await server.get('/', { 'x-cost': String(amount) })
      return [status, headers['x-ratelimit-bucket-remaining'], headers['retry-after']]
    }
    expect(await spend(5)).toEqual([200, '3', undefined])
    expect(await spend(5)).toEqual([429, '3', '20'])
    expect(await spend(3)).toEqual([200, '0', undefined])
  })

  test('a limit for strangers passes users by, and one for users passes strangers by', async () => {
    const { store } = setUp()
    const limits = {
      anonymous: { rate: '1/m', skipIf: ({ user }: { user?: unknown }) => user !== undefined },
      user: { rate: '2/m', key: 'user', skipIf: ({ user }: { user?: unknown }) => user === undefined },
    } as const
    const routes = controller('RoutesController', { show: at('') })
    class SignInGuard {
      canActivate(context: ExecutionContext): boolean {
        const request = context.switchToHttp().getRequest<{ headers: Record<string, unknown>; user?: unknown }>()
        if (request.headers['x-user'] !== undefined) request.user = { id: request.headers['x-user'] }
        return true
      }
    }
    const first = { provide: APP_GUARD, useClass: SignInGuard }
    await using server = await serveApp(platform, guardedModule({ limits, store }, [routes], [first]))
    const statuses = async (...users: (string | undefined)[]) => {
      const found = []
      for (const user of users) found.push((await server.get('/', user === undefined ? {} : { 'x-user': user })).status)
      return found
    }
    expect(await statuses(undefined, undefined, 'a', 'a', 'a', 'b')).toEqual([200, 429, 200, 200, 429, 200])
  })

  test.each([true, false])('limits are all charged or none, and the longest wait is told (store at once: %s)', async (sync) => {
    const { store, clock } = setUp()
    const routes = controller('RoutesController', { show: at('') })
    const seen: number[] = []
    const limits = {
      short: { rate: '2/10s', ...windows },
      long: { rate: '3/m', ...windows },
      other: { rate: '9/m', observers: [{ onDecision: ({ remaining }: Decision) => void seen.push(remaining) }], ...windows },
    }
    await using server = await serveApp(
      platform,
      guardedModule({ limits, store: sync ? store : later(store), headers: 'ietf' }, [routes]),
    )
    const get = async () => {
      const { status, headers } = await server.get('/')
      return [status, headers['retry-after']]
    }
    expect([await get(), await get(), await get()]).toEqual([
      [200, undefined],
      [200, undefined],
      [429, '10'],
    ])
    clock.advance(10_000)
    expect(await get()).toEqual([200, undefined])
    // Of what refuses, the longest wait is told.
    expect(await get()).toEqual([429, String(60 - (clock.now() % 60_000) / 1000)])
    clock.advance(60_000 - (clock.now() % 60_000))
    expect(await get()).toEqual([200, undefined])
    // What the two refusals had charged for a moment came back.
    expect(seen).toEqual([8, 7, 6, 6, 5, 8])
  })

  test('two classes of one name, and handlers that other decorators have wrapped, count by themselves', async () => {
    const { store } = setUp()
    const wrap = (_target: object, _key: string, property: PropertyDescriptor): void => {
      const method = property.value as () => unknown
      property.value = function wrapped(this: unknown) {
        return method.call(this)
      }
    }
    const limited = RateLimit('5/m')
    const first = controller('SameController', { one: [[Get('one'), limited, wrap]], two: [[Get('two'), limited, wrap]] })
    const second = controller('SameController', { one: [[Get('three'), limited]] })
    await using server = await serveApp(platform, guardedModule({ store }, [first, second]))
    expect(await left(server, '/one', '/one', '/two', '/three')).toEqual(['4', '3', '4', '4'])
  })

  test("the exception has what the app's filters need, whether bound to a route or to the app", async () => {
    const { store } = setUp()
    class OwnFilter implements ExceptionFilter {
      catch(exception: RateLimitException, host: ArgumentsHost): void {
        const reply = host.switchToHttp().getResponse<{ status(code: number): { send(body: string): void } }>()
        const { code, retryAfterMs, decision, message } = exception
        const own = { code, retryAfterMs, decision: decision instanceof Decision, message, response: exception.getResponse() }
        reply.status(exception.getStatus()).send(JSON.stringify(own))
      }
    }
    Catch(RateLimitException)(OwnFilter)
    const routes = controller('RoutesController', {
      own: at('own', RateLimit({ rate: '1/m', ...windows }), UseFilters(OwnFilter)),
      usual: at('usual', RateLimit({ rate: '0/m', message: 'Slow down.' })),
    })
    await using server = await serveApp(platform, guardedModule({ store }, [routes]))
    await server.get('/own')
    const own = await server.get('/own')
    expect(own).toMatchObject({
      status: 429,
      headers: { 'retry-after': '60', 'cache-control': 'no-store', 'x-ratelimit-limit': '1' },
    })
    const problem = { status: 429, title: 'Quota Exceeded', 'violated-policies': ['1-per-m'] }
    expect(JSON.parse(own.body)).toMatchObject({
      code: 'ERR_RATELIMIT_LIMITED',
      retryAfterMs: 60_000,
      decision: true,
      message: 'Rate limit exceeded. Try again in 60 seconds.',
      response: problem,
    })
    // Where no filter takes it, the answer is that of all frameworks.
    expect(await server.get('/usual')).toMatchObject({ status: 429, body: 'Slow down.' })
    await using other = await serveApp(platform, guardedModule({ store }, [routes]), (app) =>
      app.useGlobalFilters(new OwnFilter()),
    )
    expect(JSON.parse((await other.get('/usual')).body)).toMatchObject({
      message: 'Slow down.',
      response: { detail: 'Slow down.' },
    })
  })

  test('requests that are denied because no store answers are 503', async () => {
    const { store } = setUp()
    const take = (...args: Parameters<SyncStore['take']>): Taken => ({ ...store.take(...args), granted: false, source: 'closed' })
    const closed = Object.assign(Object.create(store) as SyncStore, { take })
    const routes = controller('RoutesController', { show: at('') })
    await using server = await serveApp(platform, guardedModule({ store: closed }, [routes]))
    const reply = await server.get('/', { accept: 'application/json' })
    expect(reply.status).toBe(503)
    expect(JSON.parse(reply.body)).toMatchObject({ title: 'Temporary Reduced Capacity', status: 503 })
  })

  test('onLimited makes the error that is thrown; countWhen sees the response when it has been sent', async () => {
    const { store } = setUp()
    const seen: unknown[] = []
    const onLimited = async (context: ExecutionContext, decision: Decision) => {
      seen.push(context.getHandler().name, decision.kind)
      return Object.assign(new Error('short and stout'), { status: 418, statusCode: 418, expose: true })
    }
    const countWhen = (response: unknown) => (response as { statusCode: number }).statusCode !== 202
    const routes = controller('RoutesController', {
      tea: at('tea', RateLimit({ rate: '0/m', onLimited })),
      usual: at('usual', RateLimit({ rate: '0/m', onLimited: () => undefined })),
      accepted: at('accepted', HttpCode(202), RateLimit({ rate: '1/m', countWhen })),
    })
    await using server = await serveApp(platform, guardedModule({ store }, [routes]))
    expect(await server.get('/tea')).toMatchObject({ status: 418, headers: { 'x-ratelimit-limit': '0' } })
    expect(seen).toEqual(['tea', 'refused'])
    expect((await server.get('/usual')).status).toBe(429)
    for (let i = 0; i < 3; i++) expect((await server.get('/accepted')).status).toBe(202)
  })

  test('rules by path are for handlers that no decorator limits, and skipped paths have none of the module', async () => {
    const { store } = setUp()
    const routes = controller('RoutesController', {
      user: at('api/user'),
      login: at('api/login', RateLimit('2/m')),
      health: at('health'),
      limited: at('health/limited', RateLimit('3/m')),
    })
    const options = {
      defaultRate: '9/m',
      rateLimits: { '/api': '5/m' },
      skipPaths: ['/health'],
      limits: { all: '30/m' },
      store,
    } as const
    await using server = await serveApp(platform, guardedModule(options, [routes]))
    expect(await left(server, '/api/user', '/api/login', '/health', '/health/limited')).toEqual(['4', '1', undefined, '2'])
    const posts = await serveApp(platform, guardedModule({ ...options, methods: ['POST'] }, [routes]))
    await using closing = posts
    expect(await left(closing, '/api/user', '/api/login')).toEqual([undefined, '1'])
  })
})
