// How another process makes a PostgreSQL store. Next: postgres.test.ts.

import { postgresStore } from '../../src/stores/postgres/index.ts'
import type { AsyncStore } from '../../src/stores/store.ts'

/** @param argument the server's address */
export async function makeStore(argument: unknown, options: { keyPrefix: string; batchSize?: number }): Promise<AsyncStore> {
  return postgresStore({ url: String(argument) }, { ...options, rememberRefusalsMs: false, deadlineMs: 20_000 })
}
