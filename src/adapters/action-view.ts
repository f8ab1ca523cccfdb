// A call of a Server Action as a gate sees it: headers, and no response to write to. Promise: nothing is read that was not asked for. Next: next.ts.

import type { RequestView } from '../core/request.ts'

/** What the functions of `rateLimitAction` are called with. */
export interface ActionCall {
  /** The headers of the request that called the action. */
  readonly headers: { get(name: string): string | null }
  /** What the check was called with. */
  readonly subject: unknown
}

/** Tells the client's address. */
export type ActionAddress = (call: ActionCall) => string | null | undefined

/** One call. */
export class ActionView implements RequestView {
  readonly raw: ActionCall
  readonly #address: ActionAddress | undefined

  constructor(raw: ActionCall, address: ActionAddress | undefined) {
    this.raw = raw
    this.#address = address
  }

  get method(): string {
    return 'POST'
  }

  get url(): string {
    return '/'
  }

  get route(): undefined {
    return undefined
  }

  get ip(): string | undefined {
    return this.#address?.(this.raw) ?? undefined
  }

  get peer(): string | undefined {
    return this.ip
  }

  get user(): string | undefined {
    const { subject } = this.raw
    return typeof subject === 'string' || typeof subject === 'number' ? String(subject) : undefined
  }

  get session(): undefined {
    return undefined
  }

  header(name: string): string | undefined {
    return this.raw.headers.get(name) ?? undefined
  }
}
