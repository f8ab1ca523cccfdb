// The shape of a law: pure arithmetic on two numbers of a state, at an instant that is handed in.
// Promises of every law: a refusal changes nothing; a clock that steps back counts as standing still; a stamp more than a
// period in the future heals; expiry is housekeeping. Next: bucket.ts, window.ts; explain.ts turns their numbers into figures.

import type { Limit } from '../core/limit.ts'

/**
 * Where a state's two numbers lie. Stores keep many states in one array; `at` is the index of the first number.
 * An absent state has {@link ABSENT} as its first number.
 */
export type Cells = Float64Array

/** First number of a state that holds nothing. No instant of a state is negative. */
export const ABSENT = -1

/** Only look at what a cost would do. */
export const LOOK = 0
/** Charge a cost if it fits. */
export const CHARGE_IF_FITS = 1
/** Charge a cost, granted or not. */
export const CHARGE = 2

/** What a law does with a cost: {@link LOOK}, {@link CHARGE_IF_FITS} or {@link CHARGE}. Numbers, as this is the hot path. */
export type Commit = typeof LOOK | typeof CHARGE_IF_FITS | typeof CHARGE

/** A law whose state is two numbers. */
export interface CellLaw {
  /**
   * Whether the cost fits at this instant; charges it as told; and writes what explains the outcome (see explain.ts) into
   * four numbers of `out`: the state after a charge, or as it stands.
   */
  take(cells: Cells, at: number, limit: Limit, cost: number, now: number, commit: Commit, out: Float64Array, to: number): boolean
  /** Gives a cost back that was charged at `takenAt` (undefined: some time ago), never more than is still held. */
  refund(cells: Cells, at: number, limit: Limit, cost: number, now: number, takenAt: number | undefined): void
  /**
   * Prepares a state for a charge that may be refused: brings a stamp from the impossible future back to now, keeping what was
   * consumed, and notes when a client with an initial level was first seen. True if it had to.
   */
  heal(cells: Cells, at: number, limit: Limit, now: number): boolean
  /**
   * Whether forgetting this state changes no decision from now on.
   * @param drain the slowest refill this state may meet: limits of one scope may differ in it
   */
  idle(cells: Cells, at: number, limit: Limit, drain: number, now: number): boolean
}
