// How the other processes of a race make their stores. Next: race-worker.ts.

import type { TableStore } from '../../src/stores/maintenance.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'

/** @param file the path of the database */
export async function makeStore(
  file: unknown,
  options: { readonly keyPrefix: string; readonly batchSize?: number },
): Promise<TableStore> {
  return sqliteStore(String(file), { deadlineMs: 20_000, rememberRefusalsMs: false, ...options })
}
