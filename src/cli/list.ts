// Who is closest to their limits: the counters that a store holds, by how much of their limit is used. Promise: at most so many counters are
// looked at, and it is said when there are more; memory is bounded by how many are shown. Next: list-command.ts, ../stores/listing.ts.

import type { Decision } from '../core/decision.ts'
import type { LimitSet } from '../core/limit-set.ts'
import { RateLimitError } from '../core/errors.ts'
import type { OpenStore } from '../config/open-stores.ts'
import type { Settings } from '../config/settings.ts'
import { decide } from '../limiter/headline.ts'
import { Counter } from '../stores/counter.ts'
import type { ListingStore, StoredCounter } from '../stores/listing.ts'
import { escaped, identityOf } from '../stores/store-key.ts'
import type { Store } from '../stores/store.ts'
import { type StoreResult, onEachStore } from './each-store.ts'
import { type SettingsPolicy, checkNames, chosen, policiesOn } from './policies.ts'
import { answerCell, standingTexts } from './standing-text.ts'
import { type Style, columns, printable } from './terminal.ts'

/** One counter. */
export interface Listed {
  /** Undefined: no policy of the settings has it, or its name is a digest. */
  readonly policy: string | undefined
  /** Whom it counts; for a counter of no policy its whole name. */
  readonly key: string
  /** How the next request would be decided; undefined where the limit is not known. */
  readonly decision: Decision | undefined
  readonly bannedForMs: number
  readonly updatedAt: number | undefined
}

/** The counters of one store. */
export interface Listing {
  /** The closest to their limits first. */
  readonly top: readonly Listed[]
  readonly seen: number
  /** Whether there are counters that were not looked at. */
  readonly isCut: boolean
}

/** What is asked. */
export interface ListOptions {
  readonly top: number
  /** Most counters to look at. */
  readonly scan: number
  readonly policies: readonly string[]
  readonly onProgress: (seen: number) => void
}

const INSTEAD = 'look at the dashboard there, or keep counters in Redis or a database'
/** Counters looked at in one go. */
const PAGE = 1000

/** @throws ConfigError (as a rejection) for a policy that is not there */
export async function listCounters(
  stores: readonly OpenStore[],
  settings: Settings,
  options: ListOptions,
): Promise<readonly StoreResult<Listing>[]> {
  checkNames(stores, settings, options.policies)
  return onEachStore(stores, INSTEAD, async ({ store }) => {
    if (!canList(store)) throw new RateLimitError('ERR_RATELIMIT_STORE', `store ${store.name}: cannot tell what it holds`)
    return list(store, chosen(policiesOn(settings, store).all, options.policies), options)
  })
}

function canList(store: Store): store is Store & ListingStore {
  return 'counters' in store
}

async function list(store: ListingStore, policies: readonly SettingsPolicy[], options: ListOptions): Promise<Listing> {
  const { top, scan, policies: names, onProgress } = options
  const scopes = policies.map(scopeOf)
  // A store may tell of a counter twice.
  const best = new Map<string, Listed>()
  const keepBest = (): void => {
    const sorted = [...best].toSorted(([, a], [, b]) => rank(b) - rank(a) || (b.updatedAt ?? 0) - (a.updatedAt ?? 0))
    best.clear()
    for (const [key, counter] of sorted.slice(0, top)) best.set(key, counter)
  }
  let seen = 0
  for await (const { now, counters } of store.counters(Math.min(PAGE, scan))) {
    for (const counter of counters) {
      if (seen >= scan) {
        keepBest()
        return { top: [...best.values()], seen, isCut: true }
      }
      seen++
      const found = read(counter, scopes, now)
      if (found.policy !== undefined || names.length === 0) best.set(counter.key, found)
      if (best.size >= 2 * top + PAGE) keepBest()
    }
    onProgress(seen)
  }
  keepBest()
  return { top: [...best.values()], seen, isCut: false }
}

/** What a policy's counters are told by: their limits, or what they begin with where those depend on the request. */
interface Scope {
  readonly policy: SettingsPolicy
  readonly set: LimitSet | undefined
  readonly begins: string
}

function scopeOf(policy: SettingsPolicy): Scope {
  return { policy, set: policy.gate.limiter.limitsFor('any'), begins: `${escaped(policy.group)}|` }
}

function read(counter: StoredCounter, scopes: readonly Scope[], now: number): Listed {
  const { key, updatedAt } = counter
  for (const { policy, set } of scopes) {
    const identity = set === undefined ? undefined : identityOf(set, key)
    if (set === undefined || identity === undefined) continue
    const { granted, bannedForMs, readings } = new Counter(counter.textFor(set), now).decide({
      set,
      key,
      cost: 1,
      mode: 'peek',
      takenAt: undefined,
      count: 1,
    })
    const taken = { granted: granted > 0, now, readings, bannedForMs, source: 'primary' } as const
    return { policy: policy.name, key: identity, decision: decide(set, taken, 1, policy.gate.shadow), bannedForMs, updatedAt }
  }
  const dynamic = scopes.find(({ set, begins }) => set === undefined && key.startsWith(begins))
  return { policy: dynamic?.policy.name, key, decision: undefined, bannedForMs: 0, updatedAt }
}

/** Bans first, then the share of the limit that is used. */
function rank({ decision, bannedForMs }: Listed): number {
  if (bannedForMs > 0) return 2
  return decision === undefined ? -1 : usedShare(decision)
}

function usedShare({ tightest, remaining }: Decision): number {
  const most = tightest === undefined ? 0 : Math.floor(tightest.burst)
  return most === 0 ? 1 : Math.max(0, most - remaining) / most
}

/** For programs to read. */
export function listJson(results: readonly StoreResult<Listing>[]): object {
  return {
    stores: results.map(({ name, kind, error, result }) => ({
      name,
      kind,
      error: error ?? null,
      counters_seen: result?.seen ?? 0,
      more: result?.isCut ?? false,
      counters: (result?.top ?? []).map(({ policy, key, decision, bannedForMs, updatedAt }) => ({
        policy: policy ?? null,
        key,
        used_share: decision === undefined ? null : Math.round(usedShare(decision) * 10_000) / 10_000,
        banned_for_ms: bannedForMs,
        last_change: updatedAt === undefined ? null : new Date(updatedAt).toISOString(),
        decision: decision?.toJSON() ?? null,
      })),
    })),
  }
}

/** For people to read. */
export function listText(results: readonly StoreResult<Listing>[], style: Style): string[] {
  return results.flatMap(({ name, error, result }) => {
    const title = style('bold', name)
    if (error !== undefined || result === undefined) return [`${title}: ${error}`]
    const { top, seen, isCut } = result
    const rows = top.map(({ policy, key, decision, bannedForMs }) => {
      const shown = printable(key)
      if (decision === undefined) return [policy ?? '?', '', shown, style('dim', 'its limit is not known here')]
      const used = `${Math.round(usedShare(decision) * 100)} %`
      const [first = ''] = standingTexts(decision)
      return [
        policy ?? '?',
        { text: used, format: 'bold' as const, right: true },
        shown,
        first,
        answerCell(decision, bannedForMs),
      ]
    })
    const count = `${seen.toLocaleString('en')} ${seen === 1 ? 'counter' : 'counters'}`
    return [
      `${title}: ${isCut ? `the first ${count} (--scan looks at more)` : count}`,
      ...columns(rows, style).map((line) => `  ${line}`),
    ]
  })
}
