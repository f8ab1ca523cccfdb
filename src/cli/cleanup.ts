// Clears tables of what they no longer need. Promise: without an age, expired counters alone; a dry run finds what the same run without it
// deletes; of several databases each is cleared, also when another one fails. Next: ../stores/maintenance.ts.

import { monotonicMs } from '../core/clock.ts'
import { RateLimitError } from '../core/errors.ts'
import type { OpenStore } from '../config/open-stores.ts'
import { cleanupSettings } from '../stores/maintenance.ts'
import { hasTable, withoutTable } from './setup.ts'

/** What is to be cleared. */
export interface Cleanup {
  readonly dryRun: boolean
  /** 0: expired counters alone; else also those that nothing has changed for so long. */
  readonly olderThanHours: number
  readonly batchSize: number
  readonly keyPattern?: string | undefined
}

/** What was found in one store. */
export interface CleanedStore {
  readonly name: string
  readonly kind: OpenStore['kind']
  readonly table: string | undefined
  readonly found: number
  readonly deleted: number
  /** Why it could not be cleared, or was not. */
  readonly error: string | undefined
  readonly note: string | undefined
}

/** What was found in all of them. */
export interface CleanedStores {
  readonly stores: readonly CleanedStore[]
  readonly elapsedMs: number
}

const HOUR_MS = 3_600_000

/**
 * Clears each store that has a table.
 * @throws ConfigError for a request that cannot be
 */
export async function cleanUp(
  stores: readonly OpenStore[],
  { dryRun, olderThanHours, batchSize, keyPattern }: Cleanup,
  onProgress: (deleted: number) => void = () => {},
): Promise<CleanedStores> {
  const startedAt = monotonicMs()
  let before = 0
  const options = {
    dryRun,
    batchSize,
    ...(olderThanHours > 0 && { olderThanMs: Math.max(1, Math.round(olderThanHours * HOUR_MS)) }),
    ...(keyPattern !== undefined && { keyPattern }),
    onProgress: (deleted: number) => onProgress(before + deleted),
  }
  // What cannot be is no failure of a store.
  cleanupSettings(options)
  const cleaned: CleanedStore[] = []
  for (const one of stores) {
    const { name, kind } = one
    const nothing = { name, kind, table: undefined, found: 0, deleted: 0, error: undefined, note: undefined }
    if (!hasTable(one)) {
      cleaned.push({ ...nothing, note: withoutTable(one) })
      continue
    }
    try {
      const report = await one.store.cleanup(options)
      before += report.deleted
      cleaned.push({ ...nothing, table: one.table, ...report })
    } catch (error) {
      if (!(error instanceof RateLimitError)) throw error
      cleaned.push({ ...nothing, table: one.table, error: error.message })
    }
  }
  return { stores: cleaned, elapsedMs: Math.round(monotonicMs() - startedAt) }
}

/** For programs to read. */
export function cleanupJson({ stores, elapsedMs }: CleanedStores, asked: Cleanup): object {
  const total = (figure: 'found' | 'deleted'): number => stores.reduce((sum, store) => sum + store[figure], 0)
  return {
    dry_run: asked.dryRun,
    batch_size: asked.batchSize,
    older_than_hours: asked.olderThanHours,
    key_pattern: asked.keyPattern ?? null,
    stores: stores.map(({ name, kind, table, found, deleted, error, note }) => ({
      name,
      kind,
      table: table ?? null,
      counters: { found, deleted },
      error: error ?? null,
      note: note ?? null,
    })),
    errors: stores.flatMap(({ error }) => (error === undefined ? [] : [error])),
    elapsed_seconds: elapsedMs / 1000,
    total_found: total('found'),
    total_deleted: total('deleted'),
  }
}

/** For people to read. */
export function cleanupText({ stores, elapsedMs }: CleanedStores, asked: Cleanup, verbose: boolean): string[] {
  const { dryRun, olderThanHours, keyPattern, batchSize } = asked
  const which = [
    olderThanHours > 0 ? `expired, or unchanged for ${olderThanHours} hours` : 'expired',
    ...(keyPattern === undefined ? [] : [`of the names ${keyPattern}`]),
  ].join(', ')
  const lines = stores.map(({ name, table, found, deleted, error, note }) => {
    if (note !== undefined) return note
    if (error !== undefined) return `${name}: failed: ${error}`
    return `${name}: ${dryRun ? `would delete ${counters(found)}` : `deleted ${counters(deleted)}`}${verbose ? ` of table ${table}` : ''}`
  })
  return verbose ? [`${which}; ${batchSize} in a batch`, ...lines, `${(elapsedMs / 1000).toFixed(2)} s`] : lines
}

function counters(count: number): string {
  return `${count.toLocaleString('en')} ${count === 1 ? 'counter' : 'counters'}`
}
