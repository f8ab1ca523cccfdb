// What an app of decorators and guards gets wrong without noticing: a limit that no guard heeds, a guard that guards nothing. Promise: one
// warning each, when the app starts. Next: limits.ts.

import type { Type } from '@nestjs/common'
import { type ApplicationConfig, type DiscoveryService, Reflector } from '@nestjs/core'
import { warnOnce } from '../../http/gate.ts'
import { RateLimitGuard } from './guard.ts'
import { isOurs } from './decorators.ts'
import { type Handler, type RouteNames, type RouteWords, methodsOf, wordsAbout } from './routes.ts'

/** A method of a controller or provider that something stands on. */
export interface FoundHandler {
  readonly type: Type
  readonly handler: Handler
  /** What is said about its limits; undefined for nothing. */
  readonly words: RouteWords | undefined
  /** Nothing else stands on it, so that Nest will never call a guard for it. */
  readonly unused: boolean
}

/** Where Nest keeps the guards of a class or a method, and what it knows gateways by. */
const GUARDS = '__guards__'
const GATEWAY = 'websockets:is_gateway'
const SHOWN = 5
const reflector = new Reflector()

/** The decorated methods of all controllers and providers, in the order of the modules. */
export function handlersOf(discovery: DiscoveryService): FoundHandler[] {
  const types = new Set<Type>()
  for (const { metatype, isNotMetatype, instance } of [...discovery.getControllers(), ...discovery.getProviders()]) {
    const type: unknown = isNotMetatype ? (instance as object | null | undefined)?.constructor : metatype
    if (typeof type === 'function' && typeof type.prototype === 'object') types.add(type as Type)
  }
  return [...types].flatMap((type) =>
    [...methodsOf(type).values()].flatMap((handler) => {
      const keys = Reflect.getMetadataKeys(handler) as unknown[]
      const others = keys.filter((key) => !isOurs(key) && !String(key).startsWith('design:'))
      return keys.length === 0 ? [] : [{ type, handler, words: wordsAbout(type, handler), unused: others.length === 0 }]
    }),
  )
}

/** Warns of limits that are not heeded. */
export function findMisuse(handlers: readonly FoundHandler[], config: ApplicationConfig, names: RouteNames): void {
  const everywhere =
    config.getGlobalGuards().some(isGuard) || config.getGlobalRequestGuards().some(({ metatype }) => isGuard(metatype))
  const guarded = ({ type, handler }: FoundHandler): boolean =>
    (everywhere && reflector.get<unknown>(GATEWAY, type) !== true) || hasGuard(type) || hasGuard(handler)
  const limited = handlers.filter(({ words }) => words?.names.some((name) => words.about(name)) === true)
  const listed = (found: readonly FoundHandler[]): string => {
    const all = found.map(({ type, handler }) => names.of(type, handler))
    return all.length > SHOWN ? `${all.slice(0, SHOWN).join(', ')} and ${all.length - SHOWN} more` : all.join(', ')
  }
  const unused = limited.filter((found) => found.unused)
  if (unused.length > 0) warnOnce(`@RateLimit stands where Nest calls no guard, and has no effect: ${listed(unused)}`)
  const unguarded = limited.filter((found) => !found.unused && !guarded(found))
  if (unguarded.length > 0) {
    warnOnce(
      `@RateLimit has no effect without a guard: ${listed(unguarded)}; add @UseGuards(RateLimitGuard), or { provide: APP_GUARD, useClass: RateLimitGuard } (gateways need the former)`,
    )
  } else if (limited.length === 0 && !everywhere && !handlers.some(guarded)) {
    warnOnce(
      'RateLimitModule limits nothing without a guard; add { provide: APP_GUARD, useClass: RateLimitGuard } to the providers',
    )
  }
}

function hasGuard(target: Type | Handler): boolean {
  return reflector.get<unknown[] | undefined>(GUARDS, target as Type)?.some(isGuard) === true
}

function isGuard(guard: unknown): boolean {
  return (
    guard === RateLimitGuard ||
    guard instanceof RateLimitGuard ||
    (typeof guard === 'function' && guard.prototype instanceof RateLimitGuard)
  )
}
