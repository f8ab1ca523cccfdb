// Replays an access log against proposed limits. Promise: the log's timestamps are the clock, every proposal sees every request,
// and memory is bounded by the number of clients. Next: replay-report.ts, which shows the outcome.

import { type ManualClock, manualClock } from '../core/clock.ts'
import { ConfigError, RateLimitError, show } from '../core/errors.ts'
import { buildLimitSet } from '../core/limit-set.ts'
import type { AlgorithmConfig, AlgorithmName, Limit } from '../core/limit.ts'
import { formatPeriod, formatRate } from '../core/rate.ts'
import { type PathRules, buildPathRules } from '../http/path-rules.ts'
import { createLimiter } from '../limiter/create-limiter.ts'
import type { Limiter } from '../limiter/limiter.ts'
import { type MemoryStore, memoryStore } from '../stores/memory/memory-store.ts'
import { type LogEntry, type LogFormat, logLineParser } from './log-line.ts'
import type { OpenLog } from './log-reader.ts'
import { ReplayClients } from './replay-clients.ts'
import { type ReplayKey, replayKey } from './replay-key.ts'
import { type Peaks, buildPeaks, peaksKey } from './replay-peaks.ts'
import { printable } from './terminal.ts'

/** What a replay is asked. */
export interface ReplayOptions {
  /** Proposals: each a rate or several, such as `'10/s, 1000/h'`. */
  readonly rates: readonly string[]
  /** Each rate is tried with each (default: the rate's own default). */
  readonly algorithms: readonly AlgorithmName[]
  /** Bucket size of token and leaky buckets, burst of gcra; other algorithms have none. */
  readonly burst?: number
  /** Whom to count; see replay-key.ts. */
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

/** How small a limit could have been in the log's traffic. */
export interface Needed {
  /** The proposed limit, such as `100/m`. */
  readonly limit: string
  /** What `nobody` and `onePercent` are values of: the rate, or the size of the bucket at that rate. */
  readonly setting: 'rate' | 'burst'
  /** The smallest that refuses nobody. */
  readonly nobody: string
  /** The smallest that refuses something to at most one client in a hundred. */
  readonly onePercent: string
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
  readonly offenders: readonly {
    readonly client: string
    readonly requests: number
    readonly refused: number
    readonly firstRefused: string
  }[]
  /** One per limit of the proposal. */
  readonly needed: readonly Needed[]
}

/** The outcome of a replay. */
export interface ReplayResult {
  /** Lines with something on them. */
  readonly lines: number
  /** Requests that were put to the proposals. */
  readonly requests: number
  readonly clients: number
  /** Lines left out by `path`, `method`, or for having no key. */
  readonly filtered: number
  readonly bad: number
  /** The first bad lines. */
  readonly badLines: readonly BadLine[]
  /** Requests whose time was before that of an earlier line; they were replayed at the later time. */
  readonly outOfOrder: number
  readonly outOfOrderMaxMs: number
  readonly from: string
  readonly to: string
  readonly spanMs: number
  /** No time has a fraction: the order and the pace within a second are not known. */
  readonly wholeSeconds: boolean
  readonly proposals: readonly ProposalResult[]
}

/** A line that could not be read. */
export interface BadLine {
  /** Counted from 1, empty lines included. */
  readonly line: number
  readonly why: string
  readonly text: string
}

interface Proposal {
  readonly rate: string
  readonly limits: readonly Limit[]
  readonly limiter: Limiter<MemoryStore>
  refused: number
  readonly perMinute: Map<number, number>
}

/** Bad lines that are kept to be shown. */
const BAD_SHOWN = 5
const LINES_PER_PROGRESS = 16_384
/** More than replay-clients.ts lets in: the store's bound must not be met. */
const MAX_CLIENTS = 50_000_000
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

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
  readonly #peaks = new Map<string, Peaks>()
  readonly #everyPeaks: readonly Peaks[]
  readonly #clients: ReplayClients
  readonly #key: ReplayKey
  readonly #paths: PathRules<true> | undefined
  /** Of the line at hand. */
  #lineNumber = 0
  #empty = 0
  #requests = 0
  #filtered = 0
  #bad = 0
  readonly #badLines: BadLine[] = []
  #outOfOrder = 0
  #outOfOrderMaxMs = 0
  #wholeSeconds = true
  #first = Infinity
  #last = 0

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#key = replayKey(options.key)
    this.#paths = options.path === undefined ? undefined : buildPathRules({ [options.path]: true as const }, {}, '--path')
    const { wanted } = this.#key
    const request = wanted.request || options.path !== undefined || options.method !== undefined
    this.#parser = logLineParser(options.format, { ...wanted, request })
    this.#proposals = proposals(options, this.#clock)
    this.#clients = new ReplayClients(this.#proposals.length)
    for (const { limits } of this.#proposals) for (const limit of limits) this.#peaks.set(peaksKey(limit), buildPeaks(limit))
    this.#everyPeaks = [...this.#peaks.values()]
  }

  line(bytes: Buffer, start: number, end: number): void {
    this.#count()
    let from = start
    if (this.#lineNumber === 1 && bytes.subarray(start, end).indexOf(BYTE_ORDER_MARK) === 0) from += BYTE_ORDER_MARK.length
    if (from === end) {
      this.#empty++
      return
    }
    const problem = this.#parser.parse(bytes, from, end)
    if (problem !== undefined) {
      this.#refuseLine(problem, bytes.toString('utf8', from, Math.min(end, from + 400)))
      return
    }
    const { entry } = this.#parser
    const key = this.#wanted(entry) ? this.#key.keyOf(entry) : undefined
    if (key === undefined) this.#filtered++
    else this.#ask(key, entry.timeMs)
  }

  overlong(bytes: Buffer): void {
    this.#count()
    this.#refuseLine('longer than 64 kB', bytes.toString('utf8', 0, 400))
  }

  result(): ReplayResult {
    if (this.#requests === 0) throw this.#unusable()
    return {
      lines: this.#lines(),
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
      wholeSeconds: this.#wholeSeconds,
      proposals: this.#proposals.map((proposal, i) => this.#proposalResult(proposal, i)),
    }
  }

  #lines(): number {
    return this.#lineNumber - this.#empty
  }

  #count(): void {
    if (++this.#lineNumber % LINES_PER_PROGRESS === 0) this.#options.onProgress?.()
  }

  #wanted({ method, target }: LogEntry): boolean {
    const { method: only } = this.#options
    if (only !== undefined && method !== only) return false
    return this.#paths === undefined || (target !== undefined && this.#paths.match(target) !== undefined)
  }

  #ask(key: string, timeMs: number): void {
    this.#requests++
    if (timeMs < this.#first) this.#first = timeMs
    if (this.#wholeSeconds && timeMs % 1000 !== 0) this.#wholeSeconds = false
    if (timeMs >= this.#last) {
      this.#last = timeMs
      this.#clock.set(timeMs)
    } else {
      // Servers write a line when a request ends, so lines are a little out of order. Time does not go back for it.
      this.#outOfOrder++
      this.#outOfOrderMaxMs = Math.max(this.#outOfOrderMaxMs, this.#last - timeMs)
    }
    const client = this.#clients.request(key)
    for (const peaks of this.#everyPeaks) peaks.add(client, this.#last)
    for (let i = 0; i < this.#proposals.length; i++) {
      const proposal = this.#proposals[i] as Proposal
      if (!proposal.limiter.check(key).allowed) {
        countRefusal(proposal, this.#last)
        this.#clients.refuse(client, i, this.#last)
      }
    }
  }

  #refuseLine(why: string, text: string): void {
    this.#bad++
    if (this.#badLines.length < BAD_SHOWN) this.#badLines.push({ line: this.#lineNumber, why, text: printable(text) })
  }

  #unusable(): RateLimitError {
    const lines = this.#lines()
    if (lines === 0) return new RateLimitError('ERR_RATELIMIT_LOG', 'log: it is empty')
    const [first] = this.#badLines
    const example = first === undefined ? '' : `; line ${first.line} is ${first.why}: ${show(first.text)}`
    const expected = 'expected lines in the common or combined format, or JSON with a client address and a time'
    if (this.#bad === lines)
      return new RateLimitError('ERR_RATELIMIT_LOG', `log: none of ${lines} lines could be read; ${expected}${example}`)
    return new RateLimitError(
      'ERR_RATELIMIT_LOG',
      `log: none of ${lines} lines is left: ${this.#bad} could not be read, ${this.#filtered} were left out by --path, --method or --key`,
    )
  }

  #proposalResult({ rate, limits, refused, perMinute }: Proposal, i: number): ProposalResult {
    const { clients, worst } = this.#clients.offenders(i, this.#options.top)
    let worstMinute: [number, number] | undefined
    for (const minute of perMinute) if (worstMinute === undefined || minute[1] > worstMinute[1]) worstMinute = minute
    return {
      rate,
      algorithm: (limits[0] as Limit).algorithm,
      refused,
      clientsRefused: clients,
      refusedPerMinute: perMinute,
      worstMinute: worstMinute && { at: iso(worstMinute[0] * 60_000), refused: worstMinute[1] },
      offenders: worst.map(({ name, requests, refused: own, firstRefusedAt }) => ({
        client: printable(name),
        requests,
        refused: own,
        firstRefused: iso(firstRefusedAt),
      })),
      // No bucket is large enough for a rate of nothing.
      needed: limits.filter(({ kind, amount }) => kind !== 'bucket' || amount > 0).map((limit) => this.#needed(limit)),
    }
  }

  #needed(limit: Limit): Needed {
    const peaks = this.#peaks.get(peaksKey(limit)) as Peaks
    const clients = this.#clients.size
    const text = (n: number): string => (limit.kind === 'bucket' ? String(n) : `${n}/${formatPeriod(limit.rate)}`)
    return {
      limit: formatRate(limit.rate),
      setting: limit.kind === 'bucket' ? 'burst' : 'rate',
      nobody: text(peaks.smallest(clients, 0)),
      onePercent: text(peaks.smallest(clients, Math.floor(clients / 100))),
    }
  }
}

function countRefusal(proposal: Proposal, at: number): void {
  proposal.refused++
  const minute = Math.floor(at / 60_000)
  proposal.perMinute.set(minute, (proposal.perMinute.get(minute) ?? 0) + 1)
}

function proposals({ rates, algorithms, burst }: ReplayOptions, clock: ManualClock): readonly Proposal[] {
  if (burst !== undefined && !algorithms.some((name) => name in BURST)) {
    throw new ConfigError('--burst', `an --algorithm of ${Object.keys(BURST).join(', ')}`, algorithms[0] ?? 'sliding_window')
  }
  const tried: readonly (AlgorithmName | undefined)[] = algorithms.length === 0 ? [undefined] : algorithms
  return rates.flatMap((rate) => tried.map((algorithm) => buildProposal(rate, algorithm, burst, clock)))
}

/** What each algorithm with a burst calls it. */
const BURST: Readonly<Partial<Record<AlgorithmName, keyof AlgorithmConfig>>> = {
  token_bucket: 'bucketSize',
  leaky_bucket: 'bucketCapacity',
  gcra: 'burst',
}

function buildProposal(
  rate: string,
  algorithm: AlgorithmName | undefined,
  burst: number | undefined,
  clock: ManualClock,
): Proposal {
  const setting = algorithm && BURST[algorithm]
  const algorithmConfig: AlgorithmConfig = setting !== undefined && burst !== undefined ? { [setting]: burst } : {}
  let limits: readonly Limit[]
  try {
    limits = buildLimitSet('replay', rate, { algorithm, algorithmConfig }, '--rate').limits
  } catch (error) {
    if (!(error instanceof ConfigError) || error.option === '--rate') throw error
    // A rate and an algorithm that do not go together: neither alone is wrong, and the command line has no option of that name.
    throw new RateLimitError(
      error.code,
      `--rate ${show(rate)} with ${algorithm}: ${error.message.slice(error.option.length + 2)}`,
      { cause: error },
    )
  }
  const store = memoryStore({ clock, memoryMaxKeys: MAX_CLIENTS, memoryMaxBytes: 2 ** 40, sweepIntervalMs: false })
  const limiter = createLimiter({ name: 'replay', rate, store, algorithmConfig, ...(algorithm && { algorithm }) })
  return { rate, limits, limiter, refused: 0, perMinute: new Map() }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
