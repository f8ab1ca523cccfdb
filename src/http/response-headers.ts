// Header fields onto a Response that somebody else made. Promise: its body is never read, copied or teed; where its headers can be
// written to, the very same Response is returned. Next: gatekeeper.ts, which knows the fields.

import type { HeaderTarget } from './headers.ts'

/** Writes fields to a Response's headers. */
class HeadersTarget implements HeaderTarget {
  readonly #headers: Headers

  constructor(headers: Headers) {
    this.#headers = headers
  }

  setHeader(name: string, value: string): void {
    this.#headers.set(name, value)
  }
}

/**
 * The response with the fields that `write` writes. Responses of `fetch` and of `Response.redirect` cannot be changed: a new one takes
 * over the same body stream. What can be neither (an upgrade, a network error, a body already in use) is returned as it is.
 */
export function withHeaders(response: Response, write: (target: HeaderTarget) => void): Response {
  try {
    write(new HeadersTarget(response.headers))
    return response
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
  }
  // An upgrade carries its socket beside the body.
  if (response.status < 200 || (response as { webSocket?: unknown }).webSocket) return response
  if (response.bodyUsed || response.body?.locked === true) return response
  const { status, statusText } = response
  const copy = new Response(response.body, { status, statusText, headers: new Headers(response.headers) })
  write(new HeadersTarget(copy.headers))
  return copy
}
