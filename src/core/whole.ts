// Division of whole numbers below 2^53 that is exact where the floating quotient would round.
// Next: ../algorithms/bucket.ts, which needs it to name exact waiting times.

/** The smallest whole q with q × b ≥ a; b > 0. */
export function ceilDiv(a: number, b: number): number {
  let q = Math.ceil(a / b)
  if ((q - 1) * b >= a) q--
  else if (q * b < a) q++
  return q
}

/** The largest whole q with q × b ≤ a; b > 0. */
export function floorDiv(a: number, b: number): number {
  let q = Math.floor(a / b)
  if (q * b > a) q--
  else if ((q + 1) * b <= a) q++
  return q
}
