// The errors of a MariaDB or MySQL, and how a MariaDB is made to give them. Next: mysql.test.ts, which plays them; table.ts, how.

import type { Connection } from 'mysql2/promise'
import { storeKey } from '../../../src/stores/store-key.ts'
import type { Line } from '../../stores/line.ts'
import { type Outcome, set, until, onTheLine } from './table.ts'

const TABLE = 'smart_ratelimit'
/** The store's user. */
export const APP = "'app'@'127.0.0.1'"
export const PREFIX = 'taxonomy:'
const nameOf = (key: string): string => PREFIX + storeKey(set, key)
/** A word of the text that locks a counter, and of the text that writes it and commits. */
const locks = (key: string): string => `'${nameOf(key)}', '', 0`
const writes = (key: string): string => `'${nameOf(key)}', '1`

/** What rows are played on. */
export interface Scene {
  readonly line: Line
  /** As a user who may do everything. */
  readonly tell: (sql: string, values?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>
  /** A session of that user that stays for a while. */
  readonly session: () => Promise<Connection>
  /** A session of the store's user. */
  readonly appSession: () => Promise<Connection>
}

export interface Row extends Outcome {
  readonly fault: string
  readonly url?: (url: string) => string
  /** What is there while something is done to a key; nothing where the row's settings are the fault. */
  readonly during?: <T>(scene: Scene, key: string, act: () => PromiseLike<T>) => Promise<T>
}

/** Another session holds the counter's row; it meanwhile does what is given. */
function holding(meanwhile: (scene: Scene, holder: Connection) => Promise<unknown> = async () => {}): NonNullable<Row['during']> {
  return async (scene, key, act) => {
    const holder = await scene.session()
    try {
      await holder.query('BEGIN')
      await holder.query(`SELECT 1 FROM ${TABLE} WHERE \`key\` = ? FOR UPDATE`, [nameOf(key)])
      const acting = act()
      await Promise.all([acting, meanwhile(scene, holder)])
      return await acting
    } finally {
      holder.destroy()
    }
  }
}

/** The session of the store's that waits for a row. The server shows it anew only when nobody has looked for a while. */
async function waiting({ tell }: Scene): Promise<unknown> {
  let id: unknown
  await until(async () => {
    await new Promise((resolve) => setTimeout(resolve, 120))
    const sql = `SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`
    id = (await tell(sql))[0]?.['id']
    return id !== undefined
  })
  return id
}

/**
 * The server itself raises the error, so many times.
 * @param when the counter's row is being locked, or written
 */
function raising(errno: number, when: 'locked' | 'written' = 'written', times = 1_000_000): NonNullable<Row['during']> {
  return async ({ tell }, key, act) => {
    await tell('UPDATE failures SET n = 0')
    const isTime = when === 'locked' ? `NEW.state = ''` : `NEW.state <> ''`
    await tell(
      `CREATE TRIGGER failing BEFORE INSERT ON ${TABLE} FOR EACH ROW
       IF NEW.\`key\` = '${nameOf(key)}' AND ${isTime} THEN
         UPDATE failures SET n = n + 1;
         IF (SELECT n FROM failures) <= ${times} THEN
           SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = ${errno}, MESSAGE_TEXT = 'made to fail';
         END IF;
       END IF`,
    )
    try {
      return await act()
    } finally {
      await tell('DROP TRIGGER failing')
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

const SETUP = 'ERR_RATELIMIT_STORE_SETUP'
const unavailable = (errno: number, message: RegExp): Row => ({
  fault: String(errno),
  kind: 'unavailable',
  message,
  holds: 1,
  during: raising(errno),
})

/** By what the store makes of it. */
export const MYSQL_ROWS: readonly Row[] = [
  // Not executed, and asked again at once.
  {
    fault: '1213: a deadlock with another session',
    kind: 'none',
    holds: 2,
    async during(scene, key, act) {
      const other = await scene.session()
      const before = await deadlocks(scene)
      await scene.tell(
        `CREATE TRIGGER failing BEFORE INSERT ON ${TABLE} FOR EACH ROW IF NEW.\`key\` = '${nameOf(key)}' AND NEW.state <> '' THEN
           UPDATE meeting SET n = n + 1 WHERE id = 0;
         END IF`,
      )
      try {
        // The one that has done less is chosen to give way.
        await other.query('BEGIN')
        await other.query('UPDATE meeting SET n = n + 1')
        const acting = act()
        await waiting(scene)
        await other.query(`SELECT 1 FROM ${TABLE} WHERE \`key\` = ? FOR UPDATE`, [nameOf(key)])
        await other.query('ROLLBACK')
        const done = await acting
        if ((await deadlocks(scene)) !== before + 1) throw new Error('there was no deadlock')
        return done
      } finally {
        other.destroy()
        await scene.tell('DROP TRIGGER failing')
      }
    },
  },
  { fault: '1213, three times', kind: 'none', holds: 2, during: raising(1213, 'written', 3) },
  { fault: '1205, once', kind: 'none', holds: 2, during: raising(1205, 'locked', 1) },
  { fault: '1020, once', kind: 'none', holds: 2, during: raising(1020, 'locked', 1) },
  { fault: '3101, once', kind: 'none', holds: 2, during: raising(3101, 'written', 1) },
  { fault: '1213, time and again', kind: 'not_executed', message: /deadlock/, holds: 1, during: raising(1213) },
  { fault: '1205, time and again', kind: 'not_executed', message: /waited too long/, holds: 1, during: raising(1205, 'locked') },
  {
    fault: 'the session is killed while it waits for the row',
    kind: 'none',
    holds: 2,
    during: holding(async (scene, holder) => {
      await scene.tell(`KILL ${String(await waiting(scene))}`)
      await holder.query('ROLLBACK')
    }),
  },
  {
    fault: 'the connection is lost before the charge is sent',
    kind: 'none',
    holds: 2,
    during: onTheLine('loseAnswerTo', locks),
  },

  // Not executed, and this server will not do it.
  {
    fault: '1290: a server that only reads',
    kind: 'wrong_node',
    message: /read-only/,
    holds: 1,
    during: between('SET GLOBAL read_only = 1', 'SET GLOBAL read_only = 0'),
  },
  {
    fault: '1792: sessions that only read',
    kind: 'wrong_node',
    message: /read-only/,
    holds: 1,
    during: between('SET GLOBAL tx_read_only = 1', 'SET GLOBAL tx_read_only = 0'),
  },
  { fault: '1836', kind: 'wrong_node', message: /read-only/, holds: 1, during: raising(1836) },
  { fault: '1036', kind: 'wrong_node', message: /read-only/, holds: 1, during: raising(1036) },

  // Not executed, and the server is not well.
  {
    fault: '1040: too many connections',
    kind: 'unavailable',
    message: /max_connections/,
    holds: 1,
    async during({ tell, session }, _, act) {
      await tell('SET GLOBAL max_connections = 10')
      const holders: Connection[] = []
      try {
        for (let next = await maybe(session); next !== undefined; next = await maybe(session)) holders.push(next)
        return await act()
      } finally {
        await tell('SET GLOBAL max_connections = 151')
        for (const holder of holders) holder.destroy()
      }
    },
  },
  {
    fault: '1226: the user has too many connections',
    kind: 'unavailable',
    message: /resource limit/,
    holds: 1,
    async during({ tell, appSession }, _, act) {
      await tell(`GRANT USAGE ON *.* TO ${APP} WITH MAX_USER_CONNECTIONS 1`)
      const holder = await appSession()
      try {
        return await act()
      } finally {
        await tell(`GRANT USAGE ON *.* TO ${APP} WITH MAX_USER_CONNECTIONS 0`)
        holder.destroy()
      }
    },
  },
  unavailable(1203, /max_user_connections/),
  unavailable(1021, /disk is full/),
  unavailable(1114, /table is full/),
  unavailable(1037, /out of memory/),
  unavailable(1041, /out of memory/),
  unavailable(1047, /not ready/),
  unavailable(1030, /storage engine/),
  unavailable(3032, /offline mode/),
  unavailable(3100, /lost its group/),
  {
    fault: '1969: a statement that takes longer than it may',
    kind: 'unavailable',
    message: /max_statement_time/,
    holds: 1,
    during: (scene, key, act) =>
      between(
        `GRANT USAGE ON *.* TO ${APP} WITH MAX_STATEMENT_TIME 0.2`,
        `GRANT USAGE ON *.* TO ${APP} WITH MAX_STATEMENT_TIME 0`,
      )(scene, key, () => holding()(scene, key, act)),
  },
  {
    fault: '3024: the same on MySQL',
    kind: 'unavailable',
    message: /max_execution_time/,
    holds: 1,
    during: raising(3024, 'locked'),
  },
  {
    fault: '1317: the statement is killed while it waits for the row',
    kind: 'unavailable',
    message: /interrupted/,
    holds: 1,
    during: holding(async (scene) => scene.tell(`KILL QUERY ${String(await waiting(scene))}`)),
  },
  {
    fault: 'another session holds the row',
    kind: 'ambiguous',
    code: 'ERR_RATELIMIT_STORE_TIMEOUT',
    holds: 1,
    during: holding(),
  },

  // It may have been executed.
  {
    fault: 'the connection is lost after the commit, before the answer',
    kind: 'ambiguous',
    message: /may have been made/,
    holds: 2,
    during: onTheLine('loseAnswerTo', writes),
  },
  {
    fault: 'the connection is lost with the charge',
    kind: 'ambiguous',
    message: /may have been made/,
    holds: 1,
    during: onTheLine('loseQuestion', writes),
  },
  { fault: '1317, with the charge', kind: 'ambiguous', message: /may have been made/, holds: 1, during: raising(1317) },
  { fault: '1969, with the charge', kind: 'ambiguous', message: /may have been made/, holds: 1, during: raising(1969) },
  { fault: '1180: the commit failed', kind: 'ambiguous', message: /does not know/, holds: 1, during: raising(1180) },
  {
    fault: 'no answer comes to the charge',
    kind: 'ambiguous',
    code: 'ERR_RATELIMIT_STORE_TIMEOUT',
    holds: 1,
    during: onTheLine('holdBack', writes),
  },

  // Somebody has to change something.
  {
    fault: '1146: the table is missing',
    kind: 'misconfigured',
    code: SETUP,
    message: /no table/,
    holds: 1,
    during: between(`RENAME TABLE ${TABLE} TO elsewhere`, `RENAME TABLE elsewhere TO ${TABLE}`),
  },
  {
    fault: '1054: the table is another',
    kind: 'misconfigured',
    code: SETUP,
    message: /no table/,
    holds: 1,
    during: between(`ALTER TABLE ${TABLE} RENAME COLUMN state TO kept`, `ALTER TABLE ${TABLE} RENAME COLUMN kept TO state`),
  },
  {
    fault: '1142: a right is missing',
    kind: 'misconfigured',
    message: /lacks a right/,
    holds: 1,
    during: between(`REVOKE INSERT ON ${TABLE} FROM ${APP}`, `GRANT INSERT ON ${TABLE} TO ${APP}`),
  },
  {
    fault: '1045: a wrong password',
    kind: 'misconfigured',
    message: /wrong user or password/,
    holds: 1,
    url: (url) => url.replace(/:[^:@]*@/, ':s3cr3t@'),
  },
  {
    fault: '1044: no right to the database',
    kind: 'misconfigured',
    message: /may not use this database/,
    holds: 1,
    url: (url) => `${url.replace(/\/[^/]*$/, '')}/mysql`,
  },
  { fault: '1665: a binary log by statement', kind: 'misconfigured', message: /binlog_format/, holds: 1, during: raising(1665) },
  { fault: '1064: syntax', kind: 'misconfigured', holds: 1, during: raising(1064) },
]

async function deadlocks({ tell }: Scene): Promise<number> {
  return Number((await tell("SHOW STATUS LIKE 'Innodb_deadlocks'"))[0]?.['Value'])
}

async function maybe(session: Scene['session']): Promise<Connection | undefined> {
  return session().catch(() => undefined)
}
