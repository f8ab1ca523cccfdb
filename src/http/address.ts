// Whose address a request has. Promise: without trusted proxies no header is read; with them, nothing the client writes into a
// header can choose the address it is counted under. Hostile input never throws.
// Next: forwarded.ts (the chain of hops), parse-address.ts (text to bits), keys.ts, which counts by it.

import { ConfigError } from '../core/errors.ts'
import type { RequestView } from '../core/request.ts'
import { rangesBuilder, type AddressRanges } from './address-ranges.ts'
import { forwardedHops, type Hops } from './forwarded.ts'
import { formatIPv6, parseAddress, readIPv4, type Address } from './parse-address.ts'
import { Recent } from './recent.ts'

/** How a client's address is found and grouped. */
export interface AddressOptions {
  /**
   * Who may say on whose behalf a request comes. A number: so many proxies stand in front, each of which adds an entry. A list:
   * addresses, blocks, `'loopback'` (127.0.0.0/8, ::1) and `'private'` (10/8, 172.16/12, 192.168/16, fc00::/7).
   * Default: the framework's own notion is taken as it is.
   * A proxy that writes only `Forwarded` must drop the `X-Forwarded-For` it receives, which is read first.
   */
  readonly trustedProxies?: number | readonly string[]
  /** Bits of an IPv6 address that make one client: a whole number from 32 to 128, default 56. */
  readonly ipv6Prefix?: number
  /** Whether `64:ff9b::/96` stands for the IPv4 address inside it; default false. */
  readonly nat64?: boolean
}

/** Finds the client of a request. Called, it answers with the key: what the client is counted under. */
export interface ClientAddress {
  /** The key: dotted IPv4, or the canonical IPv6 block with its prefix (`2001:db8::/56`). Undefined when there is no address. */
  (view: RequestView): string | undefined
  /** The whole canonical address, for lists and logs. Undefined when there is none, as on a unix socket. */
  full(view: RequestView): string | undefined
  /** The key of an address. Undefined when the text is no address. */
  keyOf(address: string): string | undefined
  /** How the client was found, for people to read. */
  trail(view: RequestView): ClientTrail
}

/** The way from the connection to the client. */
export interface ClientTrail {
  /** What was looked at before the client, from the connection outwards. */
  readonly passed: readonly PassedHop[]
  /** The client, as it was written; undefined when there is no address. */
  readonly client: string | undefined
  readonly because: ClientReason
}

/** An address that speaks for another, or a text that is no address. */
export interface PassedHop {
  readonly text: string
  readonly verdict: 'trusted' | 'unreadable'
}

/**
 * Why the search for the client ended where it did:
 * `framework` no proxies are named, so the framework's own notion counts · `peer` nobody is trusted but who connects ·
 * `untrusted` the first that is no trusted proxy · `counted` as many proxies as were said · `no_header` a trusted proxy names nobody ·
 * `too_few` fewer hops than proxies, so none is believed · `unreadable` what comes next is no address · `all_trusted` the chain ends
 * with a trusted proxy · `too_long` the chain is longer than anyone looks at
 */
export type ClientReason =
  | 'framework'
  | 'peer'
  | 'untrusted'
  | 'counted'
  | 'no_header'
  | 'too_few'
  | 'unreadable'
  | 'all_trusted'
  | 'too_long'

const NAMED: ReadonlyMap<string, readonly string[]> = new Map([
  ['loopback', ['127.0.0.0/8', '::1']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
])

const OPTIONS: readonly string[] = ['trustedProxies', 'ipv6Prefix', 'nat64'] satisfies (keyof AddressOptions)[]

/** Hops looked at, counted from the nearest. Beyond them nothing is believed. */
const MAX_HOPS = 32

/**
 * Prepares the search for client addresses.
 * @param option what an error calls the place these options stand in; default none: the bare option name
 * @param warn told, once and now, when the trusted proxies include everybody
 * @throws ConfigError for a misspelt option, a block that cannot be read, or a number out of range
 */
export function buildClientAddress(options: AddressOptions, option = '', warn?: (message: string) => void): ClientAddress {
  const name = (own: string): string => (option === '' ? own : `${option}.${own}`)
  for (const own of Object.keys(options)) {
    if (!OPTIONS.includes(own)) throw new ConfigError(name(own), `one of ${OPTIONS.join(', ')}`, own)
  }
  const { trustedProxies, ipv6Prefix = 56, nat64 = false } = options
  if (!Number.isInteger(ipv6Prefix) || ipv6Prefix < 32 || ipv6Prefix > 128) {
    throw new ConfigError(name('ipv6Prefix'), 'a whole number from 32 to 128', ipv6Prefix)
  }
  if (typeof nat64 !== 'boolean') throw new ConfigError(name('nat64'), 'true or false', nat64)

  const find = finder(trustedProxies, nat64, name('trustedProxies'), warn)
  /** Keys by the texts they are of: the address of a connection is the same string for all its requests. */
  const keys = new Recent<string>(256)

  const keyFor = (text: string): string | undefined => {
    if (readIPv4(text) >= 0) return text
    const address = parseAddress(text, nat64)
    if (address === undefined) return undefined
    return address.version === 4 ? address.text : groupOf(address, ipv6Prefix)
  }
  const asKey = (text: string): string | undefined => {
    const known = keys.get(text)
    if (known !== undefined) return known
    const key = keyFor(text)
    if (key !== undefined) keys.set(text, key)
    return key
  }
  const asFull = (text: string): string | undefined => (readIPv4(text) >= 0 ? text : parseAddress(text, nat64)?.text)

  const client = (view: RequestView): string | undefined => {
    const text = find(view)
    return text === undefined ? undefined : asKey(text)
  }
  return Object.assign(client, {
    full: (view: RequestView): string | undefined => {
      const text = find(view)
      return text === undefined ? undefined : asFull(text)
    },
    keyOf: asKey,
    trail: (view: RequestView): ClientTrail => {
      const passed: PassedHop[] = []
      let because: ClientReason = 'peer'
      const found = find(view, {
        passed: (text, verdict) => void passed.push({ text: text.trim(), verdict }),
        ended: (why) => (because = why),
      })
      return { passed, client: found?.trim(), because }
    },
  })
}

/** Told of the way, where somebody wants to know it. */
interface Notes {
  passed(text: string, verdict: PassedHop['verdict']): void
  ended(because: ClientReason): void
}

type Find = (view: RequestView, notes?: Notes) => string | undefined

function ended(client: string | undefined, because: ClientReason, notes: Notes | undefined): string | undefined {
  notes?.ended(because)
  return client
}

function finder(trusted: unknown, nat64: boolean, option: string, warn: ((message: string) => void) | undefined): Find {
  if (trusted === undefined) return (view, notes) => ended(view.ip, 'framework', notes)
  if (typeof trusted === 'number') {
    if (!Number.isInteger(trusted) || trusted < 0 || trusted > MAX_HOPS) {
      throw new ConfigError(option, `a whole number of proxies from 0 to ${MAX_HOPS}`, trusted)
    }
    return trusted === 0 ? (view) => view.peer : (view, notes) => byCount(view, trusted, nat64, notes)
  }
  if (!Array.isArray(trusted)) throw new ConfigError(option, 'a number of proxies, or a list of addresses and blocks', trusted)
  const ranges = trustedRanges(trusted, option)
  if (ranges.everything) {
    warn?.(
      `${option} trusts every address: whoever connects can choose the address it is counted under. Name your proxies instead.`,
    )
  }
  return ranges.size === 0 ? (view) => view.peer : (view, notes) => byChain(view, ranges, nat64, notes)
}

function trustedRanges(entries: readonly unknown[], option: string): AddressRanges {
  const builder = rangesBuilder()
  for (const [index, entry] of entries.entries()) {
    const named = typeof entry === 'string' ? (NAMED.get(entry) ?? [entry]) : undefined
    if (named === undefined) throw new ConfigError(`${option}[${index}]`, 'text', entry)
    for (const block of named) {
      const expected = builder.add(block)
      if (expected !== undefined) throw new ConfigError(`${option}[${index}]`, `${expected}, "loopback" or "private"`, entry)
    }
  }
  return builder.build()
}

/**
 * The n-th entry from the right is what the outermost of n trusted proxies saw. Entries further left are the client's own words.
 * Fewer than n: the request did not come through all of them, so none of it is believed.
 */
function byCount(view: RequestView, count: number, nat64: boolean, notes: Notes | undefined): string | undefined {
  const { peer } = view
  const hops = forwardedHops(view)
  if (hops === undefined) return ended(peer, 'no_header', notes)
  let hop: string | undefined
  for (let n = 0; n < count; n++) {
    if (notes !== undefined) notes.passed(hop ?? peer ?? '', 'trusted')
    hop = hops.next()
    if (hop === undefined) return ended(peer, 'too_few', notes)
  }
  if (hop !== undefined && parseAddress(hop, nat64) !== undefined) return ended(hop, 'counted', notes)
  notes?.passed(hop ?? '', 'unreadable')
  return ended(peer, 'unreadable', notes)
}

/** From the peer outwards: the first hop that is not trusted is the client. */
function byChain(view: RequestView, trusted: AddressRanges, nat64: boolean, notes: Notes | undefined): string | undefined {
  const { peer } = view
  if (peer === undefined || !isTrusted(peer, trusted, nat64)) return ended(peer, 'untrusted', notes)
  notes?.passed(peer, 'trusted')
  const hops: Hops | undefined = forwardedHops(view)
  if (hops === undefined) return ended(peer, 'no_header', notes)
  let nearest = peer
  for (let n = 0; n < MAX_HOPS; n++) {
    const hop = hops.next()
    if (hop === undefined) return hops.cut ? ended(peer, 'too_long', notes) : ended(nearest, 'all_trusted', notes)
    const address = parseAddress(hop, nat64)
    // Garbage was written by someone, but by whom? Only the trusted hop that handed it on is certain.
    if (address === undefined) {
      notes?.passed(hop, 'unreadable')
      return ended(nearest, 'unreadable', notes)
    }
    if (!trusted.has(address)) return ended(address.text, 'untrusted', notes)
    notes?.passed(hop, 'trusted')
    nearest = address.text
  }
  return hops.next() === undefined && !hops.cut ? ended(nearest, 'all_trusted', notes) : ended(peer, 'too_long', notes)
}

function isTrusted(text: string, trusted: AddressRanges, nat64: boolean): boolean {
  if (readIPv4(text) >= 0) return trusted.has(text)
  const address = parseAddress(text, nat64)
  return address !== undefined && trusted.has(address)
}

function groupOf(address: Address, prefix: number): string {
  const words = address.words.map((word, at) => {
    const kept = prefix - at * 32
    if (kept >= 32) return word
    return kept <= 0 ? 0 : (word & (0xffffffff << (32 - kept))) >>> 0
  })
  return `${formatIPv6(words)}/${prefix}`
}
