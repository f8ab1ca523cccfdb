// What the live view takes, and its check. Promise: its memory is these numbers, whatever traffic comes. Next: live-view.ts.

import { ConfigError } from '../core/errors.ts'
import { type Scheduler, systemScheduler } from '../core/scheduler.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { checkNames } from '../core/check-names.ts'
import type { Store } from '../stores/store.ts'
import { checkStores, checkWhole } from './exporter.ts'

/** Options of {@link liveView}. */
export interface LiveViewOptions {
  /** Seconds that are remembered one by one (default 300). */
  readonly seconds?: number
  /** Minutes that are remembered one by one (default 1440: a day). */
  readonly minutes?: number
  /** Policies told apart; all further ones are "other" (default 100). */
  readonly maxPolicies?: number
  /** Path patterns told apart; all further ones are "other" (default 100). */
  readonly maxPaths?: number
  /** Places for keys that are refused most (default 500). */
  readonly offenders?: number
  /** Offenders of the last one to two of these windows are told (default 1 800 000: half an hour). */
  readonly offendersWindowMs?: number
  /** Bans remembered (default 1000). */
  readonly maxBans?: number
  /** Changes of stores remembered (default 500). */
  readonly storeEvents?: number
  /** Stores to tell of before they have decided anything (default: those that decide). */
  readonly stores?: readonly Store[]
  /** Watch every limiter of the process (default true); false: only those that have the view among their `observers`. */
  readonly everywhere?: boolean
  /** For tests: the time and timers instead of the machine's. */
  readonly clock?: Clock
  readonly scheduler?: Scheduler
}

/** {@link LiveViewOptions} with every default in place. */
export type LiveViewSettings = Required<Omit<LiveViewOptions, 'stores'>>

const BOUNDS = {
  seconds: [10, 3600, 300],
  minutes: [10, 10_080, 1440],
  maxPolicies: [1, 10_000, 100],
  maxPaths: [1, 10_000, 100],
  offenders: [1, 100_000, 500],
  offendersWindowMs: [1000, 86_400_000, 1_800_000],
  maxBans: [1, 100_000, 1000],
  storeEvents: [1, 100_000, 500],
} as const satisfies Partial<Record<keyof LiveViewOptions, readonly [number, number, number]>>

/** @throws ConfigError for an option that is unknown or wrong, naming it */
export function liveViewSettings(options: LiveViewOptions): LiveViewSettings {
  checkNames(options, [...Object.keys(BOUNDS), 'stores', 'everywhere', 'clock', 'scheduler'], 'liveView')
  const { everywhere = true, clock = systemClock, scheduler = systemScheduler, stores = [] } = options
  if (typeof everywhere !== 'boolean') throw new ConfigError('liveView.everywhere', 'true or false', everywhere)
  if (typeof clock?.now !== 'function') throw new ConfigError('liveView.clock', 'a clock { now() }', clock)
  if (typeof scheduler?.after !== 'function')
    throw new ConfigError('liveView.scheduler', 'a scheduler { now(), after() }', scheduler)
  checkStores(stores, 'liveView.stores')
  const numbers = Object.entries(BOUNDS).map(([name, [least, most, otherwise]]) => {
    const value = options[name as keyof typeof BOUNDS] ?? otherwise
    return [name, checkWhole(value, `liveView.${name}`, least, most)]
  })
  return { ...(Object.fromEntries(numbers) as Record<keyof typeof BOUNDS, number>), everywhere, clock, scheduler }
}
