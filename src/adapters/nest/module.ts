// The module. Promise: one per app, seen by all its modules; options may come from other providers. Next: limits.ts.

import { type DynamicModule, type FactoryProvider, Module, type ModuleMetadata, type Type } from '@nestjs/common'
import { ApplicationConfig, DiscoveryModule, DiscoveryService, HttpAdapterHost } from '@nestjs/core'
import { ConfigError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/maybe.ts'
import { LIMITS, RateLimitGuard } from './guard.ts'
import { NestLimits, OPTIONS } from './limits.ts'
import type { NestRequest, RateLimitModuleOptions, RateLimitOptionsFactory } from './options.ts'

/** Options of `RateLimitModule.forRootAsync`: one of `useFactory`, `useClass` and `useExisting`. */
export interface RateLimitModuleAsyncOptions<Request = NestRequest> extends Pick<ModuleMetadata, 'imports'> {
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject']
  // oxlint-disable-next-line typescript/no-explicit-any -- what is injected has any type
  readonly useFactory?: (...injected: any[]) => MaybePromise<RateLimitModuleOptions<Request>>
  /** A class that makes the options, made by Nest. */
  readonly useClass?: Type<RateLimitOptionsFactory>
  /** A provider of `imports` that makes the options. */
  readonly useExisting?: Type<RateLimitOptionsFactory>
}

/** Imported once, in the root module of an app. */
export class RateLimitModule {
  /**
   * Limits by options at hand. What is wrong with them is a ConfigError when Nest builds the app.
   */
  static forRoot<Request = NestRequest>(options: RateLimitModuleOptions<Request> = {}): DynamicModule {
    return moduleOf([{ provide: OPTIONS, useValue: options }], [])
  }

  /**
   * Limits by options that are made of other providers.
   * @throws ConfigError unless there is exactly one of `useFactory`, `useClass` and `useExisting`
   */
  static forRootAsync<Request = NestRequest>(options: RateLimitModuleAsyncOptions<Request>): DynamicModule {
    const { imports = [], inject = [], useFactory, useClass, useExisting } = options
    const ways = [useFactory, useClass, useExisting].filter((way) => way !== undefined)
    if (ways.length !== 1)
      throw new ConfigError('RateLimitModule.forRootAsync', 'one of useFactory, useClass and useExisting', ways.length)
    if (useFactory !== undefined) return moduleOf([{ provide: OPTIONS, useFactory, inject }], imports)
    const token = (useClass ?? useExisting) as Type<RateLimitOptionsFactory>
    const made = {
      provide: OPTIONS,
      useFactory: (factory: RateLimitOptionsFactory) => factory.createRateLimitOptions(),
      inject: [token],
    }
    return moduleOf(useClass === undefined ? [made] : [made, useClass], imports)
  }
}

Module({})(RateLimitModule)

function moduleOf(
  providers: NonNullable<DynamicModule['providers']>,
  imports: NonNullable<DynamicModule['imports']>,
): DynamicModule {
  const limits: FactoryProvider = {
    provide: LIMITS,
    useFactory: (
      options: RateLimitModuleOptions<never>,
      host: HttpAdapterHost,
      config: ApplicationConfig,
      discovery: DiscoveryService,
    ) => new NestLimits(options, host, config, discovery),
    inject: [OPTIONS, HttpAdapterHost, ApplicationConfig, DiscoveryService],
  }
  return {
    module: RateLimitModule,
    global: true,
    imports: [DiscoveryModule, ...imports],
    providers: [...providers, limits, RateLimitGuard],
    exports: [LIMITS, RateLimitGuard],
  }
}
