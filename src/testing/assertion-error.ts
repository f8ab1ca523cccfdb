// What the helpers of this folder throw. Test frameworks recognise it by its name and show `actual` beside `expected`.
// Next: assertions.ts.

/** An expectation that was not met. Belongs to no test framework and is understood by all. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
  readonly actual: unknown
  readonly expected: unknown

  constructor(message: string, actual: unknown, expected: unknown) {
    super(message)
    this.actual = actual
    this.expected = expected
  }
}

/**
 * Compares plain data: numbers bit for bit (NaN equals NaN, 0 does not equal −0), lists and objects by their parts.
 * @throws AssertionError that says where, what was expected and what came
 */
export function assertSame(where: string, actual: unknown, expected: unknown): void {
  if (same(actual, expected)) return
  throw new AssertionError(`${where}: expected ${written(expected)}, received ${written(actual)}`, actual, expected)
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && same(a[key as never], b[key as never]))
}

function written(value: unknown): string {
  // Infinity and undefined would vanish from JSON.
  return JSON.stringify(value, (_key, part: unknown) =>
    part === undefined || (typeof part === 'number' && !Number.isFinite(part)) ? String(part) : part,
  )
}
