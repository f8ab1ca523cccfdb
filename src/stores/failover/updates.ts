// Changing what a store holds of a key. Promise: it ends in time, whatever the store does; a store that cannot change a counter by a
// function is charged what is missing instead. Next: ../update.ts for the contract; seeding.ts for the functions.

import { StoreError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { Deadlines } from '../deadlines.ts'
import type { Store } from '../store.ts'
import type { Change, Entry, UpdatableStore, Updated } from '../update.ts'
import type { Member } from './member.ts'
import type { States } from './seeding.ts'

/** One change of one key. */
export interface Update {
  readonly set: LimitSet
  readonly identity: string
  readonly change: Change
  /** How to tell it from others; without one it may be made again. */
  readonly entry?: Entry
  /** The same change as costs to be charged, one per limit, for a store that holds these states. */
  readonly costs: (have: States, now: number) => readonly number[]
}

/** More charges than this are for a limit that is tiny beside another: that one is full long before. */
const MOST_CHARGES = 1000

/** Changes what a store holds, within a deadline: who waited for ever would block the key for ever. */
export function update(member: Member, what: Update, deadlines: Deadlines): Promise<Updated> {
  const { name, store } = member
  member.told()
  const late = (): StoreError =>
    new StoreError(name, `no answer within ${deadlines.deadlineMs} ms`, {
      code: 'ERR_RATELIMIT_STORE_TIMEOUT',
      kind: 'ambiguous',
    })
  return deadlines.within(changed(store, what), late)
}

async function changed(store: Store, what: Update): Promise<Updated> {
  const { set, identity, change, entry, costs } = what
  const able = store as Partial<UpdatableStore>
  if (able.update !== undefined) return able.update(set, identity, change, entry)
  const { now } = await store.take(set, identity, 1, 'peek')
  const have = await heldBy(store, what)
  let missing = set.maxCost === 0 ? 0 : Math.max(...costs(have, now))
  const outcome = missing > 0 ? 'changed' : 'unchanged'
  for (let i = 0; missing > 0 && i < MOST_CHARGES; i++) {
    const cost = Math.min(missing, set.maxCost)
    await store.take(set, identity, cost, 'charge')
    missing -= cost
  }
  return { outcome, states: await heldBy(store, what), now }
}

async function heldBy(store: Store, { set, identity }: Update): Promise<States> {
  return (await store.read(set, identity)) ?? set.limits.map(() => [])
}
