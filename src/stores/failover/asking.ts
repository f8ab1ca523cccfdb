// The walk of one question through the stores. Promise: it settles within the deadline; a store is told what is known before it decides,
// and is not asked any more once the question has gone on to another; a store's failure sends it on, and nothing else does.
// Next: carrier.ts, for what is told.

import { StoreError, mayBeDone, withoutStack } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { type MaybePromise, isPromise } from '../../core/maybe.ts'
import { type Scheduler, systemScheduler } from '../../core/scheduler.ts'
import { Deadlines } from '../deadlines.ts'
import type { Mode, Taken } from '../store.ts'
import type { Carrier } from './carrier.ts'
import { hashOf } from './hash.ts'
import type { Member } from './member.ts'

/** What is asked. */
export interface Call {
  readonly set: LimitSet
  readonly identity: string
  readonly cost: number
  readonly mode: Mode
  readonly takenAt: number | undefined
  /** The stores in the order in which the key asks them. */
  readonly members: readonly Member[]
  readonly askedAt: number
  /** When the deadline is over. */
  readonly until: number
}

/** One store being asked. */
interface Attempt {
  readonly member: Member
  readonly at: number
  readonly askedAt: number
  /** The store in the life that it was asked in. */
  place: string
  /** Whether it has been given up. */
  isOver: boolean
}

/** How questions are asked. */
export interface AskerParts {
  /** Of all stores together, for errors. */
  readonly name: string
  readonly count: number
  readonly deadlineMs: number
  readonly scheduler: Scheduler
  readonly carrier: Carrier
  /** A store has failed; false for an error that no store made. */
  readonly failed: (attempt: Pick<Attempt, 'member' | 'askedAt'>, error: unknown) => boolean
  /** What a store other than the key's own has answered, with what is to be said of that. */
  readonly labelled: (taken: Taken, set: LimitSet, member: Member) => Taken
}

/** Timers are late at times: a last attempt that would end so much after the deadline is still made. */
const LATE_MS = 10

/** See the head of this file. */
export class Asker {
  readonly #parts: AskerParts
  /** For a store that is the only one to ask, and for one of several. */
  readonly #whole: Deadlines
  readonly #part: Deadlines

  constructor(parts: AskerParts) {
    const { count, deadlineMs, scheduler } = parts
    const virtual = scheduler === systemScheduler ? undefined : scheduler
    this.#parts = parts
    this.#whole = new Deadlines(deadlineMs, virtual)
    this.#part = new Deadlines(partOf(deadlineMs, count), virtual)
  }

  ask(call: Call): Promise<Taken> {
    return this.#attempt(call, 0, undefined, true, call.askedAt)
  }

  /** Settles as a call of the whole store's does, if that is within the whole deadline. */
  within<T>(asked: PromiseLike<T>): Promise<T> {
    return this.#whole.within(asked, () => this.#lateError(this.#parts.name, this.#whole.deadlineMs))
  }

  close(error: Error): void {
    this.#whole.close(error)
    this.#part.close(error)
  }

  /** @param cause why the store before was of no use */
  #attempt(call: Call, from: number, cause: unknown, isFirst: boolean, askedAt = this.#parts.scheduler.now()): Promise<Taken> {
    const { members, identity, until } = call
    let at = from
    while (at < members.length && !mayAsk(members[at] as Member, identity, askedAt)) at++
    const member = members[at]
    if (member === undefined || (!isFirst && askedAt + this.#part.deadlineMs > until + LATE_MS)) {
      return Promise.reject(noneLeft(this.#parts.name, cause ?? members[0]?.lastError))
    }
    const attempt: Attempt = { member, at, askedAt, place: member.place, isOver: false }
    let asked: MaybePromise<Taken>
    let ready: Promise<void> | undefined
    try {
      ready = this.#parts.carrier.prepare(member, at, call.set, identity)
      asked = ready === undefined ? take(attempt, call) : ready.then(() => take(attempt, call))
    } catch (error) {
      asked = Promise.reject(error as Error)
    }
    // A store that answers at once may use what it answered again.
    if (!isPromise(asked)) return Promise.resolve(this.#answered(call, attempt, copyOf(asked)))
    // It is the only one to ask if none was asked before and none that may be is left.
    const isOnly = isFirst && !members.some((other, i) => i > at && other.breaker.state.kind !== 'open')
    const settled = this.#inTime(asked, call, attempt, isOnly ? this.#whole : this.#part, ready === undefined)
    return settled.then(
      (taken) => this.#answered(call, attempt, taken),
      (error: unknown) => {
        if (!this.#parts.failed(attempt, error)) throw error
        // Given back by two stores it would be more than was charged.
        if (call.mode === 'refund' && mayBeDone(error)) throw error
        return this.#attempt(call, at + 1, error, false)
      },
    ) as Promise<Taken>
  }

  /** Waits no longer than a deadline, for a store that does not keep it by itself. */
  #inTime(asked: PromiseLike<Taken>, call: Call, attempt: Attempt, deadlines: Deadlines, isPlain: boolean): PromiseLike<Taken> {
    const { member } = attempt
    const ownMs = (member.store as { deadlineMs?: number }).deadlineMs
    if (isPlain && ownMs !== undefined && ownMs <= deadlines.deadlineMs) return asked
    const noted = asked.then((taken) => {
      if (attempt.isOver) this.#parts.carrier.answeredLate(member, call, taken)
      return taken
    })
    return deadlines.within(noted, () => {
      attempt.isOver = true
      return this.#lateError(member.name, deadlines.deadlineMs)
    })
  }

  #answered(call: Call, attempt: Attempt, taken: Taken): MaybePromise<Taken> {
    const { member, askedAt, at } = attempt
    if (taken.source !== 'remembered') {
      const { carrier, scheduler } = this.#parts
      const now = scheduler.now()
      member.answered(taken, askedAt, now)
      // It has lost its memory on the way, and knew nothing when it granted this.
      if (member.place !== attempt.place && taken.granted && call.mode === 'take')
        return this.#attempt(call, at, undefined, false)
      const known = carrier.known(call)
      if (carrier.doubts(member, at, call, taken, known)) return this.#verified(call, attempt, taken)
      carrier.answered(member, at, call, taken, known, now)
    }
    return at === 0 ? taken : this.#parts.labelled(taken, call.set, member)
  }

  /** A grant of a store that may have lost its memory: asks again if it has, now that it can be told what was known. */
  async #verified(call: Call, attempt: Attempt, taken: Taken): Promise<Taken> {
    const { member, at } = attempt
    const found = await this.#inTimeOf(call, member.suspect())
    if (!found) return this.#attempt(call, at + 1, member.lastError, false)
    if (member.place !== attempt.place) return this.#attempt(call, at, undefined, false)
    const { carrier, scheduler } = this.#parts
    carrier.answered(member, at, call, taken, carrier.known(call), scheduler.now())
    return at === 0 ? taken : this.#parts.labelled(taken, call.set, member)
  }

  /** What something comes to while there is time; false after that. */
  #inTimeOf({ until }: Call, promise: Promise<boolean>): Promise<boolean> {
    const { scheduler } = this.#parts
    return new Promise((resolve) => {
      const cancel = scheduler.after(Math.max(0, until - scheduler.now()), () => resolve(false))
      void promise.then((found) => {
        cancel()
        resolve(found)
      })
    })
  }

  #lateError(store: string, ms: number): StoreError {
    const options = { code: 'ERR_RATELIMIT_STORE_TIMEOUT', kind: 'ambiguous' } as const
    return withoutStack(() => new StoreError(store, `no answer within ${ms} ms`, options))
  }
}

/** How long each of several stores may take, ms. */
export function partOf(deadlineMs: number, count: number): number {
  return Math.max(1, Math.floor(deadlineMs / count))
}

/** @param cause what the last of them failed with */
export function noneLeft(name: string, cause: unknown): StoreError {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return withoutStack(() => new StoreError(name, `no store can decide now${why}`, { cause, kind: 'unavailable' }))
}

/** Whether a store is asked about a key now. One that is returning takes its keys back bit by bit. */
export function mayAsk({ breaker }: Member, identity: string, now: number): boolean {
  return breaker.admits(breaker.state.kind === 'returning' ? hashOf(identity, RETURN_SEED) : 0, now)
}

/** Another than the one that spreads keys over stores: each store's keys come back evenly. */
const RETURN_SEED = 0x85ebca6b

function take(attempt: Attempt, { set, identity, cost, mode, takenAt }: Call): MaybePromise<Taken> {
  const { member } = attempt
  // It took too long to tell it what is known: whoever asked is being answered by another.
  if (attempt.isOver) throw new StoreError(member.name, 'was asked too late', { kind: 'not_executed' })
  attempt.place = member.place
  return member.store.take(set, identity, cost, mode, takenAt)
}

function copyOf(taken: Taken): Taken {
  return { ...taken, readings: Float64Array.from(taken.readings) }
}
