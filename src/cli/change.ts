// Changing how somebody stands: forgetting counters, banning, lifting bans. Promise: every policy that counts by them, on every store; what
// could not be done is told, and nobody else is touched. Next: change-commands.ts, identity.ts.

import { ConfigError } from '../core/errors.ts'
import type { LimitSet } from '../core/limit-set.ts'
import type { OpenStore } from '../config/open-stores.ts'
import type { Settings } from '../config/settings.ts'
import { banTerms } from '../limiter/options.ts'
import type { Store } from '../stores/store.ts'
import { waitText } from './duration.ts'
import { type StoreResult, onEachStore } from './each-store.ts'
import { DYNAMIC, type Inspection } from './inspect.ts'
import { checkNames, chosen, policiesOn } from './policies.ts'
import { type Style, printable } from './terminal.ts'

/** What is done to each counter. */
export interface Change {
  readonly verb: 'reset' | 'ban' | 'unban'
  /** What to do in the app whose counters are in memory. */
  readonly instead: string
  /** Does it; tells for how many ms a ban lasts then. */
  readonly act: (store: Store, set: LimitSet, key: string) => Promise<number | undefined>
}

/** Forgets counters and bans. */
export const RESET: Change = {
  verb: 'reset',
  instead: 'call limiter.reset(key) there, or keep counters in Redis or a database',
  async act(store, set, key) {
    await store.reset(set, key)
    return undefined
  },
}

/** Lifts bans. */
export const UNBAN: Change = {
  verb: 'unban',
  instead: 'call limiter.unban(key) there, or keep counters in Redis or a database',
  async act(store, set, key) {
    await store.unban(set, key)
    return undefined
  },
}

/** @throws ConfigError for a duration that cannot be */
export function ban(durationMs: number): Change {
  const terms = banTerms({ durationMs, maxMs: durationMs, forgetAfterMs: 0 }, 'ban')
  return {
    verb: 'ban',
    instead: 'call limiter.ban(key, ms) there, or keep counters in Redis or a database',
    act: async (store, set, key) => store.ban(set, key, terms),
  }
}

/** One counter that was changed, or that could not be. */
export interface Changed {
  readonly policy: string
  readonly where: string
  readonly key: string
  readonly done: boolean
  readonly lastsMs: number | undefined
  readonly note: string | undefined
}

/** @throws ConfigError (as a rejection) for a policy that is not there, and where none of them counts by the identity */
export async function changeAll(
  stores: readonly OpenStore[],
  settings: Settings,
  { identity, policies, rate }: Inspection,
  { act, instead }: Change,
): Promise<readonly StoreResult<readonly Changed[]>[]> {
  checkNames(stores, settings, policies)
  return onEachStore(stores, instead, async ({ store }) => {
    const changed: Changed[] = []
    for (const policy of chosen(policiesOn(settings, store).all, policies)) {
      const { name, where, gate, isDynamic } = policy
      const named = await identity.keyFor(policy)
      if ('without' in named) continue
      const { key } = named
      const set = gate.limiter.limitsFor(key, isDynamic && rate !== undefined ? { rate } : undefined)
      const about = { policy: name, where, key, lastsMs: undefined, note: undefined }
      if (set === undefined) changed.push({ ...about, done: false, note: DYNAMIC })
      else changed.push({ ...about, done: true, lastsMs: await act(store, set, key) })
    }
    if (changed.length === 0)
      throw new ConfigError('identity', 'one that a policy counts by (inspect tells which do)', '(not shown)')
    return changed
  })
}

/** For programs to read. */
export function changeJson(results: readonly StoreResult<readonly Changed[]>[], { verb }: Change): object {
  return {
    action: verb,
    stores: results.map(({ name, kind, error, result = [] }) => ({
      name,
      kind,
      error: error ?? null,
      policies: result.map(({ policy, where, key, done, lastsMs, note }) => ({
        policy,
        where,
        key,
        done,
        ...(verb === 'ban' && { banned_for_ms: lastsMs ?? null }),
        note: note ?? null,
      })),
    })),
  }
}

const DONE = { reset: 'forgotten', ban: 'banned', unban: 'no longer banned' } as const

/** For people to read. */
export function changeText(results: readonly StoreResult<readonly Changed[]>[], { verb }: Change, style: Style): string[] {
  return results.flatMap(({ name, error, result = [] }) => {
    if (error !== undefined) return [`${style('bold', name)}: ${error}`]
    return result.map(({ policy, key, done, lastsMs, note }) => {
      const time = lastsMs === undefined ? '' : ` for ${waitText(lastsMs)}`
      const what = done ? `${DONE[verb]}${time}: ${printable(key)}` : `nothing done: ${note}`
      return `${style('bold', name)}: ${policy}: ${what}`
    })
  })
}

/** Whether everything was done on every store that answered. */
export function isDone(results: readonly StoreResult<readonly Changed[]>[]): boolean {
  return results.every(({ result }) => result === undefined || result.every(({ done }) => done))
}
