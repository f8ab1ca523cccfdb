// NestJS, on Express and on Fastify. Promise: what a decorator says is heeded or warned about; a refusal is an exception of the framework,
// which the app's own filters may answer. Start reading at module.ts; guard.ts and decorators.ts are what apps use besides.

export { RateLimit, type RateLimitDecorator, SkipRateLimit } from './decorators.ts'
export { RateLimitException } from './exceptions.ts'
export { RateLimitGuard } from './guard.ts'
export { RateLimitModule, type RateLimitModuleAsyncOptions } from './module.ts'
export type {
  NestLimitInput,
  NestOptions,
  NestRequest,
  NestRouteLimit,
  RateLimitModuleOptions,
  RateLimitOptionsFactory,
} from './options.ts'
export {
  type RateLimitThrottlerStorage,
  type ThrottlerRecord,
  type ThrottlerStorageOptions,
  rateLimitThrottlerStorage,
} from './throttler-storage.ts'
export type { RequestRateLimit } from '../../http/request-rate-limit.ts'
