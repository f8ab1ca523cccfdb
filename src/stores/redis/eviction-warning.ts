// A warning about a server that throws counters away when its memory is full. Promise: once for stores of one name, never an error, and nothing is
// said where the server does not let its settings be read. Next: driver.ts.

import { warningFound } from '../../core/watching.ts'
import type { Send } from './script.ts'

const warned = new Set<string>()

/** Reads how the server treats a full memory, and warns if that may forget who has used up a limit. */
export async function warnOfEviction(store: string, send: Send): Promise<void> {
  try {
    const settings = pairs(await send('CONFIG', ['GET', 'maxmemory*']))
    const policy = settings.get('maxmemory-policy')
    if (policy === undefined || policy === 'noeviction' || Number(settings.get('maxmemory') ?? 0) === 0) return
    if (warned.has(store)) return
    warned.add(store)
    const message =
      `store ${store}: Redis has maxmemory-policy ${policy}, so a full memory makes it forget counters, and whoever is refused is ` +
      'admitted again. Give rate limits a Redis with noeviction: then counters that exist go on, and new ones are an error.'
    warningFound(message)
    process.emitWarning(message, { type: 'RateLimitWarning' })
  } catch {
    // Many hosts forbid CONFIG.
  }
}

/** Replies come as a list, an object or a Map, by client and protocol. */
function pairs(reply: unknown): Map<string, string> {
  if (reply instanceof Map) return new Map([...reply].map(([key, value]) => [String(key), String(value)]))
  if (!Array.isArray(reply)) return new Map(Object.entries(reply as object).map(([key, value]) => [key, String(value)]))
  const found = new Map<string, string>()
  for (let i = 0; i + 1 < reply.length; i += 2) found.set(String(reply[i]), String(reply[i + 1]))
  return found
}
