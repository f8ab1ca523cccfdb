// Who is refused most, lately. Promise: bounded in keys and in what is kept about each; what is told covers the last one to two windows, and
// begins anew without a gap. Next: top-keys.ts.

import type { Decision, Reason } from '../core/decision.ts'
import { BoundedMap } from './bounded-map.ts'
import { type Forgetful, type TopKey, TopKeys } from './top-keys.ts'

/** A key that is refused often. */
export interface Offender {
  readonly key: string
  /** Refusals in the time looked at; too high by at most `error`. An estimate past 10 000 refusals a second, which are sampled then. */
  readonly count: number
  readonly error: number
  /** Epoch ms. */
  readonly firstAt: number
  readonly lastAt: number
  /** Refusals by policy, by path and by reason, as far as they are remembered; past a bound "other". */
  readonly policies: Readonly<Record<string, number>>
  readonly paths: Readonly<Record<string, number>>
  readonly reasons: Readonly<Record<string, number>>
  /** The address it came from last, over HTTP. */
  readonly lastAddress: string | undefined
}

const MOST_NAMES = 8
const LONGEST_KEY = 256

/** What is kept about a key. */
class About implements Forgetful {
  firstAt = 0
  lastAt = 0
  lastAddress: string | undefined
  readonly policies = new FewCounts()
  readonly paths = new FewCounts()
  readonly reasons = new FewCounts()

  forget(): void {
    this.firstAt = 0
    this.lastAddress = undefined
    this.policies.forget()
    this.paths.forget()
    this.reasons.forget()
  }
}

/** Counts of a few names. Most keys have one, for which no map is made. */
class FewCounts {
  #name: string | undefined
  #count = 0
  #others: BoundedMap<number> | undefined

  add(name: string, times: number): void {
    if (this.#name === undefined || this.#name === name) {
      this.#name = name
      this.#count += times
      return
    }
    this.#others ??= new BoundedMap(MOST_NAMES - 1, () => 0)
    this.#others.update(name, (count) => count + times)
  }

  forget(): void {
    this.#name = undefined
    this.#count = 0
    this.#others = undefined
  }

  entries(): readonly (readonly [string, number])[] {
    return this.#name === undefined ? [] : [[this.#name, this.#count], ...(this.#others?.entries() ?? [])]
  }
}

/** The keys that are refused most. */
export class Offenders {
  readonly #places: number
  readonly #windowMs: number
  #begunAt = 0
  #current: TopKeys<About>
  #before: TopKeys<About>

  constructor(places: number, windowMs: number) {
    this.#places = places
    this.#windowMs = windowMs
    this.#current = this.#empty()
    this.#before = this.#empty()
  }

  /**
   * @param now epoch ms of this process
   * @param times for how many like it this one stands
   */
  add(key: string, decision: Decision, path: string | undefined, address: string | undefined, now: number, times = 1): void {
    this.#turn(now)
    // What is cut off would be shown by nobody; two keys with as long a beginning are one here.
    const about = this.#current.add(key.length > LONGEST_KEY ? `${key.slice(0, LONGEST_KEY - 1)}…` : key, times)
    if (about.firstAt === 0) about.firstAt = now
    about.lastAt = now
    if (address !== undefined) about.lastAddress = address
    about.policies.add(decision.policy, times)
    about.reasons.add((decision.reason ?? 'limit') satisfies Reason, times)
    if (path !== undefined) about.paths.add(path, times)
  }

  /** The first of them, most first. */
  top(count: number, now: number): readonly Offender[] {
    this.#turn(now)
    const keys = new Set([...this.#current.all(), ...this.#before.all()].map(({ key }) => key))
    const found = [...keys].map((key) => this.#told(key) as Offender)
    return found.toSorted((a, b) => b.count - a.count || (a.key < b.key ? -1 : 1)).slice(0, count)
  }

  /** One of them; undefined for a key that is not. */
  get(key: string, now: number): Offender | undefined {
    this.#turn(now)
    return this.#told(key)
  }

  #told(key: string): Offender | undefined {
    const found = [this.#before.get(key), this.#current.get(key)].filter((one) => one !== undefined)
    const last = found.at(-1)
    if (last === undefined) return undefined
    const sum = (read: (one: TopKey<About>) => number): number => found.reduce((all, one) => all + read(one), 0)
    return {
      key,
      count: sum(({ count }) => count),
      error: sum(({ error }) => error),
      firstAt: (found[0] as TopKey<About>).about.firstAt,
      lastAt: last.about.lastAt,
      policies: joined(found.map(({ about }) => about.policies)),
      paths: joined(found.map(({ about }) => about.paths)),
      reasons: joined(found.map(({ about }) => about.reasons)),
      lastAddress: last.about.lastAddress ?? found[0]?.about.lastAddress,
    }
  }

  #turn(now: number): void {
    const passed = now - this.#begunAt
    if (passed < this.#windowMs) return
    this.#before = passed < 2 * this.#windowMs ? this.#current : this.#empty()
    this.#current = this.#empty()
    this.#begunAt = now - (passed % this.#windowMs)
  }

  #empty(): TopKeys<About> {
    return new TopKeys(this.#places, () => new About())
  }
}

function joined(maps: readonly FewCounts[]): Readonly<Record<string, number>> {
  const sums = new Map<string, number>()
  for (const map of maps) for (const [name, count] of map.entries()) sums.set(name, (sums.get(name) ?? 0) + count)
  // Names come from policies and requests: as entries, __proto__ is a name like any other.
  return Object.fromEntries([...sums].toSorted(([, a], [, b]) => b - a))
}
