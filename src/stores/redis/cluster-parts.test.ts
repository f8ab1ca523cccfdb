import { describe, expect, it } from 'vitest'
import { buildLimitSet } from '../../core/limit-set.ts'
import { PROCESSES, canaryOf } from '../canary.ts'
import { storeKey } from '../store-key.ts'
import { ClusterParts } from './cluster-parts.ts'
import { clusterSlot } from './cluster-slot.ts'
import type { RedisConnection } from './connection.ts'

const SET = buildLimitSet('x', '5/m', {})
const PREFIX = 'rl:'

/** A cluster of which only is known who has which slot. */
function cluster(servers: number, keyPrefix = '') {
  const holders = Array.from({ length: 16_384 }, (_, slot): string | undefined => `m${Math.floor((slot * servers) / 16_384)}:1`)
  const connection = { keyPrefix, addressOf: (slot: number) => holders[slot] } as unknown as RedisConnection
  const slotOf = (key: string): number => clusterSlot(keyPrefix + PREFIX + key)
  return { holders, slotOf, parts: new ClusterParts(connection, PREFIX) }
}

const KEYS = Array.from({ length: 500 }, (_, i) => storeKey(SET, `client ${i}`))

describe('the servers of a cluster', () => {
  it.each([1, 3, 16, 200])('are each named by a canary that is there: %i', (servers) => {
    for (const keyPrefix of ['', 'app:']) {
      const { parts, holders, slotOf } = cluster(servers, keyPrefix)
      const named = new Map<string, number>()
      for (const key of KEYS) {
        const part = parts.of(key)
        const address = holders[slotOf(key)] as string
        expect(parts.addressOf(part)).toBe(address)
        expect(holders[slotOf(storeKey(PROCESSES, canaryOf(part)))]).toBe(address)
        // One name each.
        expect(named.get(address) ?? part).toBe(part)
        named.set(address, part)
      }
      expect(new Set(named.values()).size).toBe(named.size)
    }
  })

  it('keep their names when replicas take over', () => {
    const { parts, holders } = cluster(3)
    const before = KEYS.map((key) => parts.of(key))
    for (const [slot, address] of holders.entries()) if (address === 'm1:1') holders[slot] = 'r1:1'
    expect(KEYS.map((key) => parts.of(key))).toEqual(before)
    expect(before.map((part) => parts.addressOf(part))).toContain('r1:1')
  })

  it('are who they were while nobody knows', () => {
    const { parts, holders } = cluster(3)
    const before = KEYS.map((key) => parts.of(key))
    holders.fill(undefined)
    expect(KEYS.map((key) => parts.of(key))).toEqual(before)
    expect(parts.addressOf(0)).toBeUndefined()
    expect(cluster(0).parts.of(KEYS[0] as string)).toBe(0)
  })

  it('are named anew when the canary has gone to another', () => {
    const { parts, holders, slotOf } = cluster(3)
    for (const key of KEYS) parts.of(key)
    const canary = slotOf(storeKey(PROCESSES, canaryOf(0)))
    const from = holders[canary] as string
    holders[canary] = from === 'm2:1' ? 'm0:1' : 'm2:1'
    const left = KEYS.filter((key) => holders[slotOf(key)] === from)
    const part = parts.of(left[0] as string)
    expect(part).not.toBe(0)
    expect(new Set(left.map((key) => parts.of(key)))).toEqual(new Set([part]))
  })
})
