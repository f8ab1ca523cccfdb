// What a store with tables does beside deciding: making its table, and clearing it. Types, and the pattern of keys.
// Promise: no request makes a table; no clean-up deletes a live counter unless it is told to. Next: sqlite/index.ts.

import { checkNames } from '../core/check-names.ts'
import { ConfigError } from '../core/errors.ts'
import { escaped } from './store-key.ts'
import type { ListingStore } from './listing.ts'
import type { AsyncStore } from './store.ts'

/** What a clean-up removes, and how. */
export interface CleanupOptions {
  /** Only count (default false). The count is what the same call would delete. */
  readonly dryRun?: boolean
  /** Also delete counters that nothing has changed for so many ms, expired or not (default: expired ones alone). */
  readonly olderThanMs?: number
  /** Rows per statement (default 1000). */
  readonly batchSize?: number
  /** Only counters of these names: `*` stands for any text, all else for itself (default: all). */
  readonly keyPattern?: string
  /** Called after each batch with the rows deleted so far. */
  readonly onProgress?: (deleted: number) => void
}

/** What a clean-up found. */
export interface CleanupReport {
  /** Rows that met the conditions. */
  readonly found: number
  /** Rows deleted: 0 for a dry run. */
  readonly deleted: number
}

/** A store that keeps its counters in a table. */
export interface TableStore extends AsyncStore, ListingStore {
  /** Makes the table, or brings an older one up to date. Safe to repeat, and to run from several processes at once. */
  setup(): Promise<void>
  /** What {@link setup} runs, for people who run it themselves. */
  setupSql(): string
  /** Deletes in batches what {@link CleanupOptions} names. */
  cleanup(options?: CleanupOptions): Promise<CleanupReport>
}

/** {@link CleanupOptions} with every default in place. */
export interface CleanupSettings {
  readonly dryRun: boolean
  readonly olderThanMs: number | undefined
  readonly batchSize: number
  /** The texts between the wildcards, as keys are written; undefined: every key. One text: exactly that key. */
  readonly pattern: readonly string[] | undefined
  readonly onProgress: (deleted: number) => void
}

const LONGEST_PATTERN = 512

/** @throws ConfigError naming the option that is wrong */
export function cleanupSettings(options: CleanupOptions, option = 'cleanup'): CleanupSettings {
  checkNames(options, ['dryRun', 'olderThanMs', 'batchSize', 'keyPattern', 'onProgress'], option)
  const { dryRun = false, olderThanMs, batchSize = 1000, keyPattern, onProgress = () => {} } = options
  if (typeof dryRun !== 'boolean') throw new ConfigError(`${option}.dryRun`, 'true or false', dryRun)
  if (olderThanMs !== undefined && !(Number.isSafeInteger(olderThanMs) && olderThanMs > 0))
    throw new ConfigError(`${option}.olderThanMs`, 'a whole number ≥ 1, in ms', olderThanMs)
  if (!(Number.isSafeInteger(batchSize) && batchSize >= 1 && batchSize <= 100_000))
    throw new ConfigError(`${option}.batchSize`, 'a whole number from 1 to 100000', batchSize)
  if (keyPattern !== undefined && (typeof keyPattern !== 'string' || keyPattern === '' || keyPattern.length > LONGEST_PATTERN))
    throw new ConfigError(`${option}.keyPattern`, `1 to ${LONGEST_PATTERN} characters`, keyPattern)
  if (typeof onProgress !== 'function') throw new ConfigError(`${option}.onProgress`, 'a function', onProgress)
  return { dryRun, olderThanMs, batchSize, pattern: keyPattern === undefined ? undefined : partsOf(keyPattern), onProgress }
}

/** `|` joins the parts of a key, so it stays; what an identity is made of is written as in keys. */
function partsOf(pattern: string): string[] {
  return pattern.split('*').map((text) => text.split('|').map(escaped).join('|'))
}

/** A pattern for SQL's LIKE with `\` as its escape character; `%` and `_` in keys stand for themselves. */
export function likePattern(pattern: readonly string[], prefix: string): string {
  return [prefix + (pattern[0] ?? ''), ...pattern.slice(1)].map((text) => text.replace(/[\\%_]/g, '\\$&')).join('%')
}
