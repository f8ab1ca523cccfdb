// What travels from the process to the page, as both sides see it. Types only. Next: shown.ts, which makes it; page/live.ts, which reads it.

import type { BanSeen } from '../bans-seen.ts'
import type { LiveSnapshot, PolicyView } from '../live-view.ts'
import type { Offender } from '../offenders.ts'
import type { Counts } from '../results.ts'

/** Counts of neighbouring seconds or minutes. */
export interface Chunk {
  /** Epoch ms of the first. */
  readonly at: number
  /** Length of each in ms. */
  readonly stepMs: number
  /** Requests that went on, `wouldRefuse` among them. */
  readonly allowed: readonly number[]
  readonly refused: readonly number[]
  readonly wouldRefuse: readonly number[]
}

/** The last minute of something in a few steps, oldest first. */
export interface Lately {
  readonly allowed: readonly number[]
  readonly refused: readonly number[]
}

/** A policy, and its last minute. */
export interface PolicyRow extends PolicyView {
  readonly lately: Lately
}

/** A path pattern, and its last minute. */
export interface PathRow {
  readonly pattern: string
  readonly totals: Counts
  readonly lately: Lately
}

/** A ban, with what the page calls it. */
export interface BanRow extends BanSeen {
  readonly id: string
}

/** Rows of a table, and how many there are in all. */
export interface Rows<T> {
  readonly rows: readonly T[]
  readonly count: number
}

/** Everything the page shows but its charts. */
export interface DashboardData extends Pick<
  LiveSnapshot,
  'since' | 'totals' | 'sources' | 'stores' | 'storeHistory' | 'warnings' | 'errors'
> {
  /** The process's time, epoch ms. */
  readonly now: number
  readonly policies: Rows<PolicyRow>
  readonly paths: Rows<PathRow>
  readonly offenders: readonly Offender[]
  readonly wouldBeOffenders: readonly Offender[]
  readonly bans: Rows<BanRow>
}

/** All of it, or what has changed; charts come in chunks under names such as `second/59012` and `minute/984`. */
export type Message = Partial<DashboardData> & Readonly<Record<`second/${number}` | `minute/${number}`, Chunk>>
