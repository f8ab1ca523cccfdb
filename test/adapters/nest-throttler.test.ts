// The storage for @nestjs/throttler, called as its guard calls it: times in ms go in, whole seconds come out. Next: nest.test.ts.

import { describe, expect, test } from 'vitest'
import { rateLimitThrottlerStorage } from '../../src/adapters/nest/index.ts'
import { ConfigError, StoreError } from '../../src/core/errors.ts'
import type { SyncStore } from '../../src/stores/store.ts'
import { later, setUp } from './contract.ts'

const MINUTE = 60_000

describe.each(['at once', 'later'])('a throttler storage on a store that answers %s', (when) => {
  const make = (options = {}) => {
    const { clock, store } = setUp()
    const storage = rateLimitThrottlerStorage(when === 'later' ? later(store) : store, options)
    const ask = (key: string, limit: number, ttl = MINUTE, block = 0, name = 'default') =>
      storage.increment(key, ttl, limit, block, name)
    return { clock, storage, ask }
  }

  test('tells hits up to the limit, then blocks until the same request passes', async () => {
    const { clock, ask } = make({ algorithm: 'fixed_window', algorithmConfig: { align: 'first' } })
    const passes = (totalHits: number, timeToExpire: number) => ({
      totalHits,
      timeToExpire,
      isBlocked: false,
      timeToBlockExpire: 0,
    })
    expect(await ask('a', 2)).toEqual(passes(1, 60))
    clock.advance(10_500)
    expect(await ask('a', 2)).toEqual(passes(2, 50))
    expect(await ask('a', 2)).toEqual({ totalHits: 3, timeToExpire: 50, isBlocked: true, timeToBlockExpire: 50 })
    expect(await ask('b', 2)).toEqual(passes(1, 60))
    clock.advance(49_499)
    expect((await ask('a', 2)).isBlocked).toBe(true)
    clock.advance(1)
    // What was refused was not charged.
    expect(await ask('a', 2)).toEqual(passes(1, 60))
  })

  test('a block lasts as long as it is said to, and knocking does not prolong it', async () => {
    const { clock, ask } = make({ algorithm: 'fixed_window' })
    const five = () => ask('a', 1, 1000, 5000)
    await five()
    expect(await five()).toEqual({ totalHits: 2, timeToExpire: 5, isBlocked: true, timeToBlockExpire: 5 })
    clock.advance(3000)
    expect(await five()).toMatchObject({ isBlocked: true, timeToBlockExpire: 2 })
    clock.advance(1999)
    expect(await five()).toMatchObject({ isBlocked: true, timeToBlockExpire: 1 })
    clock.advance(1)
    expect(await five()).toMatchObject({ isBlocked: false, totalHits: 1 })
  })

  test('a block shorter than the period does not open it: never more than the limit in any period', async () => {
    const { clock, ask } = make()
    let granted = 0
    for (let second = 0; second < 60; second++) {
      for (let i = 0; i < 3; i++) if (!(await ask('a', 4, MINUTE, 1000)).isBlocked) granted++
      clock.advance(1000)
    }
    expect(granted).toBe(4)
  })

  test('throttlers of different names, and periods, count by themselves; a limit of 0 denies all', async () => {
    const { ask } = make()
    const hits = async (...given: Parameters<typeof ask>) => (await ask(...given)).totalHits
    expect(await hits('a', 5, MINUTE, 0, 'short')).toBe(1)
    expect(await hits('a', 5, MINUTE, 0, 'short')).toBe(2)
    expect(await hits('a', 9, MINUTE, 0, 'long')).toBe(1)
    expect(await hits('a', 5, MINUTE / 2, 0, 'short')).toBe(1)
    // Another limit for the same client counts on.
    expect(await hits('a', 7, MINUTE, 0, 'short')).toBe(3)
    expect(await ask('z', 0)).toMatchObject({ isBlocked: true, totalHits: 1 })
    expect((await ask('z', 0)).timeToBlockExpire).toBeGreaterThan(0)
  })
})

test('mistakes are errors: of the storage when it is made, of a limit when it is asked', async () => {
  const { store } = setUp()
  expect(() => rateLimitThrottlerStorage(undefined as never)).toThrow(/a store, such as memoryStore/)
  expect(() => rateLimitThrottlerStorage('redis://u:s3cr3t@:/?#' as never)).toThrow(/^((?!s3cr3t).)*received "\(a text\)"$/)
  expect(() => rateLimitThrottlerStorage(store, { algoritm: 'gcra' } as never)).toThrow(/algoritm/)
  expect(() => rateLimitThrottlerStorage(store, { algorithm: 'guess' as never })).toThrow(ConfigError)
  expect(() => rateLimitThrottlerStorage(store, { algorithm: 'gcra', algorithmConfig: { bucketSize: 2 } })).toThrow(ConfigError)
  const storage = rateLimitThrottlerStorage(store)
  await expect(storage.increment('a', MINUTE, 1.5, 0, 'default')).rejects.toThrow(/rate/)
  await expect(storage.increment('', MINUTE, 1, 0, 'default')).rejects.toThrow(/key/)
  const take = (): never => {
    throw new StoreError('broken', 'is broken')
  }
  const broken = Object.assign(Object.create(store) as SyncStore, { take })
  await expect(rateLimitThrottlerStorage(broken).increment('a', MINUTE, 1, 0, 'default')).rejects.toThrow(StoreError)
})
