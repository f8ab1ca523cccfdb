// Replays an access log against proposed limits. Promise: the log's timestamps are the clock, every proposal sees every request,
// and memory is bounded by the number of clients. Next: replay-report.ts, which shows the outcome.

import { type ManualClock, manualClock } from '../core/clock.ts'
import { ConfigError, RateLimitError, show } from '../core/errors.ts'
import { buildLimitSet } from '../core/limit-set.ts'
import type { AlgorithmConfig, AlgorithmName } from '../core/limit.ts'
import { buildClientAddress } from '../http/address.ts'
import { type PathRules, buildPathRules } from '../http/path-rules.ts'
import { createLimiter } from '../limiter/create-limiter.ts'
import type { Limiter } from '../limiter/limiter.ts'
import { type MemoryStore, memoryStore } from '../stores/memory/memory-store.ts'
import { type LogEntry, type LogFormat, logLineParser } from './log-line.ts'
import type { OpenLog } from './log-reader.ts'

/** What a replay is asked. */
export interface ReplayOptions {
  /** Proposals: each a rate or several, such as `'10/s, 1000/h'`. */
  readonly rates: readonly string[]
  /** Each rate is tried with each (default: the rate's own default). */
  readonly algorithms: readonly AlgorithmName[]
  /** Bucket size of token and leaky buckets, burst of gcra. */
  readonly burst?: number
  /** `ip`, `user`, `user_or_ip`, `path`, `method`, `field:<JSON field>`, several joined by `+` (default `ip`). */
  readonly key: string
  /** Only requests to this path and below. */
  readonly path?: string
  /** Only requests of this method. */
  readonly method?: string
  readonly format: LogFormat
  /** Offenders to list per proposal. */
  readonly top: number
  /** Called now and then. */
  readonly onProgress?: () => void
}

/** One proposal's outcome. */
export interface ProposalResult {
  readonly rate: string
  readonly algorithm: AlgorithmName
  readonly refused: number
  readonly clientsRefused: number
  /** Refusals per minute of the log, by minutes since 1970; minutes without any are left out. */
  readonly refusedPerMinute: ReadonlyMap<number, number>
  readonly worstMinute: { readonly at: string; readonly refused: number } | undefined
  readonly offenders: readonly { readonly client: string; readonly requests: number; readonly refused: number; readonly firstRefused: string }[]
}

/** The outcome of a replay. */
export interface ReplayResult {
  readonly lines: number
  /** Requests that were put to the proposals. */
  readonly requests: number
  readonly clients: number
  /** Lines left out by `path`, `method`, or for having no key. */
  readonly filtered: number
  readonly bad: number
  /** The first bad lines. */
  readonly badLines: readonly { readonly line: number; readonly text: string }[]
  /** Requests whose time was before that of an earlier line; they were replayed at the later time. */
  readonly outOfOrder: number
  readonly outOfOrderMaxMs: number
  readonly from: string
  readonly to: string
  readonly spanMs: number
  readonly proposals: readonly ProposalResult[]
}

interface Client {
  readonly name: string
  requests: number
  /** Per proposal. */
  readonly refused: number[]
  readonly firstRefused: number[]
}

interface Proposal {
  readonly rate: string
  readonly limiter: Limiter<MemoryStore>
  refused: number
  readonly perMinute: Map<number, number>
}

/** Bad lines that are kept to be shown. */
const BAD_SHOWN = 5
const LINES_PER_PROGRESS = 16_384
/** More clients than any log on one machine has; the store's bound must not be met. */
const MAX_CLIENTS = 50_000_000

/**
 * Replays a log.
 * @throws ConfigError for a proposal or a key that cannot be; RateLimitError `ERR_RATELIMIT_LOG` for a log without a usable line
 */
export async function replay(log: OpenLog, options: ReplayOptions): Promise<ReplayResult> {
  const run = new Replay(options)
  await log.lines(run)
  return run.result()
}

class Replay {
  readonly #options: ReplayOptions
  readonly #clock: ManualClock = manualClock()
  readonly #parser
  readonly #proposals: readonly Proposal[]
  readonly #clients = new Map<string, Client>()
  readonly #keyOf: (entry: LogEntry) => string | undefined
  readonly #paths: PathRules<true> | undefined
  #lines = 0
  #requests = 0
  #filtered = 0
  #bad = 0
  readonly #badLines: { line: number; text: string }[] = []
  #outOfOrder = 0
  #outOfOrderMaxMs = 0
  #first = Infinity
  #last = 0

  constructor(options: ReplayOptions) {
    this.#options = options
    const { keyOf, user, request, fields } = keyReader(options.key)
    this.#keyOf = keyOf
    this.#paths = options.path === undefined ? undefined : buildPathRules({ [options.path]: true as const }, {}, '--path')
    const needsRequest = request || options.path !== undefined || options.method !== undefined
    this.#parser = logLineParser(options.format, { user, request: needsRequest, fields })
    this.#proposals = proposals(options, this.#clock)
  }

  line(bytes: Buffer, start: number, end: number): void {
    this.#count()
    const { entry } = this.#parser
    if (!this.#parser.parse(bytes, start, end)) {
      this.#refuseLine(bytes.toString('utf8', start, Math.min(end, start + 400)))
      return
    }
    if (!this.#wanted(entry)) {
      this.#filtered++
      return
    }
    const key = this.#keyOf(entry)
    if (key === undefined) this.#filtered++
    else this.#ask(key, entry.timeMs)
  }

  overlong(bytes: Buffer): void {
    this.#count()
    this.#refuseLine(bytes.toString('utf8', 0, 400))
  }

  result(): ReplayResult {
    if (this.#requests === 0) throw this.#unusable()
    return {
      lines: this.#lines,
      requests: this.#requests,
      clients: this.#clients.size,
      filtered: this.#filtered,
      bad: this.#bad,
      badLines: this.#badLines,
      outOfOrder: this.#outOfOrder,
      outOfOrderMaxMs: this.#outOfOrderMaxMs,
      from: iso(this.#first),
      to: iso(this.#last),
      spanMs: this.#last - this.#first,
      proposals: this.#proposals.map((proposal, i) => this.#proposalResult(proposal, i)),
    }
  }

  #count(): void {
    if (++this.#lines % LINES_PER_PROGRESS === 0) this.#options.onProgress?.()
  }

  #wanted({ method, target }: LogEntry): boolean {
    const { method: only } = this.#options
    if (only !== undefined && method !== only) return false
    return this.#paths === undefined || (target !== undefined && this.#paths.match(target) !== undefined)
  }

  #ask(key: string, timeMs: number): void {
    this.#requests++
    if (timeMs < this.#first) this.#first = timeMs
    if (timeMs >= this.#last) {
      this.#last = timeMs
      this.#clock.set(timeMs)
    } else {
      // Servers write a line when a request ends, so lines are a little out of order. Time does not go back for it.
      this.#outOfOrder++
      this.#outOfOrderMaxMs = Math.max(this.#outOfOrderMaxMs, this.#last - timeMs)
    }
    let client = this.#clients.get(key)
    if (client === undefined) {
      // A slice of the read buffer would keep all of it.
      client = { name: key, requests: 0, refused: [], firstRefused: [] }
      this.#clients.set(key, client)
    }
    client.requests++
    for (let i = 0; i < this.#proposals.length; i++) {
      const proposal = this.#proposals[i] as Proposal
      if (!proposal.limiter.check(key).allowed) refuse(proposal, client, i, this.#last)
    }
  }

  #refuseLine(text: string): void {
    this.#bad++
    if (this.#badLines.length < BAD_SHOWN) this.#badLines.push({ line: this.#lines, text: printable(text) })
  }

  #unusable(): RateLimitError {
    if (this.#lines === 0) return new RateLimitError('ERR_RATELIMIT_LOG', 'log: it is empty')
    const [first] = this.#badLines
    const example = first === undefined ? '' : `; line ${first.line} is ${show(first.text)}`
    const expected = 'expected lines in the common or combined format, or JSON with a client address and a time'
    if (this.#bad === this.#lines) return new RateLimitError('ERR_RATELIMIT_LOG', `log: none of ${this.#lines} lines could be read; ${expected}${example}`)
    return new RateLimitError(
      'ERR_RATELIMIT_LOG',
      `log: none of ${this.#lines} lines is left: ${this.#bad} could not be read, ${this.#filtered} were left out by --path, --method or --key`,
    )
  }

  #proposalResult({ rate, limiter, refused, perMinute }: Proposal, i: number): ProposalResult {
    const hit = [...this.#clients.values()].filter((client) => (client.refused[i] ?? 0) > 0)
    hit.sort((a, b) => (b.refused[i] as number) - (a.refused[i] as number) || (a.name < b.name ? -1 : 1))
    let worst: [number, number] | undefined
    for (const minute of perMinute) if (worst === undefined || minute[1] > worst[1]) worst = minute
    return {
      rate,
      algorithm: (limiter.limitsFor('any')?.limits[0].algorithm ?? 'sliding_window') satisfies AlgorithmName,
      refused,
      clientsRefused: hit.length,
      refusedPerMinute: perMinute,
      worstMinute: worst && { at: iso(worst[0] * 60_000), refused: worst[1] },
      offenders: hit.slice(0, this.#options.top).map((client) => ({
        client: printable(client.name),
        requests: client.requests,
        refused: client.refused[i] as number,
        firstRefused: iso(client.firstRefused[i] as number),
      })),
    }
  }
}

function refuse(proposal: Proposal, client: Client, i: number, at: number): void {
  proposal.refused++
  const minute = Math.floor(at / 60_000)
  proposal.perMinute.set(minute, (proposal.perMinute.get(minute) ?? 0) + 1)
  client.refused[i] = (client.refused[i] ?? 0) + 1
  client.firstRefused[i] ??= at
}

function proposals(options: ReplayOptions, clock: ManualClock): readonly Proposal[] {
  const algorithms: readonly (AlgorithmName | undefined)[] = options.algorithms.length === 0 ? [undefined] : options.algorithms
  // Told here, a mistake has the name that it has on the command line.
  for (const rate of options.rates) for (const algorithm of algorithms) buildLimitSet('replay', rate, { algorithm }, '--rate')
  return options.rates.flatMap((rate) =>
    algorithms.map((algorithm): Proposal => {
      const store = memoryStore({ clock, memoryMaxKeys: MAX_CLIENTS, memoryMaxBytes: 2 ** 40, sweepIntervalMs: false })
      const algorithmConfig = burstConfig(algorithm, options.burst)
      const limiter = createLimiter({ name: 'replay', rate, store, ...(algorithm && { algorithm }), ...(algorithmConfig && { algorithmConfig }) })
      return { rate, limiter, refused: 0, perMinute: new Map() }
    }),
  )
}

function burstConfig(algorithm: AlgorithmName | undefined, burst: number | undefined): AlgorithmConfig | undefined {
  if (burst === undefined) return undefined
  if (algorithm === 'token_bucket') return { bucketSize: burst }
  if (algorithm === 'leaky_bucket') return { bucketCapacity: burst }
  if (algorithm === 'gcra') return { burst }
  throw new ConfigError('--burst', 'an --algorithm of token_bucket, leaky_bucket or gcra', algorithm ?? 'sliding_window')
}

interface KeyReader {
  readonly keyOf: (entry: LogEntry) => string | undefined
  readonly user: boolean
  readonly request: boolean
  readonly fields: readonly string[]
}

function keyReader(key: string): KeyReader {
  const address = buildClientAddress({})
  // An address that the live limiter would group is grouped here too; a log may have host names instead.
  const ip = (entry: LogEntry): string => address.keyOf(entry.client) ?? entry.client
  const fields: string[] = []
  const parts = key.split('+').map((part): ((entry: LogEntry) => string | undefined) => {
    if (part === 'ip') return ip
    if (part === 'user') return (entry) => entry.user
    if (part === 'user_or_ip') return (entry) => entry.user ?? ip(entry)
    if (part === 'path') return (entry) => entry.target?.split('?', 1)[0]
    if (part === 'method') return (entry) => entry.method
    if (part.startsWith('field:') && part.length > 6) {
      const index = fields.push(part.slice(6)) - 1
      return (entry) => entry.fields[index]
    }
    throw new ConfigError('--key', 'ip, user, user_or_ip, path, method or field:<name>, several joined by +', key)
  })
  const [only] = parts
  const join = (entry: LogEntry): string | undefined => {
    const values = parts.map((part) => part(entry))
    return values.includes(undefined) ? undefined : values.join(' ')
  }
  return {
    keyOf: parts.length === 1 && only !== undefined ? only : join,
    user: key.includes('user'),
    request: key.includes('path') || key.includes('method'),
    fields,
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** Text from a log as a terminal may show it: no control characters, no end. */
function printable(text: string): string {
  const shown = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`)
  return shown.length > 120 ? `${shown.slice(0, 120)}…` : shown
}
