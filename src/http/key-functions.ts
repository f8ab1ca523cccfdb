// Ready-made keys: JWT claim, tenant, role, device, geography, time, and the first of several that is there.
// Promise: nothing a client merely claims outranks what the app has verified; no app function that is missing a value makes a
// shared counter by accident. Next: keys.ts, which builds them.

import { type Calendar, calendar } from '../core/calendar.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, andThen, isPromise } from '../core/maybe.ts'
import type { RequestView } from '../core/request.ts'
import { checkNames } from '../limiter/options.ts'
import { shortHex } from './hash-secret.ts'
import { beforeColon } from './key-text.ts'
import type { KeyFunction, KeyInput, KeyPart, ReadyKey } from './keys.ts'
import { bearerToken } from './request-values.ts'

/** Options of {@link jwtClaim}. */
export interface JwtClaimOptions {
  /** The app's own check: a token's claims, or nothing, or a throw, when it is not valid. */
  readonly verify: (token: string) => MaybePromise<Readonly<Record<string, unknown>> | null | undefined>
  /** Default `sub`. Its value must be a text or a number. */
  readonly claim?: string
  /** Where the token is (default `authorization`, as a bearer token). */
  readonly header?: string
}

/**
 * A claim of a verified JWT: `jwt:sub:42`. A token that is absent, or that `verify` does not accept, is no key.
 * @throws ConfigError without a `verify`: an unverified claim is whatever the client likes
 */
export function jwtClaim(options: JwtClaimOptions): ReadyKey {
  checkNames(options, ['verify', 'claim', 'header'], 'jwtClaim')
  const { verify, claim = 'sub', header = 'authorization' } = options
  checkFunction('jwtClaim.verify', verify)
  checkText('jwtClaim.claim', claim)
  checkText('jwtClaim.header', header)
  const field = header.toLowerCase()
  const tag = `jwt:${beforeColon(claim)}:`
  return {
    name: 'jwtClaim',
    bind: (tools) => {
      const keyOf = (claims: Readonly<Record<string, unknown>> | null | undefined): string | undefined => {
        if (typeof claims !== 'object' || claims === null || !Object.hasOwn(claims, claim)) return undefined
        const value = claims[claim]
        if (typeof value !== 'string' && typeof value !== 'number') return undefined
        return after(tag, tools.text(value, 'jwtClaim'))
      }
      return (view) => {
        const value = view.header(field)
        const token = bearerToken(value) ?? (field === 'authorization' ? undefined : value)
        if (token === undefined || token === '') return undefined
        return andThen(
          attempt(() => verify(token), undefined),
          keyOf,
        )
      }
    },
  }
}

/** Options of {@link tenant}. At least one source must be given. */
export interface TenantOptions<Request> {
  /** The tenant the authenticated user belongs to. */
  readonly from?: KeyFunction<Request>
  /** A header that names the tenant, such as `x-tenant-id` (default: none is believed). Any client can send it. */
  readonly header?: string
  /** Whether the left-most label of a host name with three or more is the tenant: `acme.app.example` (default false). */
  readonly host?: boolean
}

/**
 * The tenant: `tenant:acme`. What `from` says counts first; where it is given and the request has an authenticated user, neither the
 * header nor the host is looked at, so no user can pass for another tenant. Numeric hosts (`10.0.0.1`, `[::1]`) name no tenant.
 * @throws ConfigError without any source
 */
export function tenant<Request = unknown>(options: TenantOptions<Request>): ReadyKey {
  checkNames(options, ['from', 'header', 'host'], 'tenant')
  const { from, header, host = false } = options
  if (from !== undefined) checkFunction('tenant.from', from)
  if (header !== undefined) checkText('tenant.header', header)
  if (typeof host !== 'boolean') throw new ConfigError('tenant.host', 'true or false', host)
  if (from === undefined && header === undefined && !host)
    throw new ConfigError('tenant', 'at least one of from, header and host', options)
  const field = header?.toLowerCase()
  return {
    name: 'tenant',
    bind: (tools) => {
      const key = (value: unknown): string | undefined => after('tenant:', tools.text(value, 'tenant'))
      const claimed = (view: RequestView): string | undefined =>
        (field === undefined ? undefined : key(view.header(field))) ?? (host ? key(hostLabel(view.header('host'))) : undefined)
      return (view) => {
        if (from === undefined) return claimed(view)
        return andThen(from(view.raw as Request, view), (value) => {
          const own = key(value)
          return own !== undefined || isThere(view.user) ? own : claimed(view)
        })
      }
    },
  }
}

/**
 * The authenticated user with a role: `role:42:admin`, so that a change of role is another counter. No user is no key; a user without a
 * role has the role `user`.
 */
export function role<Request = unknown>(roleOf: KeyFunction<Request>): ReadyKey {
  checkFunction('role(roleOf)', roleOf)
  return {
    name: 'role',
    bind: (tools) => (view) => {
      const id = tools.text(view.user, 'user')
      if (id === undefined) return undefined
      // The role holds no colon, so the last one divides the two, whatever the id.
      return andThen(
        roleOf(view.raw as Request, view),
        (value) => `role:${id}:${beforeColon(tools.text(value, 'role') ?? 'user')}`,
      )
    },
  }
}

/** Options of {@link deviceFingerprint}. */
export interface DeviceFingerprintOptions {
  /** Default User-Agent, Accept-Language, Accept-Encoding and DNT. */
  readonly headers?: readonly string[]
}

/**
 * What a client's headers have in common: `device:` and 16 hexadecimal digits. Easily forged, and the same for all browsers of one make:
 * put it into a list beside `ip`. A request with none of the headers has no key.
 */
export function deviceFingerprint(options: DeviceFingerprintOptions = {}): ReadyKey {
  checkNames(options, ['headers'], 'deviceFingerprint')
  const { headers = ['user-agent', 'accept-language', 'accept-encoding', 'dnt'] } = options
  if (!Array.isArray(headers) || headers.length === 0)
    throw new ConfigError('deviceFingerprint.headers', 'a list of header names', headers)
  for (const name of headers) checkText('deviceFingerprint.headers', name)
  const names = headers.map((name) => name.toLowerCase())
  return {
    name: 'deviceFingerprint',
    bind: () => (view) => {
      let text = ''
      let found = false
      for (const name of names) {
        const value = view.header(name)
        if (isThere(value)) found = true
        text += value === undefined ? '-' : `${value.length}:${value}`
      }
      return found ? `device:${shortHex(text)}` : undefined
    },
  }
}

/** Options of {@link geography}. At least one of `lookup` and `header` must be given. */
export interface GeographyOptions {
  /** The app's provider: a country or region for an address; nothing when it does not know. */
  readonly lookup?: (address: string, view: RequestView) => MaybePromise<string | null | undefined>
  /** A header with a two-letter country code that a proxy in front sets, such as `cf-ipcountry`. It must remove what clients send. */
  readonly header?: string
  /** Whom to count within the region (default `user_or_ip`); false: the whole region is one counter. */
  readonly by?: KeyInput | false
  /** How long `lookup` may take, in ms (default 100). */
  readonly timeoutMs?: number
}

/**
 * Where a client is, and who: `geo:ES:user:42`, or `geo:ES`. A provider that throws, hangs or knows nothing makes the region `unknown`; it
 * never fails a request or holds it up longer than `timeoutMs`.
 * @throws ConfigError without any source
 */
export function geography(options: GeographyOptions): ReadyKey {
  checkNames(options, ['lookup', 'header', 'by', 'timeoutMs'], 'geography')
  const { lookup, header, by = 'user_or_ip', timeoutMs = 100 } = options
  if (lookup !== undefined) checkFunction('geography.lookup', lookup)
  if (header !== undefined) checkText('geography.header', header)
  if (lookup === undefined && header === undefined) throw new ConfigError('geography', 'a lookup or a header', options)
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 60_000) {
    throw new ConfigError('geography.timeoutMs', 'whole ms from 1 to 60000', timeoutMs)
  }
  const field = header?.toLowerCase()
  return {
    name: 'geography',
    bind: (tools) => {
      const part = by === false ? undefined : tools.part(by, 'geography.by')
      const regionOf = (view: RequestView): MaybePromise<string> => {
        const stated = field === undefined ? undefined : countryCode(view.header(field))
        if (stated !== undefined) return stated
        const address = lookup === undefined ? undefined : tools.address(view)
        if (lookup === undefined || address === undefined) return UNKNOWN
        return andThen(
          attempt(() => lookup(address, view), timeoutMs),
          (found) => (typeof found === 'string' && found !== '' && found.length <= LONGEST_REGION ? beforeColon(found) : UNKNOWN),
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

/** Options of {@link timeAware}. */
export interface TimeAwareOptions {
  /** Hours and days of UTC, weeks from Monday, months. */
  readonly window: 'hour' | 'day' | 'week' | 'month'
  /** Whom to count (default `user_or_ip`). */
  readonly base?: KeyInput
  /** Default the system's. */
  readonly clock?: Clock
}

/**
 * A client within a stretch of UTC time: `time:day:2026-03-01:user:42`. Each stretch begins with a new counter, whatever the limit's own
 * period; the stretch is named by its first day or hour.
 */
export function timeAware(options: TimeAwareOptions): ReadyKey {
  checkNames(options, ['window', 'base', 'clock'], 'timeAware')
  const { window, base = 'user_or_ip', clock = systemClock } = options
  if (!['hour', 'day', 'week', 'month'].includes(window))
    throw new ConfigError('timeAware.window', 'hour, day, week or month', window)
  if (typeof clock?.now !== 'function') throw new ConfigError('timeAware.clock', 'a clock { now() }', clock)
  const periods = window === 'hour' ? HOURS : calendar(window)
  const digits = window === 'hour' ? 13 : window === 'month' ? 7 : 10
  return {
    name: 'timeAware',
    bind: (tools) => {
      const part = tools.part(base, 'timeAware.base')
      let from = 0
      let until = 0
      let tag = ''
      return (view) => {
        const now = clock.now()
        if (now < from || now >= until) {
          from = periods.startOf(now)
          until = periods.endOf(now)
          tag = `time:${window}:${new Date(from).toISOString().slice(0, digits)}:`
        }
        const current = tag
        return andThen(part(view), (key) => after(current, key))
      }
    },
  }
}

/**
 * The first key that a request has: `firstOf(['api_key', 'user', 'ip'])`. The keys keep their own tags. A list without `firstOf` means
 * something else: all its parts together.
 */
export function firstOf(keys: readonly KeyInput[]): ReadyKey {
  if (!Array.isArray(keys) || keys.length === 0) throw new ConfigError('firstOf(keys)', 'a list of keys', keys)
  return {
    name: 'firstOf',
    bind: (tools) => {
      const parts = keys.map((key, at) => tools.part(key, `firstOf[${at}]`))
      return (view) => firstFound(parts, view, 0)
    },
  }
}

/**
 * The API key, else another key (default `user`, which falls back to the address). Clients that make up API keys get a counter for each:
 * refuse unknown keys before, or limit by address as well.
 */
export function apiKeyAware(base: KeyInput = 'user'): ReadyKey {
  return { ...firstOf(['api_key', base]), name: 'apiKeyAware' }
}

const UNKNOWN = 'unknown'
const LONGEST_REGION = 64
const HOUR_MS = 3_600_000
const HOURS: Pick<Calendar, 'startOf' | 'endOf'> = {
  startOf: (ms) => Math.floor(ms / HOUR_MS) * HOUR_MS,
  endOf: (ms) => (Math.floor(ms / HOUR_MS) + 1) * HOUR_MS,
}

function firstFound(parts: readonly KeyPart[], view: RequestView, from: number): MaybePromise<string | undefined> {
  for (let at = from; at < parts.length; at++) {
    const found = (parts[at] as KeyPart)(view)
    if (isPromise(found)) return found.then((late) => late ?? firstFound(parts, view, at + 1))
    if (found !== undefined) return found
  }
  return undefined
}

/** What a function of the app gives; undefined when it throws, rejects or takes longer than it may. */
function attempt<T>(read: () => MaybePromise<T>, timeoutMs: number | undefined): MaybePromise<T | undefined> {
  let value: MaybePromise<T>
  try {
    value = read()
  } catch {
    return undefined
  }
  if (!isPromise(value)) return value
  const found = value.then(
    (late) => late,
    () => undefined,
  )
  if (timeoutMs === undefined) return found
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, timeoutMs, undefined)
    void found.then((late) => {
      clearTimeout(timer)
      resolve(late)
    })
  })
}

function after(tag: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : tag + value
}

function isThere(value: string | undefined): boolean {
  return value !== undefined && value !== ''
}

/** The left-most of three or more labels; undefined for an address and for what is no host name. */
function hostLabel(host: string | undefined): string | undefined {
  if (host === undefined || host.length > 260) return undefined
  const name = /^([a-z0-9_-]+(?:\.[a-z0-9_-]+){2,})\.?(?::\d{1,5})?$/i.exec(host)?.[1]
  // A host whose last label is a number is an IPv4 address, however it is spelt.
  if (name === undefined || /\.(\d+|0x[0-9a-f]*)$/i.test(name)) return undefined
  return name.slice(0, name.indexOf('.')).toLowerCase()
}

/** ISO 3166 letters, and Cloudflare's `T1` for Tor; `XX` means that the proxy does not know either. */
function countryCode(text: string | undefined): string | undefined {
  const code = text?.toUpperCase()
  return code !== undefined && code !== 'XX' && /^[A-Z][A-Z1]$/.test(code) ? code : undefined
}

function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') throw new ConfigError(option, 'a function', value)
}

function checkText(option: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw new ConfigError(option, 'a text that is not empty', value)
}
