// Values that may come later. Promise: what is at hand is never made to wait. Next: request.ts.

/** A value, or a promise of it. */
export type MaybePromise<T> = T | PromiseLike<T>

/** Whether this must be waited for. */
export function isPromise<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<T>).then === 'function'
}

/** Goes on with a value now if it is at hand, else when it comes. */
export function andThen<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}
