// Counts a store's probes while they are on their way. Promise: the store does what it does without. Next: calm.fault.ts, which wants to know.

import type { LimitSet } from '../../src/core/limit-set.ts'
import { type MaybePromise, isPromise } from '../../src/core/maybe.ts'
import { LIFE } from '../../src/stores/canary.ts'
import type { Mode, Store, Taken } from '../../src/stores/store.ts'

/** Those of one store. */
export class ProbeCount {
  /** The most that were on their way at once. */
  most = 0
  #now = 0

  /** The store, whose probes are counted when it is asked as this. */
  watch(store: Store): Store {
    const take = (set: LimitSet, ...question: [string, number, Mode, number?]): MaybePromise<Taken> => {
      if (set !== LIFE) return store.take(set, ...question)
      this.most = Math.max(this.most, ++this.#now)
      const taken = store.take(set, ...question)
      const ended = (): void => void this.#now--
      if (isPromise(taken)) taken.then(ended, ended)
      else ended()
      return taken
    }
    return new Proxy(store, {
      get(target, name) {
        const value: unknown = name === 'take' ? take : Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}
