// What the live view tells. Types only. Next: live-view.ts, which tells it.

import type { StoreEvent } from '../core/observer.ts'
import type { BanSeen } from './bans-seen.ts'
import type { LimitView } from './limit-view.ts'
import type { Counts } from './results.ts'
import type { StoreFigures } from './stores-seen.ts'

/** A policy, as it is and as it did. */
export interface PolicyView {
  readonly name: string
  /** Whether it only tries its limits out. */
  readonly shadow: boolean
  readonly limits: readonly LimitView[]
  /** Since the view began. */
  readonly totals: Counts
}

/** What a limiter in shadow would have done. */
export interface ShadowView {
  readonly policy: string
  readonly limits: readonly LimitView[]
  /** Requests that would have been admitted, and refused. */
  readonly admitted: number
  readonly wouldRefuse: number
}

/** Something that happened to a store. */
export interface StoreHistoryEntry {
  /** Epoch ms. */
  readonly at: number
  readonly store: string
  readonly kind: StoreEvent['kind']
  readonly error: string | undefined
}

/** Everything at one instant but charts and offenders. */
export interface LiveSnapshot {
  /** Epoch ms. */
  readonly at: number
  /** When the view began, epoch ms. */
  readonly since: number
  readonly totals: Counts
  readonly policies: readonly PolicyView[]
  readonly paths: readonly { readonly pattern: string; readonly totals: Counts }[]
  readonly sources: readonly { readonly source: string; readonly totals: Counts }[]
  readonly shadow: readonly ShadowView[]
  readonly stores: readonly StoreFigures[]
  readonly storeHistory: readonly StoreHistoryEntry[]
  readonly bans: readonly BanSeen[]
  readonly warnings: readonly string[]
  /** Failures while limiting went on, by where. */
  readonly errors: Readonly<Record<string, number>>
}
