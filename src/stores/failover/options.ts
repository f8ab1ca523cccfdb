// What a store made of stores takes, and its check. Promise: a misspelt or impossible option fails at construction, naming it.
// Next: failover-store.ts.

import { checkNames } from '../../core/check-names.ts'
import { ConfigError } from '../../core/errors.ts'
import type { StoreEvent } from '../../core/observer.ts'
import { type Scheduler, systemScheduler } from '../../core/scheduler.ts'
import type { Store } from '../store.ts'
import type { BreakerOptions, BreakerSettings } from './breaker.ts'

/** Which store decides about a key: the first of the list that is well, or one of them by the key. */
export type Strategy = 'first_healthy' | 'round_robin'

/** One of several stores. */
export interface NamedStore {
  /** Shown in decisions (`fallback:<name>`), health and metrics: 1 to 64 letters, digits or `_-.`. */
  readonly name: string
  readonly store: Store
}

/** How stores are watched and replaced. Times in ms. */
export interface FailoverOptions {
  /** Within how long every decision settles, over all stores (default 100). */
  readonly deadlineMs?: number
  /** How often each store is probed (default 1000). */
  readonly healthCheckIntervalMs?: number
  /** How long a probe may take (default: `deadlineMs`, at least 100). */
  readonly healthCheckTimeoutMs?: number
  readonly circuitBreaker?: BreakerOptions
  /** Among how many processes limits are shared when no store answers (default: as many as were seen using the store). */
  readonly expectedInstances?: number
  /** Keys whose latest state is remembered, to go on from (default 10 000). */
  readonly rememberedKeys?: number
  /** How often changed keys are copied to the next store (default 250; false: not at all, only when it takes over). */
  readonly copyIntervalMs?: number | false
  /** Hears of what happens to the stores. What it throws is dropped. */
  readonly onStoreEvent?: (event: StoreEvent) => void
  /** For tests: durations, timers and chance instead of the machine's. */
  readonly scheduler?: Scheduler
  readonly random?: () => number
}

/** {@link FailoverOptions} with every default in place. */
export interface FailoverSettings {
  readonly deadlineMs: number
  readonly healthCheckIntervalMs: number
  readonly healthCheckTimeoutMs: number
  readonly breaker: BreakerSettings
  readonly expectedInstances: number | undefined
  readonly rememberedKeys: number
  readonly copyIntervalMs: number | undefined
  readonly onStoreEvent: (event: StoreEvent) => void
  readonly scheduler: Scheduler
  readonly random: () => number
}

const NAMES: readonly (keyof FailoverOptions)[] = [
  'deadlineMs',
  'healthCheckIntervalMs',
  'healthCheckTimeoutMs',
  'circuitBreaker',
  'expectedInstances',
  'rememberedKeys',
  'copyIntervalMs',
  'onStoreEvent',
  'scheduler',
  'random',
]
const BREAKER_NAMES: readonly (keyof BreakerOptions)[] = [
  'failureThreshold',
  'failureRatio',
  'slowMs',
  'backoffMs',
  'maxBackoffMs',
  'successThreshold',
  'rampMs',
]
const MEMBER_NAMES: readonly (keyof NamedStore)[] = ['name', 'store']
const LONGEST_MS = 3_600_000

/**
 * Checks the options and puts the defaults in place.
 * @param own names of options that the caller checks itself
 * @throws ConfigError naming the option that is wrong
 */
export function failoverSettings(options: FailoverOptions, option: string, own: readonly string[] = []): FailoverSettings {
  checkNames(options, [...own, ...NAMES], option)
  const { circuitBreaker = {}, scheduler = systemScheduler, random = Math.random, onStoreEvent = () => {} } = options
  checkNames(circuitBreaker, BREAKER_NAMES, `${option}.circuitBreaker`)
  const whole = (value: unknown, name: string, least: number, most: number, otherwise: number): number => {
    const found = value === undefined ? otherwise : value
    if (!Number.isSafeInteger(found) || (found as number) < least || (found as number) > most)
      throw new ConfigError(`${option}.${name}`, `a whole number from ${least} to ${most}`, value)
    return found as number
  }
  for (const [name, value] of Object.entries({ onStoreEvent, random })) {
    if (typeof value !== 'function') throw new ConfigError(`${option}.${name}`, 'a function', value)
  }
  if (typeof scheduler?.now !== 'function' || typeof scheduler.after !== 'function')
    throw new ConfigError(`${option}.scheduler`, 'a scheduler { now(), after() }', scheduler)
  const { failureRatio = 0.5 } = circuitBreaker
  if (typeof failureRatio !== 'number' || !(failureRatio > 0 && failureRatio <= 1))
    throw new ConfigError(`${option}.circuitBreaker.failureRatio`, 'a number above 0 and at most 1', failureRatio)
  const deadlineMs = whole(options.deadlineMs, 'deadlineMs', 1, 600_000, 100)
  const healthCheckIntervalMs = whole(options.healthCheckIntervalMs, 'healthCheckIntervalMs', 10, LONGEST_MS, 1000)
  const breaker = (name: keyof BreakerOptions, least: number, most: number, otherwise: number): number =>
    whole(circuitBreaker[name], `circuitBreaker.${name}`, least, most, otherwise)
  const backoffMs = breaker('backoffMs', 1, LONGEST_MS, Math.min(250, Math.floor(healthCheckIntervalMs / 2)))
  const copy = options.copyIntervalMs
  return {
    deadlineMs,
    healthCheckIntervalMs,
    healthCheckTimeoutMs: whole(options.healthCheckTimeoutMs, 'healthCheckTimeoutMs', 1, LONGEST_MS, Math.max(100, deadlineMs)),
    breaker: {
      failureThreshold: breaker('failureThreshold', 1, 1_000_000, 5),
      failureRatio,
      slowMs: breaker('slowMs', 1, LONGEST_MS, Math.max(1, Math.floor(deadlineMs * 0.8))),
      backoffMs,
      maxBackoffMs: breaker('maxBackoffMs', backoffMs, LONGEST_MS, Math.max(backoffMs, Math.floor(healthCheckIntervalMs / 2))),
      successThreshold: breaker('successThreshold', 1, 1000, 2),
      rampMs: breaker('rampMs', 0, LONGEST_MS, 1000),
    },
    expectedInstances:
      options.expectedInstances === undefined ? undefined : whole(options.expectedInstances, 'expectedInstances', 1, 100_000, 1),
    rememberedKeys: whole(options.rememberedKeys, 'rememberedKeys', 0, 10_000_000, 10_000),
    copyIntervalMs: copy === false ? undefined : whole(copy, 'copyIntervalMs', 10, LONGEST_MS, 250),
    onStoreEvent,
    scheduler,
    random,
  }
}

/** @throws ConfigError for a list that is none, a name that is none or comes twice, or a store that is none */
export function checkMembers(members: readonly NamedStore[], option: string): void {
  if (!Array.isArray(members) || members.length === 0) throw new ConfigError(option, 'a list of { name, store }', unread(members))
  const names = new Set<string>()
  for (const [i, member] of members.entries()) {
    checkNames(member, MEMBER_NAMES, `${option}[${i}]`)
    const { name, store } = member as Partial<NamedStore>
    if (typeof name !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(name))
      throw new ConfigError(`${option}[${i}].name`, '1 to 64 letters, digits or _-.', name)
    if (names.has(name)) throw new ConfigError(`${option}[${i}].name`, 'a name of its own', name)
    names.add(name)
    if (typeof store?.take !== 'function')
      throw new ConfigError(`${option}[${i}].store`, 'a store, such as memoryStore()', unread(store))
  }
}

/** A text in place of a store is an address, which may hold a password. */
function unread(value: unknown): unknown {
  return typeof value === 'string' ? '(a text)' : value
}
