// The rows of the table as counters, a page at a time and without a lock, so that no decision waits. Next: ../listing.ts.

import { systemClock } from '../../core/clock.ts'
import type { CounterPage } from '../listing.ts'
import type { RemoteSettings } from '../remote-options.ts'
import { isCounterKey } from '../store-key.ts'
import type { Connection } from './connection.ts'

/** Nobody waits for a decision here. */
const PATIENCE_MS = 10_000

/** See `ListingStore`. */
export async function* counters(
  connection: Connection,
  { keyPrefix, clock = systemClock }: RemoteSettings,
  pageSize: number,
): AsyncIterable<CounterPage> {
  for (let after = 0, more = true; more;) {
    const rows = await connection.read((statements) => statements.counters(after, pageSize), PATIENCE_MS)
    more = rows.length === pageSize
    after = rows.at(-1)?.number ?? after
    const now = clock.now()
    const ours = rows.filter(({ key, expiresAt }) => key.startsWith(keyPrefix) && expiresAt > now)
    yield {
      now,
      counters: ours
        .map(({ key, updatedAt, state }) => ({ key: key.slice(keyPrefix.length), updatedAt, textFor: () => state }))
        .filter(({ key }) => isCounterKey(key)),
    }
    // Decisions get their turn between two pages.
    await new Promise((resolve) => setImmediate(resolve))
  }
}
