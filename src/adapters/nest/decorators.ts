// The decorators of controllers, resolvers and gateways: they write down what is asked, and limit nothing. Promise: what cannot be meant is
// an error where it is written. Next: routes.ts, which reads what they wrote.

import { Reflector } from '@nestjs/core'
import { SetMetadata } from '@nestjs/common'
import { ConfigError } from '../../core/errors.ts'
import { DEFAULT_NAME, type LimitParts, type NestRequest, type NestRouteLimit, checkedName, partsOf } from './options.ts'

/** One limit that a decorator asks for. */
export interface AskedLimit {
  /** Options without `name` and `scope`. */
  readonly parts: LimitParts
  /** The limit is a scope of the module. */
  readonly scoped: boolean
}

/** What the decorators of one class or method say. */
export interface Written {
  /** What they stand on. */
  readonly target: object
  /** By name; null where the limit is skipped. */
  readonly limits: ReadonlyMap<string, AskedLimit | null>
  /** What is not among `limits` is skipped. */
  readonly skipsRest: boolean
  /** What stands on the base class. */
  readonly base: Written | undefined
}

/** Decorates classes and methods. */
export type RateLimitDecorator = ClassDecorator & MethodDecorator

const KEY = 'smart-ratelimit:limits'
const reflector = new Reflector()

/** What stands on a class or method; undefined for nothing. */
export function writtenOn(target: object): Written | undefined {
  return reflector.get<Written | undefined>(KEY, target as never)
}

/** Whether a metadata key is of these decorators. */
export function isOurs(key: unknown): boolean {
  return key === KEY
}

/**
 * Limits a method, or each method of a class by itself: `@RateLimit('5/m')`. What stands on a method takes the place of what stands on
 * its class, and that of what the module says, limit by limit. Needs a `RateLimitGuard`.
 * @throws ConfigError for what is no limit, for two limits of one name, or where it decorates neither a class nor a method
 */
export function RateLimit<Request = NestRequest>(...limits: readonly NestRouteLimit<Request>[]): RateLimitDecorator {
  if (limits.length === 0) throw new ConfigError('@RateLimit', 'a rate or options', undefined)
  const asked = limits.map((limit): readonly [string, AskedLimit] => {
    const { name, scope, ...parts } = partsOf(limit, '@RateLimit')
    if (name !== undefined && scope !== undefined) throw new ConfigError('@RateLimit.name', 'a name or a scope, not both', name)
    const called =
      scope === undefined ? checkedName(name ?? DEFAULT_NAME, '@RateLimit.name') : checkedName(scope, '@RateLimit.scope')
    return [called, { parts, scoped: scope !== undefined }]
  })
  return write('@RateLimit', asked, false)
}

/**
 * Exempts a method or a class from all limits, or from those named: `@SkipRateLimit('burst')`. What stands on a method is heeded first.
 * @throws ConfigError for a name that is none, for a limit that stands on the same place, or where it decorates neither a class nor a method
 */
export function SkipRateLimit(...names: readonly string[]): RateLimitDecorator {
  const skipped = names.map((name) => [checkedName(name, '@SkipRateLimit'), null] as const)
  return write('@SkipRateLimit', skipped, names.length === 0)
}

function write(
  option: string,
  entries: readonly (readonly [string, AskedLimit | null])[],
  skipsRest: boolean,
): RateLimitDecorator {
  return (owner: unknown, key?: unknown, property?: unknown): void => {
    const target = targetOf(option, owner, key, property)
    const found = writtenOn(target)
    const own = found?.target === target ? found : undefined
    const limits = new Map(own?.limits)
    for (const [name, asked] of entries) {
      if (limits.has(name)) throw new ConfigError(option, 'one word about each limit', name)
      limits.set(name, asked)
    }
    const skips = skipsRest || own?.skipsRest === true
    if (skips && [...limits.values()].some((asked) => asked !== null))
      throw new ConfigError(option, 'either limits or no limits', 'both @RateLimit and @SkipRateLimit()')
    const written: Written = { target, limits, skipsRest: skips, base: own === undefined ? found : own.base }
    SetMetadata(KEY, written)(owner as object, key as string, property as PropertyDescriptor)
  }
}

/** The class or method that is decorated. */
function targetOf(option: string, owner: unknown, key: unknown, property: unknown): object {
  if (typeof (key as { kind?: unknown } | null | undefined)?.kind === 'string')
    throw new ConfigError(option, '"experimentalDecorators": true in tsconfig.json, which Nest needs', 'a standard decorator')
  if (typeof owner === 'function' && key === undefined) return owner
  // An accessor has a descriptor without a value, a property has none, and a parameter has its number there.
  const method: unknown = (property as PropertyDescriptor | undefined)?.value
  if (typeof method !== 'function') throw new ConfigError(option, 'a class or a method to decorate', key ?? owner)
  return method
}
