// Asking somebody else where an address is. Promise: the answer comes in bounded time and is never an error; a provider that keeps hanging
// is asked rarely, so that it holds up one request and not all. Next: geography.ts, maxmind.ts.

import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, isPromise } from '../core/maybe.ts'
import { systemScheduler } from '../core/scheduler.ts'
import { checkNames } from '../core/check-names.ts'
import { parseAddress } from './parse-address.ts'

/** A provider: a country or region for an address; nothing when it does not know. */
export type RegionLookup = (address: string) => MaybePromise<string | null | undefined>

/** Options of {@link boundedLookup}. */
export interface BoundedLookupOptions {
  /** How long an answer may take: whole ms from 1 to 60000 (default 100). */
  readonly timeoutMs?: number
  /** Told of each failure and each missing answer; what it throws is dropped. */
  readonly onError?: (error: unknown) => void
}

/** The region of what has none, or of which nobody knows. */
export const UNKNOWN = 'unknown'

const LONGEST_REGION = 64
/** After so many missing answers in a row the provider rests. */
const MOST_MISSING = 3
/** Rests last so many times longer than an answer may take. */
const REST = 50

/**
 * Bounds a provider: the function it returns takes an address in any spelling, never throws, and answers within `timeoutMs`, with `unknown` where the provider fails, hangs,
 * knows nothing or answers nonsense. A provider that has left three questions in a row without an answer is asked once in fifty times
 * `timeoutMs`, until it answers again; all others are told `unknown` at once.
 * @throws ConfigError for what is no function, or a time out of range
 */
export function boundedLookup(
  lookup: RegionLookup,
  options: BoundedLookupOptions = {},
): (address: string | null | undefined) => MaybePromise<string> {
  checkNames(options, ['timeoutMs', 'onError'], 'boundedLookup')
  if (options.onError !== undefined && typeof options.onError !== 'function')
    throw new ConfigError('boundedLookup.onError', 'a function', options.onError)
  const bound = buildBound(lookup, options.timeoutMs, 'boundedLookup')
  const { onError = () => {} } = options
  return (text) => {
    // As frameworks have it, `::ffff:192.0.2.7` among others; providers want it as databases have it.
    const address = typeof text === 'string' ? parseAddress(text, false)?.text : undefined
    return address === undefined ? UNKNOWN : bound((ask) => ask(address), onError)
  }
}

/** Asks a provider, and tells who failed. */
type Bound<Lookup> = (ask: (lookup: Lookup) => MaybePromise<unknown>, report: (error: unknown) => void) => MaybePromise<string>

/** The same for any provider. @throws ConfigError naming the option */
export function buildBound<Lookup>(lookup: Lookup, timeoutMs = 100, option = ''): Bound<Lookup> {
  if (typeof lookup !== 'function') throw new ConfigError(`${option}.lookup`, 'a function', lookup)
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 60_000)
    throw new ConfigError(`${option}.timeoutMs`, 'whole ms from 1 to 60000', timeoutMs)
  let missing = 0
  let restsUntil = 0
  const tell = (report: (error: unknown) => void, error: unknown): void => {
    try {
      report(error)
    } catch {
      // Whoever listens must not fail a request.
    }
  }
  const late = (report: (error: unknown) => void): void => {
    missing++
    if (missing >= MOST_MISSING) restsUntil = systemScheduler.now() + REST * timeoutMs
    tell(report, new Error(`${option}: no answer within ${timeoutMs} ms`))
  }

  return (ask, report) => {
    if (missing >= MOST_MISSING) {
      if (systemScheduler.now() < restsUntil) return UNKNOWN
      // One question finds out; the others are told at once until its answer is there.
      restsUntil = systemScheduler.now() + REST * timeoutMs
    }
    let found: MaybePromise<unknown>
    try {
      found = ask(lookup)
    } catch (error) {
      tell(report, error)
      return UNKNOWN
    }
    if (!isPromise(found)) {
      missing = 0
      return regionOf(found)
    }
    return new Promise((resolve) => {
      let waits = true
      const settle = (region: string): void => {
        if (waits) cancel()
        waits = false
        // An answer is an answer, and so is a failure: the provider does not hang.
        missing = 0
        resolve(region)
      }
      const cancel = systemScheduler.after(timeoutMs, () => {
        waits = false
        late(report)
        resolve(UNKNOWN)
      })
      found.then(
        (value) => settle(regionOf(value)),
        (error: unknown) => {
          tell(report, error)
          settle(UNKNOWN)
        },
      )
    })
  }
}

function regionOf(found: unknown): string {
  return typeof found === 'string' && found !== '' && found.length <= LONGEST_REGION ? found : UNKNOWN
}
