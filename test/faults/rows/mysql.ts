// What can befall a MariaDB. Next: ../row.ts, which plays it.

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Connection, createConnection } from 'mysql2/promise'
import { mysqlStore } from '../../../src/stores/mysql/index.ts'
import { type OwnServer, startMariadb } from '../../servers.ts'
import { runFolder } from '../../servers/run-folder.ts'
import { FaultProxy } from '../proxy.ts'
import type { FaultRow, Stage } from '../row.ts'
import { repeatedly } from './repeatedly.ts'

const TABLE = 'smart_ratelimit'
const APP = "'app'@'127.0.0.1'"

interface Scene {
  readonly server: OwnServer
  /** The way of the processes to it. */
  readonly proxy: FaultProxy
  /** A session that may do everything. */
  readonly tell: (statement: string) => Promise<unknown>
  /** Another one. */
  readonly session: () => Promise<Connection>
}

async function stage(inject: (scene: Scene) => ReturnType<Stage['inject']>, pool?: number): Promise<Stage> {
  const server = await startMariadb()
  const proxy = await FaultProxy.start(server.port)
  const folder = mkdtempSync(join(runFolder(), 'sqlite-'))
  const session = async (): Promise<Connection> => {
    const connection = await createConnection(server.url)
    connection.on('error', () => undefined)
    return connection
  }
  const keeper = await session()
  const made = mysqlStore({ url: server.url })
  await made.setup()
  await made.close()
  await keeper.query(`CREATE USER ${APP} IDENTIFIED BY 'open-sesame'`)
  await keeper.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${TABLE} TO ${APP}`)
  const through = new URL(proxy.addressOf(server.url))
  through.username = 'app'
  const url = through.href
  return {
    setups: [
      { name: 'mysql', stores: [{ kind: 'mysql', url, ...(pool !== undefined && { pool }) }] },
      {
        name: 'mysql + sqlite',
        stores: [
          { kind: 'mysql', url, pool: pool ?? 4 },
          { kind: 'sqlite', file: join(folder, 'standby.sqlite') },
        ],
      },
    ],
    inject: () => inject({ server, proxy, tell: (statement) => keeper.query(statement), session }),
    async close() {
      await proxy.stop()
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Ends every session of the processes. */
async function endSessions(tell: Scene['tell']): Promise<void> {
  await tell('KILL USER app')
}

export const MYSQL_ROWS: readonly FaultRow[] = [
  {
    fault: 'kill -STOP',
    prepare: () =>
      stage(async ({ server }) => {
        await server.kill('SIGSTOP')
        return () => server.kill('SIGCONT')
      }),
  },
  {
    fault: 'kill -9 and restart',
    prepare: () =>
      stage(async ({ server }) => {
        await server.kill('SIGKILL')
        return () => server.restart()
      }),
  },
  {
    fault: 'every row is locked (1205)',
    prepare: () =>
      stage(async ({ tell }) => {
        await tell('BEGIN')
        await tell(`SELECT 1 FROM ${TABLE} FOR UPDATE`)
        return async () => void (await tell('ROLLBACK'))
      }),
  },
  {
    fault: 'rows are locked in every order (1213)',
    answer: 'either',
    prepare: () =>
      stage(async ({ session }) => {
        const ends = await Promise.all(
          [0, 1].map(async () => {
            const connection = await session()
            return repeatedly(15, () => lockSome(connection))
          }),
        )
        return async () => {
          await Promise.all(ends.map((end) => end()))
        }
      }),
  },
  {
    fault: 'read_only (1290)',
    prepare: () =>
      stage(async ({ tell }) => {
        await tell('SET GLOBAL read_only = 1')
        return async () => void (await tell('SET GLOBAL read_only = 0'))
      }),
  },
  {
    fault: 'all sessions are killed every 300 ms (2013)',
    flaps: true,
    answer: 'either',
    prepare: () => stage(async ({ tell }) => repeatedly(300, () => endSessions(tell))),
  },
  {
    fault: 'no room for connections (1040)',
    prepare: () =>
      stage(async ({ tell, session }) => {
        await tell('SET GLOBAL max_connections = 10')
        const holders: Connection[] = []
        do {
          await endSessions(tell)
          // Against the processes, which want them back.
          for (
            let next = await session().catch(() => undefined);
            next !== undefined;
            next = await session().catch(() => undefined)
          )
            holders.push(next)
        } while (await areThere(tell))
        return async () => {
          await tell('SET GLOBAL max_connections = 151')
          for (const holder of holders) holder.destroy()
        }
      }),
  },
  {
    fault: 'all connections of the pool are taken',
    prepare: () =>
      stage(async () => async () => {}, 4).then((scene) => ({
        ...scene,
        async inject(run) {
          run.tell({ kind: 'occupy', ms: 3000 })
          return async () => {}
        },
      })),
  },
  {
    fault: 'the table is emptied',
    answer: 'either',
    faultMs: 0,
    prepare: () =>
      stage(async ({ tell }) => {
        await tell(`TRUNCATE ${TABLE}`)
        return async () => {}
      }),
  },
  {
    fault: 'blackhole: nothing passes, all is delivered later',
    prepare: () =>
      stage(async ({ proxy }) => {
        proxy.set({ kind: 'hold' })
        return async () => proxy.heal()
      }),
  },
  {
    fault: 'answers are lost, questions are carried out',
    prepare: () =>
      stage(async ({ proxy }) => {
        proxy.set({ kind: 'swallow' }, 'down')
        return async () => proxy.heal()
      }),
  },
]

/** Whether processes have sessions. */
async function areThere(tell: Scene['tell']): Promise<boolean> {
  // Who is still saying who it is may be one of them.
  const who = "user IN ('app', 'unauthenticated user') AND command <> 'Killed'"
  const [rows] = (await tell(`SELECT 1 FROM information_schema.processlist WHERE ${who}`)) as [unknown[]]
  return rows.length > 0
}

/** Locks two rows in an order that nobody else keeps. */
async function lockSome(connection: Connection): Promise<void> {
  await connection.query('BEGIN')
  try {
    for (let i = 0; i < 2; i++) {
      const [rows] = await connection.query(`SELECT \`key\` FROM ${TABLE} ORDER BY RAND() LIMIT 1`)
      for (const { key } of rows as { key: Buffer }[])
        await connection.query(`SELECT 1 FROM ${TABLE} WHERE \`key\` = ? FOR UPDATE`, [key])
      await delay(5)
    }
  } catch (error) {
    // It is the one that loses: that is what the row is about.
    if (![1205, 1213].includes((error as { errno?: number }).errno ?? 0)) throw error
  } finally {
    await connection.query('ROLLBACK')
  }
}
