// The servers of one store: one for most, several for a cluster, each with a breaker and probes of its own. Promise: a server that fails
// takes nothing along but the counters it has. Next: member.ts, one of them; ../canary.ts, how a store tells them apart.

import type { LimitSet } from '../../core/limit-set.ts'
import type { PartedStore } from '../canary.ts'
import type { Store } from '../store.ts'
import type { BreakerState } from './breaker.ts'
import { Member, type MemberEvents, type MemberSettings } from './member.ts'
import type { NamedStore } from './options.ts'

/** How one server of a store is. */
export interface ServerStatus {
  /** `host:port`; undefined while that is not known. */
  readonly address: string | undefined
  readonly state: BreakerState['kind']
  /** The latest failure's message, which holds no secret. */
  readonly lastError: string | undefined
}

/** How one of the stores is. */
export interface StoreStatus {
  readonly name: string
  /** Of several servers the worst. */
  readonly state: BreakerState['kind']
  /** The latest failure's message, which holds no secret. */
  readonly lastError: string | undefined
  /** Those that were asked so far; one for a store that is no cluster. */
  readonly servers: readonly ServerStatus[]
}

/** From well to not. */
const WORSE: readonly BreakerState['kind'][] = ['closed', 'returning', 'half_open', 'open']

/** A store, and what is known of its servers. */
export class Servers implements NamedStore {
  readonly name: string
  readonly store: Store
  /** The one that a store has which is no cluster. */
  readonly only: Member | undefined
  readonly #parted: PartedStore | undefined
  readonly #members: Member[] = []
  readonly #byPart: (Member | undefined)[] = []
  readonly #make: (part: number) => Member
  #started = false

  constructor({ name, store }: NamedStore, settings: MemberSettings, events: MemberEvents) {
    this.name = name
    this.store = store
    this.#make = (part) => new Member(name, store, settings, events, part)
    const parted = store as Partial<PartedStore>
    if (parted.partOf !== undefined) this.#parted = parted as PartedStore
    const first = this.#at(0)
    if (this.#parted === undefined) this.only = first
  }

  /** All that were asked so far, at least one, but for those that are no more. */
  get all(): readonly Member[] {
    return this.only === undefined ? this.#members.filter((member, i) => i === 0 || member.isThere) : this.#members
  }

  /** The one that has a counter. */
  of(set: LimitSet, identity: string): Member {
    return this.only ?? this.#at((this.#parted as PartedStore).partOf(set, identity))
  }

  /** Begins to probe them. */
  start(): void {
    if (this.#started) return
    this.#started = true
    for (const member of this.#members) member.start()
  }

  close(): void {
    for (const member of this.#members) member.close()
  }

  /** Where a server of it is; undefined for a store that is no cluster. */
  addressOf({ part }: Member): string | undefined {
    return this.#parted?.addressOf(part)
  }

  status(): StoreStatus {
    const servers = this.all.map((member) => ({
      address: this.addressOf(member),
      state: member.breaker.state.kind,
      lastError: member.lastError?.message,
    }))
    const worst = servers.reduce((a, b) => (WORSE.indexOf(b.state) > WORSE.indexOf(a.state) ? b : a))
    const lastError = worst.lastError ?? servers.find((one) => one.lastError !== undefined)?.lastError
    return { name: this.name, state: worst.state, lastError, servers }
  }

  #at(part: number): Member {
    let member = this.#byPart[part]
    if (member === undefined) {
      this.#byPart[part] = member = this.#make(part)
      this.#members.push(member)
      if (this.#started) member.start()
    }
    return member
  }
}
