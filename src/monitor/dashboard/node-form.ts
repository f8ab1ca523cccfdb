// The handler for node:http, connect and Express: their requests as Requests, Responses written to theirs. Promise: no body is read, whatever
// has read it before; a client that leaves ends the stream it was sent. Next: dashboard.ts.

import type { NodeRequest, NodeResponse } from '../../adapters/node-exchange.ts'

/** What is needed of a request: its head. */
export type DashboardRequest = NodeRequest

/** What is needed of a response. */
export interface DashboardResponse extends NodeResponse {
  /** Whether the client has left. */
  readonly destroyed?: boolean
  // oxlint-disable-next-line typescript/no-explicit-any -- node:http and node:http2 give `write` and `once` different parameters
  write(chunk: any): boolean
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  once(event: any, call: () => void): unknown
}

/** A request that cannot be shown as one. */
export class BadRequest extends Error {}

/** A request as the fetch standard has it. Throws a {@link BadRequest}. */
export function requestFrom(incoming: DashboardRequest): Request {
  const method = incoming.method ?? 'GET'
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    // HTTP/2 has pseudo headers here.
    if (value === undefined || name.startsWith(':')) continue
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one)
  }
  const host = headers.get('host') ?? (incoming.headers[':authority'] as string | undefined) ?? 'localhost'
  if (!headers.has('host')) headers.set('host', host)
  const scheme = (incoming.socket as { encrypted?: boolean } | undefined)?.encrypted === true ? 'https' : 'http'
  const target = incoming.originalUrl ?? incoming.url ?? '/'
  const address = `${scheme}://${host}${target}`
  if (!target.startsWith('/') || !URL.canParse(address)) throw new BadRequest('The host or the target is none.')
  return new Request(address, { method: knownMethod(method), headers })
}

/** Writes a response; resolves when it is written, or its reader has left. */
export async function respond(answer: Response, outgoing: DashboardResponse): Promise<void> {
  if (outgoing.destroyed === true) {
    await answer.body?.cancel()
    return
  }
  outgoing.statusCode = answer.status
  for (const [name, value] of answer.headers) outgoing.setHeader(name, value)
  const reader = answer.body?.getReader()
  if (reader === undefined) {
    outgoing.end()
    return
  }
  let hasLeft = false
  let goOn = (): void => {}
  outgoing.once('close', () => {
    hasLeft = true
    goOn()
    reader.cancel().catch(() => undefined)
  })
  for (;;) {
    const { done, value } = await reader.read()
    if (done || hasLeft) break
    if (outgoing.write(value)) continue
    await new Promise<void>((resolve) => {
      goOn = resolve
      outgoing.once('drain', resolve)
    })
    if (hasLeft) break
  }
  if (!outgoing.writableEnded) outgoing.end()
}

/** The constructor of Request refuses some methods, which are refused here anyway. */
function knownMethod(method: string): string {
  return /^(CONNECT|TRACE|TRACK)$/i.test(method) ? 'DELETE' : method
}
