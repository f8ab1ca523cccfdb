// Wrapping one handler: as a function and as a decorator. Promise: name, number of parameters, `this` and what is returned, at once or
// later, stay as they were. Next: gatekeeper.ts, which a wrapped handler asks first.

import { ConfigError } from '../core/errors.ts'

/** A handler of any framework. */
// oxlint-disable-next-line typescript/no-explicit-any -- any function is a handler; its own type is kept
export type AnyHandler = (this: any, ...parameters: any[]) => any

/** Lets a call of a handler through, or answers it. `run` runs the handler as it was called. */
export type Around = (parameters: readonly unknown[], run: () => unknown) => unknown

/**
 * A function with the name and the number of parameters of another, whose calls go through `around`.
 * @param option what errors call the wrapper
 * @throws ConfigError for a handler that is no function
 */
export function wrapHandler<Handler extends AnyHandler>(handler: Handler, around: Around, option: string): Handler {
  checkHandler(handler, option)
  const wrapped = function (this: unknown, ...parameters: unknown[]): unknown {
    return around(parameters, () => handler.apply(this, parameters))
  }
  Object.defineProperty(wrapped, 'name', { value: handler.name, configurable: true })
  // Frameworks tell kinds of handlers by it: Express knows its error handlers by their four.
  Object.defineProperty(wrapped, 'length', { value: handler.length, configurable: true })
  return wrapped as unknown as Handler
}

/** @throws ConfigError for what is no function */
export function checkHandler(handler: unknown, option: string): void {
  if (typeof handler !== 'function') throw new ConfigError(`${option}(handler)`, 'a function', handler)
}

/** A decorator for a method that is a handler: a standard (TC39) one, and one of TypeScript's `experimentalDecorators`. */
export interface HandlerDecorator {
  <Method extends AnyHandler>(method: Method, context: ClassMethodDecoratorContext): Method
  <Method extends AnyHandler>(
    owner: object,
    name: string | symbol,
    property: TypedPropertyDescriptor<Method>,
  ): TypedPropertyDescriptor<Method>
}

/**
 * The decorator that wraps methods. The limiter behind `around` is one for all instances of the class.
 * @throws ConfigError, on use, where it decorates no method
 */
export function decoratorOf(around: Around, option: string): HandlerDecorator {
  const decorate = (target: unknown, context: unknown, property?: unknown): unknown => {
    if (typeof target === 'function' && isStandard(context)) {
      if (context.kind !== 'method') throw notAMethod(option, context.kind)
      return wrapHandler(target as AnyHandler, around, option)
    }
    // An accessor has a descriptor without a value, a property has none, and a parameter has its number there.
    const method = (property as PropertyDescriptor | undefined)?.value as AnyHandler | undefined
    if (typeof method !== 'function') throw notAMethod(option, typeof context === 'string' ? context : target)
    return { ...(property as PropertyDescriptor), value: withMetadataOf(method, wrapHandler(method, around, option)) }
  }
  return decorate as HandlerDecorator
}

function isStandard(context: unknown): context is DecoratorContext {
  return typeof context === 'object' && context !== null && typeof (context as { kind?: unknown }).kind === 'string'
}

function notAMethod(option: string, received: unknown): ConfigError {
  return new ConfigError(`@${option}`, 'a method to decorate', received)
}

/** What reflect-metadata adds to `Reflect`, where an app has loaded it. */
interface MetadataReflect {
  getOwnMetadataKeys?(target: object): unknown[]
  getOwnMetadata?(key: unknown, target: object): unknown
  defineMetadata?(key: unknown, value: unknown, target: object): void
}

/** Decorators below have left their metadata on the method itself, where frameworks look for it. */
function withMetadataOf(method: AnyHandler, wrapped: AnyHandler): AnyHandler {
  const reflect = Reflect as MetadataReflect
  for (const key of reflect.getOwnMetadataKeys?.(method) ?? [])
    reflect.defineMetadata?.(key, reflect.getOwnMetadata?.(key, method), wrapped)
  return wrapped
}
