// A request that nobody made: what an adapter would show of one like it, and what its framework would hand to an app's functions. Promise: it
// holds what it is made of and nothing else. Next: identity.ts, explain.ts.

import type { RequestView } from '../core/request.ts'

/** What is known of a request. */
export interface RequestParts {
  readonly method?: string
  readonly target?: string
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  /** Who connects. */
  readonly peer?: string | undefined
  readonly user?: string | undefined
  readonly session?: string | undefined
}

/** Makes a request of its parts. */
export function standIn({ method = 'GET', target = '/', headers = {}, peer, user, session }: RequestParts): RequestView {
  const header = (name: string): string | undefined => {
    const field = name.toLowerCase()
    return Object.hasOwn(headers, field) ? headers[field] : undefined
  }
  const [path = '/', query = ''] = target.split('?', 2)
  const socket = { remoteAddress: peer }
  return {
    method,
    url: target,
    route: undefined,
    ip: peer,
    peer,
    header,
    user,
    session,
    // What the frameworks' own requests have in common.
    raw: {
      method,
      url: target,
      originalUrl: target,
      path,
      query: Object.fromEntries(new URLSearchParams(query)),
      headers,
      ip: peer,
      socket,
      connection: socket,
      get: header,
      ...(user !== undefined && { user: { id: user } }),
      ...(session !== undefined && { sessionID: session, session: { id: session } }),
    },
  }
}
