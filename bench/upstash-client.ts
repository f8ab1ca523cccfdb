// An ioredis client with the two calls that @upstash/ratelimit makes of its own. Next: redis-peers.ts, faults.ts.

import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'

/** What @upstash/ratelimit needs of a client. */
export interface UpstashClient {
  evalsha(digest: string, names: string[], args: unknown[]): Promise<unknown>
  eval(text: string, names: string[], args: unknown[]): Promise<unknown>
}

/** Its scripts begin with a flag that only its own servers know; without it their digests are others. */
export function upstashClient(client: Redis): UpstashClient {
  const digests = new Map<string, string>()
  return {
    async evalsha(digest, names, args) {
      const known = digests.get(digest)
      if (known === undefined) throw new Error('NOSCRIPT')
      return client.evalsha(known, names.length, ...names, ...(args as string[]))
    },
    async eval(text, names, args) {
      const plain = text.replace(/^#!lua.*\n/, '')
      digests.set(createHash('sha1').update(text).digest('hex'), createHash('sha1').update(plain).digest('hex'))
      return client.eval(plain, names.length, ...names, ...(args as string[]))
    },
  }
}
