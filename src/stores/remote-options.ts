// Options that every store behind a connection takes. Promise: a misspelt or impossible one fails at construction, naming it.
// Next: remote.ts, which reads them.

import { checkNames } from '../core/check-names.ts'
import type { Clock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'

/** Options of every store behind a connection. */
export interface RemoteOptions {
  /** Ms within which every decision settles, whatever the server does (default 100). */
  readonly deadlineMs?: number
  /** Most questions sent in one trip (default 256); 1 sends each by itself. */
  readonly batchSize?: number
  /** Most decisions waiting at once; the next fail at once (default 10 000). */
  readonly maxWaiting?: number
  /**
   * Ms for which a refusal is remembered and repeated without asking (default 1000, false: not at all). A reset, a lifted ban or a
   * raised limit made by another process shows so much later, at most; what this store does itself shows at once.
   */
  readonly rememberRefusalsMs?: number | false
  /** What every counter's name starts with (default `ratelimit:`): printable ASCII, at most 64 characters. */
  readonly keyPrefix?: string
  /** Shown in errors, health and metrics (default: the kind of store). */
  readonly name?: string
  /** For tests: where the time comes from instead of the server's clock. */
  readonly clock?: Clock
}

/** {@link RemoteOptions} with every default in place; `rememberRefusalsMs` 0 means not at all. */
export interface RemoteSettings {
  readonly deadlineMs: number
  readonly batchSize: number
  readonly maxWaiting: number
  readonly rememberRefusalsMs: number
  readonly keyPrefix: string
  readonly name: string
  readonly clock: Clock | undefined
}

/** The names of {@link RemoteOptions}. */
export const REMOTE_OPTIONS: readonly string[] = [
  'deadlineMs',
  'batchSize',
  'maxWaiting',
  'rememberRefusalsMs',
  'keyPrefix',
  'name',
  'clock',
] satisfies readonly (keyof RemoteOptions)[]

const DEFAULTS = { deadlineMs: 100, batchSize: 256, maxWaiting: 10_000, rememberRefusalsMs: 1000 } as const
const LONGEST_PREFIX = 64

/**
 * Checks the common options and puts the defaults in place.
 * @param option what errors call the options object, and the kind of store
 * @param own the names of options that only this store has
 * @throws ConfigError naming the option
 */
export function remoteSettings(options: RemoteOptions, option: string, own: readonly string[], kind: string): RemoteSettings {
  checkNames(options, [...own, ...REMOTE_OPTIONS], option)
  const whole = (key: keyof typeof DEFAULTS, least: number, most: number): number => {
    const value = options[key] ?? DEFAULTS[key]
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most)
      throw new ConfigError(`${option}.${key}`, `a whole number from ${least} to ${most}`, value)
    return value as number
  }
  const { keyPrefix = 'ratelimit:', name = kind, clock } = options
  if (typeof keyPrefix !== 'string' || keyPrefix.length > LONGEST_PREFIX || !/^[\x21-\x7e]*$/.test(keyPrefix))
    throw new ConfigError(`${option}.keyPrefix`, `at most ${LONGEST_PREFIX} printable ASCII characters without blanks`, keyPrefix)
  if (typeof name !== 'string' || !/^[\x20-\x7e]{1,64}$/.test(name))
    throw new ConfigError(`${option}.name`, '1 to 64 printable ASCII characters', name)
  if (clock !== undefined && typeof clock?.now !== 'function')
    throw new ConfigError(`${option}.clock`, 'a clock { now() }', clock)
  return {
    deadlineMs: whole('deadlineMs', 1, 600_000),
    batchSize: whole('batchSize', 1, 1000),
    maxWaiting: whole('maxWaiting', 1, 1_000_000),
    rememberRefusalsMs: options.rememberRefusalsMs === false ? 0 : whole('rememberRefusalsMs', 0, 60_000),
    keyPrefix,
    name,
    clock,
  }
}
