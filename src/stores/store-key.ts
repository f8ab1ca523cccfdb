// The name of a counter in a shared store: its scope and identity as one text.
// Promise: different pairs have different names, whatever characters the identity is made of; a name is printable ASCII without
// blanks, braces or wildcards, at most 200 characters, so no store cuts, folds or groups it. Next: record.ts.

import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { base64url } from '../core/base64url.ts'
import type { LimitSet } from '../core/limit-set.ts'

/** Longer names are replaced by `#` and all 256 bits of their SHA-256: nobody finds two of one digest. */
export const LONGEST_KEY = 200

/** What stands for itself. `%` escapes, `|` joins, `#` marks a digest; braces choose a Redis Cluster slot; `*` is a wildcard of clean-ups. */
const PLAIN = /^[!$&(-)+-Z^_a-z~]*$/
const SPECIAL = /[^!$&(-)+-Z^_a-z~]/g

/** Scopes already written, by the number of the scope. */
const scopes: string[] = []

/** The name of a set's counter for an identity, without a store's prefix. */
export function storeKey(set: LimitSet, identity: string): string {
  const scope = (scopes[set.scopeId] ??= set.scope.split('|').map(escaped).join('|'))
  const key = `${scope}|${PLAIN.test(identity) ? identity : escaped(identity)}`
  return key.length > LONGEST_KEY ? `#${base64url(sha256(utf8ToBytes(key)))}` : key
}

/** The identity that a name of {@link storeKey} was made of; undefined for another set's, and for a name that is a digest. */
export function identityOf(set: LimitSet, key: string): string | undefined {
  const scope = storeKey(set, '')
  if (!key.startsWith(scope)) return undefined
  const rest = key.slice(scope.length)
  // An identity has none of these left: the scope goes on.
  return rest.includes('|') ? undefined : unescaped(rest)
}

/** The group of the counter by which it is found out whether a store is well, and still the same. */
export const CANARY_GROUP = 'smart-ratelimit canary'

/** Whether a name in a store, without the store's prefix, is that of an app's counter: there are a few other things beside them. */
export function isCounterKey(name: string): boolean {
  if (name.startsWith(`${escaped(CANARY_GROUP)}|`)) return false
  return /^(?:#[\w-]{43}|[^\s#{}*|]+\|[^\s#{}*]+)$/.test(name)
}

function unescaped(text: string): string {
  return text.replace(/%(?:u([\da-f]{4})|([\da-f]{2}))/g, (_, wide: string | undefined, narrow: string) =>
    String.fromCharCode(Number.parseInt(wide ?? narrow, 16)),
  )
}

/** A text in which only what stands for itself is left as it is: others become `%41` or, beyond one byte, `%u0416`. */
export function escaped(text: string): string {
  return text.replace(SPECIAL, escape)
}

function escape(char: string): string {
  const code = char.charCodeAt(0)
  const hex = code.toString(16)
  return code < 256 ? `%${hex.padStart(2, '0')}` : `%u${hex.padStart(4, '0')}`
}
