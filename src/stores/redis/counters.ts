// The counters a Redis holds, by SCAN, of each server of a cluster in turn. Promise: a server is asked for a little at a time, and what is
// there all the time is found. Next: ../listing.ts.

import { systemClock } from '../../core/clock.ts'
import type { CounterPage, StoredCounter } from '../listing.ts'
import type { RemoteSettings } from '../remote-options.ts'
import { isCounterKey } from '../store-key.ts'
import { plainText } from './changes.ts'
import type { RedisConnection } from './connection.ts'

/** See `ListingStore`. */
export async function* counters(
  connection: RedisConnection,
  { keyPrefix, clock }: RemoteSettings,
  pageSize: number,
): AsyncIterable<CounterPage> {
  const own = connection.keyPrefix + keyPrefix
  const pattern = `${own.replace(/[\\*?[\]]/g, '\\$&')}*`
  const send = (name: string, args: string[]): Promise<unknown> => connection.send(name, args, keyPrefix)
  for (const server of connection.nodes?.() ?? [{ send }]) {
    let cursor = '0'
    do {
      const reply = await server.send('SCAN', [cursor, 'MATCH', pattern, 'COUNT', String(pageSize), 'TYPE', 'string'])
      const [next, names] = reply as readonly [unknown, readonly unknown[]]
      cursor = String(next)
      // The client itself puts its own prefix before the names of a GET.
      const found = names.map((name) => String(name).slice(connection.keyPrefix.length))
      const some = found.filter((name) => isCounterKey(name.slice(keyPrefix.length)))
      const texts = await Promise.all(some.map((name) => connection.send('GET', [name], name)))
      const held = some.flatMap((name, i): StoredCounter[] => {
        const text = texts[i]
        if (text === null || text === undefined) return []
        return [{ key: name.slice(keyPrefix.length), updatedAt: undefined, textFor: () => plainText(text as string) }]
      })
      yield { now: clock?.now() ?? systemClock.now(), counters: held }
    } while (cursor !== '0')
  }
}
