// A server of the command line on its port. Promise: a port that cannot be had is an error that says what to do. Next: demo.ts,
// dashboard-viewer.ts.

import type { Server } from 'node:http'
import { InvalidArgumentError } from 'commander'
import { RateLimitError } from '../core/errors.ts'

/** Where a server listens. */
export interface Place {
  /** TCP port (0: any free one). */
  readonly port: number
  readonly host: string
}

/**
 * Listens, and resolves to the port.
 * @throws RateLimitError `ERR_RATELIMIT_PORT` when the port is taken or may not be used
 */
export function listenOn(server: Server, { port, host }: Place): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === 'EADDRINUSE'
          ? `is in use; choose another with --port, or 0 for any free one`
          : cause.code === 'EACCES'
            ? 'may not be used by this user; choose one above 1023 with --port'
            : `cannot be opened (${cause.code ?? cause.message})`
      reject(new RateLimitError('ERR_RATELIMIT_PORT', `port ${port} on ${host} ${why}`, { cause }))
    })
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

/** `http://127.0.0.1:3000`. */
export function originOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Reads a port of the command line. */
export function portNumber(value: string): number {
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535)
    throw new InvalidArgumentError('It must be a whole number from 0 to 65535.')
  return Number(value)
}
