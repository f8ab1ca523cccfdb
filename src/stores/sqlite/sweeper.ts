// Housekeeping of the table: what has expired is removed by and by, or at once where somebody asks. Promise: rows are looked at a page at
// a time without a lock, and again before they are deleted, so that no decision waits for more than one page. Next: ../maintenance.ts.

import { systemClock } from '../../core/clock.ts'
import type { CleanupReport, CleanupSettings } from '../maintenance.ts'
import type { RemoteSettings } from '../remote-options.ts'
import type { Connection } from './connection.ts'
import { matches } from './key-match.ts'
import { type Row, VERSION_KEY } from './statements.ts'

/** Rows looked at per sweep: a millisecond of work. */
const PAGE = 1000
/** Ms to the next sweep when so many of a page had expired that more of them may follow. */
const SOON_MS = 50
const MANY = PAGE / 4
/** Nobody waits for a decision here. */
const PATIENCE_MS = 10_000
/** Of updated_at: for clean-ups that do not ask about it. */
const NEVER = -1

/** See above. */
export class Sweeper {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #now: () => number
  readonly #intervalMs: number | false
  #timer: ReturnType<typeof setTimeout> | undefined
  #after = 0
  #stopped = false

  constructor(connection: Connection, { keyPrefix, clock = systemClock }: RemoteSettings, intervalMs: number | false) {
    this.#connection = connection
    this.#prefix = keyPrefix
    this.#now = () => clock.now()
    this.#intervalMs = intervalMs
  }

  /** Lets sweeps begin, with the first decision. */
  wake(): void {
    if (this.#timer === undefined && this.#intervalMs !== false && !this.#stopped) this.#later(this.#intervalMs)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Looks at one page, after the last one; tells how many rows of it were deleted. */
  async sweep(): Promise<number> {
    const now = this.#now()
    const rows = await this.#page(this.#after, PAGE)
    this.#after = rows.length < PAGE ? 0 : (rows.at(-1) as Row).number
    const dead = rows.filter(({ key, expiresAt }) => expiresAt <= now && this.#isOurs(key))
    return this.#drop(dead, now, NEVER)
  }

  /** Looks at all rows, and deletes those that meet the conditions. */
  async cleanUp({ dryRun, olderThanMs, batchSize, pattern, onProgress }: CleanupSettings): Promise<CleanupReport> {
    const now = this.#now()
    const unchangedAt = olderThanMs === undefined ? NEVER : now - olderThanMs
    let found = 0
    let deleted = 0
    for (let after = 0, more = true; more;) {
      const rows = await this.#page(after, batchSize)
      more = rows.length === batchSize
      after = rows.at(-1)?.number ?? after
      const dead = rows.filter(
        ({ key, expiresAt, updatedAt }) =>
          (expiresAt <= now || updatedAt <= unchangedAt) &&
          this.#isOurs(key) &&
          (pattern === undefined || matches(key.slice(this.#prefix.length), pattern)),
      )
      found += dead.length
      if (!dryRun && dead.length > 0) {
        deleted += await this.#drop(dead, now, unchangedAt)
        onProgress(deleted)
      }
      // Decisions get their turn between two pages.
      await new Promise((resolve) => setImmediate(resolve))
    }
    return { found, deleted }
  }

  /** The version's row is nobody's. */
  #isOurs(key: string): boolean {
    return key.startsWith(this.#prefix) && key !== VERSION_KEY
  }

  #page(after: number, most: number): Promise<readonly Row[]> {
    return this.#connection.read((statements) => statements.page(after, most), PATIENCE_MS)
  }

  async #drop(rows: readonly Row[], now: number, unchangedAt: number): Promise<number> {
    if (rows.length === 0) return 0
    return this.#connection.change((statements) => {
      let dropped = 0
      for (const { key } of rows) if (statements.dropIf(key, now, unchangedAt)) dropped++
      return dropped
    }, PATIENCE_MS)
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      // What fails here fails decisions too, and they tell.
      void this.sweep()
        .catch(() => 0)
        .then((swept) => {
          if (!this.#stopped && this.#intervalMs !== false) this.#later(swept >= MANY ? SOON_MS : this.#intervalMs)
        })
    }, ms)
    this.#timer.unref()
  }
}
