// A request and its response, as an adapter shows them to a gatekeeper: one object per request, made by the adapter, which is all
// that a framework has to teach us. Types, and the reading of a user's id. Next: gatekeeper.ts, which works on it.

import type { RequestView } from '../core/request.ts'
import type { HeaderTarget } from './headers.ts'
import type { RequestRateLimit } from './request-rate-limit.ts'

/** A request that can be marked, and a response that can be written to. */
export interface Exchange extends RequestView {
  /** What the limiters before have noted, where the framework's users find it; something else of that name reads as undefined. */
  mark: RequestRateLimit | undefined
  /** What is counted once (default `raw`), where one request asks for several things. */
  readonly once?: object | undefined
  /** Where header fields go; undefined once the response has begun, or is not the framework's to write to. */
  readonly open: HeaderTarget | undefined
  /** Calls back with the status when the response has been sent; never if the client left before. Asked at most once per limiter. */
  whenSent(call: (status: number) => void): void
}

/** The id of a user or a session: `id`, `_id` or `sub` (a token's claims), as text. Undefined when there is none. */
export function ownerId(owner: unknown): string | undefined {
  if (typeof owner !== 'object' || owner === null) return undefined
  const { id, _id, sub } = owner as { id?: unknown; _id?: unknown; sub?: unknown }
  const found = id ?? _id ?? sub
  return found === undefined || found === null ? undefined : String(found as string | number)
}
