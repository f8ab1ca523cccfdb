import { describe, expect, it } from 'vitest'
import { buildLimitSet } from '../core/limit-set.ts'
import { Counter } from './counter.ts'
import { keepMs } from './record.ts'
import type { Question } from './remote-driver.ts'

const NOW = 1_700_000_000_000
const START = Math.floor(NOW / 60_000) * 60_000
const set = buildLimitSet('counter', '5/m', { algorithm: 'fixed_window' })
const raised = buildLimitSet('counter', '9/m', { algorithm: 'fixed_window' })

function asked(rest: Partial<Question> = {}): Question {
  return { set, key: 'k', cost: 1, mode: 'take', takenAt: undefined, count: 1, ...rest }
}

describe('a counter', () => {
  it('grants as many of those who share a question as one by one, and tells what is left', () => {
    const counter = new Counter(undefined, NOW)
    expect(counter.decide(asked({ count: 3 }))).toMatchObject({ granted: 3, now: NOW, bannedForMs: 0 })
    const found = counter.decide(asked({ count: 10 }))
    expect(found.granted).toBe(2)
    expect(found.readings[1]).toBe(5)
    expect(counter.written()).toBe(`${START},5`)
    expect(counter.keepUntil()).toBe(NOW + keepMs(set))
  })

  it('decides by another set of its scope on what the first one left', () => {
    const counter = new Counter(`${START},4`, NOW)
    expect(counter.decide(asked({ cost: 2 })).granted).toBe(0)
    expect(counter.decide(asked({ cost: 2, set: raised })).granted).toBe(1)
    expect(counter.decide(asked()).granted).toBe(0)
    expect(counter.written()).toBe(`${START},6`)
  })

  it('has nothing to write after looks and refusals', () => {
    const counter = new Counter(`${START},5`, NOW)
    expect(counter.written()).toBeUndefined()
    counter.decide(asked({ mode: 'peek' }))
    counter.decide(asked())
    counter.decide(asked({ mode: 'charge', cost: 0 }))
    expect(counter.written()).toBeUndefined()
    expect(new Counter(undefined, NOW).written()).toBeUndefined()
  })

  it('is empty when all is given back', () => {
    const counter = new Counter(`${START},2`, NOW)
    counter.decide(asked({ mode: 'refund', cost: 2 }))
    expect(counter.written()).toBe('')
    const nobody = new Counter(undefined, NOW)
    nobody.decide(asked({ mode: 'refund', cost: 2 }))
    expect(nobody.written()).toBeUndefined()
  })

  it('that is damaged stays so under looks, and is mended by the first take, though that is refused', () => {
    const counter = new Counter('NaN', NOW)
    expect(counter.decide(asked({ mode: 'peek' })).granted).toBe(0)
    expect(counter.written()).toBeUndefined()
    // Spent by the limits of whoever asks.
    expect(counter.decide(asked({ mode: 'peek', set: raised })).readings[1]).toBe(9)
    expect(counter.decide(asked()).granted).toBe(0)
    expect(counter.written()).toBe(`${START},5`)
  })

  it('is changed by a function, and tells what that tells', () => {
    const counter = new Counter(`${START},2`, NOW)
    const answer = counter.change(set, (record, now) => {
      record.states[0] = [now, 4]
      return 'done'
    })
    expect([answer, counter.written()]).toEqual(['done', `${NOW},4`])
  })
})
