// The clients of a replay and what was counted of each. Promise: a client costs its name, one map entry and a few numbers, so
// millions of them fit. Next: replay.ts.

import { RateLimitError } from '../core/errors.ts'

/** What was counted of one client under one proposal. */
export interface Offender {
  readonly name: string
  readonly requests: number
  readonly refused: number
  /** Epoch ms of the first refusal. */
  readonly firstRefusedAt: number
}

/** Below what one map of this language can hold. */
const MOST_CLIENTS = 16_000_000

/** Counts by client. A client is a number from 0, in the order of appearance. */
export class ReplayClients {
  readonly #ids = new Map<string, number>()
  readonly #most: number
  #requests = new Uint32Array(1024)
  readonly #refused: Uint32Array[]
  readonly #firstRefusedAt: Float64Array[]

  /** @param proposals how many there are; each counts refusals of its own */
  constructor(proposals: number, most = MOST_CLIENTS) {
    this.#most = most
    this.#refused = Array.from({ length: proposals }, () => new Uint32Array(1024))
    this.#firstRefusedAt = Array.from({ length: proposals }, () => new Float64Array(1024))
  }

  get size(): number {
    return this.#ids.size
  }

  /**
   * Counts a request and tells the client's number.
   * @throws RateLimitError `ERR_RATELIMIT_LOG` for more clients than can be told apart
   */
  request(name: string): number {
    let id = this.#ids.get(name)
    if (id === undefined) this.#ids.set(name, (id = this.#next()))
    this.#requests[id] = (this.#requests[id] as number) + 1
    return id
  }

  /** Counts a refusal. */
  refuse(client: number, proposal: number, at: number): void {
    const refused = this.#refused[proposal] as Uint32Array
    const before = refused[client] as number
    if (before === 0) (this.#firstRefusedAt[proposal] as Float64Array)[client] = at
    refused[client] = before + 1
  }

  /** How many clients a proposal refused something, and those it refused most: the first `top`, the most first. */
  offenders(proposal: number, top: number): { readonly clients: number; readonly worst: readonly Offender[] } {
    const refused = this.#refused[proposal] as Uint32Array
    const firstRefusedAt = this.#firstRefusedAt[proposal] as Float64Array
    const hit: { id: number; name: string }[] = []
    for (const [name, id] of this.#ids) if ((refused[id] as number) > 0) hit.push({ id, name })
    // Equal counts in the order of appearance: the sort is stable.
    hit.sort((a, b) => (refused[b.id] as number) - (refused[a.id] as number))
    const worst = hit.slice(0, top).map(({ id, name }) => ({
      name,
      requests: this.#requests[id] as number,
      refused: refused[id] as number,
      firstRefusedAt: firstRefusedAt[id] as number,
    }))
    return { clients: hit.length, worst }
  }

  #next(): number {
    const id = this.#ids.size
    if (id >= this.#most) {
      throw new RateLimitError(
        'ERR_RATELIMIT_LOG',
        `log: more than ${this.#most} clients are too many for one replay; take fewer with --path, --method or another --key`,
      )
    }
    if (id === this.#requests.length) {
      this.#requests = grown(this.#requests)
      this.#refused.forEach((old, i) => (this.#refused[i] = grown(old)))
      this.#firstRefusedAt.forEach((old, i) => (this.#firstRefusedAt[i] = grown(old)))
    }
    return id
  }
}

/** The same numbers in an array of twice the length. */
export function grown<A extends Uint32Array | Float64Array>(old: A): A {
  const larger = new (old.constructor as new (length: number) => A)(old.length * 2)
  larger.set(old)
  return larger
}
