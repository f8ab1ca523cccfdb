// Which server of a cluster has a counter, by a name that stays the same when a replica takes over: the number of the first canary that is
// there as well. Promise: what was known of a slot stays known while the cluster cannot tell. Next: ../canary.ts; ../failover/servers.ts,
// which asks.

import { PROCESSES, canaryOf } from '../canary.ts'
import { storeKey } from '../store-key.ts'
import { clusterSlot } from './cluster-slot.ts'
import type { RedisConnection } from './connection.ts'

const SLOTS = 16_384
/** By then each of even hundreds of servers has a canary. */
const MOST_CANARIES = 4096

/** The servers of one cluster, numbered. */
export class ClusterParts {
  readonly #connection: RedisConnection
  readonly #prefix: string
  /** By slot, the part that had it last. */
  readonly #parts = new Uint16Array(SLOTS)
  /** The slots of the canaries, as far as they were looked for. */
  readonly #canaries: number[] = []
  /** Address → part. */
  readonly #known = new Map<string, number>()

  /** @param keyPrefix what the store puts before its keys */
  constructor(connection: RedisConnection, keyPrefix: string) {
    this.#connection = connection
    this.#prefix = connection.keyPrefix + keyPrefix
  }

  /** The part that has a key, which comes without any prefix. */
  of(key: string): number {
    const slot = clusterSlot(this.#prefix + key)
    const address = this.#connection.addressOf?.(slot)
    if (address === undefined) return this.#parts[slot] as number
    return (this.#parts[slot] = this.#partAt(address))
  }

  addressOf(part: number): string | undefined {
    return this.#connection.addressOf?.(this.#slotOf(part))
  }

  #partAt(address: string): number {
    const known = this.#known.get(address)
    // A canary moves away when its slot does.
    if (known !== undefined && this.addressOf(known) === address) return known
    for (let part = 0; part < MOST_CANARIES; part++) {
      if (this.addressOf(part) !== address) continue
      this.#known.set(address, part)
      return part
    }
    return 0
  }

  #slotOf(part: number): number {
    while (this.#canaries.length <= part)
      this.#canaries.push(clusterSlot(this.#prefix + storeKey(PROCESSES, canaryOf(this.#canaries.length))))
    return this.#canaries[part] as number
  }
}
