// Names of hosts that cannot be turned into addresses for a while, as when the name server is away. Promise: clients are the real ones and
// ask the way they always do; addresses that are written as such are not looked up, and work. Next: load-worker.ts.

import dns from 'node:dns'

const { lookup } = dns

/** Whether lookups of this process succeed from now on. */
export function knowNames(known: boolean): void {
  dns.lookup = known ? lookup : (fail as unknown as typeof lookup)
}

function fail(name: string, options: unknown, then?: (error: Error) => void): void {
  const done = (typeof options === 'function' ? options : then) as (error: Error) => void
  const error = new Error(`getaddrinfo EAI_AGAIN ${name}`)
  process.nextTick(done, Object.assign(error, { code: 'EAI_AGAIN', errno: -3001, syscall: 'getaddrinfo', hostname: name }))
}
