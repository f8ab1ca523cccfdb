// Decision → header fields. Promise: what a field says is true at the moment of the answer, every number is finite and ≥ 0, and
// nothing a client sent is in it. What does not change from answer to answer is written out once per set of limits.
// Next: refusal.ts, for the rest of a refused answer.

import type { Decision, Standing } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import type { Limit } from '../core/limit.ts'

/**
 * A set of header fields. `x-ratelimit`: X-RateLimit-Limit, -Remaining, -Reset (epoch seconds) · `ietf`: RateLimit-Policy and RateLimit
 * of draft-ietf-httpapi-ratelimit-headers-11 · `draft-6` and `draft-7`: the fields of those older drafts.
 */
export type HeaderSet = 'x-ratelimit' | 'ietf' | 'draft-6' | 'draft-7'

/** What header fields are written to: a Node.js response is one. */
export interface HeaderTarget {
  setHeader(name: string, value: string): unknown
}

/** Writes the header fields that describe a decision. */
export interface HeaderWriter {
  /**
   * Sets the fields, one `setHeader` each; none for an exempt request. Whether the decision may show at all (`shadow`) is the
   * caller's part, as is Retry-After, which only a refused answer has: see `refusal`.
   */
  write(decision: Decision, target: HeaderTarget): void
  /** The same fields as a flat list: name, value, name, value, … */
  pairs(decision: Decision): string[]
}

const SETS: readonly HeaderSet[] = ['x-ratelimit', 'ietf', 'draft-6', 'draft-7']
const DEFAULT: readonly HeaderSet[] = ['x-ratelimit', 'ietf']
/** The largest Integer of a Structured Field. */
const MAX_INTEGER = 999_999_999_999_999

/**
 * Builds the writer of the chosen sets; undefined for `false`.
 * @param sets default `['x-ratelimit', 'ietf']`; of `ietf`, `draft-6` and `draft-7` at most one, as they give the same names other meanings
 * @throws ConfigError for an unknown set, an empty list, or two drafts at once
 */
export function buildHeaders(
  sets: HeaderSet | readonly HeaderSet[] | false | undefined,
  option = 'headers',
): HeaderWriter | undefined {
  if (sets === false) return undefined
  const chosen: readonly HeaderSet[] = sets === undefined ? DEFAULT : typeof sets === 'string' ? [sets] : sets
  if (!Array.isArray(chosen) || chosen.length === 0) throw new ConfigError(option, `some of ${SETS.join(', ')}, or false`, sets)
  for (const set of chosen) if (!SETS.includes(set)) throw new ConfigError(option, `some of ${SETS.join(', ')}, or false`, set)
  const drafts = new Set(chosen.filter((set) => set !== 'x-ratelimit'))
  if (drafts.size > 1)
    throw new ConfigError(option, 'one of ietf, draft-6 and draft-7, which share names', [...drafts].join(', '))
  const [draft] = drafts
  return new SetWriter(chosen.includes('x-ratelimit'), draft)
}

/** Seconds of a Retry-After field: rounded up, at least 1; undefined where waiting has no known end. */
export function retryAfterSeconds(decision: Decision): number | undefined {
  const { retryAfterMs } = decision
  return retryAfterMs === undefined || !Number.isFinite(retryAfterMs) ? undefined : Math.max(1, Math.ceil(retryAfterMs / 1000))
}

/**
 * Of two decisions about one request, the one that headers describe: a refusal stays before a grant, of two refusals the longer
 * wait, of two grants the fewer requests left (an exempt request has no end of them), then the later reset. What is equal leaves
 * the earlier, `a`.
 */
export function tightest(a: Decision, b: Decision): Decision {
  if (a.allowed !== b.allowed) return a.allowed ? b : a
  if (!a.allowed) return (b.retryAfterMs ?? Infinity) > (a.retryAfterMs ?? Infinity) ? b : a
  if (a.remaining !== b.remaining) return b.remaining < a.remaining ? b : a
  return b.resetAfterMs > a.resetAfterMs ? b : a
}

class SetWriter implements HeaderWriter {
  readonly #x: boolean
  readonly #draft: Exclude<HeaderSet, 'x-ratelimit'> | undefined
  #limits: readonly Limit[] = []
  #texts: Texts | undefined

  constructor(x: boolean, draft: Exclude<HeaderSet, 'x-ratelimit'> | undefined) {
    this.#x = x
    this.#draft = draft
  }

  write(decision: Decision, target: HeaderTarget): void {
    const { limits } = decision
    if (limits.length === 0) return
    let texts = this.#texts
    if (texts === undefined || limits !== this.#limits) {
      texts = textsOf(limits)
      this.#texts = texts
      this.#limits = limits
    }
    if (this.#x) writeX(decision, texts, target)
    if (this.#draft === undefined) return
    if (this.#draft === 'ietf') writeIetf(decision, texts, target)
    else writeOlder(decision, texts, target, this.#draft)
  }

  pairs(decision: Decision): string[] {
    const list = new PairList()
    this.write(decision, list)
    return list.pairs
  }
}

class PairList implements HeaderTarget {
  readonly pairs: string[] = []

  setHeader(name: string, value: string): void {
    this.pairs.push(name, value)
  }
}

function writeX(decision: Decision, texts: Texts, target: HeaderTarget): void {
  target.setHeader('X-RateLimit-Limit', texts.limit ?? String(decision.limit))
  const { remaining } = decision
  if (isCount(remaining)) target.setHeader('X-RateLimit-Remaining', String(Math.floor(remaining)))
  const resetMs = wholeAfterMs(decision)
  if (isCount(resetMs)) target.setHeader('X-RateLimit-Reset', String(Math.ceil((decision.now + resetMs) / 1000)))
  if (texts.buckets.length > 0) writeBucket(decision, texts, target)
}

function writeBucket(decision: Decision, texts: Texts, target: HeaderTarget): void {
  let [bucket] = texts.buckets as [Bucket]
  let left = decision.remaining
  if (decision.limits.length > 1) {
    const { standings } = decision
    for (const one of texts.buckets) {
      if ((standings[one.at] as Standing).remaining < (standings[bucket.at] as Standing).remaining) bucket = one
    }
    left = (standings[bucket.at] as Standing).remaining
  }
  target.setHeader('X-RateLimit-Bucket-Size', bucket.size)
  if (isCount(left)) target.setHeader('X-RateLimit-Bucket-Remaining', String(left))
  target.setHeader('X-RateLimit-Refill-Rate', bucket.refill)
}

function writeIetf(decision: Decision, texts: Texts, target: HeaderTarget): void {
  target.setHeader('RateLimit-Policy', texts.policy)
  const { items } = texts
  const banned = decision.reason === 'ban'
  // A single limit stands as the headline says; its standing need not be built.
  if (items.length === 1) {
    if (!isCount(decision.remaining)) return
    target.setHeader(
      'RateLimit',
      item(items[0] as string, decision.remaining, banned ? decision.retryAfterMs : decision.nextAfterMs),
    )
    return
  }
  let value = ''
  const { standings } = decision
  for (let at = 0; at < items.length; at++) {
    const standing = standings[at] as Standing
    const { remaining, nextAfterMs } = standing
    if (!isCount(remaining)) continue
    if (value !== '') value += ', '
    // Whatever the limits have left, nothing passes before the ban ends.
    value += banned ? item(items[at] as string, 0, decision.retryAfterMs) : item(items[at] as string, remaining, nextAfterMs)
  }
  if (value !== '') target.setHeader('RateLimit', value)
}

/** `"name";r=50;t=30`. Without `t` where more never becomes available, or nothing is missing. */
function item(start: string, remaining: number, nextMs: number | undefined): string {
  const text = start + integer(remaining)
  return nextMs !== undefined && nextMs > 0 && nextMs < Infinity ? `${text};t=${integer(Math.ceil(nextMs / 1000))}` : text
}

function writeOlder(decision: Decision, texts: Texts, target: HeaderTarget, draft: 'draft-6' | 'draft-7'): void {
  target.setHeader('RateLimit-Policy', texts.olderPolicy)
  const { remaining, limit } = decision
  if (!isCount(remaining)) return
  const resetMs = wholeAfterMs(decision)
  const reset = isCount(resetMs) ? integer(Math.ceil(resetMs / 1000)) : undefined
  if (draft === 'draft-7') {
    const value = `limit=${integer(limit)}, remaining=${integer(remaining)}`
    target.setHeader('RateLimit', reset === undefined ? value : `${value}, reset=${reset}`)
    return
  }
  target.setHeader('RateLimit-Limit', integer(limit))
  target.setHeader('RateLimit-Remaining', integer(remaining))
  if (reset !== undefined) target.setHeader('RateLimit-Reset', reset)
}

/** Ms until the client has all its requests again; a ban may outlast the limit. */
function wholeAfterMs(decision: Decision): number {
  const { retryAfterMs, resetAfterMs } = decision
  return retryAfterMs !== undefined && retryAfterMs > resetAfterMs ? retryAfterMs : resetAfterMs
}

function isCount(value: number): boolean {
  return value >= 0 && value < Infinity
}

function integer(value: number): string {
  return String(value > MAX_INTEGER ? MAX_INTEGER : Math.floor(value))
}

/** What is the same in all answers about a set of limits. */
interface Texts {
  /** N, where there is one limit only. */
  readonly limit: string | undefined
  readonly policy: string
  readonly olderPolicy: string
  /** Per limit: `"name";r=`. */
  readonly items: readonly string[]
  readonly buckets: readonly Bucket[]
}

interface Bucket {
  /** Which limit it is. */
  readonly at: number
  readonly size: string
  readonly refill: string
}

const known = new WeakMap<readonly Limit[], Texts>()

function textsOf(limits: readonly Limit[]): Texts {
  const before = known.get(limits)
  if (before !== undefined) return before
  const names = limits.map(({ name }) => quoted(name))
  const texts: Texts = {
    limit: limits.length === 1 ? String(limits[0]?.amount) : undefined,
    policy: limits.map((limit, at) => `${names[at]};q=${integer(limit.amount)};w=${windowSeconds(limit)}`).join(', '),
    olderPolicy: limits.map((limit) => `${integer(limit.amount)};w=${windowSeconds(limit)}`).join(', '),
    items: names.map((name) => `${name};r=`),
    buckets: limits.flatMap((limit, at) => (limit.algorithm === 'token_bucket' ? [bucketOf(limit, at)] : [])),
  }
  known.set(limits, texts)
  return texts
}

function bucketOf(limit: Limit, at: number): Bucket {
  const size = String(limit.burst)
  // Tiny sizes would print as 1e-7.
  return { at, size: size.includes('e') ? limit.burst.toFixed(6) : size, refill: ((limit.drain * 1000) / limit.unit).toFixed(2) }
}

/**
 * Whole seconds, rounded up: who keeps to q in the longer window keeps to q in the real one too, never the other way round.
 * A calendar period counts with its longest length.
 */
function windowSeconds({ periodMs, calendar }: Limit): number {
  // Calendar lengths have an hour for daylight saving, which UTC does not know.
  return Math.ceil((calendar?.timeZone === 'UTC' ? periodMs - 3_600_000 : periodMs) / 1000)
}

/** A String of a Structured Field: printable ASCII, quotes and backslashes escaped. */
function quoted(name: string): string {
  return `"${name.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
