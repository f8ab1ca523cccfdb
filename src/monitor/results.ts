// What became of a request, as those who count tell it apart. Promise: a closed list, so that it can be a label. Next: tally.ts.

import type { Decision, Reason } from '../core/decision.ts'

/**
 * `granted` within every limit · `refused` · `would_refuse` refused by a limiter in shadow, and let through · `exempt` no limit applied ·
 * `let_through` and `unavailable` no store could decide, and `onStoreError` chose
 */
export const RESULTS = ['granted', 'refused', 'would_refuse', 'exempt', 'let_through', 'unavailable'] as const

/** One of {@link RESULTS}. */
export type Result = (typeof RESULTS)[number]

/** How often each happened. */
export type Counts = Readonly<Record<Result, number>>

/** The reasons of refusals. */
export const REASONS = ['limit', 'cost', 'ban', 'list', 'key'] as const satisfies readonly Reason[]

/** Place of a reason in {@link REASONS}. */
export function reasonAt(reason: Reason): number {
  // The usual one needs no search.
  return reason === 'limit' ? 0 : REASONS.indexOf(reason)
}

/** Place of a decision's result in {@link RESULTS}. */
export function resultAt(decision: Decision): number {
  switch (decision.kind) {
    case 'granted':
      return 0
    case 'refused':
      return decision.allowed ? 2 : 1
    case 'exempt':
      return 3
    case 'degraded':
      return decision.allowed ? 4 : 5
  }
}

/** Numbers in the order of {@link RESULTS}, by name. */
export function countsOf(numbers: ArrayLike<number>, from = 0): Counts {
  return Object.fromEntries(RESULTS.map((result, i) => [result, numbers[from + i] ?? 0])) as unknown as Counts
}

/** How many there were. */
export function sumOf(counts: Counts): number {
  return RESULTS.reduce((sum, result) => sum + counts[result], 0)
}
