// How long bans last. Next: ../algorithms/ban.ts.

/** How long a ban lasts. */
export interface BanTerms {
  /** Ms of the first ban, a whole number ≥ 1. */
  readonly durationMs: number
  /** What each further ban's duration is multiplied by: a whole number ≥ 1. */
  readonly factor: number
  /** No ban lasts longer than this many ms. */
  readonly maxMs: number
  /** Ms after a ban's end at which the count of bans starts anew. */
  readonly forgetAfterMs: number
}
