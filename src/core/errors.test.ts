import { describe, expect, it } from 'vitest'
import { ConfigError, ERROR_CODES, RateLimitError, RateLimitedError, StoreError, show, withoutStack } from './errors.ts'

describe('errors', () => {
  it('carry a code of the closed list, a link to it, their name and their cause', () => {
    const cause = new Error('socket closed')
    const errors = [
      new RateLimitError('ERR_RATELIMIT_KEY', 'no key', { cause }),
      new ConfigError('rate', 'a rate', 5),
      new StoreError('redis', 'timed out', { cause }),
      new StoreError('memory', 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' }),
      new RateLimitedError('too many', 1500),
    ]
    expect(errors.map(({ name }) => name)).toEqual([
      'RateLimitError',
      'ConfigError',
      'StoreError',
      'StoreError',
      'RateLimitedError',
    ])
    for (const error of errors) {
      expect(error).toBeInstanceOf(RateLimitError)
      expect(error).toBeInstanceOf(Error)
      expect(ERROR_CODES).toContain(error.code)
      expect(error.docs.endsWith(`docs/errors.md#${error.code.toLowerCase()}`)).toBe(true)
      expect(String(error)).toBe(`${error.name}: ${error.message}`)
    }
    expect(errors[0]?.cause).toBe(cause)
    expect(errors[2]).toMatchObject({ cause, store: 'redis', message: 'store redis: timed out' })
  })

  it('of configuration say what was expected, what came and where', () => {
    const error = new ConfigError('rateLimits["/api/"].rate', 'a rate such as "100/m"', '100')
    expect(error.message).toBe('rateLimits["/api/"].rate: expected a rate such as "100/m", received "100"')
    expect(error).toMatchObject({ option: 'rateLimits["/api/"].rate', code: 'ERR_RATELIMIT_CONFIG' })
  })

  it('of a refused call know the status and the wait', () => {
    expect(new RateLimitedError('too many', 1500)).toMatchObject({ status: 429, statusCode: 429, retryAfterMs: 1500 })
    expect(new RateLimitedError('never', undefined).retryAfterMs).toBeUndefined()
  })

  it('list each code once', () => {
    expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length)
  })
})

describe('a value in a message', () => {
  it.each([
    ['text', '"text"'],
    ['a\r\nb\u0000', '"a\\r\\nb\\u0000"'],
    ['\ud800', '"\\ud800"'],
    [-0, '-0'],
    [Number.NaN, 'NaN'],
    [12n, '12n'],
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [Symbol('s3cr3t'), 'a symbol'],
    [() => 's3cr3t', 'a function'],
    [[], 'an empty array'],
    [['s3cr3t'], 'an array of 1'],
    [{ password: 's3cr3t' }, 'an object'],
    [{ toJSON: () => 's3cr3t', toString: () => 's3cr3t' }, 'an object'],
  ])('%o is shown as %s', (value, shown) => {
    expect(show(value)).toBe(shown)
  })

  it('is short, however long it is', () => {
    expect(show('x'.repeat(1_000_000)).length).toBeLessThan(100)
  })
})

it('an error without its stack is like any other beside that', () => {
  const { stackTraceLimit } = Error
  const error = withoutStack(() => new StoreError('redis', 'no answer', { kind: 'ambiguous' }))
  expect([error.message, error.kind, error.stack?.includes('\n    at ')]).toEqual(['store redis: no answer', 'ambiguous', false])
  expect(Error.stackTraceLimit).toBe(stackTraceLimit)
  expect(() =>
    withoutStack(() => {
      throw new Error('not made')
    }),
  ).toThrow('not made')
  expect(Error.stackTraceLimit).toBe(stackTraceLimit)
})
