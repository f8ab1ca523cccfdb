// Apps that let every client choose its own address. Promise: warned about once, and nothing but a sentence comes of it.
// Next: ../http/address.ts, for who is believed.

import type { FastifyRequest } from 'fastify'
import { warnOnce } from '../http/gate.ts'

const REMEDY = 'so every client can choose its own address; set it to your proxies, or to how many there are'

/**
 * Looks at the setting of an Express app; anything else is left alone.
 * @param whose what the warning says of the app, where it is below another framework
 */
export function lookAtExpress(app: unknown, whose = ''): void {
  const get = (app as { get?: unknown } | null | undefined)?.get
  if (typeof get === 'function' && (get.call(app, 'trust proxy') as unknown) === true)
    warnOnce(`"trust proxy"${whose} is true, ${REMEDY}`)
}

/** The same for the Fastify app whose request this is. */
export function lookAtFastify(request: FastifyRequest, whose = ''): void {
  if (trustsEverybody(request)) warnOnce(`trustProxy${whose} is true, ${REMEDY}`)
}

/** Fastify does not show its setting; what it makes of a chain longer than any setting but "everybody" does. */
function trustsEverybody(request: FastifyRequest): boolean {
  const hops = Array.from({ length: 64 }, (_, at) => `198.51.100.${at}`)
  const socket = { remoteAddress: '203.0.113.1' }
  const raw = { headers: { 'x-forwarded-for': hops.join(', ') }, socket, connection: socket }
  try {
    return (Object.create(request, { raw: { value: raw }, socket: { value: socket } }) as FastifyRequest).ip === hops[0]
  } catch {
    return false
  }
}
