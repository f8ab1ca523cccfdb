import { describe, expect, it } from 'vitest'
import { VirtualTime } from '../../../test/faults/virtual-time.ts'
import { SimulatedServer } from '../../../test/faults/simulated-store.ts'
import { buildLimitSet } from '../../core/limit-set.ts'
import { Deadlines } from '../deadlines.ts'
import { memoryStore } from '../memory/memory-store.ts'
import type { Store } from '../store.ts'
import { Member } from './member.ts'
import { failoverSettings } from './options.ts'
import { Payments } from './payments.ts'
import { type States, missingCost, raise } from './seeding.ts'
import { type Update, update } from './updates.ts'

const START = 1_700_000_040_000
const set = buildLimitSet('u', '10/h', { algorithm: 'fixed_window' })

function world() {
  const time = new VirtualTime()
  const server = new SimulatedServer(time, START)
  const settings = { ...failoverSettings({ scheduler: time }, 'test'), writer: 'w' }
  const member = (store: Store): Member =>
    new Member('s', store, settings, { changed: () => undefined, forgot: () => undefined, patienceMs: () => 100 })
  return { time, server, member, deadlines: new Deadlines(100, time) }
}

function raiseTo(states: States): Update {
  return {
    set,
    identity: 'k',
    change: (record, now) => raise(record, set, states, now),
    costs: (have, now) => set.limits.map((limit, i) => missingCost(limit, have[i] ?? [], states[i] ?? [], now)),
  }
}

describe('a change of a counter', () => {
  it('is made by the store where it can', async () => {
    const { time, server, member, deadlines } = world()
    const told = await time.until(update(member(server.client('s')), raiseTo([[START, 4]]), deadlines))
    expect(told).toMatchObject({ outcome: 'changed', states: [[START, 4]] })
    const again = await time.until(update(member(server.client('s')), raiseTo([[START, 4]]), deadlines))
    expect(again.outcome).toBe('unchanged')
  })

  it('is charged where the store can do no more', async () => {
    const { time, member, deadlines } = world()
    const store = memoryStore({ clock: time.clock(START) })
    store.take(set, 'k', 1, 'take')
    const window = store.read(set, 'k')?.[0]?.[0] as number
    const told = await time.until(update(member(store), raiseTo([[window, 4]]), deadlines))
    expect(told).toMatchObject({ outcome: 'changed', states: [[window, 4]] })
    const again = await time.until(update(member(store), raiseTo([[window, 3]]), deadlines))
    expect(again).toMatchObject({ outcome: 'unchanged', states: [[window, 4]] })
    store.close()
  })

  it('ends in time, and nobody knows whether it was made', async () => {
    const { time, server, member, deadlines } = world()
    server.condition = 'hangs'
    const from = time.now()
    const made = update(member(server.client('s')), raiseTo([[START, 4]]), deadlines)
    await expect(time.until(made)).rejects.toMatchObject({ code: 'ERR_RATELIMIT_STORE_TIMEOUT', kind: 'ambiguous' })
    expect(time.now() - from).toBeLessThanOrEqual(101)
  })
})

describe('a payment', () => {
  const granted = { granted: true, now: START, readings: [START, 2, START, START], bannedForMs: 0, source: 'primary' } as const

  function owing() {
    const { time, server, member, deadlines } = world()
    const owner = member(server.client('s'))
    const payments = new Payments(deadlines, 'writer', () => 1)
    const debt = payments.to(owner).open({ set, identity: 'k', granter: 'b', heldAt: undefined, before: undefined, now: START })
    debt?.add(2, granted, 0, 1)
    return { time, server, owner, payments, debt: debt as NonNullable<typeof debt> }
  }
  const all = (_: readonly number[], owed: readonly number[]): readonly number[] => owed

  it('that was lost on the way back is not made twice; one that never left is', async () => {
    const { time, server, owner, payments, debt } = owing()
    server.condition = 'loses answers'
    await expect(time.until(payments.pay(debt, owner, all))).rejects.toThrow('no answer')
    server.condition = 'refuses'
    await expect(time.until(payments.pay(debt, owner, all))).rejects.toThrow('refused')
    server.condition = 'well'
    expect(await time.until(payments.pay(debt, owner, all))).toMatchObject({ outcome: 'already' })
    expect(debt.isEmpty).toBe(true)
    debt.add(3, granted, 0, 1)
    expect((await time.until(payments.pay(debt, owner, all)))?.states[0]?.[1]).toBe(5)
  })

  it('is no more than it is told to be, and none at all where nothing is owed any more', async () => {
    const { time, server, owner, payments, debt } = owing()
    await time.until(payments.pay(debt, owner, () => [1]))
    expect((await time.until(Promise.resolve(server.client('s').read(set, 'k'))))?.[0]?.[1]).toBe(1)
    debt.add(3, granted, 0, 1)
    owner.clock.told(START + 7_200_000, time.now(), time.now())
    const { calls } = server
    expect(await time.until(payments.pay(debt, owner, all))).toBeUndefined()
    expect([server.calls, debt.isEmpty]).toEqual([calls, true])
  })

  it('is forgotten with the key', () => {
    const { owner, payments } = owing()
    payments.alone.open({ set, identity: 'k', granter: 'local', heldAt: undefined, before: undefined, now: START })
    payments.forget(set, 'k')
    expect([payments.find(owner, set, 'k'), payments.alone.size]).toEqual([undefined, 0])
  })
})
