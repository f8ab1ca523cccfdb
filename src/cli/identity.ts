// Whom a command is about, as the app sees them: `user:42`, `ip:192.0.2.7`, `api_key:…`. Promise: the keys are those the app finds for a request
// by them, hashed by the same secret; what concerns everybody is not taken for theirs; no secret is shown. Next: policies.ts.

import { ConfigError } from '../core/errors.ts'
import { meant } from '../config/field.ts'
import { buildClientAddress } from '../http/address.ts'
import type { Gate } from '../http/gate.ts'
import type { SettingsPolicy } from './policies.ts'
import { type RequestParts, standIn } from './stand-in.ts'

/** Somebody. */
export interface AskedIdentity {
  /** Their key by a policy, or why there is none. */
  keyFor(policy: SettingsPolicy): Promise<FoundKey>
}

/** A key, or why there is none. */
export type FoundKey = { readonly key: string } | { readonly without: string }

/** Tags of keys that name something a request has. */
const TAGS = ['ip', 'user', 'session', 'api_key', 'header', 'query', 'param', 'cookie', 'static']
/** Tags of keys that functions make: they come as they are. */
const COMPUTED = ['fn', 'jwt', 'tenant', 'role', 'device', 'time', 'geo']
/** Tags of keys that are finished. */
const FINISHED = ['all', 'long']

/** Told of in every command's help. */
export const IDENTITY_HELP = `
An identity is what the app sees, with a tag in front:
  ip:192.0.2.7  user:42  api_key:KEY  session:ID  header:x-tenant:acme  query:name:value  cookie:name:value  static:name
Keys are made of it as the app makes them: addresses are grouped, API keys, session ids and cookies are hashed (by the configured secret).
Policies that count by several things together need all of them: user:42 ip:192.0.2.7
What a key function returned is fn:VALUE; a ready-made key is written as it is, such as tenant:acme.
With --raw the identity is a finished key, as list, logs and the dashboard show it.
An identity of - is read from standard input, line by line, so that a secret stays out of the shell's history.`

/**
 * Reads an identity.
 * @param texts its parts
 * @param raw whether it is a finished key
 * @throws ConfigError for what is none; the message shows nothing but the tag
 */
export function readIdentity(texts: readonly string[], raw: boolean): AskedIdentity {
  const [only = ''] = texts
  if (texts.length === 0 || texts.includes('')) throw new ConfigError('identity', 'a text that is not empty', '')
  const tag = tagOf(only)
  if (raw || (tag !== undefined && FINISHED.includes(tag))) {
    if (texts.length > 1) throw new ConfigError('identity', 'one finished key', `${texts.length} of them`)
    return { keyFor: () => Promise.resolve({ key: only }) }
  }
  const own = texts.length === 1 && tag !== undefined && COMPUTED.includes(tag) ? only : undefined
  const parts: Parts = { headers: {}, query: [], cookies: [] }
  for (const text of own === undefined ? texts : []) read(text, parts)
  const { query, cookies, headers, ...rest } = parts
  const view = standIn({
    ...rest,
    target: query.length === 0 ? '/' : `/?${new URLSearchParams(query as [string, string][]).toString()}`,
    headers: cookies.length === 0 ? headers : { ...headers, cookie: cookies.join('; ') },
  })
  return {
    async keyFor({ gate, isComputed }) {
      const found = await ask(gate, view)
      const isTheirs = found.key !== undefined && (found.key === only || found.key !== (await ask(gate, NOBODY)).key)
      if (isTheirs) return { key: found.key as string }
      if (own !== undefined && isComputed) return { key: own }
      return { without: found.key === undefined ? found.without : 'it counts everybody together' }
    },
  }
}

const NOBODY = standIn({})

interface Parts extends RequestParts {
  headers: Record<string, string>
  query: [name: string, value: string][]
  cookies: string[]
  peer?: string
  user?: string
  session?: string
}

function read(text: string, parts: Parts): void {
  const tag = tagOf(text)
  const rest = tag === undefined ? text : text.slice(tag.length + 1)
  if (tag === undefined || !TAGS.includes(tag)) {
    // An address needs no tag, and one of IPv6 has colons of its own.
    if (address.full(standIn({ peer: text })) === undefined) throw unknown(tag)
    parts.peer = text
    return
  }
  if (rest === '') throw new ConfigError('identity', `something after ${tag}:`, '')
  switch (tag) {
    case 'ip': {
      // As keys have it: the block of an IPv6 client.
      const plain = rest.replace(/\/\d{1,3}$/, '')
      if (address.full(standIn({ peer: plain })) === undefined) throw new ConfigError('identity', 'an address after ip:', rest)
      parts.peer = plain
      return
    }
    case 'user':
    case 'session':
      parts[tag] = rest
      return
    case 'api_key':
      parts.headers['x-api-key'] = rest
      return
    case 'static':
      return
  }
  const colon = rest.indexOf(':')
  const [name, value] = [rest.slice(0, colon), rest.slice(colon + 1)]
  if (colon < 1 || value === '') throw new ConfigError('identity', `${tag}:name:value`, `${tag}:`)
  if (tag === 'header') parts.headers[name.toLowerCase()] = value
  else if (tag === 'cookie') parts.cookies.push(`${name}=${value}`)
  else parts.query.push([name.replaceAll(/%3A/gi, ':').replaceAll('%25', '%'), value])
}

const address = buildClientAddress({})

function tagOf(text: string): string | undefined {
  return /^([a-z][a-z_]*):/.exec(text)?.[1]
}

function unknown(tag: string | undefined): ConfigError {
  const known = [...TAGS, ...COMPUTED]
  const expected = `an address, or one of ${known.map((one) => `${one}:…`).join(', ')} (--raw takes any finished key)`
  return new ConfigError('identity', expected + meant(tag, known), tag === undefined ? '(not shown)' : `${tag}:`)
}

async function ask(gate: Gate, view: ReturnType<typeof standIn>): Promise<{ key: string } | { key: undefined; without: string }> {
  try {
    const found = await gate.keyOf(view)
    return typeof found === 'string' ? { key: found } : { key: undefined, without: NOTHING }
  } catch (error) {
    const isMissing = (error as { code?: unknown }).code === 'ERR_RATELIMIT_KEY_MISSING'
    const why = error instanceof Error ? error.message : 'it threw something'
    return { key: undefined, without: isMissing ? NOTHING : `its key function failed on a stand-in request: ${why}` }
  }
}

const NOTHING = 'it counts by something else, or by more'
