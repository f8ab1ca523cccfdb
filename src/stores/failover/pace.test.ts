import { describe, expect, it } from 'vitest'
import { Pace } from './pace.ts'

describe('what is done at once', () => {
  it('grows while rounds are short, up to a bound', () => {
    const pace = new Pace(200, 100)
    const rounds: number[] = []
    for (let i = 0; i < 6; i++) {
      rounds.push(pace.next)
      pace.took(pace.next, 5, 1)
    }
    expect(rounds).toEqual([16, 32, 64, 128, 200, 200])
  })

  it('shrinks when a round takes long, and stays as it is in between', () => {
    const pace = new Pace(200, 100)
    pace.took(3, 5, 1)
    pace.took(16, 20, 1)
    expect(pace.next).toBe(16)
    for (const left of [8, 4, 4]) {
      pace.took(pace.next, 100, 1)
      expect(pace.next).toBe(left)
    }
  })

  it('grows to a store that is far away, as long as that is all that takes time', () => {
    const pace = new Pace(200, 100)
    for (const now of [16, 32, 64, 128, 200]) {
      expect(pace.next).toBe(now)
      pace.took(now, 60, 16)
    }
    pace.took(200, 200, 16)
    expect(pace.next).toBe(100)
  })

  it('does not grow by rounds that had less to do', () => {
    const pace = new Pace(200, 100)
    pace.took(3, 1, 1)
    expect(pace.next).toBe(16)
    expect(new Pace(10, 100).next).toBe(10)
  })
})
