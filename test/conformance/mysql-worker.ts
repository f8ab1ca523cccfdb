// How the other processes of a race make their stores. Next: race-worker.ts.

import { mysqlStore } from '../../src/stores/mysql/index.ts'
import type { TableStore } from '../../src/stores/maintenance.ts'

/** @param url of a database that holds the table already */
export async function makeStore(
  url: unknown,
  options: { readonly keyPrefix: string; readonly batchSize?: number },
): Promise<TableStore> {
  return mysqlStore({ url: String(url) }, { deadlineMs: 20_000, rememberRefusalsMs: false, ...options })
}
