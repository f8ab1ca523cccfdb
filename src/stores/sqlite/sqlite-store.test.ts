import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import BetterSqlite from 'better-sqlite3'
import Libsql from 'libsql'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { type ManualClock, manualClock } from '../../core/clock.ts'
import { ConfigError } from '../../core/errors.ts'
import { buildLimitSet } from '../../core/limit-set.ts'
import type { CleanupOptions, CleanupReport } from '../maintenance.ts'
import { keepMs } from '../record.ts'
import { storeKey } from '../store-key.ts'
import { type SqliteDatabase, type SqliteSource, type SqliteStoreOptions, sqliteStore } from './index.ts'

const START_MS = 1_700_000_000_000
const set = buildLimitSet('login', '5/m', { algorithm: 'fixed_window' })
const other = buildLimitSet('search', '5/h', { algorithm: 'token_bucket' })

let database: DatabaseSync
let clock: ManualClock

beforeEach(() => {
  database = new DatabaseSync(':memory:')
  clock = manualClock(START_MS)
})

afterEach(() => database.close())

function storeOn(options: SqliteStoreOptions = {}, source: SqliteSource = database): ReturnType<typeof sqliteStore> {
  return sqliteStore(source, { clock, rememberRefusalsMs: false, deadlineMs: 5000, sweepIntervalMs: false, ...options })
}

function keys(): string[] {
  const rows = database.prepare("SELECT key FROM smart_ratelimit WHERE key <> ' version' ORDER BY rowid").all()
  return rows.map((row) => String(row['key']))
}

function nameOf(identity: string, of = set): string {
  return `ratelimit:${storeKey(of, identity)}`
}

describe('what the store is made of', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'smart-ratelimit-'))
  })

  afterEach(() => rmSync(folder, { recursive: true }))

  it.each([
    ['a path', (file: string) => file],
    ['a file: URL', (file: string) => pathToFileURL(file)],
    ['a file: URL as text', (file: string) => String(pathToFileURL(file))],
    ['an object with a path', (file: string) => ({ file })],
  ])('may be named by %s', async (_, source) => {
    const file = join(folder, 'counters of mine.sqlite')
    const store = storeOn({}, source(file))
    await store.take(set, 'k', 2, 'take')
    await store.close()
    const reader = new DatabaseSync(file)
    expect(reader.prepare('SELECT state FROM smart_ratelimit WHERE key = ?').get(nameOf('k'))).toEqual({
      state: `${Math.floor(START_MS / 60_000) * 60_000},2`,
    })
    expect(reader.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
    reader.close()
  })

  it('is smart-ratelimit.sqlite in the working directory when nothing is said, also if that directory is left', async () => {
    const before = process.cwd()
    try {
      process.chdir(folder)
      const store = sqliteStore()
      process.chdir(before)
      await store.ping()
      await store.close()
      const reader = new DatabaseSync(join(folder, 'smart-ratelimit.sqlite'), { readOnly: true })
      expect(reader.prepare('SELECT key FROM smart_ratelimit').all()).toEqual([{ key: ' version' }])
      reader.close()
    } finally {
      process.chdir(before)
    }
  })

  it('may be a file whose name begins with file: and is no URL', async () => {
    const before = process.cwd()
    try {
      process.chdir(folder)
      const store = sqliteStore('file:dev.sqlite')
      await store.ping()
      await store.close()
      expect(new DatabaseSync(join(folder, 'dev.sqlite')).isOpen).toBe(true)
    } finally {
      process.chdir(before)
    }
  })

  it('names nothing on the disk before it is asked', () => {
    expect(() => sqliteStore(join(folder, 'not', 'there.sqlite'))).not.toThrow()
  })

  it('takes every database by its own type', () => {
    expectTypeOf<DatabaseSync>().toExtend<SqliteDatabase>()
    expectTypeOf<InstanceType<typeof Libsql>>().not.toBeAny()
    expectTypeOf<InstanceType<typeof Libsql>>().toExtend<SqliteDatabase>()
  })

  const wrong: [string, unknown, RegExp][] = [
    ['null', null, /^sqliteStore\.source: expected a path, \{ file \}, or an open database .*received null$/],
    ['a number', 5, /received 5$/],
    ['an empty object', {}, /\(it has no exec\(\) and prepare\(\)\), received an object$/],
    ['nothing in a text', '', /received ""$/],
    ['a NUL in a path', 'a\0b', /expected a path/],
    ['memory', ':memory:', /expected a file \(a database in memory serves one process; memoryStore\(\) does that better\)/],
    ['a wrong setting', { file: 'x', mode: 'ro' }, /^sqliteStore\.source\.mode: expected file/],
    ['a wrong file', { file: 5 }, /^sqliteStore\.source\.file: expected a path/],
    ['a URL of a server', new URL('https://example.com/x'), /expected a file: URL, received "https:/],
    ['a file: URL of another machine', 'file://server/x', /expected a file: URL of this machine/],
    [
      'a statement that answers nothing',
      { exec() {}, prepare: () => ({ all: () => [], run() {} }) },
      /its statements answer nothing/,
    ],
  ]

  it.each(wrong)('is no store: %s', (_, source, message) => {
    expect(() => sqliteStore(source as string)).toThrow(ConfigError)
    expect(() => sqliteStore(source as string)).toThrow(message)
  })

  it('is no store: a database that is closed, or answers with promises', () => {
    // Its types say that it answers at once.
    const LibsqlPromise = createRequire(import.meta.url)('libsql/promise') as typeof Libsql
    for (const closed of [new DatabaseSync(':memory:'), new BetterSqlite(':memory:'), new Libsql(':memory:')]) {
      closed.close()
      expect(() => sqliteStore(closed as SqliteDatabase)).toThrow(/^sqliteStore\.source: .* \(.*not open\), received an object$/)
    }
    expect(() => sqliteStore(new LibsqlPromise(':memory:'))).toThrow(/\(it answers with promises\)/)
  })

  it.each([
    [{ table: 'a-b' }, /^sqliteStore\.options\.table: expected a table, or schema\.table/],
    [{ table: 'a.b.c' }, /options\.table/],
    [{ table: 'sqlite_mine' }, /options\.table/],
    [{ table: '"; DROP TABLE x; --' }, /options\.table/],
    [{ table: 5 }, /options\.table/],
    [{ sweepIntervalMs: 5 }, /^sqliteStore\.options\.sweepIntervalMs: expected a whole number from 10 to 86400000, or false/],
    [{ sweepIntervalMs: true }, /options\.sweepIntervalMs/],
    [{ sweepInterval: 5000 }, /^sqliteStore\.options\.sweepInterval: expected one of table, sweepIntervalMs, /],
    [{ deadlineMs: 0 }, /^sqliteStore\.options\.deadlineMs/],
  ])('has no option %j', (options, message) => {
    expect(() => sqliteStore(database, options as SqliteStoreOptions)).toThrow(message)
  })
})

describe('a decision', () => {
  it('writes nothing for what is refused, and nothing that was given back to nobody', async () => {
    const store = storeOn()
    await store.take(set, 'nobody', 1, 'refund')
    await store.unban(set, 'nobody')
    expect(keys()).toEqual([])
    await store.take(set, 'k', 5, 'take')
    const row = (): unknown => database.prepare('SELECT * FROM smart_ratelimit WHERE key = ?').get(nameOf('k'))
    const before = row()
    clock.advance(10)
    expect((await store.take(set, 'k', 1, 'take')).granted).toBe(false)
    expect(row()).toEqual(before)
    await store.take(set, 'k', 5, 'refund')
    expect(keys()).toEqual([])
  })

  it('of 256 in one turn is one transaction', async () => {
    let begun = 0
    const counted: SqliteDatabase = {
      exec: (sql) => {
        if (sql.startsWith('BEGIN')) begun++
        database.exec(sql)
      },
      prepare: (sql) => database.prepare(sql),
    }
    const store = storeOn({}, counted)
    await store.ping()
    begun = 0
    const answers = await Promise.all(Array.from({ length: 256 }, (_, i) => store.take(set, `k${i % 40}`, 1, 'take')))
    expect(begun).toBe(1)
    expect(answers.filter(({ granted }) => granted)).toHaveLength(200)
    await Promise.all(Array.from({ length: 100 }, (_, i) => store.take(set, `k${i}`, 1, 'peek')))
    expect(begun).toBe(1)
  })

  it('counts in a table of the name it is given', async () => {
    const store = storeOn({ table: 'main.Limits_1' })
    await store.take(set, 'k', 1, 'take')
    expect(database.prepare('SELECT count(*) AS n FROM Limits_1').get()).toEqual({ n: 2 })
    expect(store.setupSql()).toContain('CREATE TABLE IF NOT EXISTS "main"."Limits_1" (')
  })
})

describe('an update by a function', () => {
  it('is made at most once under one entry, and tells what the counter holds', async () => {
    const store = storeOn()
    const add = (count: number) => (record: { states: number[][] }, now: number) => {
      record.states[0] = [now, (record.states[0]?.[1] ?? 0) + count]
      return count > 0
    }
    const entry = { writer: 'w1', sequence: 7 }
    expect(await store.update(set, 'k', add(2), entry)).toEqual({ outcome: 'changed', states: [[START_MS, 2]], now: START_MS })
    expect(await store.update(set, 'k', add(2), entry)).toEqual({ outcome: 'already', states: [[START_MS, 2]], now: START_MS })
    expect((await store.update(set, 'k', add(2), { ...entry, sequence: 6 })).outcome).toBe('already')
    expect((await store.update(set, 'k', add(1), { writer: 'w2', sequence: 1 })).outcome).toBe('changed')
    expect((await store.update(set, 'k', add(0), { ...entry, sequence: 8 })).outcome).toBe('unchanged')
    expect((await store.update(set, 'k', add(1), { ...entry, sequence: 8 })).outcome).toBe('changed')
    expect((await store.update(set, 'k', add(1))).states).toEqual([[START_MS, 5]])
    expect((await store.update(set, 'j', () => false)).states).toEqual([[]])
    expect(await store.read(set, 'k')).toEqual([[START_MS, 5]])
    clock.advance(keepMs(set))
    await store.sweep()
    expect(keys()).toEqual([])
  })
})

describe('housekeeping', () => {
  it('sweeps what has expired and nothing else', async () => {
    const store = storeOn()
    await store.take(set, 'short', 1, 'take')
    await store.take(other, 'long', 1, 'take')
    await store.ban(set, 'banned', { durationMs: 3_600_000, factor: 1, maxMs: 3_600_000, forgetAfterMs: 3_600_000 })
    clock.advance(keepMs(set) - 1)
    expect(await store.sweep()).toBe(0)
    clock.advance(1)
    expect(await store.sweep()).toBe(1)
    expect(keys()).toEqual([nameOf('long', other), nameOf('banned')])
    clock.set(START_MS + keepMs(other))
    expect(await store.sweep()).toBe(1)
    // The ban is over, and its strikes still count.
    clock.set(START_MS + 7_200_000 - 1)
    expect(await store.sweep()).toBe(0)
    clock.advance(1)
    expect(await store.sweep()).toBe(1)
    expect(keys()).toEqual([])
  })

  it('sweeps a thousand rows at a time, by and by all of them, and begins anew', async () => {
    const store = storeOn()
    const all = (from: number, to: number): Promise<unknown> =>
      Promise.all(Array.from({ length: to - from }, (_, i) => store.take(set, `k${from + i}`, 1, 'take')))
    await all(0, 2500)
    clock.advance(keepMs(set))
    await store.take(set, 'k1200', 1, 'take')
    const swept = [await store.sweep(), await store.sweep(), await store.sweep()]
    // The version's row is looked at too, and the row that was used again is left.
    expect(swept).toEqual([999, 999, 501])
    expect(keys()).toEqual([nameOf('k1200')])
    await all(0, 10)
    clock.advance(keepMs(set))
    expect(await store.sweep()).toBe(11)
  })

  it('sweeps by itself while there are decisions, and lets the process end', async () => {
    const store = storeOn({ sweepIntervalMs: 10 })
    await store.take(set, 'k', 1, 'take')
    clock.advance(keepMs(set))
    await expect.poll(keys, { interval: 5 }).toEqual([])
    await store.close()
  })

  it('cleans up what has expired: a dry run finds what the real one deletes', async () => {
    const store = storeOn()
    for (let i = 0; i < 25; i++) await store.take(set, `k${i}`, 1, 'take')
    clock.advance(keepMs(set))
    for (let i = 0; i < 7; i++) await store.take(set, `k${i}`, 1, 'take')
    await store.take(other, 'live', 1, 'take')
    const before = keys()
    expect(await store.cleanup({ dryRun: true, batchSize: 4 })).toEqual<CleanupReport>({ found: 18, deleted: 0 })
    expect(keys()).toEqual(before)
    const progress: number[] = []
    const report = await store.cleanup({ batchSize: 4, onProgress: (deleted) => progress.push(deleted) })
    expect(report).toEqual<CleanupReport>({ found: 18, deleted: 18 })
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
    expect(progress.at(-1)).toBe(18)
    expect(keys()).toHaveLength(8)
    expect(await store.cleanup()).toEqual<CleanupReport>({ found: 0, deleted: 0 })
  })

  it('deletes live counters only where it is told how old, and never what was used since', async () => {
    const store = storeOn()
    await store.take(other, 'old', 1, 'take')
    clock.advance(5000)
    await store.take(other, 'new', 1, 'take')
    expect(await store.cleanup({ olderThanMs: 5001 })).toEqual<CleanupReport>({ found: 0, deleted: 0 })
    const options = { olderThanMs: 5000 }
    expect(await store.cleanup({ ...options, dryRun: true })).toEqual<CleanupReport>({ found: 1, deleted: 0 })
    expect(await store.cleanup(options)).toEqual<CleanupReport>({ found: 1, deleted: 1 })
    expect(keys()).toEqual([nameOf('new', other)])
  })

  it('cleans up the names of a pattern, letter by letter, and leaves other prefixes alone', async () => {
    const [store, stranger] = [storeOn(), storeOn({ keyPrefix: 'other:' })]
    for (const key of ['a_b', 'a%b', 'axb', 'A_B', 'a|b', 'a b']) {
      await store.take(set, key, 1, 'take')
      await stranger.take(set, key, 1, 'take')
    }
    clock.advance(keepMs(set))
    const found = async (keyPattern: string): Promise<number> => (await store.cleanup({ dryRun: true, keyPattern })).found
    expect(await found('*')).toBe(6)
    expect(await found('login|*')).toBe(6)
    expect(await found('LOGIN|*')).toBe(0)
    expect(await found('*|a_b')).toBe(1)
    expect(await found('*|A_B')).toBe(1)
    expect(await found('*|a%b')).toBe(1)
    expect(await found('*|a*b')).toBe(5)
    expect(await found('*|a b')).toBe(1)
    expect(await store.cleanup()).toEqual<CleanupReport>({ found: 6, deleted: 6 })
    expect(keys()).toHaveLength(6)
  })

  it('never takes the version of the table for a counter', async () => {
    const store = storeOn({ keyPrefix: '' })
    await store.take(set, 'k', 1, 'take')
    clock.set(9_007_199_254_740_000)
    expect(await store.sweep()).toBe(1)
    expect(await store.cleanup({ olderThanMs: 1 })).toEqual<CleanupReport>({ found: 0, deleted: 0 })
    expect(database.prepare('SELECT key FROM smart_ratelimit').all()).toEqual([{ key: ' version' }])
  })

  it.each([
    [{ batchSize: 0 }, /^cleanup\.batchSize/],
    [{ olderThanMs: -1 }, /^cleanup\.olderThanMs/],
    [{ dryRunn: true }, /^cleanup\.dryRunn/],
  ])('refuses %j', async (options, message) => {
    await expect(storeOn().cleanup(options as CleanupOptions)).rejects.toThrow(message)
  })
})
