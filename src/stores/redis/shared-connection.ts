// One connection for all stores that are given the same client. Promise: it ends when the last of them is closed. Next: index.ts.

import type { RedisConnection } from './connection.ts'

interface Shared {
  readonly connection: RedisConnection
  users: number
}

const known = new WeakMap<object, Shared>()

/** The connection of a client, made when the first store asks for it. */
export function shared(client: object, make: () => RedisConnection): RedisConnection {
  let found = known.get(client)
  if (found === undefined) known.set(client, (found = { connection: make(), users: 0 }))
  const { connection } = found
  found.users++
  let closed = false
  return {
    ...connection,
    async close() {
      if (closed) return
      closed = true
      if (--found.users > 0) return
      known.delete(client)
      await connection.close()
    },
  }
}
