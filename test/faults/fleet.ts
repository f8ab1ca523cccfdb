// Fleets in virtual time: several processes on the same stores, with failures drawn by chance, running the code that runs in production.
// Promise: a seed is a history, the same each time; a ledger outside counts what was let through. Next: fleet.test.ts.

import { StoreError, mayBeDone } from '../../src/core/errors.ts'
import { type LimitSet, buildLimitSet } from '../../src/core/limit-set.ts'
import type { FailoverStore } from '../../src/stores/failover/failover-store.ts'
import { type MultiStoreOptions, multiStore } from '../../src/stores/failover/multi-store.ts'
import type { Mode, Taken } from '../../src/stores/store.ts'
import { type SeededRandom, seededRandom } from '../../src/testing/seeded-random.ts'
import { Ledger } from './ledger.ts'
import { ProcessTime } from './process-time.ts'
import { type Condition, type Kept, type Link, SimulatedServer } from './simulated-store.ts'
import { VirtualTime } from './virtual-time.ts'

const START = 1_700_000_040_000
const COPY_MS = 250
const DEADLINE_MS = 100
/** In what time before and after another has decided anything a store may not know of it. */
const UNSEEN_MS = COPY_MS + 2 * DEADLINE_MS

const LONGEST_STALL_MS = 1500
/** A server that is set back has lost at least the last probe of each process. */
const LONG_AGO_MS = 2000
const KEEP_MS = 250
/** By then everything that was asked is answered, and all stores are asked again. */
const SETTLE_MS = 3000

/** What a history is made of. */
export interface Scenario {
  readonly seed: number
  readonly processes: number
  readonly servers: number
  readonly durationMs: number
  readonly algorithm: 'sliding_window' | 'fixed_window' | 'token_bucket'
  /** Servers may lose their memory. */
  readonly forgets?: boolean
  /** Servers may come back with what they held a while before they were lost. */
  readonly setBack?: boolean
  /** Single processes may lose the way to a server that others reach. */
  readonly partitions?: boolean
  /** Costs of more than one, refunds, bans, a second limit, and limits that change while all goes on. */
  readonly mixed?: boolean
  /** Processes stand still for a while. */
  readonly stalls?: boolean
  /** The servers' clocks show other times, and the processes' run fast or slow. */
  readonly skewed?: boolean
  /** The first server dies once, and comes back. */
  readonly once?: boolean
  readonly options?: MultiStoreOptions
  /** Hears of everything that happens, to find out why a history went wrong. */
  readonly trace?: (line: string) => void
}

/** What became of it. */
export interface History {
  readonly decisions: number
  /** The longest wait of any decision of a process that did not stand still, ms. */
  readonly longestMs: number
  /** The worst excess over any limit of keys that one process alone uses, one request after the other, and of the key that all use. */
  readonly excessAlone: number
  readonly excessShared: number
  /** The same over what was admitted for that key in moments in which all processes asked the same store, and that part of all. */
  readonly excessAgreed: number
  readonly agreed: number
  /** What was admitted for that key in the moments before and after a store was lost, when not everybody had been told of it yet. */
  readonly unseen: number
  /** By how much more than was admitted the stores hold of a key in the end, when all has been well for a while: worst of the keys of single callers, and of the shared one. */
  readonly overchargedAlone: number
  readonly overchargedShared: number
  /** Requests of banned keys that were let through. */
  readonly throughBans: number
  /** Decisions by source. */
  readonly sources: Readonly<Record<string, number>>
}

const AMOUNT = 60
const PERIOD_MS = 20_000
const SECOND_AMOUNT = 200
const SECOND_PERIOD_MS = 100_000

/** The same limits with this amount: of one scope, whatever the amount. */
function limits({ algorithm, mixed }: Scenario, amount: number): LimitSet {
  const rate = mixed === true ? [`${amount}/20s`, `${SECOND_AMOUNT}/100s`] : `${amount}/20s`
  return buildLimitSet('fleet', rate, {
    algorithm,
    ...(algorithm === 'sliding_window' && { algorithmConfig: { precision: 20 } }),
  })
}

/** Plays a scenario. */
export async function playFleet(scenario: Scenario): Promise<History> {
  const { seed, processes, servers: count, durationMs, options = {} } = scenario
  const random = seededRandom(seed)
  const time = new VirtualTime()
  const trace = (line: () => string): void => scenario.trace?.(`${time.now()} ${line()}`)
  const sets = [limits(scenario, AMOUNT), limits(scenario, AMOUNT / 2)] as const
  let set = sets[0]
  const skews = Array.from({ length: count }, () => (scenario.skewed === true ? random.whole(-60_000, 60_000) : 0))
  const servers = skews.map((skew) => new SimulatedServer(time, START + skew))
  const clocks = Array.from(
    { length: processes },
    () => new ProcessTime(time, scenario.skewed === true ? random.whole(-500, 500) : 0),
  )
  const links = clocks.map(() => servers.map((): Link => ({ condition: 'well' })))
  const stores = clocks.map((scheduler, process): FailoverStore => {
    const members = servers.map((server, i) => ({ name: `s${i}`, store: server.client(`s${i}`, links[process]?.[i], scheduler) }))
    return multiStore(members, {
      scheduler,
      random: () => random.whole(0, 999) / 1000,
      deadlineMs: DEADLINE_MS,
      copyIntervalMs: COPY_MS,
      expectedInstances: processes,
      onStoreEvent: ({ kind, store }) => trace(() => `process ${process}: ${store} ${kind}`),
      ...options,
    })
  })
  const ledgers = new Map<string, Ledger>()
  const bannedUntil = new Map<string, number>()
  const sources: Record<string, number> = {}
  const lostAt: number[] = []
  let decisions = 0
  let longestMs = 0
  let throughBans = 0

  const ask = async (process: number, key: string, cost: number, mode: Mode, takenAt?: number): Promise<Taken> => {
    const store = stores[process] as FailoverStore
    try {
      return await store.take(set, key, cost, mode, takenAt)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (mode === 'refund' && mayBeDone(error)) throw error
      return store.takeLocally(set, key, cost, mode, takenAt).taken
    }
  }
  /** The true time of an answer: that of a store's clock without what it shows too much. */
  const trueTime = ({ source, now }: Taken, key: string): number => {
    const at = source.startsWith('fallback:s') ? Number(source.slice(10)) : source === 'local' ? 0 : ownerOf(key)
    return now - (skews[at] as number)
  }
  const ownerOf = (key: string): number => (options.strategy === 'round_robin' ? (owners.get(key) ?? 0) : 0)
  const owners = new Map<string, number>()

  const decide = async (process: number, key: string): Promise<void> => {
    const clock = clocks[process] as ProcessTime
    const cost = scenario.mixed === true ? random.whole(1, 3) : 1
    const [askedAt, stalls] = [time.now(), clock.isStalled ? -1 : clock.stalls]
    const taken = await ask(process, key, cost, 'take')
    const { granted, source } = taken
    decisions++
    if (stalls === clock.stalls) longestMs = Math.max(longestMs, time.now() - askedAt)
    sources[source] = (sources[source] ?? 0) + 1
    const at = trueTime(taken, key)
    trace(
      () =>
        `process ${process}: ${key} ${granted ? 'granted' : 'refused'} ${cost} by ${source}, ${taken.readings[1]} used at ${at - START}`,
    )
    if (granted && time.now() < (bannedUntil.get(key) ?? 0) - 10) throughBans++
    const ledger = ledgers.get(key) ?? new Ledger()
    ledgers.set(key, ledger)
    const lives = servers.map((server) => server.lives).join()
    const admitted = ledger.decided(at, granted ? cost : 0, source === 'local' ? source : `${source} ${lives}`)
    if (scenario.mixed !== true || !granted || random.whole(0, 9) > 0) return
    await time.wait(random.whole(0, 300))
    try {
      await ask(process, key, cost, 'refund', taken.now)
    } catch {
      // Nobody knows whether it was given back: it is lost.
      return
    }
    trace(() => `process ${process}: ${key} gave back ${cost} of ${at - START}`)
    admitted.takeBack()
  }

  /** Asks a multiple of what is granted, and does not wait for the answers. */
  const load = async (process: number): Promise<void> => {
    while (time.now() < durationMs) {
      await (clocks[process] as ProcessTime).awake()
      void decide(process, 'shared')
      await time.wait(random.whole(20, 200))
    }
  }
  /** Asks for a key that nobody else asks for, one after the other. */
  const alone = async (process: number): Promise<void> => {
    while (time.now() < durationMs) {
      await (clocks[process] as ProcessTime).awake()
      await decide(process, `own ${process}`)
      await time.wait(random.whole(20, 200))
    }
  }
  const faults = async (): Promise<void> => {
    while (time.now() < durationMs) {
      await time.wait(random.whole(500, 6000))
      const server = random.whole(0, count - 1)
      const condition: Condition = random.pick(['refuses', 'hangs', 'refuses', 'loses answers'])
      const target = scenario.partitions === true && random.whole(0, 1) === 0 ? random.pick(links)[server] : servers[server]
      if (target !== undefined && target.condition === 'well') lose(target, server, condition)
    }
  }
  const lose = (target: Link | SimulatedServer, server: number, condition: Condition): void => {
    target.condition = condition
    const process = links.findIndex((own) => own.includes(target))
    trace(() => `server ${server} ${condition}${process < 0 ? '' : ` for process ${process}`}`)
    lostAt.push(START + time.now())
    void outage(target, servers[server] as SimulatedServer, random)
  }
  const outage = async (target: Link | SimulatedServer, server: SimulatedServer, chance: SeededRandom): Promise<void> => {
    const past = kept.get(server) ?? []
    // By then each process has told it something that it lacks when it is set back so far.
    const earlier = past.length > LONG_AGO_MS / KEEP_MS - 1 ? past[0] : undefined
    await time.wait(chance.whole(50, 9000))
    if (time.now() >= durationMs) return
    const forgets = scenario.forgets === true && target === server && chance.whole(0, 2) === 0
    const setBack = scenario.setBack === true && target === server && chance.whole(0, 1) === 0 && earlier !== undefined
    if (forgets) server.forget()
    else if (setBack) server.restore(earlier as Kept)
    // What it held on another way that it did not go on is no past of it.
    if (forgets || setBack) kept.set(server, [])
    target.condition = 'well'
    trace(() => `server ${servers.indexOf(server)} well${forgets ? ', without its memory' : setBack ? ', as it was before' : ''}`)
  }
  /** What each server held as long ago as a health check takes, and since. */
  const kept = new Map<SimulatedServer, Kept[]>(servers.map((server) => [server, [server.keep()]]))
  const keeping = async (): Promise<void> => {
    while (scenario.setBack === true && time.now() < durationMs) {
      await time.wait(KEEP_MS)
      for (const [server, held] of kept) {
        if (server.condition === 'well') held.push(server.keep())
        if (held.length > LONG_AGO_MS / KEEP_MS) held.shift()
      }
    }
  }
  const stalling = async (): Promise<void> => {
    while (scenario.stalls === true && time.now() < durationMs) {
      await time.wait(random.whole(500, 5000))
      const process = random.whole(0, processes - 1)
      trace(() => `process ${process}: stands still`)
      ;(clocks[process] as ProcessTime).stall(random.whole(50, LONGEST_STALL_MS))
    }
  }
  const changing = async (): Promise<void> => {
    while (scenario.mixed === true && time.now() < durationMs) {
      await time.wait(random.whole(2000, 9000))
      set = random.pick(sets)
      const key = `banned ${random.whole(0, 99)}`
      const askedAt = time.now()
      const lastsMs = await (stores[0] as FailoverStore)
        .ban(set, key, { durationMs: 8000, factor: 1, maxMs: 8000, forgetAfterMs: 0 })
        .catch(() => 0)
      trace(() => `process 0: ${key} banned for ${lastsMs}`)
      bannedUntil.set(key, askedAt + lastsMs)
      const knocks = lastsMs > 0 ? 40 : 0
      for (let i = 0; i < knocks && time.now() < durationMs; i++) {
        await time.wait(200)
        void decide(0, key)
      }
    }
  }
  for (const process of stores.keys()) {
    void load(process)
    void alone(process)
  }
  if (scenario.once === true)
    void time.wait(random.whole(3000, 12_000)).then(() => lose(servers[0] as SimulatedServer, 0, 'refuses'))
  else void faults()
  void stalling()
  void keeping()
  void changing()
  await time.advance(durationMs)
  for (const target of [...servers, ...links.flat()]) target.condition = 'well'
  await time.advance(SETTLE_MS)
  /** What a store holds of a key more than was admitted. */
  const overcharged = async (process: number, key: string): Promise<number> => {
    const taken = await time.until(ask(process, key, 1, 'peek'))
    const [stamp, used] = taken.readings as unknown as [number, number]
    const [limit] = set.limits
    const [ledger, at] = [ledgers.get(key) ?? new Ledger(), trueTime(taken, key)]
    if (taken.source !== 'primary' || limit === undefined) return 0
    if (limit.kind === 'bucket') return used / limit.unit - ledger.bucketLevel(AMOUNT, AMOUNT / PERIOD_MS, at)
    const since = limit.kind === 'fixed' ? stamp - (taken.now - at) : at - PERIOD_MS + 1
    return used - ledger.between(since, at)
  }
  const overs: number[] = []
  for (const process of stores.keys()) overs.push(await overcharged(process, `own ${process}`))
  const overShared = await overcharged(0, 'shared')
  for (const store of stores) await store.close()

  const shared = ledgers.get('shared') ?? new Ledger()
  const agreed = shared.agreed(UNSEEN_MS + (scenario.stalls === true ? LONGEST_STALL_MS : 0))
  const excess = (ledger: Ledger | undefined): number => (ledger === undefined ? 0 : excessOf(ledger, scenario))
  return {
    decisions,
    longestMs,
    excessAlone: Math.max(...stores.map((_, i) => excess(ledgers.get(`own ${i}`)))),
    excessShared: excess(shared),
    excessAgreed: excess(agreed),
    agreed: agreed.total / Math.max(1, shared.total),
    unseen: lostAt.reduce((sum, at) => sum + shared.between(at - UNSEEN_MS, at + 2 * DEADLINE_MS), 0),
    overchargedAlone: scenario.mixed === true ? 0 : Math.max(...overs),
    overchargedShared: scenario.mixed === true ? 0 : overShared,
    throughBans,
    sources,
  }
}

/** The worst over all limits. */
function excessOf(ledger: Ledger, { algorithm, mixed, skewed }: Scenario): number {
  const one = (amount: number, periodMs: number): number => {
    if (algorithm === 'token_bucket') return ledger.bucketExcess(amount, amount / periodMs)
    if (algorithm === 'sliding_window') return ledger.windowExcess(amount, periodMs)
    // Windows by clocks that differ begin at different times: at a change of stores one of each may end.
    return skewed === true ? ledger.windowExcess(3 * amount, periodMs) : ledger.fixedExcess(amount, periodMs)
  }
  return Math.max(one(AMOUNT, PERIOD_MS), mixed === true ? one(SECOND_AMOUNT, SECOND_PERIOD_MS) : 0)
}
