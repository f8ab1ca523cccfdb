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

/** A standard (TC39) decorator for a method that is a handler. */
export type HandlerDecorator = <Method extends AnyHandler>(method: Method, context: ClassMethodDecoratorContext) => Method

/**
 * The decorator that wraps methods. The limiter behind `around` is one for all instances of the class.
 * @throws ConfigError, on use, where it decorates no method
 */
export function decoratorOf(around: Around, option: string): HandlerDecorator {
  return (method, context) => {
    // The older decorators of TypeScript's experimentalDecorators call with other arguments.
    if (typeof method !== 'function' || context?.kind !== 'method')
      throw new ConfigError(`@${option}`, 'a method to decorate', context?.kind)
    return wrapHandler(method, around, option)
  }
}
