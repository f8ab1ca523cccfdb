import { describe, expect, it, vi } from 'vitest'
import { guarded, manualClock, systemClock, turnClock } from './clock.ts'
import { ConfigError } from './errors.ts'

describe('a guarded clock', () => {
  function over(...readings: readonly number[]): number[] {
    const left = [...readings]
    const clock = guarded(() => left.shift() as number)
    return readings.map(() => clock.now())
  }

  it('tells the time while it goes forward', () => {
    expect(over(5, 5, 9, 1000)).toEqual([5, 5, 9, 1000])
  })

  it('stands still for the reading at which the system time is set back, then keeps its pace', () => {
    expect(over(1000, 400, 401, 450, 1000)).toEqual([1000, 1000, 1001, 1050, 1600])
  })

  it('bears being set back again and again', () => {
    expect(over(100, 90, 80, 81, 10, 12)).toEqual([100, 100, 100, 101, 101, 103])
  })
})

describe('the system clock', () => {
  it('is the time of day in whole milliseconds and does not go back', () => {
    const before = Date.now()
    let last = 0
    for (let i = 0; i < 10_000; i++) {
      const now = systemClock.now()
      expect(Number.isSafeInteger(now)).toBe(true)
      if (now < last) expect.fail('went back')
      last = now
    }
    expect(last).toBeGreaterThanOrEqual(before)
  })
})

describe('the turn clock', () => {
  it('is read once a turn of the event loop', async () => {
    // A time of day that passes with every reading shows whether there was one.
    let time = Date.now()
    const readings = vi.spyOn(Date, 'now').mockImplementation(() => time++)
    try {
      const clock = turnClock()
      const first = clock.now()
      for (let i = 0; i < 50; i++) expect(clock.now()).toBe(first)
      await Promise.resolve()
      expect(clock.now()).toBe(first)
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
      expect(clock.now()).toBeGreaterThan(first)
    } finally {
      readings.mockRestore()
    }
  })

  it('works where there is no setImmediate', async () => {
    vi.stubGlobal('setImmediate', undefined)
    try {
      const clock = turnClock()
      const first = clock.now()
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(clock.now()).toBeGreaterThan(first)
    } finally {
      vi.unstubAllGlobals()
    }
  })
})

describe('a manual clock', () => {
  it('stands still until it is moved', () => {
    const clock = manualClock(1_700_000_000_000)
    expect([clock.now(), clock.now()]).toEqual([1_700_000_000_000, 1_700_000_000_000])
    clock.advance(250)
    expect(clock.now()).toBe(1_700_000_000_250)
    clock.set(5)
    expect(clock.now()).toBe(5)
    clock.advance(-5)
    expect(clock.now()).toBe(0)
  })

  it('starts at 0', () => {
    expect(manualClock().now()).toBe(0)
  })

  it.each([-1, 0.5, Number.NaN, Infinity, 2 ** 53, '5', null, {}])('refuses the instant %s and stays where it is', (ms) => {
    expect(() => manualClock(ms as number)).toThrow(ConfigError)
    const clock = manualClock(7)
    expect(() => clock.set(ms as number)).toThrow(/^clock\.set\(ms\): expected whole milliseconds since 1970, received /)
    expect(() => clock.advance(ms === -1 ? -8 : ms === null ? Number.NaN : (ms as number))).toThrow(ConfigError)
    expect(clock.now()).toBe(7)
  })
})
