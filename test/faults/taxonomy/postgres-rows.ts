// The errors of a PostgreSQL, and how it is made to give them. Next: postgres.test.ts, which plays them; table.ts, how.

import type pg from 'pg'
import type { StoreErrorKind } from '../../../src/core/errors.ts'
import { storeKey } from '../../../src/stores/store-key.ts'
import type { OwnServer } from '../../servers.ts'
import type { Line } from '../../stores/line.ts'
import { type Outcome, set, until, onTheLine } from './table.ts'

const TABLE = 'smart_ratelimit'
/** The store's user. */
export const APP = 'app'
export const PREFIX = 'taxonomy:'
const nameOf = (key: string): string => PREFIX + storeKey(set, key)

/** What rows are played on. */
export interface Scene {
  readonly server: OwnServer
  /** Of the store's user, by way of the line. */
  readonly url: string
  readonly line: Line
  /** As the superuser. */
  readonly tell: (sql: string, values?: readonly unknown[]) => Promise<pg.QueryResult<Record<string, unknown>>>
  /** A session of the superuser that stays for a while. */
  readonly session: () => Promise<pg.Client>
}

export interface Row extends Outcome {
  readonly fault: string
  /** Settings of the store's sessions, which it then has from a client that is handed in. */
  readonly session?: string
  readonly url?: (url: string) => string
  /** What postgres.js makes of it, where that is less: it keeps an error that ends the session to itself. */
  readonly byPostgresJs?: StoreErrorKind
  /** What is there while something is done to a key; nothing where the row's settings are the fault. */
  readonly during?: <T>(scene: Scene, key: string, act: () => PromiseLike<T>) => Promise<T>
}

/** Another session holds the counter's row; it meanwhile does what is given. */
function holding(
  meanwhile: (scene: Scene, holder: pg.Client, key: string) => Promise<unknown> = async () => {},
): NonNullable<Row['during']> {
  return async (scene, key, act) => {
    const holder = await scene.session()
    try {
      await holder.query('BEGIN')
      await holder.query(`SELECT 1 FROM ${TABLE} WHERE key = $1 FOR UPDATE`, [nameOf(key)])
      const acting = act()
      await Promise.all([acting, meanwhile(scene, holder, key)])
      return await acting
    } finally {
      await holder.query('ROLLBACK').catch(() => {})
      await holder.end().catch(() => {})
    }
  }
}

/** Pids of the store's sessions that wait for a lock. */
async function waiting({ tell }: Scene): Promise<number[]> {
  const sql = `SELECT pid FROM pg_stat_activity WHERE usename = '${APP}' AND wait_event_type = 'Lock'`
  let pids: number[] = []
  await until(async () => (pids = (await tell(sql)).rows.map(({ pid }) => pid as number)).length > 0)
  return pids
}

/** The server itself raises the error when the counter is written, so many times. */
function raising(state: string, times = 1_000_000): NonNullable<Row['during']> {
  return async ({ tell }, key, act) => {
    await tell('ALTER SEQUENCE failures RESTART')
    await tell(
      `CREATE TRIGGER failing BEFORE INSERT OR UPDATE ON ${TABLE} FOR EACH ROW EXECUTE FUNCTION fail('${nameOf(key)}', '${state}', '${times}')`,
    )
    try {
      return await act()
    } finally {
      await tell(`DROP TRIGGER failing ON ${TABLE}`)
    }
  }
}

/** What a statement does is undone by another. */
function between(sql: string, undo: string): NonNullable<Row['during']> {
  return async ({ tell }, _, act) => {
    await tell(sql)
    try {
      return await act()
    } finally {
      await tell(undo)
    }
  }
}

const TAKE = '(text[], bigint[], bigint[], bigint[], bigint, text, text)'
const SETUP = 'ERR_RATELIMIT_STORE_SETUP'

/** By what the store makes of it. */
export const POSTGRES_ROWS: readonly Row[] = [
  // Not executed, and asked again at once.
  {
    fault: '40001: another session has changed the row meanwhile',
    kind: 'none',
    holds: 2,
    session: '-c default_transaction_isolation=repeatable\\ read',
    during: holding(async (scene, holder, key) => {
      await holder.query(`UPDATE ${TABLE} SET updated_at = updated_at + 1 WHERE key = $1`, [nameOf(key)])
      await waiting(scene)
      await holder.query('COMMIT')
    }),
  },
  {
    fault: '40P01: a deadlock with another session',
    kind: 'none',
    holds: 2,
    async during(scene, key, act) {
      const other = await scene.session()
      await scene.tell('ALTER SEQUENCE failures RESTART')
      await scene.tell(
        `CREATE TRIGGER failing BEFORE UPDATE ON ${TABLE} FOR EACH ROW WHEN (NEW.key = '${nameOf(key)}') EXECUTE FUNCTION meet()`,
      )
      try {
        await other.query(`SET deadlock_timeout = '10s'`)
        await other.query('BEGIN')
        await other.query('SELECT pg_advisory_xact_lock(7)')
        const acting = act()
        await waiting(scene)
        await other.query(`SELECT 1 FROM ${TABLE} WHERE key = $1 FOR UPDATE`, [nameOf(key)])
        await other.query('ROLLBACK')
        const done = await acting
        // Once in vain: by then only one of the two could go on.
        const { rows } = await scene.tell('SELECT last_value FROM failures')
        if (rows[0]?.['last_value'] !== '2') throw new Error('there was no deadlock')
        return done
      } finally {
        await other.end()
        await scene.tell(`DROP TRIGGER failing ON ${TABLE}`)
      }
    },
  },
  { fault: '40001, three times', kind: 'none', holds: 2, during: raising('40001', 3) },
  { fault: '40001, time and again', kind: 'not_executed', message: /kept giving way/, holds: 1, during: raising('40001') },
  { fault: '40P01, time and again', kind: 'not_executed', message: /deadlock/, holds: 1, during: raising('40P01') },
  { fault: '40002, once', kind: 'none', holds: 2, during: raising('40002', 1) },

  // Not executed, and this server will not do it.
  {
    fault: '25006: a session that only reads',
    kind: 'wrong_node',
    message: /read-only/,
    holds: 1,
    session: '-c default_transaction_read_only=on',
  },
  {
    fault: '57P03: the server is stopping',
    kind: 'wrong_node',
    message: /takes no sessions now/,
    holds: 1,
    async during({ server, session }, _, act) {
      // It waits for this one to end, and lets nobody in.
      const last = await session()
      await stopping(server, session)
      try {
        return await act()
      } finally {
        await last.end()
        await server.restart()
      }
    },
  },

  // Not executed, and the server is not well.
  {
    fault: '53300: the user has no connection left',
    kind: 'unavailable',
    message: /no connection left/,
    holds: 1,
    during: between(`ALTER ROLE ${APP} CONNECTION LIMIT 0`, `ALTER ROLE ${APP} CONNECTION LIMIT -1`),
  },
  { fault: '53100: disk full', kind: 'unavailable', message: /disk is full/, holds: 1, during: raising('53100') },
  { fault: '53200: out of memory', kind: 'unavailable', message: /lacks memory/, holds: 1, during: raising('53200') },
  { fault: '58030: input or output failed', kind: 'unavailable', message: /its files/, holds: 1, during: raising('58030') },
  { fault: 'XX000: an internal error', kind: 'unavailable', message: /internal error/, holds: 1, during: raising('XX000') },
  {
    fault: '25P04: transaction_timeout',
    kind: 'unavailable',
    message: /transaction_timeout/,
    holds: 1,
    during: raising('25P04'),
  },
  {
    fault: '55P03: another session holds the row',
    kind: 'unavailable',
    message: /holds the counter/,
    holds: 1,
    during: holding(),
  },
  {
    fault: '57014: statement_timeout',
    kind: 'unavailable',
    message: /statement_timeout/,
    holds: 1,
    session: '-c statement_timeout=100',
    during: holding(),
  },
  {
    fault: '57014: cancelled',
    kind: 'unavailable',
    message: /cancelled/,
    holds: 1,
    during: holding(async (scene) => {
      for (const pid of await waiting(scene)) await scene.tell('SELECT pg_cancel_backend($1)', [pid])
    }),
  },
  {
    fault: '57P01: the session is ended while it waits for the row',
    kind: 'unavailable',
    message: /ended this session/,
    byPostgresJs: 'ambiguous',
    holds: 1,
    during: holding(async (scene) => {
      for (const pid of await waiting(scene)) await scene.tell('SELECT pg_terminate_backend($1)', [pid])
    }),
  },

  // It may have been executed.
  { fault: '08006 from the server', kind: 'ambiguous', message: /may have been charged/, holds: 1, during: raising('08006') },
  { fault: '40003 from the server', kind: 'ambiguous', message: /does not know/, holds: 1, during: raising('40003') },
  {
    fault: '57P02: the server crashes while the session waits for the row',
    kind: 'ambiguous',
    message: /may have been charged/,
    holds: 1,
    during: holding(async (scene) => {
      await waiting(scene)
      const bystander = await scene.session()
      const { rows } = await bystander.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      process.kill(rows[0]?.pid ?? 0, 'SIGKILL')
      await until(() => isThere(scene))
    }),
  },
  {
    fault: 'the connection is lost after the commit, before the answer',
    kind: 'ambiguous',
    message: /may have been charged/,
    holds: 2,
    during: onTheLine('loseAnswerTo', nameOf),
  },
  {
    fault: 'the connection is lost with the question',
    kind: 'ambiguous',
    message: /may have been charged/,
    holds: 1,
    during: onTheLine('loseQuestion', nameOf),
  },
  {
    fault: 'no answer comes',
    kind: 'ambiguous',
    code: 'ERR_RATELIMIT_STORE_TIMEOUT',
    holds: 1,
    during: onTheLine('holdBack', nameOf),
  },

  // Somebody has to change something.
  {
    fault: '42P01: the table is missing',
    kind: 'misconfigured',
    code: SETUP,
    message: /no table/,
    holds: 1,
    during: between(`ALTER TABLE ${TABLE} RENAME TO elsewhere`, `ALTER TABLE elsewhere RENAME TO ${TABLE}`),
  },
  {
    fault: '42883: the function is missing',
    kind: 'misconfigured',
    code: SETUP,
    message: /no function of this release/,
    holds: 1,
    during: between(
      `ALTER FUNCTION ${TABLE}_take_v1${TAKE} RENAME TO elsewhere`,
      `ALTER FUNCTION elsewhere${TAKE} RENAME TO ${TABLE}_take_v1`,
    ),
  },
  {
    fault: '42703: the table is another',
    kind: 'misconfigured',
    code: SETUP,
    message: /not one of this package/,
    holds: 1,
    during: between(`ALTER TABLE ${TABLE} RENAME state TO elsewhere`, `ALTER TABLE ${TABLE} RENAME elsewhere TO state`),
  },
  {
    fault: '42501: a right is missing',
    kind: 'misconfigured',
    message: /lacks a right/,
    holds: 1,
    during: between(`REVOKE ALL ON ${TABLE} FROM ${APP}`, `GRANT SELECT, INSERT, UPDATE, DELETE ON ${TABLE} TO ${APP}`),
  },
  { fault: '42601: syntax', kind: 'misconfigured', holds: 1, during: raising('42601') },
  {
    fault: '28P01: a wrong password',
    kind: 'misconfigured',
    message: /wrong user or password/,
    holds: 1,
    url: (url) => url.replace(/:[^:@]*@/, ':s3cr3t@'),
  },
  {
    fault: '28000: the user may not log in',
    kind: 'misconfigured',
    message: /wrong user or password/,
    holds: 1,
    during: between(`ALTER ROLE ${APP} NOLOGIN`, `ALTER ROLE ${APP} LOGIN`),
  },
  {
    fault: '3D000: no such database',
    kind: 'misconfigured',
    message: /no such database/,
    holds: 1,
    url: (url) => `${url.replace(/\/[^/]*$/, '')}/nowhere`,
  },
]

function isThere({ tell }: Scene): Promise<boolean> {
  return tell('SELECT 1').then(
    () => true,
    () => false,
  )
}

/** Tells the server to stop in its own time, and waits until it lets nobody in. */
async function stopping(server: OwnServer, session: Scene['session']): Promise<void> {
  process.kill(server.pid, 'SIGTERM')
  const code = (): Promise<unknown> =>
    session().then(
      (client) => client.end(),
      (error: unknown) => (error as { code?: unknown }).code,
    )
  await until(async () => (await code()) === '57P03')
}
