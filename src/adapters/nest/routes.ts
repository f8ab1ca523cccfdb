// What the decorators on a handler and its class come to, and what a handler is called. Promise: the nearest word about each limit counts;
// names are the same in every process that has the same modules, and no two classes share one. Next: limits.ts.

import type { Type } from '@nestjs/common'
import { type AskedLimit, type Written, writtenOn } from './decorators.ts'

/** A method that handles requests, fields or messages. */
export type Handler = (...parameters: never[]) => unknown

/** What is said about one handler. */
export interface RouteWords {
  /** Names that anything is said about, the class's first. */
  readonly names: readonly string[]
  /** What is asked; null where it is skipped; undefined where nothing is said. */
  about(name: string): AskedLimit | null | undefined
  /** Whether it is asked for anywhere, even where something nearer skips it. */
  asks(name: string): boolean
}

/** What stands on a handler, its class and the class's base classes; undefined for nothing. */
export function wordsAbout(type: Type, handler: Handler): RouteWords | undefined {
  const nearest = [...chain(writtenOn(handler)), ...chain(writtenOn(type))]
  if (nearest.length === 0) return undefined
  const names = new Set(nearest.toReversed().flatMap(({ limits }) => [...limits.keys()]))
  return {
    names: [...names],
    about(name) {
      for (const { limits, skipsRest } of nearest) {
        const asked = limits.get(name)
        if (asked !== undefined) return asked
        if (skipsRest) return null
      }
      return undefined
    },
    asks: (name) => nearest.some(({ limits }) => limits.get(name)),
  }
}

function chain(written: Written | undefined): Written[] {
  return written === undefined ? [] : [written, ...chain(written.base)]
}

/** The methods of a class, those it inherits included. */
export function methodsOf(type: Type): Map<string, Handler> {
  const methods = new Map<string, Handler>()
  for (let owner: object | null = type.prototype as object; owner !== null && owner !== Object.prototype;) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(owner)))
      if (typeof value === 'function' && name !== 'constructor' && !methods.has(name)) methods.set(name, value as Handler)
    owner = Object.getPrototypeOf(owner) as object | null
  }
  return methods
}

/** Names handlers: `CatsController.list`. */
export class RouteNames {
  readonly #names = new WeakMap<Type, string>()
  readonly #taken = new Map<string, number>()

  /** The name of a class: its own; that of a second class of that name has a number. Ask in the order of the modules. */
  ofClass(type: Type): string {
    let name = this.#names.get(type)
    if (name === undefined) {
      const own = type.name === '' ? 'anonymous' : type.name
      const before = this.#taken.get(own) ?? 0
      this.#taken.set(own, before + 1)
      name = before === 0 ? own : `${own}~${before + 1}`
      this.#names.set(type, name)
    }
    return name
  }

  /** The name of a handler. */
  of(type: Type, handler: Handler): string {
    // By its property: other decorators wrap methods in functions of any name.
    const property = [...methodsOf(type)].find(([, method]) => method === handler)?.[0]
    return `${this.ofClass(type)}.${property ?? handler.name}`
  }
}
