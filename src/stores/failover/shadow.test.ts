import { describe, expect, it } from 'vitest'
import { type LimitSet, buildLimitSet } from '../../core/limit-set.ts'
import { emptyRecord, takeFromRecord } from '../record.ts'
import { READING_WIDTH, type Taken } from '../store.ts'
import { type Decider, allKnown, differenceMs, lacks, moveTo, turnTo } from './known.ts'
import { usedAt } from './seeding.ts'
import { Shadow } from './shadow.ts'

const START = 1_700_000_000_000
const fixed = buildLimitSet('s', '10/10s', { algorithm: 'fixed_window' })
const sliding = buildLimitSet('s', '10/10s', { algorithm: 'sliding_window', algorithmConfig: { precision: 10 } })
const bucket = buildLimitSet('s', '10/10s', { algorithm: 'token_bucket' })

let now = START
function decider(place: string, byMs = 0): Decider {
  return { place, clock: { isKnown: true, now: () => now + byMs } }
}
const first = decider('0#a')
const second = decider('0#b')

/** A store that counts, and what it answers. */
function store(set: LimitSet): (cost: number, at?: number) => Taken {
  const record = emptyRecord(set)
  return (cost, at = now) => {
    const readings = new Float64Array(set.limits.length * READING_WIDTH)
    const { granted, bannedForMs } = takeFromRecord(record, set, cost, 'take', at, undefined, readings)
    return { granted, now: at, readings, bannedForMs, source: 'primary' }
  }
}

describe('what is known', () => {
  it.each([
    ['fixed', fixed],
    ['sliding', sliding],
    ['bucket', bucket],
  ])('is what the store said, by a %s law', (_name, set) => {
    now = START
    const [shadow, take] = [new Shadow(10), store(set)]
    for (const [i, cost] of [1, 2, 3].entries()) {
      now = START + i * 1500
      const known = shadow.note(set, 'k', take(cost), first, 0, 0, cost)
      expect(known.place).toBe('0#a')
    }
    const known = shadow.find(set, 'k')
    const answer = take(0, now + 500)
    expect(usedAt(set.limits[0], known?.states[0] as number[], now + 500)).toBe(answer.readings[1])
    expect(shadow.size).toBe(1)
    shadow.forget(set, 'k')
    expect([shadow.find(set, 'k'), shadow.size]).toEqual([undefined, 0])
  })

  it('counts what others used from the newest entry of a sliding window, and how much earlier that may have been', () => {
    now = START
    const [shadow, take] = [new Shadow(10), store(sliding)]
    shadow.note(sliding, 'k', take(1), first, 0, 0, 1)
    now = START + 3000
    take(2)
    now = START + 4000
    const known = shadow.note(sliding, 'k', take(1), first, 0, 0, 1)
    expect(known.states).toEqual([[START, 1, START + 4000, 3]])
    expect(known.slackMs).toBe(4000)
    now = START + 20_000
    take(1)
    now = START + 20_500
    expect(shadow.note(sliding, 'k', take(1), first, 0, 0, 1).slackMs).toBe(16_500)
  })

  it('takes what was just charged for the newest, also where more was known than the store holds', () => {
    now = START
    const [shadow, take] = [new Shadow(10), store(sliding)]
    const known = shadow.note(sliding, 'k', take(1), first, 0, 0, 1)
    known.states[0]?.splice(0, 2, START, 4)
    now = START + 2000
    shadow.note(sliding, 'k', take(1), first, 0, 0, 1)
    expect(known.states).toEqual([[START, 1, START + 2000, 1]])
  })

  it('stays known when the amounts are changed', () => {
    now = START
    const [shadow, take] = [new Shadow(10), store(fixed)]
    const known = shadow.note(fixed, 'k', take(3), first, 0, 0, 3)
    const more = buildLimitSet('s', '50/10s', { algorithm: 'fixed_window' })
    expect(shadow.find(more, 'k')).toBe(known)
    expect(shadow.note(more, 'k', take(1), first, 0, 0, 1)).toBe(known)
    expect([known.set, known.states[0]?.[1]]).toEqual([more, 4])
  })

  it('says until when a key is banned, and that stores which are not asked do not know of it', () => {
    now = START
    const [shadow, take] = [new Shadow(10), store(fixed)]
    const known = shadow.note(fixed, 'k', take(1), first, 0, 100, 1)
    moveTo(known, second, 1)
    shadow.note(fixed, 'k', { ...take(1), granted: false, bannedForMs: 500 }, second, 1, 200, 0)
    expect([known.bannedUntil, lacks(known, first, 0), lacks(known, second, 1)]).toEqual([700, true, false])
  })
})

describe('a move', () => {
  it('leaves a store behind that holds what it held; one that is asked later does not, once more is granted', () => {
    now = START
    const [shadow, take] = [new Shadow(10), store(fixed)]
    const known = shadow.note(fixed, 'k', take(2), first, 0, 0, 2)
    moveTo(known, second, 1)
    expect([lacks(known, first, 0), known.homes.get(0)?.left]).toEqual([false, [[START, 2]]])
    shadow.note(fixed, 'k', take(1), second, 1, 0, 1)
    expect(lacks(known, first, 0)).toBe(false)
    moveTo(known, first, 0)
    expect(lacks(known, second, 1)).toBe(false)
    shadow.note(fixed, 'k', take(1), first, 0, 0, 1)
    expect(lacks(known, second, 1)).toBe(true)
  })

  it('is to another life where the store has lost its memory', () => {
    now = START
    const [shadow, take] = [new Shadow(10), store(fixed)]
    const known = shadow.note(fixed, 'k', take(2), first, 0, 0, 2)
    expect(lacks(known, decider('1#a'), 0)).toBe(true)
  })

  it('turns what is known to the other clock, and joins it with what others held', () => {
    now = START
    const [shadow, take] = [new Shadow(10), store(fixed)]
    const known = shadow.note(fixed, 'k', take(5), first, 0, 0, 5)
    const ahead = decider('0#b', 60_000)
    expect(differenceMs(ahead.clock, first.clock)).toBe(60_000)
    moveTo(known, ahead, 1)
    turnTo(known, ahead.clock)
    expect(known.states).toEqual([[START + 60_000, 5]])
    known.states[0]?.splice(0, 2, START + 60_000, 1)
    expect(allKnown(known, known.states, first.clock)).toEqual([[START, 5]])
  })

  it('takes clocks for one that cannot be told apart, or of which one is not known', () => {
    const unknown = { isKnown: false, now: () => 7 }
    expect(differenceMs(decider('x', 20).clock, first.clock)).toBe(0)
    expect(differenceMs(decider('x', 21).clock, first.clock)).toBe(21)
    expect(differenceMs(unknown, first.clock)).toBe(0)
    expect(differenceMs(first.clock, unknown)).toBe(0)
  })
})

describe('the keys that are remembered', () => {
  it('are no more than asked for, whatever comes', () => {
    now = START
    const [shadow, take] = [new Shadow(100), store(fixed)]
    for (let i = 0; i < 10_000; i++) {
      shadow.changed(shadow.note(fixed, `k${i}`, take(0), first, 0, 0, 0))
      expect(shadow.size).toBeLessThanOrEqual(100)
    }
    expect(shadow.takeDirty(1000)).toHaveLength(shadow.size)
  })

  it('are those with much used: a flood of new ones does not push them out', () => {
    now = START
    const shadow = new Shadow(100)
    for (let i = 0; i < 50; i++) shadow.note(fixed, `used ${i}`, store(fixed)(8), first, 0, 0, 8)
    for (let i = 0; i < 10_000; i++) shadow.note(fixed, `new ${i}`, store(fixed)(1), first, 0, 0, 1)
    const left = Array.from({ length: 50 }, (_, i) => shadow.find(fixed, `used ${i}`)).filter((known) => known !== undefined)
    expect(left).toHaveLength(50)
  })

  it('are dropped like any other when their window is over', () => {
    now = START
    const shadow = new Shadow(100)
    for (let i = 0; i < 50; i++) shadow.note(fixed, `used ${i}`, store(fixed)(8), first, 0, 0, 8)
    now = START + 20_000
    for (let i = 0; i < 500; i++) shadow.note(fixed, `new ${i}`, store(fixed)(8), first, 0, 0, 8)
    expect(shadow.find(fixed, 'used 0')).toBeUndefined()
  })

  it('are copied when they have changed, once, those that wait longest first', () => {
    now = START
    const [shadow, take] = [new Shadow(100), store(fixed)]
    for (const key of ['a', 'b', 'c']) shadow.changed(shadow.note(fixed, key, take(1), first, 0, 0, 1))
    shadow.changed(shadow.find(fixed, 'a') as never)
    expect(shadow.takeDirty(2).map(({ identity }) => identity)).toEqual(['a', 'b'])
    expect(shadow.hasDirty).toBe(true)
    expect(shadow.takeDirty(2).map(({ identity }) => identity)).toEqual(['c'])
    expect(shadow.hasDirty).toBe(false)
  })

  it('are copied again when a store that held them has lost its memory', () => {
    now = START
    const [shadow, take] = [new Shadow(100), store(fixed)]
    shadow.note(fixed, 'here', take(1), first, 0, 0, 1)
    moveTo(shadow.note(fixed, 'moved', take(1), first, 0, 0, 1), second, 1)
    shadow.note(fixed, 'elsewhere', take(1), second, 1, 0, 1)
    shadow.lost('0#a')
    expect(shadow.takeDirty(10).map(({ identity }) => identity)).toEqual(['here', 'moved'])
    shadow.clear()
    expect(shadow.size).toBe(0)
  })
})
