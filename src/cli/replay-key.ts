// The `--key` of a replay: whom a logged request counts for. Promise: the word for a client means what it means to the live
// limiter: addresses are grouped alike, and a request without a user counts for its address. Next: replay.ts.

import { ConfigError } from '../core/errors.ts'
import { buildClientAddress } from '../http/address.ts'
import { normalizePath } from '../http/path-rules.ts'
import type { LogEntry, WantedFields } from './log-line.ts'

/** What is ready to read keys. */
export interface ReplayKey {
  /** Undefined when the line does not have what the key is made of. */
  keyOf(entry: LogEntry): string | undefined
  /** The fields it reads. */
  readonly wanted: WantedFields
}

/**
 * Prepares a key.
 * @param key `ip`, `user` or `user_or_ip` (the address where no user is logged), `path`, `method`, `field:<JSON field>`, several
 * joined by `+`
 * @throws ConfigError for anything else
 */
export function replayKey(key: string): ReplayKey {
  const address = buildClientAddress({})
  // A log may have host names instead of addresses.
  const ip = (entry: LogEntry): string => address.keyOf(entry.client) ?? entry.client
  const fields: string[] = []
  let user = false
  let request = false
  const parts = key.split('+').map((part): ((entry: LogEntry) => string | undefined) => {
    switch (part) {
      case 'ip':
        return ip
      case 'user':
      case 'user_or_ip':
        user = true
        // The mark keeps a user who is called like an address from being that address.
        return (entry) => (entry.user === undefined ? ip(entry) : `user:${entry.user}`)
      case 'path':
        request = true
        return (entry) => (entry.target === undefined ? undefined : normalizePath(entry.target))
      case 'method':
        request = true
        return (entry) => entry.method
    }
    if (part.startsWith('field:') && part.length > 'field:'.length) {
      const index = fields.push(part.slice('field:'.length)) - 1
      return (entry) => entry.fields[index]
    }
    throw new ConfigError('--key', 'ip, user, user_or_ip, path, method or field:<name>, several joined by +', key)
  })
  const [only] = parts
  const joined = (entry: LogEntry): string | undefined => {
    const values = parts.map((part) => part(entry))
    return values.includes(undefined) ? undefined : values.join(' ')
  }
  return { keyOf: parts.length === 1 && only !== undefined ? only : joined, wanted: { user, request, fields } }
}
