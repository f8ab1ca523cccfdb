// How somebody stands with each policy, on each store. Promise: nothing is counted; the answers are those the next request would get. Next:
// inspect-command.ts, identity.ts.

import type { Decision } from '../core/decision.ts'
import type { OpenStore } from '../config/open-stores.ts'
import type { Settings } from '../config/settings.ts'
import { type StoreResult, onEachStore } from './each-store.ts'
import type { AskedIdentity } from './identity.ts'
import { type SettingsPolicy, checkNames, chosen, policiesOn } from './policies.ts'
import { answerCell, standingTexts } from './standing-text.ts'
import { type Style, columns, printable } from './terminal.ts'

/** How somebody stands with one policy. */
export interface Inspected {
  readonly policy: string
  readonly where: string
  readonly key: string | undefined
  readonly decision: Decision | undefined
  /** Ms for which the key is still banned; 0 when it is not. */
  readonly bannedForMs: number
  /** Why there is no answer, or why it does not count. */
  readonly note: string | undefined
}

/** What is asked. */
export interface Inspection {
  readonly identity: AskedIdentity
  /** Names; none for all. */
  readonly policies: readonly string[]
  /** Of policies whose rate is a function. */
  readonly rate: string | undefined
}

const INSTEAD = 'ask limiter.peek(key) there, look at the dashboard, or keep counters in Redis or a database'

const OFF = 'not limited, as it is switched off (enabled)'

/** What is said of a policy whose rate is a function. */
export const DYNAMIC = 'its rate is a function of the request; say one with --rate'

/** @throws ConfigError (as a rejection) for a policy that is not there */
export async function inspect(
  stores: readonly OpenStore[],
  settings: Settings,
  { identity, policies, rate }: Inspection,
): Promise<readonly StoreResult<readonly Inspected[]>[]> {
  checkNames(stores, settings, policies)
  return onEachStore(stores, INSTEAD, async ({ store }) => {
    const found: Inspected[] = []
    for (const policy of chosen(policiesOn(settings, store).all, policies)) found.push(await look(policy))
    return found

    async function look(policy: SettingsPolicy): Promise<Inspected> {
      const { name, where, gate, isDynamic, isOff } = policy
      const nothing = { policy: name, where, key: undefined, decision: undefined, bannedForMs: 0, note: undefined }
      const named = await identity.keyFor(policy)
      if ('without' in named) return { ...nothing, note: named.without }
      const { key } = named
      if (isDynamic && rate === undefined) return { ...nothing, key, note: DYNAMIC }
      const options = isDynamic && rate !== undefined ? { rate } : undefined
      const decision = await gate.limiter.peek(key, options)
      const set = gate.limiter.limitsFor(key, options)
      const isBanned = decision.reason === 'ban' && set !== undefined
      const bannedForMs = isBanned ? (await store.take(set, key, 0, 'peek')).bannedForMs : 0
      return { ...nothing, key, decision, bannedForMs, note: isOff ? OFF : undefined }
    }
  })
}

/** For programs to read. */
export function inspectJson(results: readonly StoreResult<readonly Inspected[]>[]): object {
  return {
    stores: results.map(({ name, kind, error, result = [] }) => ({
      name,
      kind,
      error: error ?? null,
      policies: result.map(({ policy, where, key, decision, bannedForMs, note }) => ({
        policy,
        where,
        key: key ?? null,
        banned_for_ms: bannedForMs,
        note: note ?? null,
        decision: decision?.toJSON() ?? null,
      })),
    })),
  }
}

/** For people to read. */
export function inspectText(results: readonly StoreResult<readonly Inspected[]>[], style: Style): string[] {
  return results.flatMap(({ name, error, result = [] }) => {
    const title = style('bold', name)
    if (error !== undefined) return [`${title}: ${error}`]
    const asked = result.filter(({ key }) => key !== undefined)
    const others = result.filter(({ key }) => key === undefined)
    const rows = asked.flatMap(({ policy, key, decision, bannedForMs, note }) => {
      const shown = printable(key ?? '')
      if (decision === undefined) return [[policy, { text: 'no answer', format: 'yellow' as const }, note ?? '', shown]]
      const [first = '', ...more] = standingTexts(decision)
      const answer = note === undefined ? answerCell(decision, bannedForMs) : note
      return [[policy, answer, first, shown], ...more.map((text) => ['', '', text, ''])]
    })
    return [
      title,
      ...columns(rows, style).map((line) => `  ${line}`),
      ...(asked.length === 0 ? ['  no policy counts by this'] : []),
      ...others.map(({ policy, note }) => style('dim', `  not ${policy}: ${printable(note ?? '')}`)),
    ]
  })
}
