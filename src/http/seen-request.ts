// A request as those who watch see it. Promise: nothing is read before somebody looks, and the client's address is the one its key is made
// of. Next: gate.ts, which shows it.

import type { ObservedRequest } from '../core/observer.ts'
import type { RequestView } from '../core/request.ts'
import type { ClientAddress } from './address.ts'

/** What watchers get of a request. A class, as its getters cost nothing while nobody asks. */
export class SeenRequest implements ObservedRequest {
  readonly #view: RequestView
  readonly #address: ClientAddress

  constructor(view: RequestView, address: ClientAddress) {
    this.#view = view
    this.#address = address
  }

  get method(): string {
    return this.#view.method
  }

  get route(): string | undefined {
    return this.#view.route
  }

  get url(): string {
    return this.#view.url
  }

  get address(): string | undefined {
    return this.#address.full(this.#view)
  }

  get user(): string | undefined {
    return this.#view.user
  }
}
