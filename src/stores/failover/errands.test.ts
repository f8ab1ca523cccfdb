import { expect, it } from 'vitest'
import { VirtualTime } from '../../../test/faults/virtual-time.ts'
import { Errands } from './errands.ts'

it('goes on in rounds until nothing is left, one at a time for each purpose', async () => {
  const time = new VirtualTime()
  const errands = new Errands(time)
  const begun: string[] = []
  let left = 3
  const round = (purpose: string) => async (): Promise<number | undefined> => {
    begun.push(`${purpose} ${time.now()}`)
    await time.wait(5)
    return --left > 0 ? 20 : undefined
  }
  errands.run('copy', 100, round('copy'))
  errands.run('copy', 0, round('copy'))
  await time.advance(99)
  expect(begun).toEqual([])
  await time.advance(2)
  errands.run('copy', 0, round('copy'))
  errands.run('pay', 0, round('pay'))
  await time.advance(200)
  expect(begun).toEqual(['copy 100', 'pay 101', 'copy 125', 'pay 126'])
  errands.run('copy', 10, round('copy'))
  await time.advance(10)
  expect(begun).toHaveLength(5)
})

it('begins nothing when it is closed, and leaves no timer', async () => {
  const time = new VirtualTime()
  const errands = new Errands(time)
  let rounds = 0
  const round = async (): Promise<number> => {
    rounds++
    await time.wait(5)
    return 20
  }
  errands.run('copy', 0, round)
  errands.run('pay', 50, round)
  await time.advance(1)
  errands.close()
  errands.run('pay', 0, round)
  await time.advance(1000)
  expect(rounds).toBe(1)
})
