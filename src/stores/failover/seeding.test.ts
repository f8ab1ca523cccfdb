import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LimitSet, buildLimitSet } from '../../core/limit-set.ts'
import type { Limit } from '../../core/limit.ts'
import { type CounterRecord, emptyRecord, takeFromRecord } from '../record.ts'
import { READING_WIDTH, type State } from '../store.ts'
import { absorb, copyOf, missingCost, pour, raise, shift, usedAt, usedBy, usesAny } from './seeding.ts'

const START = 1_700_000_000_000
const SETS: readonly LimitSet[] = [
  buildLimitSet('seed', '10/10s', { algorithm: 'sliding_window', algorithmConfig: { precision: 5 } }),
  buildLimitSet('seed', '10/10s', { algorithm: 'fixed_window' }),
  buildLimitSet('seed', '10/10s', { algorithm: 'fixed_window', algorithmConfig: { align: 'first' } }),
  buildLimitSet('seed', '10/10s', { algorithm: 'token_bucket' }),
  buildLimitSet('seed', '4/s, 10/10s', { algorithm: 'gcra', algorithmConfig: { burst: 4 } }),
  buildLimitSet('seed', [{ rate: '10/10s' }, { rate: '6/4s', algorithm: 'token_bucket' }], {}),
]

/** A counter that was used at these instants, after the start. */
const history = fc.array(fc.tuple(fc.integer({ min: 0, max: 15_000 }), fc.integer({ min: 1, max: 3 })), { maxLength: 20 })
const aSet = fc.constantFrom(...SETS)
const NOW = START + 15_000

function counter(set: LimitSet, uses: readonly (readonly [number, number])[]): CounterRecord {
  const record = emptyRecord(set)
  for (const [at, cost] of uses.toSorted((a, b) => a[0] - b[0])) take(record, set, cost, START + at)
  return record
}

function take(record: CounterRecord, set: LimitSet, cost: number, now: number): boolean {
  const readings = new Float64Array(set.limits.length * READING_WIDTH)
  return takeFromRecord(record, set, cost, 'take', now, undefined, readings).granted
}

function copy(record: CounterRecord): CounterRecord {
  return { states: copyOf(record.states), ban: record.ban }
}

/** How much is used from now on, at instants to come: what the counter lets through depends on nothing else. */
function outlook(set: LimitSet, record: CounterRecord): number[][] {
  const instants = Array.from({ length: 24 }, (_, i) => NOW + i * 500)
  return instants.map((at) => set.limits.map((limit, i) => usedAt(limit, record.states[i] as State, at)))
}

describe('raising a counter to what is known', () => {
  it('leaves nothing below it, now or later, and lowers nothing', () => {
    fc.assert(
      fc.property(aSet, history, history, (set, own, other) => {
        const [mine, theirs] = [counter(set, own), counter(set, other)]
        const raised = copy(mine)
        raise(raised, set, theirs.states, NOW)
        const [before, wanted] = [outlook(set, mine), outlook(set, theirs)]
        for (const [at, used] of outlook(set, raised).entries())
          for (const [i, amount] of used.entries())
            expect(amount).toBeGreaterThanOrEqual(Math.max(before[at]?.[i] as number, wanted[at]?.[i] as number))
      }),
    )
  })

  it('to no more than the greater of both', () => {
    fc.assert(
      fc.property(aSet, history, history, (set, own, other) => {
        const [mine, theirs] = [counter(set, own), counter(set, other)]
        const [has, told] = [usedBy(mine, set, NOW), usedBy(theirs, set, NOW)]
        raise(mine, set, theirs.states, NOW)
        expect(usedBy(mine, set, NOW)).toEqual(has.map((used, i) => Math.max(used, told[i] as number)))
      }),
    )
  })

  it('is done once: twice changes nothing, and says so', () => {
    fc.assert(
      fc.property(aSet, history, history, (set, own, other) => {
        const [mine, theirs] = [counter(set, own), counter(set, other)]
        raise(mine, set, theirs.states, NOW)
        const once = copy(mine)
        expect(raise(mine, set, theirs.states, NOW)).toBe(false)
        expect(mine).toEqual(once)
        expect(raise(mine, set, mine.states, NOW)).toBe(false)
      }),
    )
  })

  it('comes to the same in either order', () => {
    fc.assert(
      fc.property(aSet, history, history, history, (set, own, first, second) => {
        const [one, other] = [counter(set, own), counter(set, own)]
        const told = [counter(set, first).states, counter(set, second).states] as const
        for (const states of told) raise(one, set, states, NOW)
        for (const states of told.toReversed()) raise(other, set, states, NOW)
        expect(outlook(set, one)).toEqual(outlook(set, other))
      }),
    )
  })

  it('keeps the law: with what both had let through, nothing more passes than the limit holds', () => {
    fc.assert(
      fc.property(aSet, history, fc.array(fc.integer({ min: 0, max: 12_000 }), { maxLength: 40 }), (set, uses, later) => {
        const [known, fresh] = [counter(set, uses), emptyRecord(set)]
        raise(fresh, set, known.states, NOW)
        for (const at of later.toSorted((a, b) => a - b)) {
          const now = NOW + at
          expect(take(fresh, set, 1, now)).toBe(take(known, set, 1, now))
        }
      }),
    )
  })

  it('keeps a count that is above a limit which was lowered', () => {
    const [high, low] = ['10/10s', '4/10s'].map((rate) => buildLimitSet('seed', rate, { algorithm: 'fixed_window' })) as [
      LimitSet,
      LimitSet,
    ]
    const known = counter(high, [[100, 9]])
    const fresh = emptyRecord(low)
    raise(fresh, low, known.states, START + 200)
    expect(usedBy(fresh, high, START + 200)).toEqual([9])
  })
})

describe('adding what is owed', () => {
  it('adds as much, up to what the limit holds, and takes nothing away', () => {
    fc.assert(
      fc.property(aSet, history, history, (set, own, owed) => {
        const [mine, theirs] = [counter(set, own), counter(set, owed)]
        const [has, more] = [usedBy(mine, set, NOW), usedBy(theirs, set, NOW)]
        const changed = absorb(mine, set, more, theirs.states, NOW)
        expect(usedBy(mine, set, NOW)).toEqual(
          set.limits.map((limit, i) =>
            Math.max(has[i] as number, Math.min(limit.capacity, (has[i] as number) + (more[i] as number))),
          ),
        )
        expect(changed).toBe(more.some((amount) => amount > 0))
      }),
    )
  })

  it('leaves an entry of a sliding window where it was', () => {
    const [set] = SETS as [LimitSet]
    const [mine, theirs] = [
      counter(set, [[14_000, 1]]),
      counter(set, [
        [6000, 3],
        [12_000, 2],
      ]),
    ]
    absorb(mine, set, [5], theirs.states, NOW)
    expect(mine.states).toEqual([[START + 6000, 3, START + 12_000, 2, START + 14_000, 1]])
  })

  it('adds the newest of the entries where less is owed than they are', () => {
    const [set] = SETS as [LimitSet]
    const [mine, theirs] = [
      emptyRecord(set),
      counter(set, [
        [6000, 3],
        [12_000, 2],
      ]),
    ]
    absorb(mine, set, [3], theirs.states, NOW)
    expect(mine.states).toEqual([[START + 6000, 1, START + 12_000, 2]])
  })
})

it('charging states is what a store does with a cost that it grants', () => {
  fc.assert(
    fc.property(aSet, history, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 9000 }), (set, uses, cost, later) => {
      const [mine, theirs] = [counter(set, uses), counter(set, uses)]
      fc.pre(take(theirs, set, cost, NOW + later))
      pour(set, mine.states, cost, NOW + later)
      expect(outlook(set, mine)).toEqual(outlook(set, theirs))
    }),
  )
})

describe('charging what is missing', () => {
  it('brings a counter up to what is known, for a store that can do no more', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SETS.filter(({ limits }) => limits.length === 1)), history, history, (set, own, other) => {
        const [mine, theirs] = [counter(set, own), counter(set, other)]
        const [limit] = set.limits as readonly [Limit]
        const missing = missingCost(limit, mine.states[0] as State, theirs.states[0] as State, NOW)
        const readings = new Float64Array(READING_WIDTH)
        if (missing > 0) takeFromRecord(mine, set, missing, 'charge', NOW, undefined, readings)
        expect(missingCost(limit, mine.states[0] as State, theirs.states[0] as State, NOW)).toBeLessThanOrEqual(0)
        const [used, wanted] = [usedBy(mine, set, NOW)[0] as number, usedBy(theirs, set, NOW)[0] as number]
        expect(used).toBeGreaterThanOrEqual(wanted)
      }),
    )
  })
})

describe('turning states to another clock', () => {
  it('never lets anything leave earlier than it would have', () => {
    fc.assert(
      fc.property(aSet, history, fc.integer({ min: -100_000, max: 100_000 }), (set, uses, byMs) => {
        const { states } = counter(set, uses)
        const turned = copyOf(states)
        shift(set, turned, byMs)
        for (const [i, limit] of set.limits.entries())
          for (let at = NOW; at < NOW + 12_000; at += 250)
            expect(usedAt(limit, turned[i] as State, at + byMs)).toBeGreaterThanOrEqual(usedAt(limit, states[i] as State, at))
      }),
    )
  })
})

it('a counter with nothing in it uses nothing', () => {
  for (const set of SETS) {
    expect(usesAny(set, emptyRecord(set).states, NOW)).toBe(false)
    const used = counter(set, [[14_900, 1]])
    expect(usesAny(set, used.states, NOW)).toBe(true)
    expect(usesAny(set, used.states, NOW + 60_000)).toBe(false)
  }
})
