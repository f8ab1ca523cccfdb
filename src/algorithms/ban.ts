// Bans: state [until, strikes]. A ban holds until an instant; each further one, until the strikes are forgotten, lasts longer.
// Promise: a running ban is never shortened by another. Next: ../core/ban-terms.ts.

import type { BanTerms } from '../core/ban-terms.ts'
import { ABSENT, type Cells } from './law.ts'

/** Ms for which the key is still banned; 0 when it is not. */
export function bannedForMs(cells: Cells, at: number, now: number): number {
  const until = cells[at] as number
  return until > now ? until - now : 0
}

/** Bans, counts the strike, and tells for how many ms from now. */
export function strike(cells: Cells, at: number, terms: BanTerms, now: number): number {
  const until = cells[at] as number
  const forgotten = until === ABSENT || now >= until + terms.forgetAfterMs
  const strikes = forgotten ? 0 : (cells[at + 1] as number)
  let lastsMs = terms.durationMs
  for (let i = 0; i < strikes && lastsMs < terms.maxMs && terms.factor > 1; i++) lastsMs *= terms.factor
  lastsMs = Math.min(lastsMs, terms.maxMs)
  cells[at] = Math.max(until, now + lastsMs)
  cells[at + 1] = strikes + 1
  return (cells[at] as number) - now
}
