// How MySQL and MariaDB are asked: the rows of a trip are locked in the order of their keys, the laws run here, what changed is written,
// and the transaction ends. Two trips to the server for any number of decisions; peeks take one and lock nothing.
// Promise: no decision is lost between processes, and no two of them wait for each other in a circle. Next: server.ts, ../counter.ts.

import type { BanTerms } from '../../core/ban-terms.ts'
import { StoreError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { Counter } from '../counter.ts'
import { banRecord, heldStates, keepMs } from '../record.ts'
import type { Driver, Found, Question } from '../remote-driver.ts'
import type { RemoteSettings } from '../remote-options.ts'
import type { Mode } from '../store.ts'
import type { Change, Entry, Updated } from '../update.ts'
import { sweepExpired } from './clean-up.ts'
import type { Applied, Server, Texts } from './server.ts'
import type { Row, RowUse } from './statements.ts'

/** An expiry that moves rarely spares its index most of the work. Later than needed is never wrong. */
const EXPIRY_GRAIN_MS = 60_000

/** By the names of rows. */
type Counters = Iterable<readonly [string, Counter]>

const USES: Readonly<Record<Mode, RowUse>> = { take: 'makes', charge: 'makes', refund: 'changes', peek: 'looks' }

/** See {@link Driver}. */
export class MysqlDriver implements Driver {
  readonly name: string
  readonly concurrency: number
  readonly #server: Server
  readonly #settings: RemoteSettings

  constructor(server: Server, settings: RemoteSettings, concurrency: number) {
    this.name = settings.name
    this.concurrency = concurrency
    this.#server = server
    this.#settings = settings
  }

  async decide(questions: readonly Question[], wanted: (i: number) => boolean): Promise<readonly (Found | StoreError)[]> {
    const asked = this.#settings.clock?.now()
    const uses = new Map<string, RowUse>()
    for (const { key, mode } of questions) {
      const [name, use] = [this.#name(key), USES[mode]]
      const known = uses.get(name)
      if (known === undefined || known === 'looks' || use === 'makes') uses.set(name, use)
    }
    const keys = [...uses.keys()].toSorted(byBytes)
    const answer = (texts: Texts, serverNow: number): { found: (Found | StoreError)[]; counters: Counters } => {
      const now = asked ?? serverNow
      const counters = new Map(keys.map((key) => [key, new Counter(texts.get(key), now)]))
      const found = questions.map((question, i) =>
        // Rows may have been waited for. Whoever was told meanwhile that it took too long is not charged on top.
        wanted(i) ? (counters.get(this.#name(question.key)) as Counter).decide(question) : this.#unwanted(),
      )
      return { found, counters }
    }
    if (keys.every((key) => uses.get(key) === 'looks')) {
      const { texts, now } = await this.#server.read(keys)
      return answer(texts, now).found
    }
    return this.#server.change({
      keys,
      use: (key) => uses.get(key) as RowUse,
      apply: (texts, serverNow) => {
        const { found, counters } = answer(texts, serverNow)
        const rows = rowsOf(counters, texts, asked ?? serverNow)
        return { statements: this.#server.statements.write(rows), result: found }
      },
    })
  }

  forget(key: string): Promise<void> {
    const name = this.#name(key)
    return this.#server.change({
      keys: [name],
      use: () => 'changes',
      apply: (texts) => ({ statements: texts.has(name) ? [this.#server.statements.delete([name])] : [], result: undefined }),
    })
  }

  ban(set: LimitSet, key: string, terms: BanTerms): Promise<number> {
    return this.#one(key, 'makes', (counter) => counter.change(set, (record, now) => banRecord(record, terms, now)))
  }

  unban(set: LimitSet, key: string): Promise<void> {
    return this.#one(key, 'changes', (counter) =>
      counter.change(set, (record) => {
        record.ban = undefined
      }),
    )
  }

  async read(_set: LimitSet, key: string): Promise<{ readonly text: string | undefined; readonly now: number }> {
    const asked = this.#settings.clock?.now()
    const { texts, now } = await this.#server.read([this.#name(key)])
    return { text: texts.get(this.#name(key)), now: asked ?? now }
  }

  /** See {@link UpdatableStore}. The last entry of each writer stands in a row beside the counter's. */
  update(set: LimitSet, key: string, change: Change, entry: Entry | undefined): Promise<Updated> {
    const asked = this.#settings.clock?.now()
    const name = this.#name(key)
    const entryName = `${name} ${entry?.writer}`
    return this.#server.change({
      keys: entry === undefined ? [name] : [name, entryName],
      use: () => 'makes',
      apply: (texts, serverNow) => {
        const now = asked ?? serverNow
        const counter = new Counter(texts.get(name), now)
        const result = (outcome: Updated['outcome'], statements: readonly string[]): Applied<Updated> => {
          const states = heldStates(counter.record(set), set, now) ?? set.limits.map(() => [])
          return { statements, result: { outcome, states, now } }
        }
        if (entry !== undefined && Number(texts.get(entryName)) >= entry.sequence) return result('already', [])
        if (!counter.change(set, change)) return result('unchanged', [])
        const rows = rowsOf([[name, counter]], texts, now)
        if (entry !== undefined)
          rows.push({ key: entryName, state: String(entry.sequence), expiresAt: now + keepMs(set), updatedAt: now })
        return result('changed', this.#server.statements.write(rows))
      },
    })
  }

  /** Also finds out whether this server takes writes. */
  ping(): Promise<void> {
    return this.#server.ping()
  }

  sweep(): Promise<number> {
    return sweepExpired(this.#server, this.#settings)
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  #one<T>(key: string, use: RowUse, change: (counter: Counter) => T): Promise<T> {
    const asked = this.#settings.clock?.now()
    const name = this.#name(key)
    return this.#server.change({
      keys: [name],
      use: () => use,
      apply: (texts, serverNow) => {
        const now = asked ?? serverNow
        const counter = new Counter(texts.get(name), now)
        const result = change(counter)
        return { statements: this.#server.statements.write(rowsOf([[name, counter]], texts, now)), result }
      },
    })
  }

  #unwanted(): StoreError {
    return new StoreError(this.name, 'was asked by nobody who still waits', { kind: 'not_executed' })
  }

  #name(key: string): string {
    return this.#settings.keyPrefix + key
  }
}

/** What is to be written. What has no row by now was only looked at, or given back to: nothing is written for it. */
function rowsOf(counters: Counters, texts: Texts, now: number): Row[] {
  const rows: Row[] = []
  for (const [key, counter] of counters) {
    const state = texts.has(key) ? counter.written() : undefined
    if (state === undefined) continue
    const expiresAt = state === '' ? now : Math.ceil(counter.keepUntil() / EXPIRY_GRAIN_MS) * EXPIRY_GRAIN_MS
    rows.push({ key, state, expiresAt, updatedAt: now })
  }
  return rows
}

/** As the table sorts: names are ASCII. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
