// One thing done on each store that settings ask for. Promise: a store that fails keeps the others from nothing, and is told of; the app's own
// memory, which no other process can reach, is told of too, with what to do instead. Next: inspect.ts, change.ts, list.ts.

import { RateLimitError } from '../core/errors.ts'
import type { OpenStore } from '../config/open-stores.ts'

/** What came of one store. */
export interface StoreResult<T> {
  readonly name: string
  readonly kind: OpenStore['kind']
  readonly result: T | undefined
  /** Why there is no result. */
  readonly error: string | undefined
}

/** What people wait for here is no request. */
export const PATIENT = { deadlineMs: 5000, rememberRefusalsMs: false } as const

/**
 * Does it on each, one after the other.
 * @param instead what to do where the counters are in the memory of the app
 * @throws what is no failure of a store
 */
export async function onEachStore<T>(
  stores: readonly OpenStore[],
  instead: string,
  act: (store: OpenStore) => Promise<T>,
): Promise<readonly StoreResult<T>[]> {
  const results: StoreResult<T>[] = []
  for (const store of stores) {
    const { name, kind } = store
    if (kind === 'memory') {
      const error = `the counters are in the memory of the app's own process, where no other process can reach them; ${instead}`
      results.push({ name, kind, result: undefined, error })
      continue
    }
    try {
      results.push({ name, kind, result: await act(store), error: undefined })
    } catch (error) {
      if (!(error instanceof RateLimitError) || !error.code.startsWith('ERR_RATELIMIT_STORE')) throw error
      results.push({ name, kind, result: undefined, error: error.message })
    }
  }
  return results
}

/** 0: done everywhere, but for the app's memory beside other stores; 1: not. */
export function exitCodeOf(results: readonly StoreResult<unknown>[]): 0 | 1 {
  const reachable = results.filter(({ kind }) => kind !== 'memory')
  return reachable.length > 0 && reachable.every(({ error }) => error === undefined) ? 0 : 1
}
