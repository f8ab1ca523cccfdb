// Who is it? From the `key` option to the text a client's counter is found by.
// Promise: different clients never share a text: every kind of key is tagged, parts are joined unambiguously, and what is missing
// is an error or the outcome chosen with `onMissingKey`. Credentials leave this file as fingerprints.
// Next: key-functions.ts and geography.ts for ready-made keys, hash-secret.ts for the fingerprints.

import { ConfigError, RateLimitError } from '../core/errors.ts'
import { type MaybePromise, andThen, isPromise } from '../core/maybe.ts'
import type { KeyFunction as PlainKeyFunction, RequestView } from '../core/request.ts'
import type { Secret } from '../core/secret.ts'
import { type Hash, buildHash } from './hash-secret.ts'
import { beforeColon, keyText, nearestWord } from './key-text.ts'
import { Recent } from './recent.ts'
import { bearerToken, cookieValue, queryValue } from './request-values.ts'

/** An app's function: gets the framework's own request, and the same request as every framework shows it. */
export type KeyFunction<Request> = (request: Request, view: RequestView) => ReturnType<PlainKeyFunction<Request>>

/**
 * What the `key` option takes.
 * `ip` the client's address · `user` and `user_or_ip` the authenticated user, else the address · `api_key` the header X-API-Key,
 * then a bearer token, then the query where `apiKeyQuery` allows it · `session` the session's id · `header:X-Name` ·
 * `query:name` (also `param:name`) · `cookie:name` · `static:name` one counter for everybody, on purpose ·
 * a function · a ready-made key · a list: all its parts together.
 */
export type KeyInput<Request = never> =
  | 'ip'
  | 'user'
  | 'user_or_ip'
  | 'api_key'
  | 'session'
  | `header:${string}`
  | `query:${string}`
  | `param:${string}`
  | `cookie:${string}`
  | `static:${string}`
  | KeyFunction<Request>
  | ReadyKey
  | readonly KeyInput<Request>[]

/** Finds a request's key, or undefined where the request has none. */
export type KeyPart = (view: RequestView) => MaybePromise<string | undefined>

/** What a ready-made key is built with. */
export interface KeyTools {
  /** Builds any other key, for keys that are made of keys. */
  part(input: KeyInput, option: string): KeyPart
  /** The client's address, as the key `ip` has it. */
  address(view: RequestView): string | undefined
  /** The client's whole address, for looking it up: `ip` counts IPv6 clients by a block. */
  fullAddress(view: RequestView): string | undefined
  /** Tells the observers of something that failed while limiting went on. */
  report(error: unknown, where: string): void
  /**
   * What an app's function returned, as text, normalised as configured; undefined for nothing.
   * @throws RateLimitError `ERR_RATELIMIT_KEY` for what is neither a text nor a number
   */
  text(value: unknown, whose: string): string | undefined
}

/** A key made by one of the functions of key-functions.ts or geography.ts. */
export interface ReadyKey {
  /** What errors call it. */
  readonly name: string
  /** Builds it. The key it finds begins with a tag of its own and a colon. */
  bind(tools: KeyTools): KeyPart
}

/** This request is not limited: it has no key and `onMissingKey` is `skip`. */
export const SKIP: unique symbol = Symbol('skip')

/** This request is refused: it has no key and `onMissingKey` is `deny`. */
export const DENY: unique symbol = Symbol('deny')

/** A key, or what to do without one. */
export type Identity = string | typeof SKIP | typeof DENY

/** Finds who a request counts for: at once, unless an app's function takes its time. */
export type KeyResolver = (view: RequestView) => MaybePromise<Identity>

/** What to do with a request that has no key: limit it by address, refuse it, or let it pass. */
export type OnMissingKey = 'ip' | 'deny' | 'skip'

/** Options of {@link buildKey}; other properties are ignored, as callers hand over more. */
export interface KeyOptions {
  /** The client's address in its one canonical spelling; undefined when there is none. */
  readonly address: (view: RequestView) => string | undefined
  /** The client's whole address (default: as `address` has it). */
  readonly fullAddress?: (view: RequestView) => string | undefined
  /** Told of what fails while limiting goes on (default: nobody is). */
  readonly report?: (error: unknown, where: string) => void
  /** Default: such a request is an error, `ERR_RATELIMIT_KEY_MISSING`. */
  readonly onMissingKey?: OnMissingKey | undefined
  /** Name of the query parameter that may carry an API key (default: none may; URLs end up in logs). */
  readonly apiKeyQuery?: string | undefined
  /** Keys the fingerprints of credentials and overlong keys; at least 16 characters (default: they are plain SHA-256). */
  readonly secret?: string | Secret | undefined
  /** Whether Unicode spellings of one text are one key, by NFC (default false: texts are compared as they are). */
  readonly normalizeUnicode?: boolean | undefined
}

const WORDS = ['ip', 'user', 'user_or_ip', 'api_key', 'session']
const PREFIXES = ['header', 'query', 'param', 'cookie', 'static']
const EXPECTED = `${WORDS.map((word) => `"${word}"`).join(', ')}, ${PREFIXES.map((prefix) => `"${prefix}:…"`).join(', ')}, a function or a list`

/** Keys of addresses kept ready, in each of two generations. */
const REMEMBERED_ADDRESSES = 256
/** Longer keys, in UTF-16 units, are replaced by a fingerprint. */
const LONGEST = 200
/** Names of headers and parameters whose values are credentials more often than not; one too many costs only readability. */
const CREDENTIAL = /auth|cookie|credential|jwt|api[-_]?key|passw|secret|session|signature|token/i
const TOKEN = /^[\w!#$%&'*+.^`|~-]{1,128}$/

/**
 * Builds the function that finds a request's key. Keys read `user:42`, `header:x-tenant:acme`, `api_key:` and a fingerprint,
 * `fn:` and what a function returned; overlong ones `long:`, their kind and a fingerprint. What a function throws reaches the caller.
 * Nobody but the app can tell whether an API key or a session id is valid: a client that makes them up gets a counter for each.
 * @param option what errors call the place the key came from
 * @throws ConfigError `ERR_RATELIMIT_KEY` for a word that is none of the above: a typo must not make one counter for everybody
 */
export function buildKey<Request>(input: KeyInput<Request>, options: KeyOptions, option = 'key'): KeyResolver {
  const owner = option.slice(0, option.lastIndexOf('.') + 1)
  checkKeyOptions(options, owner)
  const { onMissingKey } = options
  const hash = buildHash(options.secret, `${owner}secret`)
  const builder = new KeyBuilder(options, hash)
  const part = builder.part(input as KeyInput, option)
  const byAddress = builder.part('ip', option) as (view: RequestView) => string | undefined
  const settle = (key: string | undefined, view: RequestView): Identity => {
    if (key !== undefined) return key.length > LONGEST ? shortened(key, hash) : key
    if (onMissingKey === 'skip') return SKIP
    if (onMissingKey === 'deny') return DENY
    const fallback = onMissingKey === 'ip' ? byAddress(view) : undefined
    if (fallback === undefined) throw missing(input as KeyInput, onMissingKey, option)
    return fallback
  }
  return (view) => {
    const key = part(view)
    return isPromise(key) ? key.then((late) => settle(late, view)) : settle(key, view)
  }
}

class KeyBuilder implements KeyTools {
  readonly address: KeyTools['address']
  readonly fullAddress: KeyTools['fullAddress']
  readonly report: KeyTools['report']
  readonly #apiKeyQuery: string | undefined
  readonly #normalize: boolean
  readonly #hash: Hash
  readonly #ofAddresses = new Recent<string>(REMEMBERED_ADDRESSES)

  constructor(options: KeyOptions, hash: Hash) {
    this.address = options.address
    this.fullAddress = options.fullAddress ?? options.address
    this.report = options.report ?? (() => {})
    this.#apiKeyQuery = options.apiKeyQuery
    this.#normalize = options.normalizeUnicode === true
    this.#hash = hash
  }

  part(input: KeyInput, option: string): KeyPart {
    if (typeof input === 'string') return this.#word(input, option)
    if (typeof input === 'function') {
      return (view) => andThen(input(view.raw as never, view), (value) => tagged('fn:', this.text(value, `${option}()`)))
    }
    if (Array.isArray(input)) return this.#all(input as readonly KeyInput[], option)
    if (typeof (input as Partial<ReadyKey> | null)?.bind === 'function') return (input as ReadyKey).bind(this)
    throw new ConfigError(option, EXPECTED, input, 'ERR_RATELIMIT_KEY')
  }

  text(value: unknown, whose: string): string | undefined {
    const text = keyText(value, whose)
    return this.#normalize && text !== undefined ? text.normalize('NFC') : text
  }

  #word(word: string, option: string): KeyPart {
    switch (word) {
      case 'ip':
        return (view) => this.#ofAddress(this.address(view))
      case 'user':
      case 'user_or_ip':
        return (view) => tagged('user:', this.text(view.user, 'user')) ?? this.#ofAddress(this.address(view))
      case 'session':
        return (view) => this.#secret('session:', view.session)
      case 'api_key':
        return (view) => this.#secret('api_key:', this.#apiKey(view))
    }
    const colon = word.indexOf(':')
    const name = word.slice(colon + 1)
    switch (colon < 0 ? '' : word.slice(0, colon)) {
      case 'header': {
        const header = checkedName(name, word, option).toLowerCase()
        return this.#named(`header:${header}:`, CREDENTIAL.test(header), (view) => view.header(header))
      }
      case 'query':
      case 'param':
        if (name === '') break
        return this.#named(`query:${beforeColon(name)}:`, CREDENTIAL.test(name), (view) => queryValue(view.url, name))
      case 'cookie': {
        const cookie = checkedName(name, word, option)
        return this.#named(`cookie:${cookie}:`, true, (view) => cookieValue(view.header('cookie') ?? '', cookie))
      }
      case 'static': {
        if (name === '') break
        return () => word
      }
    }
    const meant = nearestWord(word, WORDS) ?? meantPrefix(word)
    const hint = meant === undefined ? '' : ` (did you mean "${meant}"?)`
    throw new ConfigError(option, EXPECTED + hint, word, 'ERR_RATELIMIT_KEY')
  }

  /** The key of an address: the same text each time, so that whoever looks it up need not join, flatten and hash it again. */
  #ofAddress(address: string | undefined): string | undefined {
    if (address === undefined || address === '') return undefined
    const known = this.#ofAddresses.get(address)
    if (known !== undefined) return known
    const key = `ip:${address}`
    this.#ofAddresses.set(address, key)
    return key
  }

  #named(tag: string, credential: boolean, read: (view: RequestView) => string | undefined): KeyPart {
    return credential ? (view) => this.#secret(tag, read(view)) : (view) => tagged(tag, this.text(read(view), tag))
  }

  #apiKey(view: RequestView): string | undefined {
    const inHeader = view.header('x-api-key')
    if (inHeader !== undefined && inHeader !== '') return inHeader
    const query = this.#apiKeyQuery
    return bearerToken(view.header('authorization')) ?? (query === undefined ? undefined : queryValue(view.url, query))
  }

  #secret(tag: string, value: string | undefined): string | undefined {
    const text = keyText(value, tag)
    return text === undefined ? undefined : tag + this.#hash(text)
  }

  #all(inputs: readonly KeyInput[], option: string): KeyPart {
    if (inputs.length === 0) throw new ConfigError(option, 'at least one key', inputs, 'ERR_RATELIMIT_KEY')
    const parts = inputs.map((input, at) => this.part(input, `${option}[${at}]`))
    return parts.length === 1 ? (parts[0] as KeyPart) : (view) => joined(parts, view, 'all:', 0)
  }
}

/** All parts together, each after its length, so that no two lists of parts read the same. */
function joined(parts: readonly KeyPart[], view: RequestView, before: string, from: number): MaybePromise<string | undefined> {
  let key = before
  for (let at = from; at < parts.length; at++) {
    const found = (parts[at] as KeyPart)(view)
    if (isPromise(found)) {
      const sofar = key
      return found.then((late) =>
        late === undefined ? undefined : joined(parts, view, `${sofar}${late.length}:${late}`, at + 1),
      )
    }
    if (found === undefined) return undefined
    key += `${found.length}:${found}`
  }
  return key
}

function tagged(tag: string, value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : tag + value
}

/** `long` is a tag of its own: a client that calls itself by another's fingerprint is still somebody else. */
function shortened(key: string, hash: Hash): string {
  return `long:${key.slice(0, key.indexOf(':'))}:${hash(key)}`
}

function checkedName(name: string, word: string, option: string): string {
  if (TOKEN.test(name)) return name
  throw new ConfigError(option, 'a name of letters, digits and -_ after the colon', word, 'ERR_RATELIMIT_KEY')
}

function meantPrefix(word: string): string | undefined {
  const colon = word.indexOf(':')
  if (colon < 0) return undefined
  const head = word.slice(0, colon)
  if (head === 'get') return 'query:…'
  const prefix = nearestWord(head, PREFIXES)
  return prefix === undefined ? nearestWord(head, WORDS) : `${prefix}:…`
}

function missing(input: KeyInput, onMissingKey: OnMissingKey | undefined, option: string): RateLimitError {
  const what = `${option}: the request has nothing for ${described(input)}`
  const hint =
    onMissingKey === 'ip'
      ? ' and no client address; set onMissingKey to "deny" or "skip"'
      : input === 'ip'
        ? '; set onMissingKey to "deny" or "skip"'
        : '; set onMissingKey to "ip", "deny" or "skip"'
  return new RateLimitError('ERR_RATELIMIT_KEY_MISSING', what + hint)
}

function described(input: KeyInput): string {
  if (typeof input === 'string') return JSON.stringify(input)
  if (typeof input === 'function') return 'its function'
  return Array.isArray(input) ? `[${(input as readonly KeyInput[]).map(described).join(', ')}]` : (input as ReadyKey).name
}

function checkKeyOptions(options: KeyOptions, owner: string): void {
  const { address, onMissingKey, apiKeyQuery, normalizeUnicode } = options
  if (typeof address !== 'function') throw new ConfigError(`${owner}address`, 'a function of the request', address)
  if (onMissingKey !== undefined && !['ip', 'deny', 'skip'].includes(onMissingKey)) {
    throw new ConfigError(`${owner}onMissingKey`, '"ip", "deny" or "skip"', onMissingKey)
  }
  if (apiKeyQuery !== undefined && (typeof apiKeyQuery !== 'string' || apiKeyQuery === '')) {
    throw new ConfigError(`${owner}apiKeyQuery`, 'the name of a query parameter', apiKeyQuery)
  }
  if (normalizeUnicode !== undefined && typeof normalizeUnicode !== 'boolean') {
    throw new ConfigError(`${owner}normalizeUnicode`, 'true or false', normalizeUnicode)
  }
}
