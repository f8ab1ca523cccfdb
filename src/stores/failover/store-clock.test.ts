import { expect, it } from 'vitest'
import { VirtualTime } from '../../../test/faults/virtual-time.ts'
import { StoreClock, StoresClock } from './store-clock.ts'

const START = 1_700_000_000_000

it('a clock shows what was told, and goes on from there', async () => {
  const time = new VirtualTime()
  const clock = new StoreClock(time)
  await time.advance(100)
  expect(clock.isKnown).toBe(false)
  clock.told(START, 98, time.now())
  await time.advance(50)
  expect([clock.isKnown, clock.now()]).toEqual([true, START + 51])
})

it('an answer that took long moves it no more than it can tell', async () => {
  const time = new VirtualTime()
  const clock = new StoreClock(time)
  await time.advance(1000)
  clock.told(START, 998, time.now())
  // Read by the store at once, heard of two seconds later.
  await time.advance(2000)
  clock.told(START + 1, 1001, time.now())
  expect(clock.now()).toBe(START + 2001)
})

it('an old quick answer gives way to a less quick one, as clocks drift', async () => {
  const time = new VirtualTime()
  const clock = new StoreClock(time)
  clock.told(START, 0, time.now())
  await time.advance(100_000)
  clock.told(START + 100_030, 99_960, time.now())
  expect(clock.now()).toBe(START + 100_050)
})

it('a clock that was set anew is followed at once, both ways', async () => {
  const time = new VirtualTime()
  const clock = new StoreClock(time)
  clock.told(START, 0, time.now())
  for (const set of [3_600_000, -3_600_000]) {
    await time.advance(100)
    clock.told(START + set, time.now() - 20, time.now())
    expect(Math.abs(clock.now() - START - set)).toBeLessThanOrEqual(20)
  }
})

it('the time of several is that of the first which is known, else the machine’s', async () => {
  const time = new VirtualTime()
  const [a, b] = [new StoreClock(time), new StoreClock(time)]
  const clock = new StoresClock(() => [a, b])
  expect([clock.isKnown, Math.abs(clock.now() - Date.now()) < 1000]).toEqual([false, true])
  b.told(START, 0, time.now())
  expect([clock.isKnown, clock.now()]).toEqual([true, START])
  a.told(START + 5000, 0, time.now())
  expect(clock.now()).toBe(START + 5000)
})
