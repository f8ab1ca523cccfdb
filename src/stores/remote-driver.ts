// How one kind of server is asked: the contract of a driver. Types. Next: remote.ts, who asks; sqlite/, redis/, postgres/, mysql/ for drivers.

import type { BanTerms } from '../core/ban-terms.ts'
import type { StoreError } from '../core/errors.ts'
import type { LimitSet } from '../core/limit-set.ts'
import type { Mode } from './store.ts'
import type { Change, Entry, Updated } from './update.ts'

/** One question to a server. Several askers share it when they ask the same of the same counter, one right after the other. */
export interface Question {
  readonly set: LimitSet
  /** The counter's name, without a prefix. */
  readonly key: string
  readonly cost: number
  readonly mode: Mode
  readonly takenAt: number | undefined
  /** So many times the same; more than 1 only for `take`. */
  readonly count: number
}

/** What a server found. */
export interface Found {
  /** How many of the question's `count` were granted; for a peek, charge or refund 1 or 0. */
  readonly granted: number
  /** The server's time, epoch ms. */
  readonly now: number
  readonly bannedForMs: number
  /** As in {@link Taken}, after all that was charged, and with what makes room for one more. */
  readonly readings: ArrayLike<number>
}

/** How one kind of server is asked. Promises may be slow or never settle; the caller has the deadline. */
export interface Driver {
  readonly name: string
  /** Requests on their way at once: past it questions gather for the next. Infinity where the connection pipelines. */
  readonly concurrency: number
  /** True where answers are there before `decide` returns, most of the time: questions that come alone then wait for nothing. */
  readonly immediate?: boolean
  /**
   * Answers all, in order, atomically each. Rejects when nothing is known of any of them.
   * @param wanted for a driver that asks again: whether somebody still waits for the i-th answer; `count` is then brought up to date
   */
  decide(questions: readonly Question[], wanted: (i: number) => boolean): Promise<readonly (Found | StoreError)[]>
  /** Of a server that is several: which of them has a counter. Who asks one of them does not wait for another. */
  readonly partOf?: ((key: string) => number) | undefined
  forget(key: string): Promise<void>
  /** Bans and tells for how many ms from now. */
  ban(set: LimitSet, key: string, terms: BanTerms): Promise<number>
  unban(set: LimitSet, key: string): Promise<void>
  /** See {@link UpdatableStore}. */
  update(set: LimitSet, key: string, change: Change, entry: Entry | undefined): Promise<Updated>
  /** The counter's record as text (see record.ts; undefined: there is none) and the server's time. */
  read(set: LimitSet, key: string): Promise<{ readonly text: string | undefined; readonly now: number }>
  ping(): Promise<void>
  sweep(): Promise<number>
  close(): Promise<void>
}
