// The SQLite store: the suite of all shared stores on a file of its own, and the contract over every database that may be handed in.
// Next: shared-store.ts; ../faults/sqlite.test.ts for what goes wrong.

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import BetterSqlite from 'better-sqlite3'
import Libsql from 'libsql'
import { afterAll, describe, expect, it } from 'vitest'
import { type SqliteDatabase, type SqliteStoreOptions, sqliteStore } from '../../src/stores/sqlite/index.ts'
import { storeConformance } from '../../src/testing/store-conformance.ts'
import { runFolder } from '../servers/run-folder.ts'
import { type SharedStoreOptions, sharedStoreSuite } from './shared-store.ts'

const HURRY_FREE = { deadlineMs: 20_000, rememberRefusalsMs: false, sweepIntervalMs: false } as const satisfies SqliteStoreOptions

const folder = mkdtempSync(join(runFolder(), 'sqlite-'))
const file = join(folder, 'shared.sqlite')
const direct = new DatabaseSync(file, { timeout: 5000 })

afterAll(() => {
  direct.close()
  rmSync(folder, { recursive: true })
})

const plant =
  (state: string | number, expiresAt = 9e15) =>
  async (keyPrefix: string, key: string): Promise<void> => {
    direct
      .prepare('INSERT INTO smart_ratelimit (key, state, expires_at, updated_at) VALUES (?, ?, ?, 0)')
      .run(keyPrefix + key, state, expiresAt)
  }

sharedStoreSuite('the SQLite store', 'suite:', {
  make: async (options: SharedStoreOptions) => {
    const store = sqliteStore(file, { ...HURRY_FREE, ...options })
    await store.ping()
    return store
  },
  worker: { module: join(import.meta.dirname, 'sqlite-worker.ts'), argument: file },
  poisons: {
    'a text that is no state': plant('NaN'),
    'numbers beyond 2^53': plant('99999999999999999999,1'),
    'a negative count': plant('1,-1'),
    words: plant('-nan,inf', 0),
    'a number': plant(1e17),
    'a text of another store': plant('{"tokens":50}', -1),
  },
})

describe('a database handed in keeps the contract', () => {
  const kinds: Record<string, (path: string) => SqliteDatabase & { close(): unknown }> = {
    'node:sqlite': (path) => new DatabaseSync(path),
    'node:sqlite, set to other shapes': (path) =>
      new DatabaseSync(path, { readBigInts: true, returnArrays: true, timeout: 3000 } as object),
    'better-sqlite3': (path) => new BetterSqlite(path),
    'better-sqlite3 with big integers': (path) => {
      const database = new BetterSqlite(path)
      database.defaultSafeIntegers(true)
      return database
    },
    libsql: (path) => new Libsql(path),
    'node:sqlite in memory': () => new DatabaseSync(':memory:'),
  }

  it.each(Object.entries(kinds))('%s', async (name, open) => {
    const database = open(join(folder, `${name.replace(/\W+/g, '-')}.sqlite`))
    let n = 0
    const report = await storeConformance((clock) => sqliteStore(database, { ...HURRY_FREE, clock, keyPrefix: `${n++}:` }), {
      rounds: 6,
      steps: 60,
    })
    expect(report.calls).toBe(360)
    database.close()
  })
})
