import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LimitSet, buildLimitSet } from '../../core/limit-set.ts'
import { emptyRecord, takeFromRecord } from '../record.ts'
import { READING_WIDTH, type Taken } from '../store.ts'
import { Debt, type DebtParts, type Pile } from './debt.ts'
import { Debts } from './debts.ts'

const START = 1_700_000_000_000
const sliding = buildLimitSet('d', '10/10s', { algorithm: 'sliding_window', algorithmConfig: { precision: 10 } })
const fixed = buildLimitSet('d', '10/10s', { algorithm: 'fixed_window' })
/** One token weighs 10 000, and 10 drain in a ms. */
const bucket = buildLimitSet('d', '10/10s', { algorithm: 'token_bucket' })

function parts(set: LimitSet, own: Partial<DebtParts> = {}): DebtParts {
  return { set, identity: 'k', granter: '0#b', heldAt: '0#a', before: set.limits.map(() => []), now: START, ...own }
}

/** What a store answers that has granted a cost at an instant. */
function granted(set: LimitSet, cost: number, now: number): Taken {
  const readings = new Float64Array(set.limits.length * READING_WIDTH)
  takeFromRecord(emptyRecord(set), set, cost, 'take', now, undefined, readings)
  return { granted: true, now, readings, bannedForMs: 0, source: 'primary' }
}

function number(): () => number {
  let last = 0
  return () => ++last
}

const owedBy = (debt: Debt, now: number, shares = 1): readonly number[] =>
  debt.aside(shares, number()).map((pile: Pile) => debt.owed(pile, shares, now)[0] as number)

describe('a debt', () => {
  it('is what was granted, as long as that counts', () => {
    for (const set of [sliding, fixed]) {
      const debt = new Debt(parts(set), 'w')
      expect(debt.isEmpty).toBe(true)
      debt.add(2, granted(set, 2, START + 100), 0, 1)
      debt.add(3, granted(set, 3, START + 1200), 0, 1)
      expect(debt.isEmpty).toBe(false)
      expect(owedBy(debt, START + 2000)).toEqual([5])
      expect(owedBy(debt, START + 60_000)).toEqual([0])
      expect(debt.owesAny(START + 2000)).toBe(true)
      expect(debt.owesAny(START + 60_000)).toBe(false)
    }
  })

  it('of an earlier window is gone with it', () => {
    const debt = new Debt(parts(fixed), 'w')
    debt.add(4, granted(fixed, 4, START + 100), 0, 1)
    debt.add(1, granted(fixed, 1, START + 10_100), 0, 1)
    expect(owedBy(debt, START + 10_200)).toEqual([1])
  })

  it('of a bucket drains by the part of the refill that is this process’s', () => {
    const [alone, shared] = [new Debt(parts(bucket), 'w'), new Debt(parts(bucket), 'w')]
    alone.add(5, granted(bucket, 5, START), 0, 1)
    shared.add(5, granted(bucket, 5, START), 0, 4)
    expect(owedBy(alone, START + 1000, 1)).toEqual([40_000])
    expect(owedBy(shared, START + 1000, 4)).toEqual([47_500])
  })

  it('of a bucket does not drain while the owner has enough to drain by itself', () => {
    const debt = new Debt(parts(bucket, { before: [[START, 30_000]] }), 'w')
    debt.add(5, granted(bucket, 5, START), 0, 1)
    expect(owedBy(debt, START + 3000)).toEqual([50_000])
    expect(owedBy(debt, START + 4000)).toEqual([40_000])
  })

  it('of a bucket whose owner held nobody knows what may all be owed for as long as a bucket drains', () => {
    const debt = new Debt(parts(bucket, { before: undefined }), 'w')
    debt.add(5, granted(bucket, 5, START), 0, 1)
    expect(owedBy(debt, START + 10_000)).toEqual([50_000])
    expect(owedBy(debt, START + 11_000)).toEqual([40_000])
  })

  it('that is set aside and one that begins then do not drain both at once', () => {
    const debt = new Debt(parts(bucket), 'w')
    const next = number()
    debt.add(3, granted(bucket, 3, START), 0, 1)
    debt.aside(1, next)
    debt.add(3, granted(bucket, 3, START + 1), 0, 1)
    const piles = debt.aside(1, next)
    expect(piles.map(({ sequence }) => sequence)).toEqual([1, 2])
    const owedAt = (now: number): number => piles.reduce((sum, pile) => sum + (debt.owed(pile, 1, now)[0] as number), 0)
    expect(owedAt(START + 1000)).toBe(50_000)
    expect(owedAt(START + 3000)).toBe(30_000)
    expect(owedAt(START + 6000)).toBe(0)
  })

  it('is no more than the limit holds', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(sliding, fixed, bucket),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 30_000 }), fc.integer({ min: 1, max: 10 })), { maxLength: 50 }),
        (set, grants) => {
          const debt = new Debt(parts(set), 'w')
          const times = grants.toSorted((a, b) => a[0] - b[0])
          for (const [at, cost] of times) debt.add(cost, granted(set, cost, START + at), 0, 2)
          const [owed = 0] = owedBy(debt, START + (times.at(-1)?.[0] ?? 0), 2)
          expect(owed).toBeLessThanOrEqual(set.limits[0].capacity)
        },
      ),
    )
  })

  it('is in the owner’s time', () => {
    const debt = new Debt(parts(fixed, { now: START + 5000 }), 'w')
    debt.add(2, granted(fixed, 2, START + 100), 5000, 1)
    expect(owedBy(debt, START + 14_999)).toEqual([2])
    expect(owedBy(debt, START + 15_000)).toEqual([0])
  })

  it('is less by what was given back, of the newest pile first, but not of one that may have arrived', () => {
    const debt = new Debt(parts(fixed), 'w')
    const next = number()
    debt.add(2, granted(fixed, 2, START), 0, 1)
    const [sent] = debt.aside(1, next) as [Pile]
    sent.sent = true
    debt.add(2, granted(fixed, 2, START), 0, 1)
    debt.giveBack(3, START + 1, START)
    expect(debt.aside(1, next).map((pile) => debt.owed(pile, 1, START + 1)[0])).toEqual([2, 0])
  })

  it('is not less by what a window has forgotten, or a bucket has drained', () => {
    const later = new Debt(parts(fixed), 'w')
    later.add(2, granted(fixed, 2, START + 10_500), 0, 1)
    later.giveBack(1, START + 10_600, START + 100)
    expect(owedBy(later, START + 10_600)).toEqual([2])

    const drained = new Debt(parts(bucket), 'w')
    drained.add(2, granted(bucket, 2, START + 10_500), 0, 1)
    drained.giveBack(1, START + 10_500, START + 10_000)
    expect(owedBy(drained, START + 10_500)).toEqual([15_000])

    const entries = new Debt(parts(sliding), 'w')
    entries.add(2, granted(sliding, 2, START + 5000), 0, 1)
    entries.giveBack(1, START + 5100, START)
    expect(owedBy(entries, START + 5100)).toEqual([2])
    entries.giveBack(1, START + 5100, START + 5000)
    expect(owedBy(entries, START + 5100)).toEqual([1])
  })

  it('is empty when the owner has been told of all of it', () => {
    const debt = new Debt(parts(fixed), 'w')
    const next = number()
    debt.add(1, granted(fixed, 1, START), 0, 1)
    const piles = debt.aside(1, next)
    debt.add(1, granted(fixed, 1, START), 0, 1)
    debt.covered(piles)
    expect(debt.isEmpty).toBe(false)
    debt.covered(debt.aside(1, next))
    expect(debt.isEmpty).toBe(true)
  })
})

describe('debts', () => {
  it('are one for each key, with the largest of its limits, and know whether one place granted it', () => {
    const debts = new Debts(10, 'w')
    const larger = buildLimitSet('d', '50/10s', { algorithm: 'fixed_window' })
    const debt = debts.open(parts(fixed))
    expect(debts.open(parts(larger))).toBe(debt)
    expect([debt?.set, debt?.granter]).toEqual([larger, '0#b'])
    debts.open(parts(fixed, { granter: 'local' }))
    expect([debt?.set, debt?.granter, debts.size]).toEqual([larger, undefined, 1])
    expect(debts.find(fixed, 'k')).toBe(debt)
    expect(debts.find(sliding, 'k')).toBeUndefined()
  })

  it('are as many as there is room for; what is worth nothing any more makes room', () => {
    const debts = new Debts(3, 'w')
    for (const identity of ['a', 'b', 'c']) debts.open(parts(fixed, { identity }))?.add(1, granted(fixed, 1, START), 0, 1)
    expect(debts.open(parts(fixed, { identity: 'd', now: START + 1 }))).toBeUndefined()
    expect([debts.size, debts.dropped]).toEqual([3, 1])
    expect(debts.open(parts(fixed, { identity: 'd', now: START + 20_000 }))).toBeDefined()
    expect(debts.size).toBe(1)
  })

  it('are dropped when they are paid, and not if another has begun', () => {
    const debts = new Debts(3, 'w')
    const first = debts.open(parts(fixed)) as Debt
    debts.remove(first)
    const second = debts.open(parts(fixed)) as Debt
    debts.remove(first)
    expect(debts.find(fixed, 'k')).toBe(second)
    debts.covered(second, [])
    expect(debts.size).toBe(0)
    debts.covered(undefined, [])
  })

  it('are paid some at a time, and none that is being paid', () => {
    const debts = new Debts(10, 'w')
    for (const identity of ['a', 'b', 'c', 'd']) debts.open(parts(fixed, { identity }))
    const first = debts.find(fixed, 'a') as Debt
    first.paying = Promise.resolve()
    expect(debts.some(2).map(({ identity }) => identity)).toEqual(['b', 'c'])
    debts.clear()
    expect([debts.size, debts.some(2)]).toEqual([0, []])
  })
})
