import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildLimitSet } from '../../core/limit-set.ts'
import { type CounterRecord, formatRecord, parseRecord } from '../record.ts'
import { Answer, Call, keysValue, recordText, stateValue } from './wire.ts'

const NOW = 1_700_000_000_000
const set = buildLimitSet(
  'wire',
  [{ rate: '5/s' }, { rate: '9/m', algorithm: 'fixed_window' }, { rate: '3/h', algorithm: 'gcra' }],
  {},
)

describe('a state', () => {
  const stamp = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
  const count = fc.integer({ min: 1, max: 1e9 })
  const cells = fc.oneof(fc.constant([]), fc.tuple(stamp, count))
  const record = fc.record({
    states: fc.tuple(
      fc.array(fc.tuple(stamp, count), { maxLength: 5 }).map((entries) => entries.flat()),
      cells,
      cells,
    ),
    ban: fc.option(fc.tuple(stamp, count, stamp), { nil: undefined }),
  })

  it('is stored and read as the record it was', () => {
    fc.assert(
      fc.property(record, (given) => {
        const text = recordText(stateValue(given as CounterRecord, set), set)
        expect(text).toBe(formatRecord(given as CounterRecord))
        expect(parseRecord(set, text, NOW)).toEqual(given)
      }),
    )
  })

  it.each([
    '{}',
    '{NULL}',
    '{0}',
    '{0,0}',
    '{0,0,0,0,0}',
    '{1,0,0,0}',
    '{0,-1,0,0}',
    '{0,0,2,5}',
    '{{0,0},{0,0}}',
    '[0:3]={0,0,0,0}',
    '{0,0,2,1,99999999999999999999,0}',
    '',
  ])('of no law is no record: %s', (state) => {
    expect(parseRecord(set, recordText(state, set), NOW).states).toEqual(parseRecord(set, '?', NOW).states)
  })
})

describe('a call', () => {
  it('tells what questions have in common once, and keys as they are', () => {
    const call = new Call(NOW)
    const ask = { set, cost: 2, mode: 'take', takenAt: undefined, count: 3 } as const
    call.ask(ask, 'p"\\{}:a')
    call.ask({ ...ask, mode: 'refund', takenAt: NOW, count: 1 }, 'p:b')
    const [keys, asks, sets] = call.values()
    expect(keys).toBe('{"p\\"\\\\{}:a","p:b"}')
    expect(asks).toBe(`{1,2,3,-1,1,3,2,1,${NOW},1}`)
    expect(sets.split(',')).toHaveLength(2 + 3 * 8)
    expect(keysValue(['a,b', 'c'])).toBe('{"a,b","c"}')
  })

  it('names the calendar periods around its time', () => {
    const call = new Call(Date.UTC(2024, 1, 10))
    const month = buildLimitSet('wire', '5/month', {})
    call.ask({ set: month, cost: 1, mode: 'take', takenAt: undefined, count: 1 }, 'k')
    expect(call.values()[2].slice(1, -1).split(',').map(Number).slice(6)).toEqual([0, 1, 2, 3].map((n) => Date.UTC(2024, n, 1)))
  })
})

it('an answer that is too short is an error', () => {
  const answer = new Answer('{1,1700000000000,0,1,2,3,4}')
  const one = buildLimitSet('wire', '5/s', {})
  expect(answer.next(one)).toEqual({ granted: 1, now: NOW, bannedForMs: 0, readings: [1, 2, 3, 4] })
  expect(() => answer.next(one)).toThrow(/too few/)
  expect(() => new Answer(null).next(one)).toThrow(/too few/)
})
