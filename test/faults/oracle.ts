// Judges a fault run by what its processes reported. Promise: it knows the limits, the clock and what was admitted, and nothing of how it was
// decided. Next: ledger.ts, which counts; row.ts, which plays the run.

import { Ledger } from './ledger.ts'
import { AMOUNT, PERIOD_MS, type POLICIES } from './load.ts'
import type { Heard } from './processes.ts'

/** When things happened, epoch ms. */
export interface Moments {
  /** The fault began. */
  readonly faultAt: number
  /** What was admitted from its beginning until then may be lost with the store. */
  readonly lostUntil: number
  /** Until then processes may use different stores without knowing. */
  readonly apartUntil: number
  /** The repair was complete: the store is back. */
  readonly healedAt: number
}

/** What is found of one setup. */
export interface Outcome {
  readonly setup: string
  readonly decisions: number
  /** Decisions by who made them. */
  readonly sources: Readonly<Record<string, number>>
  /** The longest wait, ms: as it was, and without what the process's event loop was kept from doing. */
  readonly longestMs: number
  readonly longestOwnMs: number
  /** Decisions during the fault that waited more than {@link WAITED_MS}. */
  readonly waited: number
  /** By how much too much was admitted, at worst, for a key that one process uses, and for the key that all use. */
  readonly excessAlone: number
  readonly excessShared: number
  /** Which counters that was, worst first. */
  readonly over: readonly string[]
  /** What was admitted for the shared key while some decided elsewhere and some did not, or may have, and around the moments at which that changed. */
  readonly unseen: number
  /** What was admitted at most for any key in the time that was lost with the store; 0 where none was. */
  readonly lost: number
  /** The most that the time of what was admitted was away from the moments of its question and its answer, ms. */
  readonly clockMs: number
  /** From the fault until every process decided elsewhere; undefined if one never did. */
  readonly detectMs: number | undefined
  /** From the repair until the last process had a decision of its first store again, and until all of each process were for a moment. */
  readonly backMs: number
  readonly returnMs: number
  /** From the repair until no decision waited more than {@link WAITED_MS} any more. */
  readonly quickMs: number
}

/** A decision that takes longer has waited for something. */
export const WAITED_MS = 50

/** Without a decision of a kind for so long, they have ended. */
const PAUSE_MS = 300

/** How long before a loss a process may have heard of the others last: the interval of copies, and a question's way. */
const UNHEARD_MS = 250

/** What a run did in one setup. `deadlineMs` is that of its decisions. */
export function judge(
  heard: readonly Heard[],
  setup: { readonly index: number; readonly name: string },
  { faultAt, healedAt, lostUntil, apartUntil }: Moments,
  deadlineMs: number,
): Outcome {
  const own = heard.filter((one) => one.setup === setup.index)
  const sources: Record<string, number> = {}
  for (const { source } of own) sources[source] = (sources[source] ?? 0) + 1
  const after = own.filter(({ askedAt }) => askedAt >= healedAt)
  const during = own.filter(({ askedAt }) => askedAt >= faultAt && askedAt < healedAt)
  const processes = [...new Set(own.map(({ process }) => process))]
  const first = (of: readonly Heard[], since: number, wanted: (one: Heard) => boolean): number | undefined => {
    const times = processes.map((process) =>
      of.reduce(
        (least, one) => (one.process === process && wanted(one) ? Math.min(least, one.askedAt + one.tookMs) : least),
        Infinity,
      ),
    )
    return times.includes(Infinity) ? undefined : Math.max(0, ...times) - since
  }
  const lasts = (wanted: (one: Heard) => boolean): number =>
    most(processes, (process) =>
      stretch(
        after.filter((one) => one.process === process && wanted(one)),
        healedAt,
      ),
    )
  const counters = countersOf(own)
  const shared = counters.filter(({ key }) => key === 'shared')
  return {
    setup: setup.name,
    decisions: own.length,
    sources,
    longestMs: most(own, ({ tookMs }) => tookMs),
    longestOwnMs: most(own, ownMs),
    waited: during.filter((one) => ownMs(one) > WAITED_MS).length,
    excessAlone: most(
      counters.filter(({ key }) => key !== 'shared'),
      excessOf,
    ),
    excessShared: most(shared, excessOf),
    over: counters
      .filter((counter) => excessOf(counter) > 0)
      .toSorted((a, b) => excessOf(b) - excessOf(a))
      .map((counter) => `${counter.policy} ${counter.key}: ${excessOf(counter)}`),
    unseen: most(shared, ({ policy, ledger }) => {
      const apart = apartUntil === faultAt ? 0 : ledger.between(faultAt, apartUntil)
      return unseenIn(ledger, changesOf(own, policy), deadlineMs) + apart
    }),
    lost: lostUntil === faultAt ? 0 : most(counters, ({ ledger }) => ledger.between(faultAt, lostUntil)),
    clockMs: most(
      own.filter(({ allowed }) => allowed),
      ({ askedAt, tookMs, now }) => Math.max(askedAt - now, now - askedAt - tookMs),
    ),
    detectMs: first(during, faultAt, isElsewhere),
    backMs: first(after, healedAt, ({ source }) => source === 'primary') ?? Infinity,
    returnMs: lasts(isElsewhere),
    quickMs: lasts((one) => ownMs(one) > WAITED_MS),
  }
}

/** A process begins to decide about the shared key elsewhere, or by the first store again. */
interface Change {
  readonly at: number
  /** Whether some decide by the first store from then on, and others elsewhere: they cannot hear of each other. */
  readonly apart: boolean
}

function changesOf(heard: readonly Heard[], policy: Counter['policy']): readonly Change[] {
  const elsewhere = new Map<number, boolean>()
  const changes: Change[] = []
  const shared = heard.filter((one) => one.policy === policy && one.key === 'shared' && one.source !== 'remembered')
  for (const one of shared.toSorted((a, b) => a.now - b.now)) {
    const before = elsewhere.get(one.process) ?? false
    elsewhere.set(one.process, isElsewhere(one))
    if (isElsewhere(one) !== before) changes.push({ at: one.now, apart: new Set(elsewhere.values()).size > 1 })
  }
  return changes
}

/** What was admitted while processes were apart, and from a little before each change to a little after it. */
function unseenIn(ledger: Ledger, changes: readonly Change[], deadlineMs: number): number {
  let sum = 0
  let until = -Infinity
  for (const [i, { at, apart }] of changes.entries()) {
    const to = Math.max(at + 2 * deadlineMs, apart ? (changes[i + 1]?.at ?? Infinity) : at)
    sum += ledger.between(Math.max(until + 1, at - UNHEARD_MS - 2 * deadlineMs), to)
    until = Math.max(until, to)
  }
  return sum
}

/** For how long after an instant a process's decisions of a kind go on without a pause: what comes much later has another cause. */
function stretch(decisions: readonly Heard[], since: number): number {
  let until = since
  for (const { askedAt, tookMs } of decisions.toSorted((a, b) => a.askedAt - b.askedAt)) {
    if (askedAt - until > PAUSE_MS) break
    until = Math.max(until, askedAt + tookMs)
  }
  return until - since
}

/** The part of a wait in which the process could have done something. */
export function ownMs({ tookMs, lostMs }: Heard): number {
  return Math.max(0, tookMs - lostMs)
}

/** Whether a decision was made elsewhere than by the first store, a refusal of a moment ago included. */
function isElsewhere({ source }: Heard): boolean {
  return source !== 'primary' && source !== 'remembered'
}

interface Counter {
  readonly policy: keyof typeof POLICIES
  readonly key: string
  readonly ledger: Ledger
}

/** What was admitted, per policy and key. */
function countersOf(heard: readonly Heard[]): readonly Counter[] {
  const counters = new Map<string, Counter>()
  const admitted = heard.filter(({ allowed, policy }) => allowed && policy !== 'ample').toSorted((a, b) => a.now - b.now)
  for (const { policy, key, now } of admitted) {
    const name = `${policy} ${key}`
    let counter = counters.get(name)
    if (counter === undefined) counters.set(name, (counter = { policy: policy as Counter['policy'], key, ledger: new Ledger() }))
    counter.ledger.decided(now, 1)
  }
  return [...counters.values()]
}

function excessOf({ policy, ledger }: Counter): number {
  if (policy === 'sliding') return ledger.windowExcess(AMOUNT, PERIOD_MS)
  if (policy === 'fixed') return ledger.fixedExcess(AMOUNT, PERIOD_MS)
  // A bucket's level is exact in the stores; sums of thirds are not in this one.
  return Math.round(ledger.bucketExcess(AMOUNT, AMOUNT / PERIOD_MS) * 1000) / 1000
}

function most<T>(of: readonly T[], figure: (one: T) => number): number {
  return of.reduce((highest, one) => Math.max(highest, figure(one)), 0)
}
