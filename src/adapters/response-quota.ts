// One HTTP response to several questions: the calls of a tRPC batch, the operations and fields of a GraphQL request. Promise: its header
// fields are those of the tightest decision so far, all of one decision. Next: context-exchange.ts, which finds where they go.

import type { Decision } from '../core/decision.ts'
import { type HeaderTarget, tightest } from '../http/headers.ts'

/** A response whose fields can be taken back. */
export interface ResponseHeaders extends HeaderTarget {
  removeHeader(name: string): unknown
}

/** The quota fields of one response. */
export class ResponseQuota {
  readonly #target: (() => ResponseHeaders | undefined) | undefined
  readonly #fields = new Map<string, string>()
  #decision: Decision | undefined
  #written = false

  /** @param target where the fields can be written to as soon as they are known; undefined once the response has begun */
  constructor(target?: () => ResponseHeaders | undefined) {
    this.#target = target
  }

  /** Takes a decision into account, whose fields `write` writes. */
  note(decision: Decision, write: (target: HeaderTarget) => void): void {
    if (this.#decision !== undefined && tightest(this.#decision, decision) !== decision) return
    this.#decision = decision
    const before = [...this.#fields.keys()]
    this.#fields.clear()
    write({ setHeader: (name, value) => this.#fields.set(name, value) })
    const target = this.#target?.()
    if (target === undefined) return
    for (const name of before) if (!this.#fields.has(name)) target.removeHeader(name)
    this.copyTo(target)
    this.#written = true
  }

  /** Whether the fields are on the response already. */
  get written(): boolean {
    return this.#written
  }

  copyTo(target: HeaderTarget): void {
    for (const [name, value] of this.#fields) target.setHeader(name, value)
  }
}
