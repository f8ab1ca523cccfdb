// Several policies for one request: all of them grant and are charged, or none is.
// Promise: a refusal leaves every counter as it was. Next: limiter.ts.

import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import type { Store, SyncStore } from '../stores/store.ts'
import type { CheckOptions, Limiter } from './limiter.ts'

/** One of the questions of {@link checkMany}. */
export interface Check<S extends Store = Store> {
  readonly limiter: Limiter<S, never>
  readonly key: string
  readonly cost?: number
}

/** The answer to {@link checkMany}. */
export interface ManyDecision {
  /** Whether all allow. */
  readonly allowed: boolean
  /** One per question, in order. When one refuses, the others tell how they stand uncharged. */
  readonly decisions: readonly Decision[]
}

/**
 * Checks several limiters, all or nothing. On stores that answer at once the whole is one step; on others the checks are
 * made one after the other and what was charged before a refusal is given back, so that for that moment another request
 * may find less than there is, never more.
 * @throws ConfigError for an empty list
 */
export function checkMany<S extends Store>(
  checks: readonly Check<S>[],
): S extends SyncStore ? ManyDecision : Promise<ManyDecision> {
  if (!Array.isArray(checks) || checks.length === 0) throw new ConfigError('checkMany(checks)', 'at least one check', checks)
  for (const [i, check] of checks.entries()) {
    if (typeof check?.limiter?.check !== 'function')
      throw new ConfigError(`checkMany(checks)[${i}].limiter`, 'a limiter', check?.limiter)
  }
  const sync = checks.every(({ limiter }) => limiter.store.sync)
  return (sync ? atOnce(checks as unknown as readonly Check<SyncStore>[]) : oneByOne(checks)) as never
}

function optionsOf({ cost }: { readonly cost?: number | undefined }): CheckOptions<never> {
  return cost === undefined ? {} : { cost }
}

function atOnce(checks: readonly Check<SyncStore>[]): ManyDecision {
  const taken: Decision[] = []
  try {
    for (const check of checks) {
      const decision = check.limiter.check(check.key, optionsOf(check))
      taken.push(decision)
      if (!decision.allowed) break
    }
  } catch (error) {
    void giveBack(checks, taken)
    throw error
  }
  if (taken.length === checks.length && taken.every((decision) => decision.allowed)) return { allowed: true, decisions: taken }
  void giveBack(checks, taken)
  // What a refused one found stays; the others say how they stand now that nothing is charged.
  return {
    allowed: false,
    decisions: checks.map((check, i) => refusal(taken[i]) ?? check.limiter.peek(check.key, optionsOf(check))),
  }
}

async function oneByOne(checks: readonly Check[]): Promise<ManyDecision> {
  const taken: Decision[] = []
  try {
    for (const check of checks) {
      const decision = await check.limiter.check(check.key, optionsOf(check))
      taken.push(decision)
      if (!decision.allowed) break
    }
  } catch (error) {
    await Promise.all(giveBack(checks, taken))
    throw error
  }
  if (taken.length === checks.length && taken.every((decision) => decision.allowed)) return { allowed: true, decisions: taken }
  await Promise.all(giveBack(checks, taken))
  const decisions = await Promise.all(
    checks.map((check, i) => refusal(taken[i]) ?? check.limiter.peek(check.key, optionsOf(check))),
  )
  return { allowed: false, decisions }
}

function refusal(decision: Decision | undefined): Decision | undefined {
  return decision?.allowed === false ? decision : undefined
}

function giveBack(checks: readonly Check[], taken: readonly Decision[]): (void | Promise<void>)[] {
  return taken.flatMap((decision, i) => {
    const check = checks[i] as Check
    return decision.kind === 'granted' ? [check.limiter.refund(check.key, { of: decision })] : []
  })
}
