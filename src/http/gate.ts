// One limiter over HTTP requests: whom to count, what it costs, which rate, what to answer. Every adapter asks a gate.
// Promise: what is at hand is decided synchronously; an app's function that fails has the documented outcome, never a free pass
// by accident. Next: keys.ts (identity), ../limiter/limiter.ts (the decision), headers.ts and refusal.ts (the answer).

import { systemClock } from '../core/clock.ts'
import type { Decision, Reason } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import type { LimitSet, RateInput } from '../core/limit-set.ts'
import { type MaybePromise, andThen, isPromise } from '../core/maybe.ts'
import type { RequestView } from '../core/request.ts'
import { Watchers, warningFound } from '../core/watching.ts'
import { defaultStore, withSafetyNet } from '../limiter/create-limiter.ts'
import { exempt, refusedUnasked } from '../limiter/headline.ts'
import { type Limiter, buildLimiter } from '../limiter/limiter.ts'
import { LIMITER_OPTIONS, type LimiterOptions, isCost } from '../limiter/options.ts'
import type { AsyncStore, Store } from '../stores/store.ts'
import { type AddressListInput, type AddressList, buildAddressList } from './address-list.ts'
import { type AddressOptions, type ClientAddress, buildClientAddress } from './address.ts'
import { type HeaderSet, type HeaderWriter, buildHeaders } from './headers.ts'
import { type RefusalOptions, checkRefusalOptions } from './refusal.ts'
import { SeenRequest } from './seen-request.ts'
import { DENY, type Identity, type KeyInput, type KeyOptions, type KeyResolver, SKIP, buildKey } from './keys.ts'

/** Options of every HTTP adapter. `Request` is the framework's own request, which functions are called with. */
export interface GateOptions<Request = unknown>
  extends
    Omit<LimiterOptions, 'rate' | 'cost' | 'skipIf' | 'clock'>,
    AddressOptions,
    RefusalOptions,
    Omit<KeyOptions, 'address' | 'fullAddress' | 'report'> {
  /** The limit or limits; or a function, sync or async, returning them or null for no limit. */
  readonly rate: RateInput | ((request: Request) => MaybePromise<RateInput | null>)
  /** Whom to count (default `'ip'`). */
  readonly key?: KeyInput<Request>
  /** Cost of a request: a whole number ≥ 1, or a function, sync or async (default 1). If it fails, that is reported and the cost is 1. */
  readonly cost?: number | ((request: Request) => MaybePromise<number>)
  /** True exempts a request: no count, no headers. If it fails, that is reported and limiting goes on. */
  readonly skipIf?: (request: Request) => MaybePromise<boolean>
  /** Answer refused requests (default true); false: the handler runs and finds the refusal on its request. */
  readonly block?: boolean
  /** Header sets to send (default `['x-ratelimit', 'ietf']`); false sends none but Retry-After. */
  readonly headers?: HeaderSet | readonly HeaderSet[] | false
  /** Clients that are never limited. */
  readonly allowList?: AddressListInput
  /** Clients that are always refused; stronger than `allowList`. */
  readonly denyList?: AddressListInput
  /** Give the cost back when the response's status is 400 or above (default false). */
  readonly skipFailedRequests?: boolean
  /** Give the cost back when the response's status is below 400 (default false). */
  readonly skipSuccessfulRequests?: boolean
}

/** The names of {@link GateOptions}. */
export const GATE_OPTIONS: readonly string[] = [
  ...LIMITER_OPTIONS.filter((name) => name !== 'clock'),
  'key',
  'block',
  'headers',
  'message',
  'allowList',
  'denyList',
  'skipFailedRequests',
  'skipSuccessfulRequests',
  'trustedProxies',
  'ipv6Prefix',
  'nat64',
  'onMissingKey',
  'apiKeyQuery',
  'secret',
  'normalizeUnicode',
]

/** What a gate says of a request. */
export interface Passage {
  readonly decision: Decision
  /** What was counted; undefined where nothing was. */
  readonly key: string | undefined
  /** The option that decided where the limiter was not asked. */
  readonly by?: 'enabled' | 'denyList' | 'allowList' | 'skipIf' | 'rate' | 'onMissingKey' | undefined
}

/** A gate that requests pass or do not. */
export interface Gate {
  readonly name: string
  readonly block: boolean
  /** Nothing of its decisions may show: no header, no refusal, no mark on the request. */
  readonly shadow: boolean
  readonly headers: HeaderWriter | undefined
  /** Decides and charges; sync wherever nothing has to be waited for. */
  ask(view: RequestView): MaybePromise<Passage>
  /** What `ask` would say now, with the app's functions called as for a request. Counts nothing, and nobody is told of it. */
  look(view: RequestView): MaybePromise<Passage>
  /** Whom a request counts for. */
  keyOf(view: RequestView): MaybePromise<Identity>
  /** Finds the client of a request. */
  readonly address: ClientAddress
  /** The limiter behind it, to be asked about keys. It has no limits of its own where the rate is a function. */
  readonly limiter: Limiter<Store, RequestView>
  /** Whether responses have to be reported to `settle`. */
  readonly settles: boolean
  /** Gives the cost back if the response's status asks for it, or it does not count. Never throws. */
  settle(passage: Passage, status: number, counts: boolean): void
  /** Tells the observers of something that failed while limiting went on. */
  report(error: unknown, where: string): void
}

/**
 * Builds a gate. The caller has checked the names of the options, as it knows more of them.
 * @param warn where one-time warnings go (default: the process's)
 * @param withNet puts a store that answers later over a safety net (default: the one that decides without it)
 * @throws ConfigError for anything that is wrong with the options, naming the option
 */
export function buildGate<Request>(
  options: GateOptions<Request>,
  option: string,
  warn: (message: string) => void = warnOnce,
  withNet: (store: AsyncStore) => AsyncStore = withSafetyNet,
): Gate {
  for (const name of ['block', 'skipFailedRequests', 'skipSuccessfulRequests'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean')
      throw new ConfigError(`${option}.${name}`, 'true or false', options[name])
  }
  return new HttpGate(options as GateOptions, option, warn, withNet)
}

const ADDRESS = ['trustedProxies', 'ipv6Prefix', 'nat64'] as const
const PLAIN = [
  'name',
  'group',
  'algorithm',
  'algorithmConfig',
  'timeZone',
  'shadow',
  'chargeRefused',
  'penalty',
  'onStoreError',
  'observers',
] as const

/** The options of these names, as far as they are given. */
function pick<Options extends object, Name extends keyof Options>(options: Options, names: readonly Name[]): Pick<Options, Name> {
  const picked: Partial<Options> = {}
  for (const name of names) if (options[name] !== undefined) picked[name] = options[name]
  return picked as Pick<Options, Name>
}

class HttpGate implements Gate {
  readonly name: string
  readonly block: boolean
  readonly shadow: boolean
  readonly headers: HeaderWriter | undefined
  readonly settles: boolean
  readonly limiter: Limiter<Store, RequestView>
  readonly address: ClientAddress
  readonly #options: GateOptions
  readonly #key: KeyResolver
  readonly #allow: AddressList | undefined
  readonly #deny: AddressList | undefined
  /** For what the limiter is not asked about. */
  readonly #watchers: Watchers
  /** No app function stands between the key and its decision. */
  readonly #plain: boolean

  constructor(options: GateOptions, option: string, warn: (message: string) => void, withNet: (store: AsyncStore) => AsyncStore) {
    this.#options = options
    this.block = options.block ?? true
    this.shadow = options.shadow ?? false
    this.settles = options.skipFailedRequests === true || options.skipSuccessfulRequests === true
    this.headers = buildHeaders(options.headers, `${option}.headers`)
    this.address = buildClientAddress(pick(options, ADDRESS), option, warn)
    const report = (error: unknown, where: string): void => this.report(error, where)
    const tools = { address: this.address, fullAddress: (view: RequestView) => this.address.full(view), report }
    this.#key = buildKey(options.key ?? 'ip', { ...options, ...tools }, `${option}.key`)
    const listOf = (name: 'allowList' | 'denyList'): AddressList | undefined => {
      const onRefreshError = (error: unknown): void => report(error, name)
      return options[name] === undefined ? undefined : buildAddressList(options[name], `${option}.${name}`, { onRefreshError })
    }
    this.#allow = listOf('allowList')
    this.#deny = listOf('denyList')
    checkRefusalOptions(pick(options, ['message']), option)
    const plain = { ...pick(options, PLAIN), ...(typeof options.cost === 'number' && { cost: options.cost }) }
    // A rate that is a function is computed here, where it may be waited for, and handed to each call.
    const rate = typeof options.rate === 'function' ? () => null : options.rate
    const store = options.store ?? defaultStore()
    this.limiter = buildLimiter<Store, RequestView>({ ...plain, rate, store }, option, withNet)
    this.name = this.limiter.name
    this.#watchers = new Watchers(options.observers, store, this.shadow)
    this.#plain =
      typeof options.rate !== 'function' &&
      typeof options.cost !== 'function' &&
      options.skipIf === undefined &&
      this.#allow === undefined &&
      this.#deny === undefined
  }

  ask(view: RequestView): MaybePromise<Passage> {
    return this.#pass(view, false)
  }

  look(view: RequestView): MaybePromise<Passage> {
    return this.#pass(view, true)
  }

  keyOf(view: RequestView): MaybePromise<Identity> {
    return this.#key(view)
  }

  settle({ decision, key }: Passage, status: number, counts: boolean): void {
    if (key === undefined || decision.kind !== 'granted') return
    const skipped = status >= 400 ? this.#options.skipFailedRequests : this.#options.skipSuccessfulRequests
    if (skipped === true || !counts) this.#refund(decision, key)
  }

  report(error: unknown, where: string): void {
    // While the gate is being built, nobody can be told yet.
    this.#watchers?.failed(error, where)
  }

  /** @param looks only looks, and tells nobody of the decision */
  #pass(view: RequestView, looks: boolean): MaybePromise<Passage> {
    const { enabled } = this.#options
    if (enabled === false) return this.#exempt(view, looks, 'enabled')
    // A kill switch that fails does not kill: it is reported, and limiting goes on.
    if (typeof enabled === 'function' && this.#or(enabled, true, 'enabled') !== true) return this.#exempt(view, looks, 'enabled')
    if (this.#plain) {
      const key = this.#key(view)
      return isPromise(key)
        ? key.then((found) => this.#check(view, looks, found, undefined, undefined))
        : this.#check(view, looks, key, undefined, undefined)
    }
    return andThen(this.#listed(view, looks), (listed) => {
      if (listed !== undefined) return listed
      return andThen(this.#skips(view), (skips) => (skips ? this.#exempt(view, looks, 'skipIf') : this.#passAll(view, looks)))
    })
  }

  #passAll(view: RequestView, looks: boolean): MaybePromise<Passage> {
    const { rate } = this.#options
    const known = typeof rate === 'function' ? rate(view.raw) : undefined
    return andThen<RateInput | null | undefined, Passage>(known, (found) => {
      if (found === null) return this.#exempt(view, looks, 'rate')
      return andThen(this.#costOf(view), (cost) => andThen(this.#key(view), (key) => this.#check(view, looks, key, found, cost)))
    })
  }

  #check(
    view: RequestView,
    looks: boolean,
    key: Identity,
    rate: RateInput | undefined,
    cost: number | undefined,
  ): MaybePromise<Passage> {
    if (key === SKIP) return this.#exempt(view, looks, 'onMissingKey')
    if (key === DENY) return this.#refused(view, looks, 'key', 'onMissingKey')
    const request = this.#watchers.any ? new SeenRequest(view, this.address) : undefined
    const options =
      rate === undefined && cost === undefined && request === undefined
        ? undefined
        : { subject: view, ...(rate && { rate }), ...(cost && { cost }), ...(request && { request }) }
    const decision: MaybePromise<Decision> = looks ? this.limiter.peek(key, options) : this.limiter.check(key, options)
    return isPromise(decision) ? decision.then((one) => ({ decision: one, key })) : { decision, key }
  }

  /** What the lists say: refused, exempt, or undefined for neither. */
  #listed(view: RequestView, looks: boolean): MaybePromise<Passage | undefined> {
    if (this.#deny === undefined && this.#allow === undefined) return undefined
    const address = this.address.full(view)
    return andThen(this.#matches(this.#deny, address, view), (denied) => {
      if (denied) return this.#refused(view, looks, 'list', 'denyList')
      return andThen(this.#matches(this.#allow, address, view), (allowed) =>
        allowed ? this.#exempt(view, looks, 'allowList') : undefined,
      )
    })
  }

  #matches(list: AddressList | undefined, address: string | undefined, view: RequestView): MaybePromise<boolean> {
    return list === undefined ? false : list.matches(address, view)
  }

  #exempt(view: RequestView, looks: boolean, by: Passage['by']): Passage {
    return this.#unasked(exempt({ policy: this.name, limits: [] }, systemClock.now()), view, looks, by)
  }

  #refused(view: RequestView, looks: boolean, reason: Reason, by: Passage['by']): Passage {
    const set: LimitSet | undefined = typeof this.#options.rate === 'function' ? undefined : this.limiter.limitsFor('list')
    const asked = set ?? { policy: this.name, limits: [] }
    return this.#unasked(refusedUnasked(asked, reason, this.shadow, 1, systemClock.now()), view, looks, by)
  }

  /** A decision that the limiter has no part in. */
  #unasked(decision: Decision, view: RequestView, looks: boolean, by: Passage['by']): Passage {
    if (!looks && this.#watchers.any) this.#watchers.decided(decision, undefined, new SeenRequest(view, this.address), undefined)
    return { decision, key: undefined, by }
  }

  #skips(view: RequestView): MaybePromise<boolean> {
    const { skipIf } = this.#options
    return skipIf === undefined ? false : this.#or(() => skipIf(view.raw), false, 'skipIf')
  }

  #costOf(view: RequestView): MaybePromise<number | undefined> {
    const { cost } = this.#options
    if (typeof cost !== 'function') return undefined
    const checked = (value: number): number => {
      if (!isCost(value)) throw new ConfigError('cost()', 'a whole number ≥ 1', value)
      return value
    }
    return this.#or(() => andThen(cost(view.raw), checked), 1, 'cost')
  }

  /** The value of an app's function, or another where it fails. */
  #or<T>(read: () => MaybePromise<T>, otherwise: T, where: string): MaybePromise<T> {
    const failed = (error: unknown): T => {
      this.report(error, where)
      return otherwise
    }
    try {
      const value = read()
      return isPromise(value) ? value.then((found) => found, failed) : value
    } catch (error) {
      return failed(error)
    }
  }

  #refund(decision: Decision, key: string): void {
    try {
      const done: MaybePromise<void> = this.limiter.refund(key, { of: decision })
      if (isPromise(done)) void done.then(undefined, (error: unknown) => this.report(error, 'refund'))
    } catch (error) {
      this.report(error, 'refund')
    }
  }
}

const warned = new Set<string>()

/** Tells the developer once per message. */
export function warnOnce(message: string): void {
  if (warned.has(message)) return
  warned.add(message)
  warningFound(message)
  // Edge runtimes have no process, and nobody who reads its warnings.
  if (typeof process === 'object') process.emitWarning(message, { type: 'RateLimitWarning' })
}
