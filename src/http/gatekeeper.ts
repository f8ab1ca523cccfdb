// What every adapter does with a request, once: ask the gate, mark the request, write headers, then let it pass or answer it.
// Promise: a limiter that meets a request twice counts it once; the handler runs at most once, and what it throws is its own; what is
// at hand is done at once, with no promise in between. Next: exchange.ts (what an adapter shows), wrap.ts (single handlers).

import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, andThen, isPromise } from '../core/maybe.ts'
import { checkNames } from '../core/check-names.ts'
import type { Exchange } from './exchange.ts'
import { GATE_OPTIONS, type Gate, type GateOptions, type Passage, buildGate } from './gate.ts'
import { type HeaderTarget, tightest } from './headers.ts'
import { type Refusal, refusal } from './refusal.ts'
import { RequestRateLimit } from './request-rate-limit.ts'

/** How a framework does what frameworks do differently. Built once per limiter. */
export interface Manners<X extends Exchange> {
  /** Answers a refused request, whose headers (but the refusal's own) are set. What it returns, `pass` returns. */
  readonly refuse: (exchange: X, answer: Refusal, decision: Decision) => unknown
  /** False when the request was not worth counting. Called when the response has been sent. */
  readonly countWhen?: ((exchange: X) => boolean) | undefined
  /** The response does not exist before the handler has made it: the adapter calls `write` itself (default false). */
  readonly headersAfter?: boolean
}

/** One of several that are asked together. */
interface Asked<X extends Exchange> {
  readonly keeper: Gatekeeper<X>
  readonly passage: Passage
}

/** Stands at one gate, for one framework. */
export class Gatekeeper<X extends Exchange> {
  readonly #gate: Gate
  readonly #options: GateOptions
  readonly #manners: Manners<X>
  readonly #settles: boolean
  readonly #headersAfter: boolean
  /** Requests a shadow limiter has met; its decisions leave no mark on them. */
  readonly #shadowed: WeakSet<object> | undefined

  /**
   * @param options checked by {@link gateOptionsOf}
   * @param option what errors call them
   * @throws ConfigError for anything that is wrong with the options
   */
  constructor(options: GateOptions, option: string, manners: Manners<X>) {
    this.#gate = buildGate(options, option)
    this.#options = options
    this.#manners = manners
    this.#settles = this.#gate.settles || manners.countWhen !== undefined
    this.#headersAfter = manners.headersAfter ?? false
    this.#shadowed = this.#gate.shadow ? new WeakSet() : undefined
  }

  /**
   * Runs `go` if the request passes and tells what it returns; else what `refuse` returns. A promise only if something had to be
   * waited for. Undefined for a request that is refused although its response has begun.
   * @throws what the app's own key and rate functions, the store (unless configured otherwise) and `go` throw
   */
  pass(exchange: X, go: (exchange: X) => unknown): unknown {
    if (this.#met(exchange)) return go(exchange)
    const passage = this.#gate.ask(exchange)
    if (!isPromise(passage)) return this.#apply(exchange, passage, go)
    return passage.then((found) => this.#apply(exchange, found, go))
  }

  /**
   * The same with several at once, all or nothing: where one refuses or fails, the others give back what they have charged, and of
   * several refusals the longest wait is told.
   */
  static passAll<X extends Exchange>(keepers: readonly Gatekeeper<X>[], exchange: X, go: (exchange: X) => unknown): unknown {
    const [only] = keepers
    if (only !== undefined && keepers.length === 1) return only.pass(exchange, go)
    const asked = [...new Set(keepers)].filter((keeper) => !keeper.#met(exchange))
    const answers: MaybePromise<Passage>[] = []
    try {
      for (const keeper of asked) answers.push(keeper.#gate.ask(exchange))
    } catch (error) {
      for (const [at, answer] of answers.entries()) {
        const giveBack = (passage: Passage): void => (asked[at] as Gatekeeper<X>).#giveBack(passage)
        // The error above is the one that is told.
        if (isPromise(answer)) answer.then(giveBack, () => {})
        else giveBack(answer)
      }
      throw error
    }
    const passages = (found: readonly Passage[]): Asked<X>[] =>
      found.map((passage, at) => ({ keeper: asked[at] as Gatekeeper<X>, passage }))
    if (!answers.some(isPromise)) return Gatekeeper.#applyAll(passages(answers as Passage[]), exchange, go)
    return Promise.allSettled(answers).then((settled) => {
      const failed = settled.find((one) => one.status === 'rejected')
      if (failed === undefined)
        return Gatekeeper.#applyAll(passages(settled.map((one) => (one as { value: Passage }).value)), exchange, go)
      for (const [at, one] of settled.entries()) if (one.status === 'fulfilled') (asked[at] as Gatekeeper<X>).#giveBack(one.value)
      throw failed.reason
    })
  }

  /** Writes the headers that describe the request's standing, unless this limiter is not to be seen. For `headersAfter`. */
  write(exchange: X, target: HeaderTarget): void {
    const { mark } = exchange
    if (mark?.has(this.#gate) === true) this.#fields(mark.decision, target)
  }

  /** Decides and charges; the request is not marked, and nothing is written or answered. */
  decide(exchange: X): MaybePromise<Decision> {
    return andThen(this.#gate.ask(exchange), ({ decision }) => decision)
  }

  /** Tells the observers of something that failed. */
  report(error: unknown, where: string): void {
    this.#gate.report(error, where)
  }

  #met(exchange: X): boolean {
    if (exchange.mark?.has(this.#gate) === true) return true
    const shadowed = this.#shadowed
    if (shadowed === undefined) return false
    const request = exchange.once ?? (exchange.raw as object)
    if (shadowed.has(request)) return true
    shadowed.add(request)
    return false
  }

  #apply(exchange: X, passage: Passage, go: (exchange: X) => unknown): unknown {
    const gate = this.#gate
    const { decision } = passage
    if (gate.shadow || decision.kind === 'exempt') {
      if (decision.kind !== 'exempt') this.#settleLater(exchange, passage)
      return go(exchange)
    }
    const mark = this.#mark(exchange, passage)
    const open = this.#headersAfter ? undefined : exchange.open
    if (open !== undefined) this.#fields(mark.decision, open)
    if (decision.allowed || !gate.block) {
      this.#settleLater(exchange, passage)
      return go(exchange)
    }
    if (open === undefined && !this.#headersAfter) return undefined
    return this.#manners.refuse(exchange, refusal(decision, exchange.header('accept'), this.#options), decision)
  }

  static #applyAll<X extends Exchange>(all: readonly Asked<X>[], exchange: X, go: (exchange: X) => unknown): unknown {
    const seen = all.filter(({ keeper, passage }) => !keeper.#gate.shadow && passage.decision.kind !== 'exempt')
    for (const { keeper, passage } of seen) keeper.#mark(exchange, passage)
    const late = seen.some(({ keeper }) => keeper.#headersAfter)
    const open = late || seen.length === 0 ? undefined : exchange.open
    const { mark } = exchange
    if (open !== undefined && mark !== undefined) for (const { keeper } of seen) keeper.#fields(mark.decision, open)
    const refusing = seen.filter(({ keeper, passage }) => keeper.#gate.block && !passage.decision.allowed)
    const [first, ...others] = refusing
    if (first === undefined) {
      for (const { keeper, passage } of all) if (passage.decision.kind !== 'exempt') keeper.#settleLater(exchange, passage)
      return go(exchange)
    }
    for (const { keeper, passage } of all) keeper.#giveBack(passage)
    if (open === undefined && !late) return undefined
    const { keeper, passage } = others.reduce(
      (a, b) => (tightest(a.passage.decision, b.passage.decision) === b.passage.decision ? b : a),
      first,
    )
    const { decision } = passage
    return keeper.#manners.refuse(exchange, refusal(decision, exchange.header('accept'), keeper.#options), decision)
  }

  /** For a request that goes no further. */
  #giveBack(passage: Passage): void {
    this.#gate.settle(passage, 0, false)
  }

  /** Where no store has answered, nothing is known that fields could tell. */
  #fields(decision: Decision, target: HeaderTarget): void {
    if (decision.kind !== 'degraded') this.#gate.headers?.write(decision, target)
  }

  #mark(exchange: X, { decision, key }: Passage): RequestRateLimit {
    const before = exchange.mark
    if (before === undefined) return (exchange.mark = new RequestRateLimit(this.#gate, decision, key))
    before.add(this.#gate, decision, key)
    return before
  }

  #settleLater(exchange: X, passage: Passage): void {
    if (!this.#settles) return
    exchange.whenSent((status) => {
      const { countWhen } = this.#manners
      let counts = true
      try {
        counts = countWhen === undefined || countWhen(exchange)
      } catch (error) {
        this.#gate.report(error, 'countWhen')
      }
      this.#gate.settle(passage, status, counts)
    })
  }
}

/**
 * The gate's part of an adapter's options, after a check of their names.
 * @param functions names of the adapter's own options that are functions
 * @param others names of its other own options, which it checks itself
 * @throws ConfigError for an unknown name, a function that is none, or a request where options belong (`app.use(rateLimit)`)
 */
export function gateOptionsOf(
  options: object,
  option: string,
  functions: readonly string[],
  others: readonly string[] = [],
): GateOptions {
  if (isRequest(options)) {
    throw new ConfigError(option, `options: it makes the limiter, so call it (${option}({ rate: '100/m' }))`, 'a request')
  }
  checkNames(options, [...GATE_OPTIONS, ...functions, ...others], option)
  const own: Record<string, unknown> = { ...options }
  for (const name of functions) {
    if (own[name] !== undefined && typeof own[name] !== 'function')
      throw new ConfigError(`${option}.${name}`, 'a function', own[name])
    delete own[name]
  }
  for (const name of others) delete own[name]
  return own as unknown as GateOptions
}

/** What a framework calls a middleware with: a request, or a context that has one. */
function isRequest(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { headers, method, req } = value as { headers?: unknown; method?: unknown; req?: unknown }
  return (typeof headers === 'object' && typeof method === 'string') || (typeof req === 'object' && req !== null)
}
