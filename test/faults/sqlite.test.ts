// What can go wrong with a SQLite file, with real files, locks and processes. Next: ../../src/stores/sqlite/errors.ts.

import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import BetterSqlite from 'better-sqlite3'
import Libsql from 'libsql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StoreError } from '../../src/core/errors.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import type { AsyncStore } from '../../src/stores/store.ts'
import { type SqliteDatabase, type SqliteSource, type SqliteStoreOptions, sqliteStore } from '../../src/stores/sqlite/index.ts'
import { runFolder } from '../servers/run-folder.ts'
import { bundleSqliteChild, finished, start } from './sqlite-process.ts'

const folder = mkdtempSync(join(runFolder(), 'sqlite-faults-'))
const open: { close(): unknown }[] = []
let files = 0
let child = ''
let removeChild = (): void => {}

beforeAll(async () => {
  const bundle = await bundleSqliteChild()
  child = bundle.file
  removeChild = () => bundle.remove()
})

afterAll(async () => {
  for (const each of open) await each.close()
  rmSync(folder, { recursive: true })
  removeChild()
})

const set = buildLimitSet('faults', '100/h', { algorithm: 'fixed_window' })
function fresh(): string {
  return join(folder, `${files++}.sqlite`)
}

function storeOn(source: SqliteSource, options: SqliteStoreOptions = {}): ReturnType<typeof sqliteStore> {
  const store = sqliteStore(source, { deadlineMs: 5000, rememberRefusalsMs: false, sweepIntervalMs: false, ...options })
  open.push(store)
  return store
}

function opened(file: string): DatabaseSync {
  const database = new DatabaseSync(file)
  open.push({ close: () => database.isOpen && database.close() })
  return database
}

async function failure(promise: PromiseLike<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(StoreError)
  return error as StoreError
}

async function used(store: AsyncStore, key = 'k'): Promise<number> {
  const states = await store.read(set, key)
  return states?.[0]?.[1] ?? 0
}

describe('a locked file', () => {
  /** How the store's database is opened, and the one that locks: two SQLites in one process do not see each other's locks. */
  const kinds: Record<string, readonly [(file: string) => SqliteSource, (file: string) => SqliteDatabase]> = {
    'a file': [(file) => file, opened],
    'a node:sqlite database that would block': [(file) => new DatabaseSync(file, { timeout: 30_000 }), opened],
    'a better-sqlite3 database that would block': [
      (file) => new BetterSqlite(file, { timeout: 30_000 }),
      (file) => new BetterSqlite(file),
    ],
    'a libsql database that would block': [(file) => new Libsql(file, { timeout: 30_000 }), (file) => new Libsql(file)],
  }

  it.each(Object.entries(kinds))(
    '%s: fails inside the deadline, leaves the loop free, and charges nothing',
    async (_, [source, locker]) => {
      const file = fresh()
      const store = storeOn(source(file), { deadlineMs: 150 })
      expect((await store.take(set, 'k', 1, 'take')).granted).toBe(true)
      const other = locker(file)
      other.exec('BEGIN IMMEDIATE')
      let turns = 0
      const beat = setInterval(() => turns++, 1)
      const error = await failure(store.take(set, 'k', 1, 'take'))
      clearInterval(beat)
      expect(error.message).toMatch(/^store sqlite: (.*\.sqlite|the database handed in) is locked by another connection/)
      expect(error.kind).toBe('not_executed')
      // A thread that waited inside SQLite would not have turned.
      expect(turns).toBeGreaterThan(5)
      // Looks wait for nobody.
      expect((await store.take(set, 'k', 1, 'peek')).granted).toBe(true)
      other.exec('COMMIT')
      expect((await store.take(set, 'k', 1, 'take')).granted).toBe(true)
      expect(await used(store)).toBe(2)
    },
  )

  it('is tried again until it is free', async () => {
    const file = fresh()
    const store = storeOn(file)
    await store.ping()
    const other = opened(file)
    other.exec('BEGIN IMMEDIATE')
    const answers = [
      store.take(set, 'k', 1, 'take'),
      store.take(set, 'j', 1, 'take'),
      store.ban(set, 'b', { durationMs: 1000, factor: 1, maxMs: 1000, forgetAfterMs: 0 }),
    ] as const
    setTimeout(() => other.exec('COMMIT'), 20)
    const [one, two, banned] = await Promise.all(answers)
    expect([one.granted, two.granted, banned]).toEqual([true, true, 1000])
  })

  it('is opened when it is free, where it was locked at first', async () => {
    const file = fresh()
    const other = opened(file)
    other.exec('BEGIN EXCLUSIVE')
    const store = storeOn(file)
    const answer = store.take(set, 'k', 1, 'take')
    setTimeout(() => other.exec('COMMIT'), 20)
    expect((await answer).granted).toBe(true)
  })

  it('puts the busy timeout of a database handed in back', async () => {
    const database = new DatabaseSync(fresh(), { timeout: 1234 })
    open.push(database)
    const store = storeOn(database)
    await store.take(set, 'k', 1, 'take')
    expect(database.prepare('PRAGMA busy_timeout').get()).toEqual({ timeout: 1234 })
  })

  it('waits for a transaction of the app on a database handed in, and never joins it', async () => {
    const database = opened(fresh())
    const store = storeOn(database, { deadlineMs: 100 })
    await store.ping()
    database.exec('CREATE TABLE theirs (n); BEGIN; INSERT INTO theirs VALUES (1)')
    const error = await failure(store.take(set, 'k', 1, 'take'))
    expect(error.message).toContain('has a transaction of the app open: hand in a connection that the store has for itself')
    database.exec('ROLLBACK')
    expect(await used(store)).toBe(0)
    database.exec('BEGIN; INSERT INTO theirs VALUES (2)')
    const answer = store.take(set, 'k', 1, 'take')
    setTimeout(() => database.exec('COMMIT'), 10)
    expect((await answer).granted).toBe(true)
    expect(database.prepare('SELECT n FROM theirs').all()).toEqual([{ n: 2 }])
  })
})

describe('a failing file', () => {
  it('that is full says so, keeps its counters, and works again when there is room', async () => {
    const database = opened(fresh())
    const store = storeOn(database)
    await store.take(set, 'k', 1, 'take')
    const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count'])
    database.exec(`PRAGMA max_page_count = ${pages}`)
    const errors: StoreError[] = []
    for (let i = 0; i < 2000 && errors.length === 0; i++) {
      await store.take(set, `new ${i}`, 1, 'take').then(undefined, (reason: StoreError) => errors.push(reason))
    }
    const [error] = errors
    expect(error?.message).toMatch(/^store sqlite: the database handed in cannot grow: the disk is full/)
    expect(error?.kind).toBe('unavailable')
    expect((await store.take(set, 'k', 1, 'take')).granted).toBe(true)
    expect(await used(store)).toBe(2)
    database.exec('PRAGMA max_page_count = 100000')
    expect((await store.take(set, 'yet another', 1, 'take')).granted).toBe(true)
  })

  it('that cannot be written any more says so, and what was granted before is kept', async () => {
    const file = fresh()
    // So many blocks of 512 bytes, and no signal when it is more.
    const said = (await finished(start([child, file, '100000', '100000'], "trap '' XFSZ; ulimit -f 400;"))).trim().split('\n')
    expect(said.at(-1)).toMatch(
      /^failed (unavailable|ambiguous) store sqlite: .*\.sqlite cannot be read or written: look at the disk/,
    )
    const granted = said.filter((line) => line === 'granted').length
    expect(granted).toBeGreaterThan(20)
    const database = opened(file)
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    const { n } = database.prepare("SELECT count(*) AS n FROM smart_ratelimit WHERE key LIKE 'ratelimit:%'").get() as {
      n: number
    }
    // Each of another key: what failed was not counted, or may have been if it says so.
    expect(n - granted).toBeGreaterThanOrEqual(0)
    expect(n - granted).toBeLessThanOrEqual(said.at(-1)?.startsWith('failed ambiguous') === true ? 1 : 0)
  })

  it('that is no database is left as it is', async () => {
    const file = fresh()
    writeFileSync(file, 'a letter to somebody, and long enough to be taken for the header of a file '.repeat(20))
    const error = await failure(storeOn(file).take(set, 'k', 1, 'take'))
    expect(error.message).toBe(`store sqlite: ${file} is not a SQLite database, or is encrypted: name another file`)
    expect(error.kind).toBe('misconfigured')
  })

  it('that is damaged says so, and is used again when it has been moved away', async () => {
    const file = fresh()
    const store = storeOn(file)
    await Promise.all(Array.from({ length: 500 }, (_, i) => store.take(set, `k${i}`, 1, 'take')))
    await store.close()
    const database = opened(file)
    database.exec('PRAGMA journal_mode = DELETE')
    database.close()
    truncateSync(file, 12_288)
    const again = storeOn(file)
    const error = await failure(Promise.all(Array.from({ length: 500 }, (_, i) => again.take(set, `k${i}`, 1, 'take'))))
    expect(error.message).toBe(`store sqlite: ${file} is damaged: move it away, and the store begins a new one`)
    expect(error.kind).toBe('unavailable')
    renameSync(file, `${file}.damaged`)
    expect((await again.take(set, 'k', 1, 'take')).granted).toBe(true)
  })

  it('whose folder does not exist says so, and is made when there is one', async () => {
    const file = join(folder, 'later', 'counters.sqlite')
    const store = storeOn(file)
    const error = await failure(store.take(set, 'k', 1, 'take'))
    expect(error.message).toBe(
      `store sqlite: ${file} cannot be opened: its folder must exist, and this process must have the right to write there`,
    )
    expect(error.kind).toBe('misconfigured')
    mkdirSync(join(folder, 'later'))
    expect((await store.take(set, 'k', 1, 'take')).granted).toBe(true)
  })

  it('that is a folder says so', async () => {
    expect((await failure(storeOn(folder).ping())).message).toMatch(/cannot be opened/)
  })

  it('that may only be read answers looks', async () => {
    const file = fresh()
    await storeOn(file).take(set, 'k', 1, 'take')
    const database = new DatabaseSync(file, { readOnly: true })
    open.push(database)
    const store = storeOn(database)
    expect((await store.take(set, 'k', 1, 'peek')).granted).toBe(true)
    for (const attempt of [() => store.take(set, 'k', 1, 'take'), () => store.ping(), () => store.reset(set, 'k')]) {
      const error = await failure(attempt())
      expect(error.message).toMatch(/^store sqlite: the database handed in is read-only: give this process the right/)
      expect(error.kind).toBe('misconfigured')
    }
  })

  it('that the app has closed says so', async () => {
    for (const database of [new DatabaseSync(fresh()), new BetterSqlite(fresh()), new Libsql(fresh())]) {
      const store = storeOn(database as SqliteDatabase, { name: 'counters' })
      await store.ping()
      database.close()
      const error = await failure(store.take(set, 'k', 1, 'take'))
      expect(error.message).toBe('store counters: the database handed in was closed by the app: close the store first')
    }
  })
})

describe('a file that is not the one any more', () => {
  it.each([
    ['the file alone', ['']],
    ['the file and what SQLite keeps beside it', ['', '-wal', '-shm']],
  ])('deleted, %s: a new one is begun, by all who had it open', async (_, suffixes) => {
    const file = fresh()
    const [one, other] = [storeOn(file), storeOn(file)]
    await one.take(set, 'k', 60, 'take')
    await other.take(set, 'k', 1, 'take')
    for (const suffix of suffixes) rmSync(file + suffix, { force: true })
    await one.ping()
    expect(await used(one)).toBe(0)
    await one.take(set, 'k', 3, 'take')
    // The second to notice closes what is deleted, and takes nothing from those who went ahead.
    await other.ping()
    await other.take(set, 'k', 4, 'take')
    expect(await used(one)).toBe(7)
    await one.close()
    await other.close()
    expect(opened(file).prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    expect(await used(storeOn(file))).toBe(7)
  })

  it('replaced by a copy of earlier: the copy counts on', async () => {
    const file = fresh()
    const store = storeOn(file)
    await store.take(set, 'k', 5, 'take')
    opened(file).exec('PRAGMA wal_checkpoint(TRUNCATE)')
    copyFileSync(file, `${file}.copy`)
    await store.take(set, 'k', 5, 'take')
    // SQLite would take what stands there for news of the copy.
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix)
    renameSync(`${file}.copy`, file)
    await store.sweep()
    expect(await used(store)).toBe(5)
  })

  it('is noticed by decisions alone, within a second or so', async () => {
    const file = fresh()
    const store = storeOn(file)
    await store.take(set, 'k', 5, 'take')
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix)
    await expect.poll(() => used(store), { timeout: 5000, interval: 100 }).toBe(0)
  })
})

describe('the table', () => {
  it('that was dropped is an error until it is set up again', async () => {
    const file = fresh()
    const store = storeOn(file)
    await store.take(set, 'k', 1, 'take')
    opened(file).exec('DROP TABLE smart_ratelimit')
    const error = await failure(store.take(set, 'k', 1, 'take'))
    expect(error.code).toBe('ERR_RATELIMIT_STORE_SETUP')
    expect(error.message).toBe(
      `store sqlite: ${file} has no table smart_ratelimit of this store: call setup(), or choose another name (table)`,
    )
    await store.setup()
    await store.setup()
    expect((await store.take(set, 'k', 1, 'take')).granted).toBe(true)
  })

  it('of a newer release is not touched, also by setup()', async () => {
    const file = fresh()
    await storeOn(file).ping()
    opened(file).exec("UPDATE smart_ratelimit SET state = '2' WHERE key = ' version'")
    const store = storeOn(file)
    for (const attempt of [() => store.take(set, 'k', 1, 'take'), () => store.setup()]) {
      const error = await failure(attempt())
      expect(error.code).toBe('ERR_RATELIMIT_STORE_SETUP')
      expect(error.message).toContain('is of version 2, and this release knows version 1')
    }
  })

  it('of somebody else is not touched', async () => {
    const file = fresh()
    opened(file).exec('CREATE TABLE smart_ratelimit (id INTEGER PRIMARY KEY, note TEXT)')
    const error = await failure(storeOn(file).ping())
    expect(error.code).toBe('ERR_RATELIMIT_STORE_SETUP')
    const named = storeOn(file, { table: 'main.ours' })
    expect((await named.take(set, 'k', 1, 'take')).granted).toBe(true)
  })

  it('is made by the printed SQL just as well', async () => {
    const file = fresh()
    const database = opened(file)
    const store = storeOn(file)
    database.exec(store.setupSql())
    database.exec(store.setupSql())
    expect((await store.take(set, 'k', 1, 'take')).granted).toBe(true)
    expect(await used(store)).toBe(1)
  })
})

describe('processes', () => {
  it('that are killed in the middle lose nothing they have granted', { timeout: 60_000 }, async () => {
    const file = fresh()
    let granted = 0
    for (let round = 0; round < 5; round++) {
      const victim = start([child, file, '1000000'])
      const said = finished(victim)
      await new Promise<void>((resolve) => victim.stdout?.once('data', () => resolve()))
      await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 30))
      victim.kill('SIGKILL')
      granted += (await said).split('\n').filter((line) => line === 'granted').length
    }
    const database = opened(file)
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    const { state } = database.prepare("SELECT state FROM smart_ratelimit WHERE key LIKE '%|k0'").get() as { state: string }
    const counted = Number(state.split(',')[1])
    expect(granted).toBeGreaterThan(20)
    // The one that was being granted may have been counted and not been told.
    expect(counted).toBeGreaterThanOrEqual(granted)
    expect(counted).toBeLessThanOrEqual(granted + 5)
    expect((await storeOn(file).take(set, 'k', 1, 'take')).granted).toBe(true)
  })

  it('that make the file at the same moment all decide', { timeout: 60_000 }, async () => {
    const file = fresh()
    const said = await Promise.all(Array.from({ length: 6 }, () => finished(start([child, file, '20']))))
    expect(said.join('').replaceAll('granted\n', '')).toBe('')
    const { state } = opened(file).prepare("SELECT state FROM smart_ratelimit WHERE key LIKE '%|k0'").get() as { state: string }
    expect(Number(state.split(',')[1])).toBe(120)
  })

  it('without SQLite in Node are told what to do when the store is built', async () => {
    const said = await finished(start(['--no-experimental-sqlite', child, fresh()]))
    expect(said).toContain('ConfigError: sqliteStore.source: expected Node 22.13 or newer to open a file, or an open database of')
  })
})

describe('closing', () => {
  it('ends what waits, keeps the counters, and leaves what was handed in open', async () => {
    const file = fresh()
    const database = opened(file)
    const store = storeOn(database)
    // Where several came together the next are gathered too.
    await Promise.all([store.take(set, 'k', 2, 'take'), store.take(set, 'j', 1, 'take')])
    const waiting = [store.take(set, 'k', 1, 'take'), store.take(set, 'j', 1, 'take')].map(failure)
    await store.close()
    await store.close()
    for (const error of await Promise.all(waiting)) expect(error.code).toBe('ERR_RATELIMIT_STORE_CLOSED')
    for (const late of [() => store.take(set, 'k', 1, 'take'), () => store.ping(), () => store.cleanup(), () => store.setup()])
      expect((await failure(late())).code).toBe('ERR_RATELIMIT_STORE_CLOSED')
    expect(database.prepare('SELECT 1 AS one').get()).toEqual({ one: 1 })
    expect(await used(storeOn(file))).toBe(2)
  })

  it('gives up a lock that it was waiting for', async () => {
    const file = fresh()
    const store = storeOn(file)
    await store.ping()
    const other = opened(file)
    other.exec('BEGIN IMMEDIATE')
    const waiting = failure(store.take(set, 'k', 1, 'take'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    await store.close()
    expect((await waiting).code).toBe('ERR_RATELIMIT_STORE_CLOSED')
    other.exec('COMMIT')
    expect(await used(storeOn(file))).toBe(0)
  })
})
