// What the dashboard answers at each of its places. Promise: GET and HEAD change nothing; what changes something is a POST of its own page;
// every answer carries the security headers. Next: page-files.ts (the page), feed.ts (live data), same-origin.ts.

import type { Feed } from './feed.ts'
import { type Place, rootSeenFrom } from './mount.ts'
import { fileResponse, pageResponse } from './page-files.ts'
import { TOKEN_HEADER, isSameOrigin } from './same-origin.ts'
import { freshHeaders } from './security-headers.ts'
import type { Shown } from './shown.ts'

/** What the places show and do. */
export interface Places {
  readonly shown: Shown
  readonly feed: Feed
  readonly title: string
  readonly token: string
  readonly isToken: (token: string) => boolean
}

const JSON_TYPE = 'application/json; charset=utf-8'

/** Answers a request that has been let in. HEAD gets what GET gets; its body is dropped by who sends it. */
export async function answerAt(place: Place, request: Request, places: Places): Promise<Response> {
  if (place === '/api/unban') return request.method === 'POST' ? unban(request, places) : notAllowed('POST')
  const read = readerOf(place, request, places)
  if (read === undefined) return notFound()
  if (request.method !== 'GET' && request.method !== 'HEAD') return notAllowed('GET, HEAD')
  return (await read()) ?? notFound()
}

type Read = () => Response | undefined | Promise<Response | undefined>

function readerOf(place: Place, request: Request, places: Places): Read | undefined {
  const { shown, feed, title, token } = places
  const url = new URL(request.url)
  switch (place) {
    case '':
    case '/':
      return () => pageResponse({ title, token, root: rootSeenFrom(url.pathname) })
    case '/api/snapshot':
      return () => new Response(shown.json(), { headers: freshHeaders(JSON_TYPE) })
    case '/api/timeline':
      return () => timeline(url.searchParams, shown)
    case '/api/events':
      return () => (request.method === 'HEAD' ? eventsResponse(undefined) : openFeed(feed))
    default:
      if (place.startsWith('/assets/')) return () => fileResponse(place.slice('/assets/'.length), request)
      if (place.startsWith('/api/export/')) return () => exported(place.slice('/api/export/'.length), shown)
      return undefined
  }
}

function openFeed(feed: Feed): Response {
  const stream = feed.open()
  if (stream !== undefined) return eventsResponse(stream)
  const headers = freshHeaders('text/plain; charset=utf-8')
  headers.set('Retry-After', '10')
  return new Response('Too many are listening.\n', { status: 503, headers })
}

function eventsResponse(stream: ReadableStream<Uint8Array<ArrayBuffer>> | undefined): Response {
  const headers = freshHeaders('text/event-stream; charset=utf-8')
  // Neither compressed nor held back by proxies on the way.
  headers.set('Cache-Control', 'no-store, no-transform')
  headers.set('X-Accel-Buffering', 'no')
  return new Response(stream, { headers })
}

function timeline(query: URLSearchParams, shown: Shown): Response | undefined {
  const [policy, path] = [query.get('policy'), query.get('path')]
  const of = { ...(policy !== null && { policy }), ...(path !== null && { path }) }
  const json = shown.timeline(query.get('unit') ?? 'second', of)
  return json === undefined ? undefined : new Response(json, { headers: freshHeaders(JSON_TYPE) })
}

function exported(file: string, shown: Shown): Response | undefined {
  const text = file.endsWith('.csv') ? shown.csv(file.slice(0, -'.csv'.length)) : undefined
  if (text === undefined) return undefined
  const headers = freshHeaders('text/csv; charset=utf-8')
  headers.set('Content-Disposition', `attachment; filename="ratelimit-${file}"`)
  return new Response(text, { headers })
}

/** Without a body, which frameworks read in different ways; the token is in a header, which no form can send. */
async function unban(request: Request, { shown, isToken }: Places): Promise<Response> {
  if (!isSameOrigin(request)) return refusal(403, 'Only from the dashboard itself.')
  if (!isToken(request.headers.get(TOKEN_HEADER) ?? '')) return refusal(403, 'The page is an old one: load it again.')
  const isLifted = await shown.unban(new URL(request.url).searchParams.get('id') ?? '')
  return isLifted ? new Response(null, { status: 204, headers: freshHeaders(JSON_TYPE) }) : refusal(404, 'There is no such ban.')
}

/** Says why, in words. */
export function refusal(status: number, why: string): Response {
  return new Response(`${why}\n`, { status, headers: freshHeaders('text/plain; charset=utf-8') })
}

function notFound(): Response {
  return refusal(404, 'There is nothing here.')
}

function notAllowed(methods: string): Response {
  const answer = refusal(405, `Only ${methods} here.`)
  answer.headers.set('Allow', methods)
  return answer
}
