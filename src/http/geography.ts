// The key of where a client is. Promise: a provider that throws, hangs or knows nothing makes the region `unknown`; it never fails a
// request or holds it up for long. Next: bounded-lookup.ts (how a provider is asked), maxmind.ts (a provider).

import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, andThen } from '../core/maybe.ts'
import type { RequestView } from '../core/request.ts'
import { checkNames } from '../core/check-names.ts'
import { UNKNOWN, buildBound } from './bounded-lookup.ts'
import { beforeColon, checkFunction, checkText } from './key-text.ts'
import type { KeyInput, ReadyKey } from './keys.ts'

/** Options of {@link geography}. At least one of `lookup` and `header` must be given. */
export interface GeographyOptions {
  /** The app's provider: a country or region for the client's whole address; nothing when it does not know. */
  readonly lookup?: (address: string, view: RequestView) => MaybePromise<string | null | undefined>
  /** A header with a two-letter country code that a proxy in front sets, such as `cf-ipcountry`. It must remove what clients send. */
  readonly header?: string
  /** Whom to count within the region (default `user_or_ip`); false: the whole region is one counter. */
  readonly by?: KeyInput | false
  /** How long `lookup` may take, in ms (default 100). */
  readonly timeoutMs?: number
}

/**
 * Where a client is, and who: `geo:ES:user:42`, or `geo:ES`. A provider that throws, hangs or knows nothing makes the region `unknown`, and
 * the observers' `onError` is told; one that keeps hanging is asked ever so rarely, as `boundedLookup` has it.
 * @throws ConfigError without any source
 */
export function geography(options: GeographyOptions): ReadyKey {
  checkNames(options, ['lookup', 'header', 'by', 'timeoutMs'], 'geography')
  const { lookup, header, by = 'user_or_ip', timeoutMs } = options
  if (lookup !== undefined) checkFunction('geography.lookup', lookup)
  if (header !== undefined) checkText('geography.header', header)
  if (lookup === undefined && header === undefined) throw new ConfigError('geography', 'a lookup or a header', options)
  const ask = buildBound(lookup ?? (() => undefined), timeoutMs, 'geography')
  const field = header?.toLowerCase()
  return {
    name: 'geography',
    bind: (tools) => {
      const part = by === false ? undefined : tools.part(by, 'geography.by')
      const report = (error: unknown): void => tools.report(error, 'geography')
      const regionOf = (view: RequestView): MaybePromise<string> => {
        const stated = field === undefined ? undefined : countryCode(view.header(field))
        if (stated !== undefined) return stated
        const address = lookup === undefined ? undefined : tools.fullAddress(view)
        if (address === undefined) return UNKNOWN
        return andThen(
          ask((provider) => provider(address, view), report),
          beforeColon,
        )
      }
      if (part === undefined) return (view) => andThen(regionOf(view), (region) => `geo:${region}`)
      return (view) =>
        andThen(regionOf(view), (region) =>
          andThen(part(view), (base) => (base === undefined ? undefined : `geo:${region}:${base}`)),
        )
    },
  }
}

/** ISO 3166 letters, and Cloudflare's `T1` for Tor; `XX` means that the proxy does not know either. */
function countryCode(text: string | undefined): string | undefined {
  const code = text?.toUpperCase()
  return code !== undefined && code !== 'XX' && /^[A-Z][A-Z1]$/.test(code) ? code : undefined
}
