// A value that does not show: passwords and addresses with passwords, as loaded settings carry them. Promise: neither printing it, nor
// joining it into a text, nor turning it into JSON gives it away; only `reveal()` does. Next: ../config/check-settings.ts, which makes them.

/** A hidden value. `reveal()` gives it back; everything else shows a stand-in. */
export class Secret<T = string> {
  readonly #value: T
  readonly #shown: string

  /** @param shown what stands for it where it would be printed (default `[hidden]`) */
  constructor(value: T, shown = '[hidden]') {
    this.#value = value
    this.#shown = shown
    Object.freeze(this)
  }

  /** The value itself. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return this.#shown
  }

  toJSON(): string {
    return this.#shown
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.#shown
  }
}
