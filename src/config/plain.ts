// Plain data: objects that are nothing but their own names and values. Next: check-settings.ts.

/** Whether it is an object as JSON has them, and not one with a prototype that adds to it. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Objects of another realm have another Object.prototype, which has none above it either.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** A copy of plain data, frozen all the way down. Functions and other objects stay as they are. */
export function frozenCopy(value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze(value.map(frozenCopy))
  if (!isPlainObject(value)) return value
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, own]) => [name, frozenCopy(own)])))
}
