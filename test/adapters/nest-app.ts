// Nest apps on both platforms, for the adapter's tests. Decorators are called as functions, as the test runner's compiler settings have none
// of the older kind; nest-legacy/ has an app as its users write it. Next: nest-contract.test.ts.

import 'reflect-metadata'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Controller, Get, type DynamicModule, type INestApplication, Module, type Provider, Req, type Type } from '@nestjs/common'
import { APP_GUARD, NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { RateLimitGuard, RateLimitModule, type RateLimitModuleOptions } from '../../src/adapters/nest/index.ts'
import { type TestServer, serve } from './http.ts'

export const PLATFORMS = ['express', 'fastify'] as const
export type Platform = (typeof PLATFORMS)[number]

type Method = (...parameters: never[]) => unknown
type LegacyDecorator = (target: object, key: string, property: PropertyDescriptor) => unknown

/** Decorates a method, the last decorator first, as TypeScript does. */
export function decorateMethod(type: Type, name: string, ...decorators: unknown[]): void {
  const prototype = type.prototype as object
  const property = Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor
  for (const decorate of decorators.toReversed()) (decorate as LegacyDecorator)(prototype, name, property)
  Object.defineProperty(prototype, name, property)
}

/** Decorates a class, the last decorator first. */
export function decorateClass(type: Type, ...decorators: unknown[]): void {
  for (const decorate of decorators.toReversed()) (decorate as (type: Type) => void)(type)
}

/** A controller by its methods: what each has on it, and what it returns to a request. */
export function controller(
  name: string,
  methods: Readonly<Record<string, readonly [decorators: readonly unknown[], handler?: Method]>>,
  decorators: readonly unknown[] = [],
  path = '',
): Type {
  const type = { [name]: class {} }[name] as Type
  for (const [method, [on, handler = () => method]] of Object.entries(methods)) {
    const value = { [method]: (...parameters: never[]) => handler(...parameters) }[method]
    Object.defineProperty(type.prototype, method, { value, writable: true, configurable: true })
    Req()(type.prototype as object, method, 0)
    decorateMethod(type, method, ...on)
  }
  decorateClass(type, ...decorators, Controller(path))
  return type
}

/** A handler at a path. */
export const at = (path: string, ...decorators: unknown[]): [unknown[]] => [[Get(path), ...decorators]]

/** An app's root module. */
export function moduleWith(
  imports: readonly (DynamicModule | Type)[],
  controllers: readonly Type[],
  providers: readonly Provider[],
): Type {
  class AppModule {}
  Module({ imports: [...imports], controllers: [...controllers], providers: [...providers] })(AppModule)
  return AppModule
}

/** A root module whose guard is the app's. */
export function guardedModule(
  options: RateLimitModuleOptions<never> | DynamicModule,
  controllers: readonly Type[],
  providers: readonly Provider[] = [],
): Type {
  const module = 'module' in options ? options : RateLimitModule.forRoot(options)
  return moduleWith([module], controllers, [...providers, { provide: APP_GUARD, useClass: RateLimitGuard }])
}

export interface NestServer extends TestServer {
  readonly app: INestApplication
}

/** Makes an app, without starting it. */
export async function makeApp(platform: Platform, module: Type | DynamicModule): Promise<INestApplication> {
  const options = { logger: false, abortOnError: false, bodyParser: false } as const
  return platform === 'express'
    ? NestFactory.create<NestExpressApplication>(module, options)
    : NestFactory.create(module, new FastifyAdapter(), options)
}

/** Serves an app on a real socket; closed with it. */
export async function serveApp(
  platform: Platform,
  module: Type | DynamicModule,
  before: (app: INestApplication) => void = () => {},
): Promise<NestServer> {
  const app = await makeApp(platform, module)
  before(app)
  await app.init()
  const instance = app.getHttpAdapter().getInstance() as {
    ready?(): Promise<unknown>
    routing(request: IncomingMessage, response: ServerResponse): void
    (request: IncomingMessage, response: ServerResponse): void
  }
  if (platform === 'fastify') await instance.ready?.()
  const server = await serve((request, response) =>
    platform === 'fastify' ? instance.routing(request, response) : instance(request, response),
  )
  const closed = server[Symbol.asyncDispose]
  const dispose = async (): Promise<void> => {
    await closed()
    await app.close()
  }
  return Object.assign(server, { app, [Symbol.asyncDispose]: dispose })
}
