// The module and the guard of NestJS: how they are set up, closed, and set up wrongly. Next: nest.test.ts.

import { readFileSync } from 'node:fs'
import { type ExecutionContext, Injectable, Module, SetMetadata, UseGuards } from '@nestjs/common'
import { APP_GUARD } from '@nestjs/core'
import { describe, expect, test } from 'vitest'
import { ERROR_CLASSES } from '../../src/adapters/nest/exceptions.ts'
import {
  RateLimit,
  RateLimitGuard,
  RateLimitModule,
  type RateLimitModuleOptions,
  SkipRateLimit,
} from '../../src/adapters/nest/index.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { type MemoryStore, memoryStore } from '../../src/stores/memory/memory-store.ts'
import { setUp } from './contract.ts'
import {
  PLATFORMS,
  at,
  controller,
  decorateClass,
  decorateMethod,
  guardedModule,
  makeApp,
  moduleWith,
  serveApp,
} from './nest-app.ts'
import { warningsDuring } from './warnings.ts'

const plain = () => controller('PlainController', { show: at('') })

describe.each(PLATFORMS)('the module of Nest on %s', (platform) => {
  test('takes its options from other providers: by a factory, a class, or a class that is there', async () => {
    const { store } = setUp()
    class Settings {
      readonly rate = '3/m'
    }
    class Factory {
      createRateLimitOptions(): RateLimitModuleOptions {
        return { defaultRate: '4/m', store }
      }
    }
    decorateClass(Settings, Injectable())
    decorateClass(Factory, Injectable())
    class SettingsModule {}
    Module({ providers: [Settings, Factory], exports: [Settings, Factory] })(SettingsModule)
    const ways = {
      factory: RateLimitModule.forRootAsync({
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: async ({ rate }: Settings) => ({ defaultRate: rate, store }),
      }),
      class: RateLimitModule.forRootAsync({ useClass: Factory }),
      existing: RateLimitModule.forRootAsync({ imports: [SettingsModule], useExisting: Factory }),
    }
    const limits = []
    for (const module of Object.values(ways)) {
      await using server = await serveApp(platform, guardedModule(module, [plain()]))
      limits.push((await server.get('/')).headers['x-ratelimit-limit'])
    }
    expect(limits).toEqual(['3', '4', '4'])
    expect(() => RateLimitModule.forRootAsync({})).toThrow(/one of useFactory, useClass and useExisting/)
  })

  test('closes the store it made with the app, and no other', async () => {
    const { store } = setUp()
    let made: MemoryStore | undefined
    const own = await serveApp(platform, guardedModule({ store: () => (made = memoryStore()) }, [plain()]))
    const other = await serveApp(platform, guardedModule({ store }, [plain()]))
    expect((await own.get('/')).headers['x-ratelimit-limit']).toBe('100')
    await own[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    expect(() => made?.ping()).toThrow(/closed/)
    expect(() => store.ping()).not.toThrow()
  })

  test('apps do not share counters, unless they share a group', async () => {
    const { store } = setUp()
    const remaining = async (options: RateLimitModuleOptions<never>) => {
      await using server = await serveApp(platform, guardedModule({ ...options, store }, [plain()]))
      return (await server.get('/')).headers['x-ratelimit-remaining']
    }
    expect([await remaining({}), await remaining({}), await remaining({ group: 'a' }), await remaining({ group: 'a' })]).toEqual([
      '99',
      '99',
      '99',
      '98',
    ])
  })

  test('the guard may be bound to a class, a method, by hand to the app, twice, or be a class of one’s own', async () => {
    const { store } = setUp()
    class OwnGuard extends RateLimitGuard {
      override canActivate(context: ExecutionContext): boolean | Promise<boolean> {
        return context.getHandler().name === 'free' || super.canActivate(context)
      }
    }
    const first = controller('FirstController', { one: at('one'), free: at('free', UseGuards(OwnGuard)) })
    const second = controller('SecondController', { two: at('two') }, [UseGuards(RateLimitGuard)])
    const third = controller('ThirdController', { three: at('three', UseGuards(RateLimitGuard, OwnGuard)) }, [
      UseGuards(RateLimitGuard),
    ])
    const limits = async (server: { get(path: string): Promise<{ headers: Record<string, unknown> }> }) => {
      const found = []
      for (const path of ['/one', '/free', '/two', '/three'])
        found.push((await server.get(path)).headers['x-ratelimit-remaining'])
      return found
    }
    const module = () => moduleWith([RateLimitModule.forRoot({ defaultRate: '9/m', store })], [first, second, third], [])
    await using server = await serveApp(platform, module())
    expect(await limits(server)).toEqual([undefined, undefined, '8', '7'])
    await using global = await serveApp(platform, module(), (app) => app.useGlobalGuards(app.get(RateLimitGuard)))
    expect(await limits(global)).toEqual(['8', '7', '6', '5'])
    const own = moduleWith(
      [RateLimitModule.forRoot({ defaultRate: '9/m', store })],
      [first],
      [{ provide: APP_GUARD, useClass: OwnGuard }],
    )
    await using subclass = await serveApp(platform, own)
    expect(await limits(subclass)).toEqual(['8', undefined, undefined, undefined])
  })

  test('mistakes are errors when the app starts', async () => {
    const { store } = setUp()
    const started = async (options: object, ...decorators: unknown[]) => {
      const module = guardedModule(options, [controller('WrongController', { show: at('', ...decorators) })])
      await using server = await serveApp(platform, module)
      return server
    }
    const wrong: [options: object, decorators: unknown[], message: RegExp][] = [
      [{ rate: '1/m' }, [], /RateLimitModule\.rate.*defaultRate/],
      [{ defaltRate: '1/m' }, [], /defaltRate/],
      [{ rateLimits: { '/x': '10' } }, [], /rateLimits\["\/x"\]/],
      [{ limits: { burst: '10' } }, [], /RateLimitModule\.limits\.burst/],
      [{ limits: { burst: { key: 'ip' } } }, [], /RateLimitModule\.limits\.burst\.rate/],
      [{ limits: { 'a.b': '10/m' } }, [], /RateLimitModule\.limits: .*letters/],
      [{ limits: { default: '10/m' } }, [], /RateLimitModule\.limits\.default.*no other/],
      [{ limits: ['10/m'] }, [], /RateLimitModule\.limits: .*object/],
      [{ limits: { burst: 7 } }, [], /RateLimitModule\.limits\.burst: .*rate/],
      [{ limits: { a: '10/m' }, scopes: { a: '10/m' } }, [], /RateLimitModule\.scopes\.a/],
      [{ store: 'redis' }, [], /store/],
      [{ key: 'ip', keyFunction: () => 'a' }, [], /keyFunction/],
      [{}, [RateLimit('10')], /@RateLimit of WrongController\.show\.rate/],
      [{}, [RateLimit({ rate: '10/m', ttl: 1 } as never)], /@RateLimit of WrongController\.show\.ttl/],
      [{}, [RateLimit({ name: 'burst', cost: 2 })], /@RateLimit of WrongController\.show\.rate: .*none/],
      [{ defaultRate: null }, [RateLimit({ cost: 2 })], /@RateLimit of WrongController\.show\.rate: .*none/],
      [{ scopes: { files: '1/m' } }, [RateLimit({ scope: 'flies' })], /show\.scope: .*files.*"flies"/],
      [{}, [RateLimit({ scope: 'files' })], /show\.scope: .*scopes/],
      [{ scopes: { files: '1/m' } }, [RateLimit({ name: 'files', rate: '1/m' })], /show\.name: .*scope: "files"/],
      [{}, [SkipRateLimit('brust')], /@SkipRateLimit of WrongController\.show.*"brust"/],
    ]
    for (const [options, decorators, message] of wrong) {
      const starting = started({ store, ...options }, ...decorators)
      await expect(starting, String(message)).rejects.toThrow(message)
      await expect(starting).rejects.toBeInstanceOf(ConfigError)
    }
    await expect(
      serveApp(platform, moduleWith([], [plain()], [{ provide: APP_GUARD, useClass: RateLimitGuard }])),
    ).rejects.toThrow(/RateLimitGuard: expected RateLimitModule\.forRoot\(\) among the imports/)
    const bound = controller('BoundController', { show: at('', UseGuards(RateLimitGuard)) })
    await expect(serveApp(platform, moduleWith([], [bound], []))).rejects.toThrow(/RateLimitModule\.forRoot\(\)/)
    const twice = [RateLimitModule.forRoot({ store }), RateLimitModule.forRoot({ store, defaultRate: '1/m' })]
    const app = await makeApp(platform, moduleWith(twice, [plain()], []))
    await expect(app.init()).rejects.toThrow(/one forRoot\(\)/)
    await app.close()
  })

  test('limits that no guard heeds are warned about, and guards that guard nothing', async () => {
    const { store } = setUp()
    const forRoot = () => RateLimitModule.forRoot({ store })
    const started = (module: Parameters<typeof serveApp>[1]) =>
      warningsDuring(async () => {
        await using server = await serveApp(platform, module)
        await server.get('/')
      })
    const name = `Unguarded${platform}`
    const limited = (suffix: string, ...decorators: unknown[]) =>
      controller(
        `${name}${suffix}Controller`,
        { show: at(suffix, RateLimit('1/m')), skip: at(`${suffix}/s`, SkipRateLimit()) },
        decorators,
      )
    const unguarded = Array.from({ length: 7 }, (_, i) => limited(String(i)))
    expect(await started(moduleWith([forRoot()], unguarded, []))).toEqual([
      expect.stringMatching(
        new RegExp(`no effect without a guard: ${name}0Controller\\.show, .*${name}4Controller\\.show and 2 more;.*APP_GUARD`),
      ),
    ])
    expect(await started(moduleWith([forRoot()], [limited('Bound', UseGuards(RateLimitGuard))], []))).toEqual([])
    expect(await started(guardedModule(forRoot(), [limited('Global')]))).toEqual([])
    if (platform === 'express')
      expect(await started(moduleWith([forRoot()], [plain()], []))).toEqual([
        expect.stringContaining('limits nothing without a guard'),
      ])

    // Guards of the app do not guard gateways; and nothing guards the methods of other providers.
    const gateway = controller(`${name}Gateway`, { message: [[SetMetadata('microservices:pattern', 'm'), RateLimit('1/m')]] })
    decorateClass(gateway, Injectable(), SetMetadata('websockets:is_gateway', true))
    class Service {
      work() {
        return 'done'
      }
    }
    Object.defineProperty(Service, 'name', { value: `${name}Service` })
    decorateMethod(Service, 'work', RateLimit('1/m'))
    const providers = [{ provide: 'value', useValue: new Service() }, gateway]
    expect(await started(guardedModule(forRoot(), [plain()], providers))).toEqual([
      expect.stringContaining(`calls no guard, and has no effect: ${name}Service.work`),
      expect.stringContaining(`${name}Gateway.message`),
    ])
  })
})

describe('the decorators of Nest', () => {
  test('are heeded on classes and methods alone', () => {
    class Things {
      field = 1
      get accessor() {
        return 1
      }
      method() {
        return this.field
      }
    }
    const prototype = Things.prototype
    for (const decorate of [RateLimit('1/m'), SkipRateLimit()] as unknown as ((...given: unknown[]) => void)[]) {
      expect(() => decorate(prototype, 'field', undefined)).toThrow(/class or a method to decorate, received "field"/)
      expect(() => decorate(prototype, 'accessor', Object.getOwnPropertyDescriptor(prototype, 'accessor'))).toThrow(ConfigError)
      expect(() => decorate(prototype, 'method', 0)).toThrow(/class or a method/)
      expect(() => decorate(() => 1, { kind: 'method', name: 'method' })).toThrow(/experimentalDecorators/)
    }
  })

  test('say one thing about each limit', () => {
    const decorated =
      (...decorators: unknown[]) =>
      () =>
        controller('C', { show: at('', ...decorators) })
    expect(decorated(RateLimit('1/m'), RateLimit('2/m'))).toThrow(/one word about each limit, received "default"/)
    expect(decorated(RateLimit('1/m', '2/m'))).toThrow(/one word/)
    expect(decorated(RateLimit({ name: 'a', rate: '1/m' }), SkipRateLimit('a'))).toThrow(/one word/)
    expect(decorated(RateLimit('1/m'), SkipRateLimit())).toThrow(/either limits or no limits/)
    expect(decorated(SkipRateLimit(), RateLimit('1/m'))).toThrow(/either limits or no limits/)
    expect(decorated(SkipRateLimit('a'), RateLimit('1/m'))).not.toThrow()
    expect(() => RateLimit()).toThrow(/@RateLimit: expected a rate or options/)
    expect(() => RateLimit(null as never)).toThrow(/@RateLimit/)
    expect(() => RateLimit({ name: 'a', scope: 'b' })).toThrow(/not both/)
    expect(() => RateLimit({ name: 'a:b', rate: '1/m' })).toThrow(/@RateLimit\.name/)
    expect(() => SkipRateLimit(7 as never)).toThrow(/@SkipRateLimit/)
  })

  test('errors never show the password of a store', async () => {
    const secret = 's3cr3t@:/?#'
    const module = RateLimitModule.forRoot({ store: `redis://u:${secret}@h` as never })
    const error: unknown = await serveApp('express', guardedModule(module, [plain()])).then(undefined, (found: unknown) => found)
    expect(error).toBeInstanceOf(ConfigError)
    expect(String((error as Error).stack)).not.toContain(secret)
  })
})

test('a guard made by hand says what is missing', () => {
  expect(() => new RateLimitGuard()).toThrow(/among the imports of the app, and Nest to make the guard/)
})

test('where the store answers at once, so does the guard', async () => {
  const { store } = setUp()
  await using server = await serveApp('express', guardedModule({ store }, [plain()]))
  const guard = server.app.get(RateLimitGuard)
  const show = { handler: () => 'x' }
  const request = { headers: {}, ip: '192.0.2.1' }
  const response = { headersSent: false, set: () => response }
  const context = {
    getType: () => 'http',
    getClass: () => plain(),
    getHandler: () => show.handler,
    switchToHttp: () => ({ getRequest: () => request, getResponse: () => response }),
  }
  expect(guard.canActivate(context as never)).toBe(true)
})

test('apps that trust every proxy are warned about, unless the module says whom to trust', async () => {
  const { FastifyAdapter } = await import('@nestjs/platform-fastify')
  const { NestFactory } = await import('@nestjs/core')
  const express = (options: RateLimitModuleOptions<never>) =>
    warningsDuring(async () => {
      await using server = await serveApp('express', guardedModule(options, [plain()]), (app) =>
        app.getHttpAdapter().getInstance().set('trust proxy', true),
      )
      await server.get('/')
    })
  const fastify = (options: RateLimitModuleOptions<never>) =>
    warningsDuring(async () => {
      const app = await NestFactory.create(guardedModule(options, [plain()]), new FastifyAdapter({ trustProxy: true }), {
        logger: false,
      })
      await app.init()
      await app.getHttpAdapter().getInstance().inject('/')
      await app.close()
    })
  const { store } = setUp()
  expect(await express({ trustedProxies: 1, store })).toEqual([])
  expect(await fastify({ trustedProxies: 1, store })).toEqual([])
  expect(await express({ store })).toEqual([expect.stringContaining('"trust proxy" of the Nest app is true')])
  expect(await fastify({ store })).toEqual([expect.stringContaining('trustProxy of the Nest app is true')])
})

test('packages that are looked for when they are needed are optional peers', () => {
  const { peerDependencies, peerDependenciesMeta } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    peerDependencies: Record<string, string>
    peerDependenciesMeta: Record<string, { optional?: boolean }>
  }
  for (const [name] of Object.values(ERROR_CLASSES)) {
    expect(peerDependencies[name], name).toBeDefined()
    expect(peerDependenciesMeta[name]?.optional, name).toBe(true)
  }
})
