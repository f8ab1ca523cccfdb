// A decision that was only looked at, in words. Promise: the figures are the decision's own. Next: ../core/decision.ts, inspect.ts, explain.ts.

import type { Decision, Standing } from '../core/decision.ts'
import { waitText } from './duration.ts'
import type { Cell } from './terminal.ts'

/** What the next request would be told. */
export function answerCell(decision: Decision, bannedForMs = 0): Cell {
  const { kind, allowed, reason, retryAfterMs } = decision
  if (kind === 'exempt') return { text: 'not limited', format: 'green' }
  if (kind === 'granted') return { text: 'allowed', format: 'green' }
  const shadow = allowed ? ' (shadow: passes all the same)' : ''
  const format = allowed ? 'yellow' : 'red'
  if (bannedForMs > 0) return { text: `banned for ${waitText(bannedForMs)}${shadow}`, format }
  if (reason === 'list' || reason === 'key') return { text: `refused${shadow}`, format }
  if (retryAfterMs === undefined) return { text: `refused, always${shadow}`, format }
  return { text: `refused, again in ${waitText(retryAfterMs)}${shadow}`, format }
}

/** Each limit, and what is left of it. */
export function standingTexts({ standings, limits }: Decision): string[] {
  return standings.map((standing, i) => standingText(standing, limits[i]?.algorithm ?? ''))
}

function standingText({ name, limit, remaining, resetAfterMs }: Standing, algorithm: string): string {
  const whole = resetAfterMs === 0 ? '' : `, whole again ${resetAfterMs === Infinity ? 'never' : `in ${waitText(resetAfterMs)}`}`
  return `${remaining} left of ${limit} (${name} ${algorithm})${whole}`
}
