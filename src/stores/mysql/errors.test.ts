// The mapping that no server here can be made to show; what can be is in test/stores/mysql-faults.test.ts.

import { describe, expect, it } from 'vitest'
import { StoreError } from '../../core/errors.ts'
import { type Stage, storeError } from './errors.ts'

const kindOf = (error: object, stage: Stage): unknown =>
  storeError(Object.assign(new Error('text'), error), 'mysql', '`t`', stage).kind

describe('what an error means', () => {
  it.each([
    [{ errno: 1213 }, 'writing', 'not_executed'],
    [{ errno: 1205 }, 'reading', 'not_executed'],
    [{ errno: 3101 }, 'writing', 'not_executed'],
    [{ errno: 1290 }, 'reading', 'wrong_node'],
    [{ errno: 1036 }, 'writing', 'wrong_node'],
    [{ errno: 1836 }, 'writing', 'wrong_node'],
    [{ errno: 1203 }, 'connecting', 'unavailable'],
    [{ errno: 1114 }, 'writing', 'unavailable'],
    [{ errno: 1969 }, 'reading', 'unavailable'],
    [{ errno: 1969 }, 'writing', 'ambiguous'],
    [{ errno: 3024 }, 'reading', 'unavailable'],
    [{ errno: 3024 }, 'writing', 'ambiguous'],
    [{ errno: 1317 }, 'writing', 'ambiguous'],
    [{ errno: 1180 }, 'writing', 'ambiguous'],
    [{ errno: 1129 }, 'connecting', 'unavailable'],
    [{ errno: 1142 }, 'reading', 'misconfigured'],
    [{ errno: 1064 }, 'reading', 'misconfigured'],
    [{ code: 'EAI_AGAIN' }, 'connecting', 'unavailable'],
    [{ code: 'ETIMEDOUT' }, 'connecting', 'unavailable'],
  ] as const)('%j while %s: %s', (error, stage, kind) => {
    expect(kindOf(error, stage)).toBe(kind)
  })

  it.each([
    { errno: 2006 },
    { errno: 2013 },
    { errno: 1927 },
    { errno: 4031 },
    { code: 'PROTOCOL_CONNECTION_LOST' },
    { code: 'ECONNRESET' },
    { code: 'EPIPE' },
    { message: "Can't add new command when connection is in closed state" },
  ])('a lost connection is ambiguous only when the charge was on its way: %j', (error) => {
    expect(kindOf(error, 'connecting')).toBe('unavailable')
    expect(kindOf(error, 'reading')).toBe('not_executed')
    expect(kindOf(error, 'writing')).toBe('ambiguous')
  })

  it('a StoreError stays what it is, and what is no error is told as well', () => {
    const error = new StoreError('mysql', 'text')
    expect(storeError(error, 'other', '`t`', 'reading')).toBe(error)
    for (const thrown of [undefined, null, 'text', 7])
      expect(storeError(thrown, 'mysql', '`t`', 'writing').message).toBe('store mysql: failed')
  })
})
