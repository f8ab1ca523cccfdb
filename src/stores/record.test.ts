import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { explain } from '../algorithms/explain.ts'
import { type LimitSet, buildLimitSet } from '../core/limit-set.ts'
import {
  type CounterRecord,
  banRecord,
  emptyRecord,
  formatRecord,
  heldStates,
  keepMs,
  keepUntil,
  parseRecord,
  spentRecord,
  takeFromRecord,
} from './record.ts'
import { type Mode, READING_WIDTH } from './store.ts'

const NOW = 1_700_000_000_000

const SETS: Readonly<Record<string, LimitSet>> = {
  'a sliding window': buildLimitSet('record', '20/10s', {}),
  'an exact sliding window': buildLimitSet('record', '20/10s', {
    algorithm: 'sliding_window',
    algorithmConfig: { precision: 'exact' },
  }),
  'a fixed window': buildLimitSet('record', '20/10s', { algorithm: 'fixed_window' }),
  'a fixed window from the first request': buildLimitSet('record', '20/10s', {
    algorithm: 'fixed_window',
    algorithmConfig: { align: 'first' },
  }),
  'a month': buildLimitSet('record', '20/month', {}),
  'a token bucket': buildLimitSet('record', '20/10s', { algorithm: 'token_bucket' }),
  'a bucket that starts empty': buildLimitSet('record', '20/10s', {
    algorithm: 'token_bucket',
    algorithmConfig: { initialTokens: 0, refillRate: 1.6667, bucketSize: 10.5 },
  }),
  gcra: buildLimitSet('record', '20/10s', { algorithm: 'gcra', algorithmConfig: { burst: 5 } }),
  'several limits': buildLimitSet(
    'record',
    [{ rate: '20/10s', algorithm: 'token_bucket' }, '30/m', { rate: '9/s', algorithm: 'fixed_window' }],
    {},
  ),
}
const sets = Object.entries(SETS)

const steps = fc.array(
  fc.record({
    mode: fc.constantFrom<Mode>('take', 'take', 'take', 'peek', 'charge', 'refund'),
    cost: fc.integer({ min: 1, max: 5 }),
    afterMs: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: -20_000, max: 20_000 })),
  }),
  { maxLength: 40 },
)

/** What people would read of a take. */
function take(
  record: CounterRecord,
  set: LimitSet,
  cost: number,
  mode: Mode,
  now: number,
): { granted: boolean; changed: boolean } {
  const readings = new Float64Array(set.limits.length * READING_WIDTH)
  const { granted, changed, bannedForMs } = takeFromRecord(record, set, cost, mode, now, undefined, readings)
  const standings = set.limits.map((limit, i) => explain(limit, readings, i * READING_WIDTH, cost, now, granted))
  return { granted, changed, bannedForMs, standings } as { granted: boolean; changed: boolean }
}

describe('a record as text', () => {
  it.each(sets)('of %s says all: what is read back decides the same, and is written the same', (_, set) => {
    fc.assert(
      fc.property(steps, fc.boolean(), (list, banned) => {
        const kept = emptyRecord(set)
        let text = ''
        let now = NOW
        if (banned) banRecord(kept, { durationMs: 5000, factor: 2, maxMs: 20_000, forgetAfterMs: 9000 }, now)
        if (banned) text = formatRecord(kept)
        for (const { mode, cost, afterMs } of list) {
          now = Math.max(0, now + afterMs)
          const read = parseRecord(set, text, now)
          const told = take(kept, set, cost, mode, now)
          expect(take(read, set, cost, mode, now)).toEqual(told)
          if (told.changed) text = formatRecord(read)
          else expect(formatRecord(read)).toBe(text)
          expect(formatRecord(kept)).toBe(text)
          expect(formatRecord(parseRecord(set, text, now))).toBe(text)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('is short, and empty where nothing is held', () => {
    const set = buildLimitSet('text', '5/m, 100/h', { algorithm: 'fixed_window' })
    expect(formatRecord(emptyRecord(set))).toBe('')
    expect(formatRecord({ states: [[1, 2], []], ban: undefined })).toBe('1,2;')
    expect(formatRecord({ states: [[], []], ban: [5, 1, 9] })).toBe('!5,1,9;;')
    expect(parseRecord(set, '!5,1,9;;', NOW)).toEqual({ states: [[], []], ban: [5, 1, 9] })
    for (const nothing of [undefined, null, '']) expect(parseRecord(set, nothing, NOW)).toEqual(emptyRecord(set))
  })

  const hostile = [
    'NaN',
    '-nan',
    'inf',
    'Infinity',
    '1e17',
    '1e+17,1',
    '0x10,1',
    ' 1,2',
    '1,2 ',
    '1,,2',
    '1,2,',
    ',1',
    '-1,2',
    '1,-2',
    '1.5,2',
    '+1,2',
    '9007199254740992,1',
    '99999999999999999999,1',
    '1,2;3,4;5,6;7,8',
    ';;;;',
    '!',
    '!;',
    '!1,2;',
    '!1,2,3,4;1,2',
    '!x;1,2',
    '!1,2,3',
    '{"a":1}',
    'null',
    '\0',
    '1\u0000,2',
    '１,２',
    '1,2\n',
    'a'.repeat(100_000),
    '1,'.repeat(50_000),
    '1',
    '1,2,3',
  ]

  it.each(sets)('of %s that is damaged counts as fully spent, and is whole again after a period', (_, set) => {
    for (const text of hostile) {
      const read = parseRecord(set, text, NOW)
      const limits = set.limits.length
      if (JSON.stringify(read) !== JSON.stringify(spentRecord(set, NOW))) {
        // What happens to be a record of this set is one.
        expect(formatRecord(read), text).toBe(text)
        expect(read.states, text).toHaveLength(limits)
        continue
      }
      expect(take(read, set, 1, 'take', NOW).granted, text).toBe(false)
      const period = Math.max(...set.limits.map(({ periodMs }) => periodMs))
      expect(take(read, set, 1, 'take', NOW + 2 * period).granted, text).toBe(true)
    }
    expect(parseRecord(set, 'x', NOW)).toEqual(spentRecord(set, NOW))
  })

  it('never throws, and never grants more for being damaged', () => {
    const set = SETS['several limits'] as LimitSet
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('1', '9', ',', ';', '!', '-', 'e', '.') })),
        (text) => {
          const read = parseRecord(set, text, NOW)
          expect(read.states).toHaveLength(3)
          for (const number of read.states.flat()) expect(Number.isSafeInteger(number) && number >= 0).toBe(true)
          take(read, set, 1, 'take', NOW)
          expect(formatRecord(read)).toMatch(/^(![\d,]+;)?[\d,;]*$/)
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('a ban in a record', () => {
  const set = SETS['a fixed window'] as LimitSet
  const terms = { durationMs: 1000, factor: 3, maxMs: 5000, forgetAfterMs: 10_000 }

  it('refuses without charging, grows, and lasts as long as it is told', () => {
    const record = emptyRecord(set)
    expect(banRecord(record, terms, NOW)).toBe(1000)
    expect(take(record, set, 1, 'take', NOW + 999)).toMatchObject({ granted: false, bannedForMs: 1, changed: false })
    expect(take(record, set, 1, 'charge', NOW + 999)).toMatchObject({ granted: false, changed: false })
    expect(record.states).toEqual([[]])
    expect(take(record, set, 1, 'take', NOW + 1000)).toMatchObject({ granted: true, bannedForMs: 0 })
    expect([banRecord(record, terms, NOW + 1000), banRecord(record, terms, NOW + 4000)]).toEqual([3000, 5000])
    // The strikes are forgotten.
    expect(banRecord(record, terms, NOW + 9000 + 10_000)).toBe(1000)
  })

  it('keeps the record until its strikes are forgotten, by whatever terms keep them longest', () => {
    const record = emptyRecord(set)
    expect(keepUntil(record, set, NOW)).toBe(NOW + keepMs(set))
    banRecord(record, { ...terms, forgetAfterMs: 86_400_000 }, NOW)
    expect(keepUntil(record, set, NOW)).toBe(NOW + 1000 + 86_400_000)
    banRecord(record, { ...terms, forgetAfterMs: 0 }, NOW)
    expect(keepUntil(record, set, NOW)).toBe(NOW + 1000 + 86_400_000)
  })

  it('is not among the states, and a record of nothing else holds none', () => {
    const record = emptyRecord(set)
    banRecord(record, terms, NOW)
    expect(heldStates(record, set, NOW)).toBeUndefined()
    take(record, set, 1, 'take', NOW + 1000)
    expect(heldStates(record, set, NOW + 1000)).toEqual([[Math.floor((NOW + 1000) / 10_000) * 10_000, 1]])
    expect(heldStates(record, set, NOW + 30_000)).toBeUndefined()
  })
})

describe('the time a record is kept', () => {
  it.each(sets)('of %s is long enough for forgetting it to change nothing', (_, set) => {
    fc.assert(
      fc.property(steps, (list) => {
        const record = emptyRecord(set)
        let now = NOW
        let until = 0
        for (const { mode, cost, afterMs } of list) {
          now += Math.abs(afterMs)
          // Whoever asks after that finds a record or none, and is told the same.
          if (now >= until) expect(told(structuredClone(record), now)).toEqual(told(emptyRecord(set), now))
          if (take(record, set, cost, mode, now).changed) until = keepUntil(record, set, now)
        }
        expect(told(record, now + keepMs(set))).toEqual(told(emptyRecord(set), now + keepMs(set)))

        function told(of: CounterRecord, at: number): unknown {
          const { granted, ...rest } = take(of, set, 1, 'peek', at)
          return { granted, ...rest }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('is at most ten years, also for a bucket that never refills', () => {
    const never = buildLimitSet('record', '3/s', { algorithm: 'token_bucket', algorithmConfig: { refillRate: 0, bucketSize: 3 } })
    expect(keepMs(never)).toBe(3660 * 86_400_000)
    expect(keepMs(buildLimitSet('record', '3/1s', { algorithm: 'fixed_window' }))).toBe(1000 + 1000 + 1000)
    expect(keepMs(buildLimitSet('record', '3/1h', { algorithm: 'fixed_window' }))).toBe(3_600_000 + 60_000 + 1000)
  })
})
