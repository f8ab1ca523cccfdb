// A fault that is no state but an event, time and again. Next: redis.ts, which has some.

import { setTimeout as delay } from 'node:timers/promises'

/** Does something every so many ms; what is returned ends it. */
export function repeatedly(everyMs: number, action: () => Promise<unknown>): () => Promise<void> {
  const ended = new AbortController()
  const loop = (async () => {
    while (!ended.signal.aborted) {
      await action()
      await delay(everyMs)
    }
  })()
  return async () => {
    ended.abort()
    await loop
  }
}
