// What exporters have in common: options, and a tally that watches the whole process. Promise: however many exporters there are, a decision is
// counted once; an exporter that is closed costs nothing more; a misspelt option fails at construction. Next: tally.ts.

import { ConfigError } from '../core/errors.ts'
import type { ObservedStore } from '../core/observer.ts'
import { addObserver } from '../core/watching.ts'
import { checkNames } from '../core/check-names.ts'
import { withSafetyNet } from '../stores/failover/multi-store.ts'
import type { Store } from '../stores/store.ts'
import { Tally } from './tally.ts'

/** Options of every exporter. */
export interface ExporterOptions {
  /** In front of every name. */
  readonly prefix?: string
  /** Policies told apart; all further ones are "other" (default 100). */
  readonly maxPolicies?: number
  /** Stores to tell of before they have decided anything (default: those that decide). */
  readonly stores?: readonly Store[]
  /** Watch every limiter of the process (default true); false: only those that have its `observer` among their `observers`. */
  readonly everywhere?: boolean
}

/** The names of {@link ExporterOptions}. */
export const EXPORTER_OPTIONS: readonly string[] = [
  'prefix',
  'maxPolicies',
  'stores',
  'everywhere',
] satisfies (keyof ExporterOptions)[]

const MAX_POLICIES = 100

/** A tally, as long as it is needed. */
export interface OpenTally {
  readonly tally: Tally
  readonly close: () => void
}

/** Tallies that watch the whole process, by the number of policies they tell apart, so that a decision is counted once for all exporters. */
const shared = new Map<number, { readonly open: OpenTally; users: number }>()

/** A tally that watches every limiter of the process until it is closed. Others may have begun it before. */
export function processTally(maxPolicies: number): OpenTally {
  let found = shared.get(maxPolicies)
  if (found === undefined) {
    const tally = new Tally(maxPolicies)
    found = { open: { tally, close: addObserver(tally) }, users: 0 }
    shared.set(maxPolicies, found)
  }
  const entry = found
  entry.users++
  let isOpen = true
  return {
    tally: entry.open.tally,
    close() {
      if (!isOpen) return
      isOpen = false
      if (--entry.users > 0) return
      shared.delete(maxPolicies)
      entry.open.close()
    },
  }
}

/**
 * Checks the options that exporters share, and gives them their tally.
 * @param own names of the options that the caller checks itself
 * @param make makes a tally that does more; it is not shared
 * @throws ConfigError naming the option that is wrong
 */
export function tallyFor(
  options: ExporterOptions,
  option: string,
  own: readonly string[],
  prefixes: RegExp,
  make?: (maxPolicies: number) => Tally,
): OpenTally {
  checkNames(options, [...EXPORTER_OPTIONS, ...own], option)
  const { prefix, maxPolicies = MAX_POLICIES, stores = [], everywhere = true } = options
  if (prefix !== undefined && (typeof prefix !== 'string' || !prefixes.test(prefix)))
    throw new ConfigError(`${option}.prefix`, `a text like ${prefixes.source}`, prefix)
  checkWhole(maxPolicies, `${option}.maxPolicies`, 1, 10_000)
  if (typeof everywhere !== 'boolean') throw new ConfigError(`${option}.everywhere`, 'true or false', everywhere)
  const known = checkStores(stores, `${option}.stores`)
  const open = everywhere && make === undefined ? processTally(maxPolicies) : ownTally(make ?? plain, maxPolicies, everywhere)
  for (const store of known) open.tally.stores.note(store)
  return open
}

const plain = (maxPolicies: number): Tally => new Tally(maxPolicies)

function ownTally(make: (maxPolicies: number) => Tally, maxPolicies: number, everywhere: boolean): OpenTally {
  const tally = make(maxPolicies)
  return { tally, close: everywhere ? addObserver(tally) : () => {} }
}

/** @throws ConfigError for a list that is none of stores. @returns them, those that may fail with their safety nets */
export function checkStores(stores: unknown, option: string): readonly ObservedStore[] {
  if (!Array.isArray(stores) || stores.some((store) => typeof (store as Partial<Store> | null)?.take !== 'function'))
    // Where a store belongs, a text is an address, and may hold a password.
    throw new ConfigError(option, 'a list of stores', Array.isArray(stores) ? '(a list with something else)' : '(no list)')
  return (stores as readonly Store[]).map((store) => (store.sync ? store : withSafetyNet(store)))
}

/** @throws ConfigError for what is no whole number in the bounds */
export function checkWhole(value: unknown, option: string, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most)
    throw new ConfigError(option, `a whole number from ${least} to ${most}`, value)
  return value as number
}
