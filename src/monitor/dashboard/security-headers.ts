// What every answer of the dashboard says of itself. Promise: the page runs its own script and nothing else, in no frame, and asks no other
// host; only what is named after its content may be kept. Next: routes.ts.

/** Trusted Types: not even the page's own script can turn a text into markup, so a key cannot either. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

const ALWAYS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
}

/** Headers for an answer that must not be kept. */
export function freshHeaders(contentType: string): Headers {
  return new Headers({ ...ALWAYS, 'Content-Type': contentType, 'Cache-Control': 'no-store' })
}

/** Headers for a file whose name changes with its content. By whoever is let in alone, hence private. */
export function lastingHeaders(contentType: string): Headers {
  return new Headers({
    ...ALWAYS,
    'Content-Type': contentType,
    'Cache-Control': 'private, max-age=31536000, immutable',
    Vary: 'Accept-Encoding',
  })
}

/** Puts what every answer says onto one that somebody else has made. */
export function secured(response: Response): Response {
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(ALWAYS)) if (!headers.has(name)) headers.set(name, value)
  if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store')
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}
