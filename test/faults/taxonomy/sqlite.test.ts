// What SQLite can answer with, error by error: how it is classed, what the counter holds afterwards, and who decides instead. Real files and
// drivers. IOERR needs a process with limits of its own: it is in ../sqlite.test.ts. Next: ../../../src/stores/sqlite/errors.ts.

import { closeSync, copyFileSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import BetterSqlite from 'better-sqlite3'
import Libsql from 'libsql'
import { afterAll, expect, it } from 'vitest'
import type { AsyncStore } from '../../../src/stores/store.ts'
import { type SqliteDatabase, type SqliteStoreOptions, sqliteStore } from '../../../src/stores/sqlite/index.ts'
import { runFolder } from '../../servers/run-folder.ts'
import { type Outcome, play } from './table.ts'

const TABLE = 'smart_ratelimit'
const OPTIONS = { deadlineMs: 250, rememberRefusalsMs: false, sweepIntervalMs: false } as const satisfies SqliteStoreOptions
const folder = mkdtempSync(join(runFolder(), 'sqlite-taxonomy-'))
let files = 0
const opened: (SqliteDatabase & { close(): unknown })[] = []

afterAll(() => {
  rmSync(folder, { recursive: true })
})

interface Row extends Outcome {
  readonly fault: string
  readonly warm?: boolean
  /** The database that the store is handed (default: the file). */
  readonly open?: (file: string) => SqliteDatabase & { close(): unknown }
  readonly during?: <T>(file: string, act: () => PromiseLike<T>) => Promise<T>
}

const AT_ONCE_MS = 20

/** Another connection holds the file's lock: for so long, or until there is an answer. */
function locked(begin: string, forMs?: number): NonNullable<Row['during']> {
  return async (file, act) => {
    const other = new DatabaseSync(file)
    other.exec(begin)
    const timer = forMs === undefined ? undefined : setTimeout(() => other.exec('COMMIT'), forMs)
    try {
      return await act()
    } finally {
      clearTimeout(timer)
      other.close()
    }
  }
}

/** What is done to the file, which is as it was when it is over. */
function instead(change: (file: string) => void): NonNullable<Row['during']> {
  return async (file, act) => {
    copyFileSync(file, `${file}.kept`)
    change(file)
    try {
      return await act()
    } finally {
      for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true })
      renameSync(`${file}.kept`, file)
    }
  }
}

/** What the app does on the database it has handed in, before and after. */
function by(change: string, undo: string): NonNullable<Row['during']> {
  return async (_, act) => {
    const database = opened.at(-1)
    database?.exec(change)
    try {
      return await act()
    } finally {
      database?.exec(undo)
    }
  }
}

const node = (file: string): DatabaseSync => new DatabaseSync(file)
/** Every connection of the process to this address shares one cache, and its locks are on tables. */
const shared = (file: string): string => `file:${file}?cache=shared`

const ROWS: readonly Row[] = [
  // Not executed, and tried again at once.
  { fault: 'BUSY, for a moment', kind: 'none', holds: 2, during: locked('BEGIN IMMEDIATE', AT_ONCE_MS) },
  { fault: 'BUSY when it is opened, for a moment', kind: 'none', holds: 2, during: locked('BEGIN EXCLUSIVE', AT_ONCE_MS) },
  { fault: 'BUSY, for long', kind: 'not_executed', message: /is locked by another/, holds: 1, during: locked('BEGIN IMMEDIATE') },
  ...[node, (file: string) => new Libsql(file)].map((open): Row => {
    return {
      fault: `LOCKED (${open === node ? 'node:sqlite' : 'libsql'})`,
      kind: 'not_executed',
      message: /is locked by another/,
      holds: 1,
      warm: true,
      open: (file) => open(shared(file)),
      async during(file, act) {
        const other = open(shared(file))
        other.exec(`BEGIN IMMEDIATE; UPDATE ${TABLE} SET updated_at = updated_at`)
        try {
          return await act()
        } finally {
          other.exec('ROLLBACK')
          other.close()
        }
      },
    }
  }),
  {
    fault: 'the app has a transaction open',
    kind: 'not_executed',
    message: /a transaction of the app/,
    holds: 1,
    warm: true,
    open: node,
    during: by('BEGIN', 'ROLLBACK'),
  },

  // Not executed, and the file is not well.
  ...Object.entries({
    'node:sqlite': node,
    'better-sqlite3': (file: string) => new BetterSqlite(file),
    libsql: (file: string) => new Libsql(file),
  }).map(([driver, open]): Row => {
    return {
      fault: `FULL (${driver})`,
      kind: 'unavailable',
      message: /cannot grow/,
      holds: 1,
      warm: true,
      open,
      async during(file, act) {
        const fill = (event: string): string =>
          `CREATE TRIGGER fill_${event} AFTER ${event} ON ${TABLE} BEGIN INSERT INTO ballast VALUES (zeroblob(100000)); END`
        const empty = 'DROP TRIGGER IF EXISTS fill_insert; DROP TRIGGER IF EXISTS fill_update'
        const database = opened.at(-1)
        database?.exec('CREATE TABLE IF NOT EXISTS ballast (b)')
        database?.exec(`${fill('insert')}; ${fill('update')}`)
        // Smaller than it is: it is made as large as the database is.
        database?.exec('PRAGMA max_page_count = 1')
        try {
          return await act()
        } finally {
          const other = new DatabaseSync(file)
          other.exec(empty)
          other.close()
        }
      },
    }
  }),
  {
    fault: 'CORRUPT',
    kind: 'unavailable',
    message: /is damaged/,
    holds: 1,
    during: instead((file) => {
      const database = new DatabaseSync(file)
      const { rootpage } = database.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(TABLE) as {
        rootpage: number
      }
      const { page_size: size } = database.prepare('PRAGMA page_size').get() as { page_size: number }
      database.close()
      const open = openSync(file, 'r+')
      writeSync(open, Buffer.alloc(size, 0xee), 0, size, (rootpage - 1) * size)
      closeSync(open)
    }),
  },
  {
    fault: 'the file was deleted while a database on it was open',
    kind: 'unavailable',
    message: /was moved or deleted/,
    holds: 1,
    warm: true,
    open: node,
    during: instead((file) => rmSync(file)),
  },
  {
    fault: 'the app has closed the database',
    kind: 'unavailable',
    message: /was closed by the app/,
    holds: 1,
    warm: true,
    open: node,
    async during(_, act) {
      opened.at(-1)?.close()
      return act()
    },
  },

  // Somebody has to change something.
  {
    fault: 'READONLY',
    kind: 'misconfigured',
    message: /is read-only/,
    holds: 1,
    open: (file) => new DatabaseSync(file, { readOnly: true }),
  },
  {
    fault: 'NOTADB',
    kind: 'misconfigured',
    message: /is not a SQLite database/,
    holds: 1,
    during: instead((file) => writeFileSync(file, 'a letter to somebody, who is not at home '.repeat(50))),
  },
  {
    fault: 'CANTOPEN: the folder is gone',
    kind: 'misconfigured',
    message: /cannot be opened/,
    holds: 1,
    async during(file, act) {
      renameSync(dirname(file), `${dirname(file)}.kept`)
      try {
        return await act()
      } finally {
        renameSync(`${dirname(file)}.kept`, dirname(file))
      }
    },
  },
  {
    fault: 'SCHEMA: the table is gone',
    kind: 'misconfigured',
    code: 'ERR_RATELIMIT_STORE_SETUP',
    message: /has no table/,
    holds: 1,
    warm: true,
    open: node,
    during: by(`ALTER TABLE ${TABLE} RENAME TO elsewhere`, `ALTER TABLE elsewhere RENAME TO ${TABLE}`),
  },
  {
    fault: 'SCHEMA: the table is another',
    kind: 'misconfigured',
    code: 'ERR_RATELIMIT_STORE_SETUP',
    message: /has no table/,
    holds: 1,
    warm: true,
    open: node,
    during: by(`ALTER TABLE ${TABLE} RENAME state TO kept`, `ALTER TABLE ${TABLE} RENAME kept TO state`),
  },
  {
    fault: 'ERROR: a trigger of somebody’s forbids it',
    kind: 'misconfigured',
    holds: 1,
    warm: true,
    open: node,
    during: by(`CREATE TRIGGER never BEFORE INSERT ON ${TABLE} BEGIN SELECT RAISE(ABORT, 'never'); END`, 'DROP TRIGGER never'),
  },
]

it.each(ROWS)('SQLite: $fault: $kind', async ({ open, during, warm, ...outcome }) => {
  const home = join(folder, String(files++))
  mkdirSync(home)
  const file = join(home, 'counters.sqlite')
  /** Each look at the file is by a store of its own: it may be another file than a moment ago. */
  const looking = async <T>(look: (store: AsyncStore) => PromiseLike<T>): Promise<T> => {
    const store = sqliteStore(file, { ...OPTIONS, deadlineMs: 5000 })
    try {
      return await look(store)
    } finally {
      await store.close()
      // All that is known of a counter stands in the file itself.
      const database = new DatabaseSync(file)
      database.exec('PRAGMA journal_mode = DELETE')
      database.close()
    }
  }
  const make = (): AsyncStore => {
    if (open === undefined) return sqliteStore(file, OPTIONS)
    const database = open(file)
    opened.push(database)
    return sqliteStore(database, OPTIONS)
  }
  const played = play(outcome, {
    make,
    truth: {
      take: (...asked) => looking((store) => store.take(...asked)),
      read: (...asked) => looking((store) => store.read(...asked)),
    },
    ...(warm !== undefined && { warm }),
    async during(_, act) {
      try {
        return await (during === undefined ? act() : during(file, act))
      } finally {
        for (const database of opened.splice(0)) if ((database as { isOpen?: boolean }).isOpen !== false) database.close()
      }
    },
  })
  await expect(played).resolves.toBeUndefined()
})
