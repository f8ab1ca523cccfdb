// How many decisions a store makes in a second, and how long each takes, with so many on their way at once. Promise: the store is the one that the
// app has, by the same settings; keys are of their own, and gone afterwards, also when it is interrupted. Next: bench-command.ts.

import { randomBytes } from 'node:crypto'
import { type RecordableHistogram, createHistogram } from 'node:perf_hooks'
import { monotonicMs } from '../core/clock.ts'
import { RateLimitError } from '../core/errors.ts'
import { type LimitSet, buildLimitSet } from '../core/limit-set.ts'
import type { AlgorithmName } from '../core/limit.ts'
import type { OpenStore } from '../config/open-stores.ts'
import type { AsyncStore, Store, SyncStore } from '../stores/store.ts'

/** What is measured. */
export interface BenchOptions {
  readonly algorithm: AlgorithmName
  /** Decisions on their way at once: one measurement each. */
  readonly inFlight: readonly number[]
  /** How long each measurement takes. */
  readonly durationMs: number
  /** Distinct keys. */
  readonly keys: number
  readonly onProgress: (text: string) => void
  /** Ends it early. */
  readonly signal: AbortSignal
}

/** One measurement. */
export interface Measured {
  readonly inFlight: number
  readonly decisions: number
  readonly failures: number
  /** The first of them. */
  readonly failure: string | undefined
  readonly perSecond: number
  /** Ms a decision took, failures included. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number }
}

/** What was found of one store. */
export interface Benched {
  readonly name: string
  readonly kind: OpenStore['kind']
  readonly place: string
  readonly runs: readonly Measured[]
  /** Why nothing could be measured, or keys are left. */
  readonly error: string | undefined
}

/** Nobody is refused: what is measured is a decision that charges. */
const RATE = '1000000000/m'
const WARM_UP_MS = 200
/** Between looks at the time and turns of the event loop, where answers are there at once. */
const AT_ONCE = 1000
/** Keys forgotten at once. */
const FORGOTTEN = 16
const NS = 1e6

/** Measures each store by itself, one after the other. */
export async function bench(stores: readonly OpenStore[], options: BenchOptions): Promise<readonly Benched[]> {
  const found: Benched[] = []
  for (const store of stores) if (!options.signal.aborted) found.push(await benchOne(store, options))
  return found
}

async function benchOne({ name, kind, place, store }: OpenStore, options: BenchOptions): Promise<Benched> {
  const set = buildLimitSet('bench', RATE, { algorithm: options.algorithm })
  const mark = randomBytes(8).toString('hex')
  const keys = Array.from({ length: options.keys }, (_, i) => `${mark}-${i}`)
  const runs: Measured[] = []
  let error: string | undefined
  try {
    // Connects, and finds out whether there is anything to measure.
    await store.ping()
    const levels = store.sync ? [1] : options.inFlight
    await measure(store, set, keys, Math.max(...levels), WARM_UP_MS, options.signal, () => {})
    for (const inFlight of levels) {
      if (options.signal.aborted) break
      const show = (done: number): void =>
        options.onProgress(`${name}: ${inFlight} in flight, ${done.toLocaleString('en')} decisions`)
      runs.push(await measure(store, set, keys, inFlight, options.durationMs, options.signal, show))
    }
  } catch (failure) {
    error = messageOf(failure)
  }
  try {
    await forget(store, set, keys, (left) => options.onProgress(`${name}: ${left.toLocaleString('en')} keys to remove`))
  } catch (failure) {
    error ??= `keys are left, until they expire in some minutes: ${messageOf(failure)}`
  }
  return { name, kind, place, runs, error }
}

/** @throws what is no failure of a store */
function messageOf(failure: unknown): string {
  if (failure instanceof RateLimitError) return failure.message
  throw failure
}

/** What a measurement gathers. */
interface Gathered {
  readonly histogram: RecordableHistogram
  decisions: number
  failures: number
  failure: string | undefined
}

async function measure(
  store: Store,
  set: LimitSet,
  keys: readonly string[],
  inFlight: number,
  durationMs: number,
  signal: AbortSignal,
  show: (done: number) => void,
): Promise<Measured> {
  const gathered: Gathered = { histogram: createHistogram(), decisions: 0, failures: 0, failure: undefined }
  const startedAt = monotonicMs()
  const goesOn = (): boolean => monotonicMs() < startedAt + durationMs && !signal.aborted
  const next = turns(keys)
  if (store.sync) await askSync(store, set, next, gathered, goesOn, show)
  else {
    const asking = Array.from({ length: inFlight }, () => ask(store, set, next, gathered, goesOn, show))
    await Promise.all(asking)
  }
  const seconds = (monotonicMs() - startedAt) / 1000
  const { histogram, decisions, failures, failure } = gathered
  const at = (percentile: number): number => histogram.percentile(percentile) / NS
  return {
    inFlight,
    decisions,
    failures,
    failure,
    perSecond: decisions / seconds,
    latencyMs: { p50: at(50), p95: at(95), p99: at(99), max: histogram.count === 0 ? 0 : histogram.max / NS },
  }
}

function turns(keys: readonly string[]): () => string {
  let at = 0
  return () => keys[at++ % keys.length] as string
}

async function ask(
  store: AsyncStore,
  set: LimitSet,
  next: () => string,
  gathered: Gathered,
  goesOn: () => boolean,
  show: (done: number) => void,
): Promise<void> {
  while (goesOn()) {
    const askedAt = monotonicMs()
    try {
      await store.take(set, next(), 1, 'take')
      gathered.decisions++
    } catch (error) {
      gathered.failures++
      gathered.failure ??= messageOf(error)
      // A store that fails at once would leave nobody else a turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
    gathered.histogram.record(Math.max(1, Math.round((monotonicMs() - askedAt) * NS)))
    if (gathered.decisions % AT_ONCE === 0) show(gathered.decisions)
  }
}

async function askSync(
  store: SyncStore,
  set: LimitSet,
  next: () => string,
  gathered: Gathered,
  goesOn: () => boolean,
  show: (done: number) => void,
): Promise<void> {
  while (goesOn()) {
    // Looking at the time takes longer than a decision, so a few of them are looked at together.
    for (let i = 0; i < AT_ONCE; i += 10) {
      const askedAt = monotonicMs()
      for (let j = 0; j < 10; j++) store.take(set, next(), 1, 'take')
      gathered.histogram.record(Math.max(1, Math.round(((monotonicMs() - askedAt) * NS) / 10)))
    }
    gathered.decisions += AT_ONCE
    show(gathered.decisions)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function forget(store: Store, set: LimitSet, keys: readonly string[], show: (left: number) => void): Promise<void> {
  for (let from = 0; from < keys.length; from += FORGOTTEN) {
    show(keys.length - from)
    await Promise.all(keys.slice(from, from + FORGOTTEN).map(async (key) => store.reset(set, key)))
  }
}
