// What is going on, for who wants to look: charts, policies, paths, offenders, bans, stores. Promise: bounded memory whatever traffic comes;
// a decision pays for a few additions, a refusal for its place among the offenders; a look changes nothing. Next: live-charts.ts,
// offenders.ts; live-tables.ts has the CSV.

import type { Decision } from '../core/decision.ts'
import type { BanEvent, DecisionContext, Observer, StoreEvent, UnbanEvent } from '../core/observer.ts'
import { addObserver } from '../core/watching.ts'
import { BansSeen } from './bans-seen.ts'
import { BoundedMap } from './bounded-map.ts'
import { checkStores, processTally } from './exporter.ts'
import { limitView } from './limit-view.ts'
import { Charts, type TimelineQuery } from './live-charts.ts'
import { type LiveViewOptions, type LiveViewSettings, liveViewSettings } from './live-options.ts'
import type { LiveSnapshot, PolicyView, StoreHistoryEntry } from './live-snapshot.ts'
import { type Table, renderTable } from './live-tables.ts'
import { type Offender, Offenders } from './offenders.ts'
import { patternOf } from './path-pattern.ts'
import { countsOf } from './results.ts'
import type { Point } from './series.ts'
import { Tally } from './tally.ts'

export type { TimelineQuery } from './live-charts.ts'
export type { LiveSnapshot, PolicyView } from './live-snapshot.ts'

const MOST_WARNINGS = 50
const MOST_WHERES = 64
/** Refusals of a second that are looked at one by one. */
const LOOKED_AT = 10_000
const LONGEST_MESSAGE = 300

/** Watches, and can be looked at. */
export class LiveView implements Observer {
  /** Only with `everywhere: false`: else decisions are counted for all that watch the process together. */
  readonly onDecision?: (decision: Decision, key: string | undefined, context: DecisionContext) => void
  readonly #settings: LiveViewSettings
  readonly #tally: Tally
  /** Failures while limiting went on, by where. */
  readonly #errors = new BoundedMap<number>(MOST_WHERES, () => 0)
  readonly #since: number
  readonly #charts: Charts
  readonly #offenders: Offenders
  readonly #wouldBe: Offenders
  readonly #bans: BansSeen
  readonly #history: StoreHistoryEntry[] = []
  readonly #warnings: string[] = []
  readonly #detach: () => void
  #cancel: () => void = () => {}
  /** The second that is not yet in the charts, epoch ms; refusals are noted by it. */
  #now: number
  /** Refusals in this second, about. */
  #refusals = 0
  /** How many are to come until the next that is looked at, and for how many it stands. */
  #skip = 1
  #times = 1
  #closed = false

  constructor(options: LiveViewOptions) {
    const settings = liveViewSettings(options)
    const { seconds, minutes, maxPolicies, maxPaths, offenders, offendersWindowMs, maxBans } = settings
    this.#settings = settings
    const open = settings.everywhere ? processTally(maxPolicies) : { tally: new Tally(maxPolicies), close: () => {} }
    this.#tally = open.tally
    if (!settings.everywhere) this.onDecision = (decision, _key, context) => void open.tally.count(decision, context)
    for (const store of checkStores(options.stores ?? [], 'liveView.stores')) this.#tally.stores.note(store)
    this.#charts = new Charts(this.#tally, { seconds, minutes, maxPolicies, maxPaths })
    this.#offenders = new Offenders(offenders, offendersWindowMs)
    this.#wouldBe = new Offenders(offenders, offendersWindowMs)
    this.#bans = new BansSeen(maxBans)
    this.#since = settings.clock.now()
    this.#now = this.#since
    const leave = settings.everywhere ? addObserver(this) : () => {}
    const deafen = this.#tally.listen({ onRequest: (decision, request) => this.#charts.path(decision, request) })
    this.#detach = () => {
      leave()
      deafen()
      open.close()
    }
    this.#rest()
  }

  onRefused(decision: Decision, key: string | undefined, context: DecisionContext): void {
    this.#refused(this.#offenders, decision, key, context)
  }

  onWouldBlock(decision: Decision, key: string | undefined, context: DecisionContext): void {
    this.#refused(this.#wouldBe, decision, key, context)
  }

  onBan(event: BanEvent): void {
    this.#bans.banned(event, this.#settings.clock.now())
  }

  onUnban({ policy, key }: UnbanEvent): void {
    this.#bans.lifted(policy, key)
  }

  onError(_error: unknown, where: string): void {
    this.#errors.update(where, (count) => count + 1)
  }

  onStoreEvent(event: StoreEvent): void {
    const { kind, store, error } = event
    if (this.#history.length >= this.#settings.storeEvents) this.#history.shift()
    const message = error?.message.slice(0, LONGEST_MESSAGE)
    this.#history.push({ at: this.#settings.clock.now(), store, kind, error: message })
  }

  onWarning(message: string): void {
    if (this.#warnings.length < MOST_WARNINGS && !this.#warnings.includes(message)) this.#warnings.push(message)
  }

  /** How everything stands. */
  snapshot(): LiveSnapshot {
    const at = this.#catchUp()
    const policies = [...this.#charts.policies.entries()].map(([name, { totals }]): PolicyView => {
      const { shadow = false, asked } = this.#tally.policy(name) ?? {}
      return { name, shadow, limits: (asked?.limits ?? []).map(limitView), totals: countsOf(totals) }
    })
    return {
      at,
      since: this.#since,
      totals: countsOf(this.#charts.all.totals),
      policies,
      paths: [...this.#charts.paths.entries()].map(([pattern, { series }]) => ({ pattern, totals: countsOf(series.totals) })),
      sources: [...this.#charts.sources.entries()].map(([source, { totals }]) => ({ source, totals: countsOf(totals) })),
      shadow: policies
        .filter(({ shadow }) => shadow)
        .map(({ name, limits, totals }) => ({
          policy: name,
          limits,
          admitted: totals.granted,
          wouldRefuse: totals.would_refuse,
        })),
      stores: this.#tally.stores.figures(),
      storeHistory: [...this.#history],
      bans: this.#bans.running(at),
      warnings: [...this.#warnings],
      errors: Object.fromEntries(this.#errors.entries()),
    }
  }

  /**
   * A chart, the oldest first; its last point is the second or minute that is not over. Of what is not there, all zeros.
   * @param count points, at most as many as are remembered (default: all)
   */
  timeline(unit: 'second' | 'minute', of: TimelineQuery = {}, count = Infinity): readonly Point[] {
    const at = this.#catchUp()
    return this.#charts.points(of, unit, at, Math.min(count, this.#settings[`${unit}s`]))
  }

  /** The keys that are refused most, most first. */
  offenders(count = 20): readonly Offender[] {
    return this.#offenders.top(count, this.#settings.clock.now())
  }

  /** One of them, in full; undefined for a key that is not among them. */
  offender(key: string): Offender | undefined {
    return this.#offenders.get(key, this.#settings.clock.now())
  }

  /** The keys that limiters in shadow would refuse most. */
  wouldBeOffenders(count = 20): readonly Offender[] {
    return this.#wouldBe.top(count, this.#settings.clock.now())
  }

  /** Lifts a ban that is among those of `snapshot()`. False for one that is not. */
  lift(policy: string, key: string): Promise<boolean> {
    return this.#bans.lift(policy, key)
  }

  /** A table as CSV. No cell of it is a formula to the program that opens it. */
  csv(table: Table): string {
    return renderTable(this, table)
  }

  /** Stops watching. What was seen can still be looked at. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#catchUp()
    this.#detach()
    this.#cancel()
  }

  #refused(among: Offenders, decision: Decision, key: string | undefined, context: DecisionContext): void {
    const times = this.#standsFor()
    if (times === 0) return
    const { request } = context
    const address = request?.address
    // A list refuses addresses, before a key is looked for.
    const whom = key ?? (address === undefined ? undefined : `ip:${address}`)
    if (whom === undefined) return
    const path = request === undefined ? undefined : patternOf(request, decision.policy)
    among.add(whom, decision, path, address, this.#now, times)
    if (decision.reason === 'ban' && key !== undefined) this.#bans.refused(decision, key, context, this.#now)
  }

  /**
   * For how many refusals this one stands; 0 for one that is not looked at. Under an attack some stand for all, drawn by chance, so that
   * being watched costs little then too.
   */
  #standsFor(): number {
    if (--this.#skip > 0) return 0
    const times = this.#times
    this.#refusals += times
    this.#times = this.#refusals < LOOKED_AT ? 1 : this.#refusals < 10 * LOOKED_AT ? 8 : 64
    this.#skip = 1 + Math.floor(Math.random() * (2 * this.#times - 1))
    return times
  }

  /** Waits for the next decision: while nothing is decided no timer runs. */
  #rest(): void {
    this.#cancel = this.#tally.atNext(() => this.#begin())
  }

  #begin(): void {
    const { clock, scheduler } = this.#settings
    this.#now = clock.now()
    this.#refusals = 0
    this.#skip = 1
    this.#times = 1
    // At the beginning of the next second, so that each second has what is its own.
    this.#cancel = scheduler.after(1000 - (this.#now % 1000), () => {
      if (this.#charts.add(this.#now)) this.#begin()
      else this.#rest()
    })
  }

  /** Brings the charts up to now, and tells when that is. */
  #catchUp(): number {
    const now = this.#settings.clock.now()
    this.#charts.add(this.#now)
    this.#now = now
    return now
  }
}

/**
 * Watches all limiters of the process, and keeps what a dashboard shows, in bounded memory.
 * @throws ConfigError for an option that is unknown or wrong
 */
export function liveView(options: LiveViewOptions = {}): LiveView {
  return new LiveView(options)
}
