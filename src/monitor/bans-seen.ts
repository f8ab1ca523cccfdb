// The bans that this process knows of. Promise: bounded; what has expired or been lifted is gone; lifting goes to the store that holds the ban.
// Next: live-view.ts.

import type { Decision } from '../core/decision.ts'
import type { LimitSet } from '../core/limit-set.ts'
import type { MaybePromise } from '../core/maybe.ts'
import type { BanEvent, DecisionContext } from '../core/observer.ts'
import type { Store } from '../stores/store.ts'

/** A ban that runs. */
export interface BanSeen {
  readonly policy: string
  readonly key: string
  /** When this process first heard of it, epoch ms. */
  readonly since: number
  /** When it ends, epoch ms, by this process's clock. */
  readonly until: number
  /** A `penalty`, a `call` of `ban`, or one that was only `seen` to refuse: made by another process or before. */
  readonly cause: 'penalty' | 'call' | 'seen'
}

interface Known extends BanSeen {
  readonly lift: () => MaybePromise<void>
}

/** Remembers bans. */
export class BansSeen {
  readonly #most: number
  /** The oldest first. */
  readonly #bans = new Map<string, Known>()

  constructor(most: number) {
    this.#most = most
  }

  /** @param now epoch ms of this process */
  banned({ policy, key, lastsMs, cause, lift }: BanEvent, now: number): void {
    this.#note({ policy, key, since: now, until: now + lastsMs, cause, lift }, now)
  }

  /** A ban refused a request. */
  refused(decision: Decision, key: string, { store }: DecisionContext, now: number): void {
    const { policy, asked, retryAfterMs } = decision
    const known = this.#bans.get(idOf(policy, key))
    if ((known !== undefined && known.until > now) || retryAfterMs === undefined) return
    // What a limiter is asked by is a store, and by a set of limits.
    const lift = (): MaybePromise<void> => (store as Store).unban(asked as LimitSet, key)
    this.#note({ policy, key, since: now, until: now + retryAfterMs, cause: 'seen', lift }, now)
  }

  lifted(policy: string, key: string): void {
    this.#bans.delete(idOf(policy, key))
  }

  /** Those that run, the latest first. */
  running(now: number): readonly BanSeen[] {
    this.#expire(now)
    return [...this.#bans.values()]
      .toReversed()
      .map(({ policy, key, since, until, cause }) => ({ policy, key, since, until, cause }))
  }

  /** Lifts a ban. False for one that is not known. */
  async lift(policy: string, key: string): Promise<boolean> {
    const known = this.#bans.get(idOf(policy, key))
    if (known === undefined) return false
    await known.lift()
    this.lifted(policy, key)
    return true
  }

  #note(ban: Known, now: number): void {
    const id = idOf(ban.policy, ban.key)
    const before = this.#bans.get(id)
    this.#bans.delete(id)
    if (this.#bans.size >= this.#most) this.#expire(now)
    if (this.#bans.size >= this.#most) this.#bans.delete(this.#bans.keys().next().value as string)
    const runs = before !== undefined && before.until > now
    this.#bans.set(id, runs ? { ...ban, since: before.since, until: Math.max(before.until, ban.until) } : ban)
  }

  #expire(now: number): void {
    for (const [id, { until }] of this.#bans) if (until <= now) this.#bans.delete(id)
  }
}

function idOf(policy: string, key: string): string {
  // A policy's name is printable ASCII.
  return `${policy}\n${key}`
}
