import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { commonTime, jsonTime } from './log-time.ts'

const instant = fc.integer({ min: 1e11, max: Date.UTC(2100, 0, 1) })

describe('a time', () => {
  const at = Date.UTC(2026, 0, 15, 10, 0, 0)

  test.each([
    ['2026-01-15T10:00:00Z', at],
    ['2026-01-15T10:00:00.5Z', at + 500],
    ['2026-01-15T10:00:00.123456789Z', at + 123],
    ['2026-01-15T12:00:00+02:00', at],
    ['2026-01-15T06:30:00-0330', at],
    ['2026/01/15 10:00:00', at],
    ['2026-01-15 10:00:00,123', at + 123],
    ['15/Jan/2026:12:00:00 +0200', at],
    ['1768471200', at],
    ['1768471200.123', at + 123],
    [1768471200.001, at + 1],
    [1768471200000, at],
    [1768471200000123, at],
    ['1768471200000123456', at],
  ])('is read from %j', (value, ms) => expect(jsonTime(value)).toBe(ms))

  test.each([
    '',
    'never',
    '0.02',
    0.02,
    1,
    -5,
    Number.NaN,
    Infinity,
    1e21,
    null,
    undefined,
    true,
    {},
    [],
    '2026-13-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-01-15T24:00:00Z',
    '2026-01-15',
    '2026-01/15 10:00:00',
    'x 5',
    '1'.repeat(50),
    '29/Feb/2026:10:00:00 +0000',
    '15/Foo/2026:10:00:00 +0000',
    '1/Jan/2026:10:00:00 +0000',
    '15/Jan/1969:10:00:00 +0000',
    '01/Jan/1970:00:00:00 +0100',
  ])('is not made of %j', (value) => expect(jsonTime(value)).toBeNaN())

  test('is read back from what Date writes, in any unit', () => {
    fc.assert(
      fc.property(instant, (ms) => {
        expect(jsonTime(new Date(ms).toISOString())).toBe(ms)
        expect(jsonTime(ms)).toBe(ms)
        expect(jsonTime(ms / 1000)).toBe(ms)
        expect(jsonTime(ms * 1000)).toBe(ms)
      }),
    )
  })

  test('is the same instant in every zone', () => {
    fc.assert(
      fc.property(instant, fc.integer({ min: -14 * 60, max: 14 * 60 }), (ms, offset) => {
        const second = Math.floor(ms / 1000) * 1000
        const local = new Date(second + offset * 60_000).toUTCString()
        const zone = `${offset < 0 ? '-' : '+'}${String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0')}${String(Math.abs(offset) % 60).padStart(2, '0')}`
        // "Thu, 15 Jan 2026 10:00:00 GMT"
        expect(commonTime(`${local.slice(5, 16).replaceAll(' ', '/')}:${local.slice(17, 25)} ${zone}`)).toBe(second)
      }),
    )
  })
})
