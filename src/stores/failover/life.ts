// Whether a store is the one it was, by a counter of this process's own: what it was told it must still hold. Promise: a store that has lost
// its memory, or has gone back to an earlier state, is noticed with the next question, if anything was told to it in the time it lacks.
// Next: member.ts, which asks with each probe.

import { type MaybePromise, andThen } from '../../core/maybe.ts'
import { LIFE, LIFE_MS, type PartedStore } from '../canary.ts'
import type { Store, Taken } from '../store.ts'

/** Identities tried at a time until one is on the server that is meant. */
const TRIES = 256

/** What came of a question. */
export interface Looked {
  /** The store's time, epoch ms. */
  readonly now: number
  /** Whether it does not hold what it was told. */
  readonly isOther: boolean
}

/** One process's view of one server. */
export class Life {
  readonly #store: Store
  readonly #part: number
  readonly #writer: string
  /** Makes it an identity of this server. */
  #turn = 0
  /** When the counter's window began, and what it held, when it was last asked. */
  #begunAt: number | undefined
  #told = 0
  /** The store's time when it was last asked. */
  #seenAt = 0
  /** Counts the questions: an answer that comes after the next question says nothing. */
  #questions = 0
  readonly #graceMs: number

  /**
   * @param part which of the store's servers
   * @param writer names this process
   * @param graceMs within how long of a window's end another may begin without having been seen to
   */
  constructor(store: Store, part: number, writer: string, graceMs: number) {
    this.#graceMs = graceMs
    this.#store = store
    this.#part = part
    this.#writer = writer
  }

  /** Looks at what it holds. */
  look(): MaybePromise<Looked> {
    return this.#ask(this.#begunAt !== undefined)
  }

  /** Tells it something new, which a store that can only be read refuses. */
  tell(): MaybePromise<Looked> {
    return this.#ask(false)
  }

  #ask(isLook: boolean): MaybePromise<Looked> {
    const taken = this.#store.take(LIFE, this.#identity(), 1, isLook ? 'peek' : 'take')
    const question = ++this.#questions
    return andThen(taken, (answer) =>
      question === this.#questions ? this.#answered(answer, isLook) : { now: answer.now, isOther: false },
    )
  }

  #answered({ readings, now }: Taken, isLook: boolean): Looked {
    const [begunAt, told] = readings as unknown as [number, number]
    const isOther = this.#begunAt !== undefined && !this.#goesOn(this.#begunAt, begunAt, told, isLook)
    // A window that is not there yet begins when it is looked at, each time: the next question tells something.
    this.#begunAt = told > 0 && !(isOther && isLook) ? begunAt : undefined
    this.#told = told
    this.#seenAt = now
    return { now, isOther }
  }

  /** Whether a counter follows from what it was. */
  #goesOn(before: number, begunAt: number, told: number, isLook: boolean): boolean {
    if (begunAt === before) return isLook ? told >= this.#told : told > this.#told
    // Another window must not have begun before this one's end, nor unseen: it may have been lost meanwhile.
    const end = before + LIFE_MS
    return begunAt >= end && this.#seenAt >= end - this.#graceMs
  }

  /** Of a cluster, one that is on the server; slots move at times. */
  #identity(): string {
    const { partOf } = this.#store as Partial<PartedStore>
    if (partOf === undefined) return this.#writer
    for (let i = 0; i < TRIES && partOf.call(this.#store, LIFE, `${this.#writer}${this.#turn}`) !== this.#part; i++) {
      this.#turn++
      this.#begunAt = undefined
    }
    return `${this.#writer}${this.#turn}`
  }
}
