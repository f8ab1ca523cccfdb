// The rows of the table as counters, a page at a time and without a lock, so that no decision waits. Next: ../listing.ts.

import type { CounterPage } from '../listing.ts'
import type { RemoteSettings } from '../remote-options.ts'
import { isCounterKey } from '../store-key.ts'
import { like } from './clean-up.ts'
import type { Server } from './server.ts'
import { NOW_MS, literal } from './statements.ts'

/** See `ListingStore`. */
export async function* counters(
  server: Server,
  { keyPrefix, clock }: RemoteSettings,
  pageSize: number,
): AsyncIterable<CounterPage> {
  const ours = like(['', ''], keyPrefix)
  for (let after = '', more = true; more;) {
    const rows = await server.unhurried((connection) =>
      connection.query(
        `SELECT \`key\`, updated_at, expires_at, state, ${NOW_MS} FROM ${server.statements.table} WHERE \`key\` > ${literal(after)} AND ${ours} ORDER BY \`key\` LIMIT ${pageSize}`,
      ),
    )
    more = rows.length === pageSize
    after = String(rows.at(-1)?.[0] ?? after)
    const now = clock?.now() ?? Number(rows[0]?.[4] ?? 0)
    yield {
      now,
      counters: rows
        .filter(([, , expiresAt]) => Number(expiresAt) > now)
        .map(([key, updatedAt, , state]) => ({
          key: String(key).slice(keyPrefix.length),
          updatedAt: Number(updatedAt),
          textFor: () => String(state),
        }))
        .filter(({ key }) => isCounterKey(key)),
    }
  }
}
