import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bannedForMs, strike } from './ban.ts'
import { ABSENT } from './law.ts'

const terms = { durationMs: 100, factor: 3, maxMs: 1000, forgetAfterMs: 5000 }
const fresh = (): Float64Array => new Float64Array([9, ABSENT, 0, 9])

it('a ban holds until its end and not a millisecond longer', () => {
  const ban = fresh()
  expect(strike(ban, 1, terms, 1000)).toBe(100)
  expect([1000, 1099, 1100, 9999].map((now) => bannedForMs(ban, 1, now))).toEqual([100, 1, 0, 0])
  expect([ban[0], ban[3]]).toEqual([9, 9])
})

it('bans grow by the factor up to the longest, until the strikes are forgotten', () => {
  const ban = fresh()
  const lasts: number[] = []
  let now = 1000
  for (let i = 0; i < 5; i++) {
    lasts.push(strike(ban, 1, terms, now))
    now += lasts.at(-1) as number
  }
  expect(lasts).toEqual([100, 300, 900, 1000, 1000])
  // One ms before they are forgotten the growth goes on.
  now += 4999
  expect(strike(ban, 1, terms, now)).toBe(1000)
  now += 1000 + 5000
  expect(strike(ban, 1, terms, now)).toBe(100)
})

it('a factor of 1 never grows, however many the strikes', () => {
  const ban = fresh()
  for (let i = 0; i < 1000; i++) expect(strike(ban, 1, { ...terms, factor: 1 }, 1000 + i * 100)).toBe(100)
})

it('a running ban is prolonged, never shortened, whatever the terms and the clock', () => {
  const length = fc.integer({ min: 1, max: 10_000 })
  const step = fc.record({
    afterMs: fc.integer({ min: -500, max: 500 }),
    durationMs: length,
    factor: fc.integer({ min: 1, max: 9 }),
    forgetAfterMs: fc.nat(10_000),
  })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const ban = fresh()
      let now = 100_000
      let until = 0
      for (const { afterMs, durationMs, factor, forgetAfterMs } of steps) {
        now += afterMs
        const lastsMs = strike(ban, 1, { durationMs, factor, maxMs: 20_000, forgetAfterMs }, now)
        expect(now + lastsMs).toBeGreaterThanOrEqual(Math.max(until, now + Math.min(durationMs, 20_000)))
        expect(Number.isSafeInteger(lastsMs)).toBe(true)
        expect(bannedForMs(ban, 1, now)).toBe(lastsMs)
        until = now + lastsMs
      }
    }),
  )
})
