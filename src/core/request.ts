// What the HTTP floor may know of a request, whatever the framework. Types only.
// Next: ../http/keys.ts, which reads it.

import type { MaybePromise } from './maybe.ts'

/** A request as an adapter shows it. Everything in it is hostile input. */
export interface RequestView {
  /** Upper case. */
  readonly method: string
  /** The request target as received: path and query, or an absolute form. */
  readonly url: string
  /** The route pattern the framework matched, when it has. */
  readonly route: string | undefined
  /** The framework's own notion of the client address; undefined when there is none (a unix socket). */
  readonly ip: string | undefined
  /** Address of the socket's peer; undefined when there is none. */
  readonly peer: string | undefined
  /** One header's value, name in lower case; several values joined by `, `. */
  header(name: string): string | undefined
  /** The authenticated user's id, if the framework or the app has set one. */
  readonly user: string | undefined
  /** The session's id, if there is one. */
  readonly session: string | undefined
  /** The framework's own request object. */
  readonly raw: unknown
}

/** What identifies a client, computed by the app. Empty, null and undefined mean: nothing does. */
export type KeyFunction<Request> = (request: Request) => MaybePromise<string | number | bigint | null | undefined>
