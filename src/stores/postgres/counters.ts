// The rows of the table as counters, a page at a time and without a lock, so that no decision waits. Next: ../listing.ts.

import type { CounterPage } from '../listing.ts'
import type { RemoteSettings } from '../remote-options.ts'
import { isCounterKey } from '../store-key.ts'
import type { Calls } from './calls.ts'
import { ABOVE, BELOW } from './housekeeping.ts'
import type { Statements } from './statements.ts'
import { recordText } from './wire.ts'

/** See `ListingStore`. */
export async function* counters(
  calls: Calls,
  statements: Statements,
  { keyPrefix, clock }: RemoteSettings,
  pageSize: number,
): AsyncIterable<CounterPage> {
  for (let after = keyPrefix === '' ? BELOW : keyPrefix, more = true; more;) {
    const rows = await calls.unhurried(statements.counters, [after, `${keyPrefix}${ABOVE}`, String(pageSize)])
    more = rows.length === pageSize
    after = rows.at(-1)?.[0] ?? after
    const now = clock?.now() ?? Number(rows[0]?.[4] ?? 0)
    yield {
      now,
      counters: rows
        .filter(([, , expiresAt]) => Number(expiresAt) > now)
        .map(([key, updatedAt, , state]) => ({
          key: String(key).slice(keyPrefix.length),
          updatedAt: Number(updatedAt),
          textFor: (set: Parameters<typeof recordText>[1]) => recordText(String(state), set),
        }))
        .filter(({ key }) => isCounterKey(key)),
    }
  }
}
