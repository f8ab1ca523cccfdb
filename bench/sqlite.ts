// The SQLite store on a file in the temp folder: 1, 32 and 256 decisions in flight, on one hot key and on 10 000, against the floor of a
// prepared upsert that answers with the count, and rate-limiter-flexible's store. Every contender has a file and a connection of its own.

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { RateLimiterSQLite } from 'rate-limiter-flexible'
import { type AlgorithmName, createLimiter } from '../dist/index.js'
import { type SqliteDatabase, sqliteStore } from '../dist/stores/sqlite/index.js'
import { type AsyncContender, raceInFlight } from './in-flight.ts'
import { markdown } from './race.ts'

const LIMIT = 1_000_000_000
const KEYS = 10_000
const FLOOR = 'raw upsert'

type BetterSqlite = new (file: string) => SqliteDatabase & { close(): unknown }
const Better = createRequire(import.meta.url)('better-sqlite3') as BetterSqlite

/** The columns are in flight × keys. */
export async function sqliteRace(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'smart-ratelimit-bench-'))
  const head = ['decisions a second']
  const rows: string[][] = []
  const failures: string[] = []
  try {
    for (const inFlight of [1, 32, 256]) {
      for (const spread of [false, true]) {
        head.push(`${inFlight} in flight, ${spread ? `${KEYS} keys` : '1 hot key'}`, `× ${FLOOR}`)
        const name = `${inFlight}-${spread}`
        const { contenders, end } = await contendersIn(join(folder, name), (turn) => `client:${spread ? turn % KEYS : 0}`)
        const results = await raceInFlight(contenders, FLOOR, { inFlight, rounds: 7, ms: 400 })
        for (const [i, { name: contender, perSecond, ratio, failed }] of results.entries()) {
          rows[i] ??= [contender]
          rows[i]?.push(Math.round(perSecond).toLocaleString('en'), ratio.toFixed(2))
          if (failed > 0) failures.push(`${contender} failed ${failed} times at ${name}.`)
        }
        await end()
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return [markdown(head, rows), ...failures].join('\n\n')
}

async function contendersIn(
  path: string,
  keyOf: (turn: number) => string,
): Promise<{ contenders: Readonly<Record<string, AsyncContender>>; end: () => Promise<void> }> {
  const ends: (() => unknown)[] = []
  const ours = (algorithm: AlgorithmName, suffix: string, batchSize = 256, database?: SqliteDatabase): AsyncContender => {
    const store = sqliteStore(database ?? `${path}-${algorithm}-${suffix}`, {
      deadlineMs: 60_000,
      rememberRefusalsMs: false,
      batchSize,
    })
    ends.push(() => store.close())
    const limiter = createLimiter({ rate: `${LIMIT}/h`, algorithm, store })
    return (turn) => limiter.check(keyOf(turn))
  }
  const better = opened(new Better(`${path}-better`))
  const flexible = await peer(opened(new Better(`${path}-peer`)))
  const contenders = {
    [FLOOR]: rawOneByOne(upsertIn(`${path}-floor`), keyOf),
    'raw upsert, all in flight in one transaction': rawTogether(`${path}-together`, keyOf),
    'rate-limiter-flexible (better-sqlite3)': (turn: number) => flexible.consume(keyOf(turn)),
    'ours, fixed_window': ours('fixed_window', 'own'),
    'ours, sliding_window': ours('sliding_window', 'own'),
    'ours, token_bucket': ours('token_bucket', 'own'),
    'ours, one a transaction (batchSize 1)': ours('token_bucket', 'one', 1),
    'ours, a better-sqlite3 database': ours('token_bucket', 'better', 256, better),
  }
  return {
    contenders,
    async end() {
      for (const run of ends) await run()
    },
  }
}

const TABLE = 'CREATE TABLE IF NOT EXISTS floor (k TEXT PRIMARY KEY, hits INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID'
const UPSERT =
  'INSERT INTO floor (k, hits, until) VALUES (?, 1, ?) ON CONFLICT (k) DO UPDATE SET hits = hits + 1, until = excluded.until RETURNING hits'

function opened<T extends SqliteDatabase>(database: T): T {
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  return database
}

function upsertIn(path: string): StatementSync {
  const database = opened(new DatabaseSync(path))
  database.exec(TABLE)
  return database.prepare(UPSERT)
}

function rawOneByOne(upsert: StatementSync, keyOf: (turn: number) => string): AsyncContender {
  return (turn) => Promise.resolve(upsert.get(keyOf(turn), Date.now()))
}

/** What batching alone is worth: as our store gathers, without a law, a deadline or an answer to explain. */
function rawTogether(path: string, keyOf: (turn: number) => string): AsyncContender {
  const database = opened(new DatabaseSync(path))
  database.exec(TABLE)
  const [upsert, begin, commit] = [database.prepare(UPSERT), database.prepare('BEGIN IMMEDIATE'), database.prepare('COMMIT')]
  let waiting: { readonly key: string; readonly resolve: (found: unknown) => void }[] = []
  const flush = (): void => {
    const all = waiting
    waiting = []
    begin.run()
    const found = all.map(({ key }) => upsert.get(key, Date.now()))
    commit.run()
    for (const [i, { resolve }] of all.entries()) resolve(found[i])
  }
  return (turn) =>
    new Promise((resolve) => {
      if (waiting.push({ key: keyOf(turn), resolve }) === 1) setImmediate(flush)
    })
}

function peer(storeClient: SqliteDatabase): Promise<RateLimiterSQLite> {
  return new Promise((resolve, reject) => {
    const made: RateLimiterSQLite = new RateLimiterSQLite(
      { storeClient, storeType: 'better-sqlite3', tableName: 'peer', points: LIMIT, duration: 3600 },
      (error?: Error) => (error ? reject(error) : setImmediate(() => resolve(made))),
    )
  })
}
