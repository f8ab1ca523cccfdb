// Ready-made keys: JWT claim, tenant, role, device, time, and the first of several that is there.
// Promise: nothing a client merely claims outranks what the app has verified; no app function that is missing a value makes a
// shared counter by accident. Next: keys.ts, which builds them; geography.ts.

import { type Calendar, calendar } from '../core/calendar.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, andThen, isPromise } from '../core/maybe.ts'
import type { RequestView } from '../core/request.ts'
import { checkNames } from '../core/check-names.ts'
import { shortHex } from './hash-secret.ts'
import { beforeColon, checkFunction, checkText } from './key-text.ts'
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
          attempt(() => verify(token)),
          keyOf,
        )
      }
    },
  }
}

/** Options of {@link tenant}. At least one source must be given. */
export interface TenantOptions<Request> {
  /**
   * The tenant the request or its user belongs to, as the app knows it. Default: `tenant` of the request, else `tenantId`, `tenant_id` or
   * `tenant` of its `user`; each a text, a number or an object with an `id`.
   */
  readonly from?: KeyFunction<Request>
  /** A header that names the tenant, such as `x-tenant-id` (default: none is believed). Any client can send it. */
  readonly header?: string
  /** Whether the left-most label of a host name with three or more is the tenant: `acme.app.example` (default false). */
  readonly host?: boolean
}

/**
 * The tenant: `tenant:acme`. What the app knows (`from`) counts first. For an authenticated user nothing that a client sends replaces it: the
 * header is not looked at, and the host only without a `from`. Numeric hosts (`10.0.0.1`, `[::1]`) name no tenant.
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
  const known = from ?? ((request: unknown) => ownTenant(request))
  const field = header?.toLowerCase()
  return {
    name: 'tenant',
    bind: (tools) => {
      const key = (value: unknown): string | undefined => after('tenant:', tools.text(value, 'tenant'))
      const byHeader = (view: RequestView): string | undefined => (field === undefined ? undefined : key(view.header(field)))
      const byHost = (view: RequestView): string | undefined => (host ? key(hostLabel(view.header('host'))) : undefined)
      return (view) =>
        andThen(known(view.raw as Request, view), (value) => {
          const own = key(value)
          if (own !== undefined) return own
          if (isThere(view.user)) return from === undefined ? byHost(view) : undefined
          return byHeader(view) ?? byHost(view)
        })
    },
  }
}

/** Where apps commonly note the tenant: on the request, or on its user. */
function ownTenant(request: unknown): string | number | undefined {
  const { tenant: own, user } = (request ?? {}) as { tenant?: unknown; user?: unknown }
  const { tenantId, tenant_id: snake, tenant: theirs } = (user ?? {}) as Record<'tenantId' | 'tenant_id' | 'tenant', unknown>
  for (const found of [own, tenantId, snake, theirs]) {
    const id: unknown = typeof found === 'object' && found !== null ? (found as { id?: unknown }).id : found
    if (typeof id === 'string' || typeof id === 'number') return id
  }
  return undefined
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

/** What a function of the app gives; undefined when it throws or rejects. */
function attempt<T>(read: () => MaybePromise<T>): MaybePromise<T | undefined> {
  let value: MaybePromise<T>
  try {
    value = read()
  } catch {
    return undefined
  }
  if (!isPromise(value)) return value
  return value.then(
    (late) => late,
    () => undefined,
  )
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
