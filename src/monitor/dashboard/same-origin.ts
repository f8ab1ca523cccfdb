// Requests that change something. Promise: they come from the dashboard's own page, twice over: the browser says so, and they carry a token
// that no other site can read. Next: routes.ts.

import { base64url } from '../../core/base64url.ts'
import { buildHash } from '../../http/hash-secret.ts'

/** The header that carries the page's token. */
export const TOKEN_HEADER = 'x-dashboard-token'

/** A text that nobody can guess: 128 bits. */
export function randomText(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(16)))
}

/**
 * Compares with a text in a time that tells nothing of it: what is compared are fingerprints under a key drawn here, and where they first
 * differ says nothing about the texts.
 */
export function comparerTo(text: string): (other: string) => boolean {
  const hash = buildHash(randomText())
  const own = hash(text)
  return (other) => hash(other) === own
}

/**
 * Whether a request comes from a page of the same origin. Browsers tell by `Sec-Fetch-Site`, which no page can set; older ones, and any on plain
 * HTTP beyond this machine, by `Origin`. Without either nobody knows, and so it does not.
 */
export function isSameOrigin({ headers, url }: Request): boolean {
  const site = headers.get('sec-fetch-site')
  if (site !== null) return site === 'same-origin'
  const origin = headers.get('origin')
  if (origin === null || !URL.canParse(origin)) return false
  // The scheme may be another behind a proxy that ends TLS; the host is the one the browser asked for.
  return new URL(origin).host === (headers.get('host') ?? new URL(url).host)
}
