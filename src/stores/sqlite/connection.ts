// One connection to a SQLite file: opened when it is first needed, its table made there, asked in transactions that never block.
// Promise: a locked file is tried again between other work, until time is up; a file that was replaced or deleted is noticed within a
// second of use, and opened anew; a database handed in keeps its settings and stays open. Next: statements.ts, errors.ts.

import { statSync } from 'node:fs'
import { monotonicMs } from '../../core/clock.ts'
import { StoreError } from '../../core/errors.ts'
import { patienceOf, pause } from '../again.ts'
import { type SqliteDatabase, columnOf, isClosed } from './database.ts'
import { isHandleSick, isPassing, sqliteCode, storeError } from './errors.ts'
import { setUp, versionOf } from './set-up.ts'
import type { OwnDatabase, Place } from './source.ts'
import { Statements, VERSION } from './statements.ts'

/** What is done in one go, on statements that stay valid as long as it lasts. It may be called again when nothing was changed. */
export type Work<T> = (statements: Statements) => T

/** Ms between looks at whether the file is still the one that was opened. */
const LOOK_MS = 1000
const BEGIN = 'BEGIN IMMEDIATE'
const COMMIT = 'COMMIT'
/** Instead of an identity, for a file that is not there, or cannot be looked at. */
const GONE = 'gone'

interface Open {
  readonly database: SqliteDatabase
  readonly own: OwnDatabase | undefined
  readonly statements: Statements
  readonly begin: () => unknown
  readonly commit: () => unknown
  /** Which file it is; undefined for a database handed in. */
  readonly identity: string | undefined
  /** How long a database handed in blocks when it is locked: put back after each use. */
  readonly busyTimeoutMs: number
}

/** See above. */
export class Connection {
  readonly name: string
  readonly table: string
  /** What errors call it. */
  readonly title: string
  readonly #place: Place
  readonly #patienceMs: number
  #open: Open | undefined
  #lookAt = 0
  #closed = false

  constructor(name: string, place: Place, table: string, deadlineMs: number) {
    this.name = name
    this.table = table
    this.title = place.kind === 'file' ? place.file : 'the database handed in'
    this.#place = place
    this.#patienceMs = patienceOf(deadlineMs)
  }

  /** Reads, without a lock that anyone waits for. */
  read<T>(work: Work<T>, patienceMs = this.#patienceMs): Promise<T> {
    return this.#attempt((open) => work(open.statements), patienceMs)
  }

  /**
   * Reads and writes in one transaction, alone among all connections to the file.
   * @param wanted asked before each further attempt: false ends them
   */
  change<T>(work: Work<T>, patienceMs = this.#patienceMs, wanted?: () => boolean): Promise<T> {
    return this.#attempt((open) => this.#transaction(open, work), patienceMs, wanted)
  }

  /** Makes the table, or brings it up to date. */
  setUp(patienceMs: number): Promise<void> {
    return this.#attempt(({ database }) => setUp(database, this.table, this.name, this.title), patienceMs)
  }

  /** Looks at once whether the file is still the one that was opened. */
  look(): void {
    this.#lookAt = 0
  }

  /** Nothing is done any more; a database of the store's own is closed. */
  close(): void {
    this.#closed = true
    this.#drop()
  }

  /** Straight away where the file is free: most of the time, and then nothing waits for a promise. */
  #attempt<T>(run: (open: Open) => T, patienceMs: number, wanted?: () => boolean): Promise<T> {
    try {
      return Promise.resolve(this.#run(run))
    } catch (error) {
      if (isPassing(error)) return this.#again(run, monotonicMs() + patienceMs, wanted, error)
      return Promise.reject(this.#failure(error))
    }
  }

  async #again<T>(run: (open: Open) => T, untilMs: number, wanted: (() => boolean) | undefined, first: unknown): Promise<T> {
    let last = first
    for (let attempt = 0; monotonicMs() < untilMs; attempt++) {
      await pause(attempt)
      if (wanted?.() === false) break
      try {
        return this.#run(run)
      } catch (error) {
        if (!isPassing(error)) throw this.#failure(error)
        last = error
      }
    }
    throw this.#failure(last)
  }

  #run<T>(run: (open: Open) => T): T {
    if (this.#closed) throw new StoreError(this.name, 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
    const open = this.#opened()
    const { database, busyTimeoutMs } = open
    if (isClosed(database)) throw new Error('the database is not open')
    if (busyTimeoutMs === 0) return run(open)
    database.exec('PRAGMA busy_timeout = 0')
    try {
      return run(open)
    } finally {
      quietly(() => database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`))
    }
  }

  #transaction<T>({ database, statements, begin, commit }: Open, work: Work<T>): T {
    begin()
    let ending = false
    try {
      const result = work(statements)
      ending = true
      commit()
      return result
    } catch (error) {
      // After some errors SQLite has rolled back by itself.
      quietly(() => database.exec('ROLLBACK'))
      if (ending && sqliteCode(error) === 'IOERR') {
        this.#forgetIfSick(error)
        throw storeError(error, this.name, this.title, this.table, true)
      }
      throw error
    }
  }

  #opened(): Open {
    const now = monotonicMs()
    if (this.#open !== undefined && now >= this.#lookAt) {
      this.#lookAt = now + LOOK_MS
      const identity = this.#identity()
      if (identity === GONE || identity !== this.#open.identity) this.#drop()
    }
    if (this.#open === undefined) {
      this.#lookAt = now + LOOK_MS
      this.#open = this.#place.kind === 'file' ? this.#openFile(this.#place) : this.#openHandedIn(this.#place.database)
    }
    return this.#open
  }

  #openFile(place: Place & { kind: 'file' }): Open {
    const own = place.open()
    try {
      own.exec(
        'PRAGMA busy_timeout = 0; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216',
      )
      const statements = this.#prepared(own)
      const [begin, commit] = [own.prepare(BEGIN), own.prepare(COMMIT)]
      return {
        database: own,
        own,
        statements,
        begin: () => begin.run(),
        commit: () => commit.run(),
        identity: this.#identity(),
        busyTimeoutMs: 0,
      }
    } catch (error) {
      quietly(() => own.close())
      throw error
    }
  }

  #openHandedIn(database: SqliteDatabase): Open {
    const busyTimeoutMs = columnOf(database.prepare('PRAGMA busy_timeout').all()[0], 'timeout', 0)
    database.exec('PRAGMA busy_timeout = 0')
    const putBack = Number(busyTimeoutMs ?? 0)
    try {
      return {
        database,
        own: undefined,
        statements: this.#prepared(database),
        // Not prepared: libsql leaves statements that fail open, and other connections wait for them.
        begin: () => database.exec(BEGIN),
        commit: () => database.exec(COMMIT),
        identity: undefined,
        busyTimeoutMs: putBack,
      }
    } finally {
      database.exec(`PRAGMA busy_timeout = ${putBack}`)
    }
  }

  #prepared(database: SqliteDatabase): Statements {
    if (versionOf(database, this.table) !== String(VERSION)) setUp(database, this.table, this.name, this.title)
    return new Statements(database, this.table)
  }

  #identity(): string | undefined {
    if (this.#place.kind === 'database') return undefined
    try {
      const { dev, ino } = statSync(this.#place.file, { bigint: true })
      return `${dev}:${ino}`
    } catch {
      return GONE
    }
  }

  #failure(error: unknown): StoreError {
    this.#forgetIfSick(error)
    return storeError(error, this.name, this.title, this.table)
  }

  #forgetIfSick(error: unknown): void {
    if (!(error instanceof StoreError) && isHandleSick(error)) this.#drop()
  }

  #drop(): void {
    const own = this.#open?.own
    this.#open = undefined
    // SQLite leaves the files alone that have come to the place of those it had opened.
    if (own !== undefined) quietly(() => own.close())
  }
}

function quietly(run: () => unknown): void {
  try {
    run()
  } catch {
    // There is another error to tell of.
  }
}
