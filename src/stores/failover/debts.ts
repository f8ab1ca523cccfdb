// All that is owed to one store, or to whichever is told next. Promise: bounded; where there is no room, what is worth nothing any more goes
// first. Next: debt.ts.

import type { LimitSet } from '../../core/limit-set.ts'
import { Debt, type DebtParts, type Pile } from './debt.ts'

/** Debts looked at when there is no room for another. */
const SWEPT = 16

/** All that is owed, by the key's scope and identity. */
export class Debts {
  readonly #most: number
  readonly #writer: string
  readonly #scopes: (Map<string, Debt> | undefined)[] = []
  #size = 0
  /** Debts dropped for lack of room: their keys come back with a little more than they should. */
  dropped = 0

  /** @param writer 1 to 32 letters and digits */
  constructor(most: number, writer: string) {
    this.#most = most
    this.#writer = writer
  }

  get size(): number {
    return this.#size
  }

  find(set: LimitSet, identity: string): Debt | undefined {
    return this.#size === 0 ? undefined : this.#scopes[set.scopeId]?.get(identity)
  }

  /** The debt for a key; undefined where there is no room for another. */
  open(parts: DebtParts): Debt | undefined {
    const { set, identity } = parts
    const keys = (this.#scopes[set.scopeId] ??= new Map())
    const found = keys.get(identity)
    if (found !== undefined) {
      // Limits that have been changed meanwhile: the largest of them hold all that is owed.
      if (set.maxCost > found.set.maxCost) found.set = set
      if (found.granter !== parts.granter) found.granter = undefined
      return found
    }
    if (this.#size >= this.#most) this.#sweep(parts.now)
    if (this.#size >= this.#most) {
      this.dropped++
      return undefined
    }
    const debt = new Debt(parts, this.#writer)
    keys.set(identity, debt)
    this.#size++
    return debt
  }

  remove(debt: Debt): void {
    const keys = this.#scopes[debt.set.scopeId]
    // Another may have begun since.
    if (keys?.get(debt.identity) === debt && keys.delete(debt.identity)) this.#size--
    debt.isGone = true
  }

  /** Puts a debt behind all others of its scope. */
  defer(debt: Debt): void {
    const keys = this.#scopes[debt.set.scopeId]
    if (keys?.get(debt.identity) === debt && keys.delete(debt.identity)) keys.set(debt.identity, debt)
  }

  /** The owner has been told of these piles of a debt. */
  covered(debt: Debt | undefined, piles: readonly Pile[]): void {
    debt?.covered(piles)
    if (debt?.isEmpty === true) this.remove(debt)
  }

  /** Some of them that are not being paid. */
  some(most: number): readonly Debt[] {
    const found: Debt[] = []
    for (const keys of this.#scopes) {
      for (const debt of keys?.values() ?? []) {
        if (debt.paying !== undefined) continue
        found.push(debt)
        if (found.length >= most) return found
      }
    }
    return found
  }

  /** Looks at some, those longest not looked at, and drops what is worth nothing any more. */
  #sweep(now: number): void {
    let left = SWEPT
    for (const keys of this.#scopes) {
      for (const [identity, debt] of keys ?? []) {
        if (left-- <= 0) return
        this.remove(debt)
        if (debt.paying === undefined && !debt.owesAny(now)) continue
        keys?.set(identity, debt)
        debt.isGone = false
        this.#size++
      }
    }
  }

  clear(): void {
    for (const keys of this.#scopes) for (const debt of keys?.values() ?? []) debt.isGone = true
    this.#scopes.length = 0
    this.#size = 0
  }
}
