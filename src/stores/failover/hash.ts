// Where a key stands between 0 and 1, the same in every process: spreads keys over stores, and over the time of a return.
// Promise: even; keeps no secret. Next: asking.ts.

/** @param seed one for each use, so that they do not go together */
export function hashOf(text: string, seed: number): number {
  let hash = seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0x2c1b3c6d)
  hash ^= hash >>> 12
  return (hash >>> 0) / 2 ** 32
}
