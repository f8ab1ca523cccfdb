// What a shared store has just refused, so that a client that keeps knocking costs no trip: until the refusal may have changed, and
// for a second at most, the same or a greater cost is refused here, with the figures the store would give.
// Promise: nothing is refused that the store would grant, but for a reset, a lifted ban or a raised limit elsewhere that is younger
// than `maxMs`; bounded; off by option. Next: remote.ts.

import { bucketLaw } from '../algorithms/bucket.ts'
import { nextAfterMs, remaining, retryAfterMs } from '../algorithms/explain.ts'
import { LOOK } from '../algorithms/law.ts'
import type { LimitSet } from '../core/limit-set.ts'
import { READING_WIDTH, type Taken } from './store.ts'

/** Most refusals held; past it the oldest go. */
const MOST = 10_000

interface Refusal {
  readonly set: LimitSet
  readonly cost: number
  /** As it was answered, and as it was last repeated. */
  readonly taken: Taken
  repeated: Taken | undefined
  /** Local ms at which the question was asked, and until which the answer holds. */
  readonly askedAt: number
  readonly until: number
}

/** Remembers refusals of one store. Times are of any clock that does not go back. */
export class RefusalMemory {
  readonly #maxMs: number
  /** By scope, then identity: no text is joined to look something up. */
  readonly #scopes: (Map<string, Refusal> | undefined)[] = []
  #size = 0

  constructor(maxMs: number) {
    this.#maxMs = maxMs
  }

  get size(): number {
    return this.#size
  }

  /** The refusal a take would meet again, with figures of this moment; undefined if the store has to be asked. */
  recall(set: LimitSet, identity: string, cost: number, now: () => number): Taken | undefined {
    const refusals = this.#scopes[set.scopeId]
    const found = refusals?.get(identity)
    if (refusals === undefined || found === undefined) return undefined
    if (found.set !== set || !serves(found, cost)) return undefined
    // Read only now: most takes find nothing here.
    const nowMs = now()
    if (nowMs >= found.until) {
      this.forget(set, identity)
      return undefined
    }
    const passedMs = Math.max(0, Math.floor(nowMs - found.askedAt))
    const { repeated } = found
    // Clients that knock often do so many times within a millisecond.
    if (repeated !== undefined && repeated.now === found.taken.now + passedMs) return repeated
    return (found.repeated = aged(found, passedMs))
  }

  /** Keeps a refusal that the store has answered to a question asked at this moment. */
  keep(set: LimitSet, identity: string, cost: number, taken: Taken, askedAt: number): void {
    const holdsMs = Math.min(this.#maxMs, holds(set, cost, taken))
    if (holdsMs < 1) return
    const refusals = (this.#scopes[set.scopeId] ??= new Map())
    if (!refusals.has(identity)) this.#size++
    refusals.set(identity, { set, cost, taken, repeated: undefined, askedAt, until: askedAt + holdsMs })
    if (this.#size > MOST) this.#drop()
  }

  /** The store is about to be told something that may change its answer. */
  forget(set: LimitSet, identity: string): void {
    if (this.#scopes[set.scopeId]?.delete(identity) === true) this.#size--
  }

  clear(): void {
    this.#scopes.length = 0
    this.#size = 0
  }

  #drop(): void {
    for (const refusals of this.#scopes) {
      for (const identity of refusals?.keys() ?? []) {
        refusals?.delete(identity)
        this.#size--
        if (this.#size <= MOST * 0.9) return
      }
    }
  }
}

/** Whether a refusal tells the whole answer to another cost: nothing to a smaller one, nor to one for which more entries must leave than it knows. */
function serves({ set, cost: refused, taken: { readings } }: Refusal, cost: number): boolean {
  if (cost <= refused) return cost === refused
  return set.limits.every(({ kind, amount }, i) => {
    const at = i * READING_WIDTH
    const used = readings[at + 1] as number
    if (kind !== 'sliding' || used + cost <= amount || readings[at] === readings[at + 2]) return true
    return used + refused > amount && readings[at] === readings[at + 3]
  })
}

/** Ms for which a refusal stays true and its figures known: until the ban ends, the cost is granted, or an entry leaves its window. */
function holds(set: LimitSet, cost: number, { readings, now, bannedForMs }: Taken): number {
  if (bannedForMs > 0) return bannedForMs
  let longest = 0
  let change = Infinity
  for (const [i, limit] of set.limits.entries()) {
    const at = i * READING_WIDTH
    const used = readings[at + 1] as number
    const fits = limit.kind === 'bucket' ? used + cost * limit.unit <= limit.capacity : used + cost <= limit.amount
    if (!fits) longest = Math.max(longest, retryAfterMs(limit, readings, at, cost, now) ?? Infinity)
    if (limit.kind !== 'bucket' && used > 0)
      change = Math.min(change, nextAfterMs(limit, readings, at, now, remaining(limit, readings, at)))
  }
  return Math.min(longest, change)
}

/** A refusal as the store would answer it so much later. Buckets have drained a little; windows stand. */
function aged({ set, taken }: Refusal, passedMs: number): Taken {
  const now = taken.now + passedMs
  let { readings } = taken
  for (const [i, limit] of set.limits.entries()) {
    if (limit.kind !== 'bucket') continue
    // What others may still read is not written to.
    const drained = readings === taken.readings ? Float64Array.from(readings) : (readings as Float64Array)
    bucketLaw.take(drained, i * READING_WIDTH, limit, 0, now, LOOK, drained, i * READING_WIDTH)
    readings = drained
  }
  return { granted: false, now, readings, bannedForMs: Math.max(0, taken.bannedForMs - passedMs), source: 'remembered' }
}
