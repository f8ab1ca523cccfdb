// Turns in the order they were asked for. Promise: what is at hand runs at once if nothing waits before it; a turn that fails holds up
// no other; nothing is kept once it has run. Next: socket-io.ts, ws-messages.ts.

import { type MaybePromise, isPromise } from '../core/maybe.ts'

interface Turn {
  /** Undefined until what it waits for has come. */
  run: (() => void) | undefined
}

/** One queue, of one connection. */
export class InOrder {
  readonly #turns: Turn[] = []

  /** Turns that have not run yet. */
  get waiting(): number {
    return this.#turns.length
  }

  /** Runs `run` with the value, or `failed` with its failure, after all turns before. What they throw later is an uncaught error. */
  add<T>(value: MaybePromise<T>, run: (value: T) => void, failed: (error: unknown) => void): void {
    if (!isPromise(value)) {
      if (this.#turns.length === 0) run(value)
      else this.#turns.push({ run: () => run(value) })
      return
    }
    const turn: Turn = { run: undefined }
    this.#turns.push(turn)
    const ready = (next: () => void): void => {
      turn.run = next
      this.#go()
    }
    value.then(
      (found) => ready(() => run(found)),
      (error: unknown) => ready(() => failed(error)),
    )
  }

  #go(): void {
    while (this.#turns[0]?.run !== undefined) {
      const { run } = this.#turns.shift() as Turn
      try {
        run?.()
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
