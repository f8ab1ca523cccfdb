// The Redis store, for Redis 6 and newer and for Valkey: one server, Sentinel or a cluster, by a client that the app has or by address.
// Promise: the same answers as every other store; a decision is one script call on one key, and a turn's decisions are one call.
// Next: driver.ts, how it is asked; take.lua, what it is asked.

import { ConfigError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import type { PartedStore } from '../canary.ts'
import { RemoteStore } from '../remote.ts'
import { type CounterPage, type ListingStore, PAGE_SIZE } from '../listing.ts'
import { type RemoteOptions, type RemoteSettings, remoteSettings } from '../remote-options.ts'
import type { AsyncStore } from '../store.ts'
import { storeKey } from '../store-key.ts'
import type { UpdatableStore } from '../update.ts'
import { type RedisAddress, checkAddress } from './address.ts'
import { connectRedis } from './connect.ts'
import { RedisDriver } from './driver.ts'
import { type IoredisClient, type IoredisCluster, ioredisConnection, isIoredis } from './ioredis.ts'
import {
  type NodeRedisClient,
  type NodeRedisCluster,
  type NodeRedisPool,
  type NodeRedisSentinel,
  isNodeRedis,
  nodeRedisConnection,
} from './node-redis.ts'
import { shared } from './shared-connection.ts'

export type { RedisAddress, RedisSentinelAddress } from './address.ts'
export type { CounterPage, ListingStore, StoredCounter } from '../listing.ts'
export type { RemoteOptions } from '../remote-options.ts'
export type { CounterRecord } from '../record.ts'
export type { Change, Entry, UpdatableStore, Updated } from '../update.ts'
export type { IoredisClient, IoredisCluster, NodeRedisClient, NodeRedisCluster, NodeRedisPool, NodeRedisSentinel }

/** A client of ioredis: `new Redis()`, `new Cluster()`. Of node-redis: what `createClient()` and its sisters make. Or an address. */
export type RedisSource =
  | IoredisClient
  | IoredisCluster
  | NodeRedisClient
  | NodeRedisPool
  | NodeRedisSentinel
  | NodeRedisCluster
  | RedisAddress

/** Options of {@link redisStore}. */
export interface RedisStoreOptions extends RemoteOptions {}

/** What {@link redisStore} makes. */
export interface RedisStore extends AsyncStore, UpdatableStore, ListingStore {}

/**
 * Makes a store that keeps its counters in Redis or Valkey.
 * @param source a client, which stays the app's to connect and to close; or an address, from which the store connects when it is first
 *   used, through `ioredis` or `redis`, whichever is installed
 * @throws ConfigError for what is neither, and for an option that cannot be
 */
export function redisStore(source: RedisSource, options: RedisStoreOptions = {}): RedisStore {
  const settings = remoteSettings(options, 'redisStore.options', [], 'redis')
  if (typeof source !== 'object' || source === null)
    throw new ConfigError('redisStore(source)', 'a client of ioredis or redis, or { url } or { host, port }', typeof source)
  const connection = isIoredis(source)
    ? shared(source, () => ioredisConnection(source))
    : isNodeRedis(source)
      ? shared(source, () => nodeRedisConnection(source))
      : undefined
  if (connection !== undefined)
    return storeOf(new RedisDriver(() => connection, settings), settings, connection.addressOf !== undefined)
  if (Object.getPrototypeOf(source) !== Object.prototype && Object.getPrototypeOf(source) !== null)
    throw new ConfigError('redisStore(source)', 'a client of ioredis or redis, or { url } or { host, port }', source)
  const address = checkAddress(source as RedisAddress, 'redisStore')
  return storeOf(
    new RedisDriver(async () => connectRedis(address, settings.name), settings),
    settings,
    address.cluster !== undefined,
  )
}

function storeOf(driver: RedisDriver, settings: RemoteSettings, isCluster: boolean): RedisStore {
  return isCluster ? new CountersInCluster(driver, settings) : new CountersInRedis(driver, settings)
}

class CountersInRedis extends RemoteStore implements RedisStore {
  readonly #driver: RedisDriver

  constructor(driver: RedisDriver, settings: RemoteSettings) {
    super(driver, settings)
    this.#driver = driver
  }

  counters(pageSize = PAGE_SIZE): AsyncIterable<CounterPage> {
    return this.#driver.counters(pageSize)
  }
}

/** Each of a cluster's servers may fail by itself. */
class CountersInCluster extends CountersInRedis implements PartedStore {
  readonly #driver: RedisDriver

  constructor(driver: RedisDriver, settings: RemoteSettings) {
    super(driver, settings)
    this.#driver = driver
  }

  partOf(set: LimitSet, identity: string): number {
    return this.#driver.partOf?.(storeKey(set, identity)) ?? 0
  }

  addressOf(part: number): string | undefined {
    return this.#driver.addressOf(part)
  }
}
