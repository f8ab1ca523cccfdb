import { describe, expect, it } from 'vitest'
import { buildLimitSet } from '../../core/limit-set.ts'
import type { StoreEvent } from '../../core/observer.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { SimulatedServer } from '../../../test/faults/simulated-store.ts'
import { VirtualTime } from '../../../test/faults/virtual-time.ts'
import type { PartedStore } from '../canary.ts'
import { CANARY_GROUP } from '../store-key.ts'
import type { AsyncStore, State, Taken } from '../store.ts'
import type { Change, Entry, UpdatableStore, Updated } from '../update.ts'
import { multiStore } from './multi-store.ts'

const START = 1_700_000_040_000
const SET = buildLimitSet('parts', '5/m', { algorithm: 'fixed_window' })

/** A cluster of two servers: a key is on the one that its last digit says, until it is told to be elsewhere. */
function clustered() {
  const time = new VirtualTime()
  const servers = [new SimulatedServer(time, START), new SimulatedServer(time, START)] as const
  const clients = servers.map((server) => server.client('cluster'))
  const moved = new Map<string, number>()
  const partOf = (set: LimitSet, identity: string): number => {
    const last = Number(identity.at(-1)) % 2
    return set.scope.startsWith(CANARY_GROUP) ? last : (moved.get(identity) ?? last)
  }
  const at = (set: LimitSet, identity: string) => clients[partOf(set, identity)] as (typeof clients)[number]
  const store: AsyncStore & PartedStore & UpdatableStore = {
    name: 'cluster',
    sync: false,
    partOf,
    addressOf: (part) => `10.0.0.${part}:6379`,
    take: (set, identity, ...rest) => at(set, identity).take(set, identity, ...rest),
    reset: (set, identity) => at(set, identity).reset(set, identity),
    ban: (set, identity, terms) => at(set, identity).ban(set, identity, terms),
    unban: (set, identity) => at(set, identity).unban(set, identity),
    read: (set, identity) => at(set, identity).read(set, identity),
    update: (set: LimitSet, identity: string, change: Change, entry?: Entry): Promise<Updated> =>
      at(set, identity).update(set, identity, change, entry),
    ping: async () => undefined,
    sweep: async () => 3,
    close: async () => undefined,
  }
  const events: StoreEvent[] = []
  const net = multiStore([{ name: 'cluster', store }], {
    scheduler: time,
    random: () => 0.5,
    onStoreEvent: (event) => void events.push(event),
  })
  const take = async (identity: string): Promise<Taken> =>
    time.until(net.take(SET, identity, 1, 'take').catch(() => net.takeLocally(SET, identity, 1, 'take').taken))
  const settle = async (): Promise<void> => {
    for (const key of ['k0', 'k1']) await take(key)
    await time.advance(3000)
  }
  return { time, servers, net, events, take, settle, moved }
}

describe('a store of several servers', () => {
  it('loses only the keys of the one that fails, and takes them back', async () => {
    const { time, servers, net, events, take, settle } = clustered()
    await settle()
    servers[1].condition = 'refuses'
    for (let i = 0; i < 8; i++) await take(`other${i}1`)
    for (let i = 0; i < 20; i++) {
      expect((await take(`well${i}0`)).source).toBe('primary')
      expect((await take(`lost${i}1`)).source).toBe('local')
    }
    expect(events.map(({ kind, store, server }) => [kind, store, server])).toEqual([['down', 'cluster', '10.0.0.1:6379']])
    expect([net.mayAsk(SET, 'k0'), net.mayAsk(SET, 'k1')]).toEqual([true, false])
    expect(net.stores).toMatchObject([
      {
        name: 'cluster',
        state: 'open',
        lastError: expect.stringContaining('refused'),
        servers: [
          { address: '10.0.0.0:6379', state: 'closed', lastError: undefined },
          { address: '10.0.0.1:6379', state: 'open' },
        ],
      },
    ])
    expect(await net.sweep()).toBe(0)
    servers[1].condition = 'well'
    await time.advance(3000)
    expect((await take('lost01')).source).toBe('primary')
    expect(net.stores[0]?.state).toBe('closed')
    expect(await net.sweep()).toBe(3)
    await net.close()
  })

  it('is paid on both of them when both come back', async () => {
    const { time, servers, net, take, settle } = clustered()
    await settle()
    for (const server of servers) server.condition = 'refuses'
    for (let i = 0; i < 8; i++) for (const key of [`a${i}0`, `a${i}1`]) await take(key)
    for (const server of servers) server.condition = 'well'
    await time.advance(1000)
    // Before they are asked again.
    expect(net.stores[0]?.servers.map(({ state }) => state)).toEqual(['returning', 'returning'])
    for (const [part, server] of servers.entries()) {
      for (let i = 0; i < 8; i++) {
        const held = await time.until(server.client('look').read(SET, `a${i}${part}`) as Promise<readonly State[] | undefined>)
        expect(held?.[0]?.[1], `a${i}${part}`).toBe(1)
      }
    }
    await net.close()
  })

  it('is told what it knew where one of them has lost its memory', async () => {
    const { time, servers, events, take, net } = clustered()
    for (let i = 0; i < 5; i++) for (const key of ['k0', 'k1']) await take(key)
    await time.advance(2500)
    servers[1].forget()
    await time.advance(1500)
    expect(events.map(({ kind, server }) => [kind, server])).toEqual([['forgot', '10.0.0.1:6379']])
    expect([(await take('k0')).granted, (await take('k1')).granted]).toEqual([false, false])
    await net.close()
  })

  it('tells another of them what is known of a key that has moved there', async () => {
    const { servers, take, settle, moved, net } = clustered()
    await settle()
    for (let i = 0; i < 4; i++) expect((await take('k1')).granted).toBe(true)
    expect((await take('k1')).granted).toBe(false)
    servers[1].forget()
    moved.set('k1', 0)
    expect((await take('k1')).granted).toBe(false)
    await net.close()
  })
})
