// What can befall a PostgreSQL. Next: ../row.ts, which plays it.

import pg from 'pg'
import { postgresStore } from '../../../src/stores/postgres/index.ts'
import { type OwnServer, startPostgres, startRedis } from '../../servers.ts'
import { FaultProxy } from '../proxy.ts'
import type { FaultRow, Stage } from '../row.ts'
import { repeatedly } from './repeatedly.ts'

const TABLE = 'smart_ratelimit'
const APP = 'app'

/** A PostgreSQL under load, and a session of its superuser. */
interface Scene {
  readonly server: OwnServer
  /** The way of the processes to it. */
  readonly proxy: FaultProxy
  readonly tell: (statement: string) => Promise<unknown>
}

interface SceneOptions {
  readonly unlogged?: boolean
  /** Both setups use a pool of the app's with so many connections. */
  readonly pool?: number
  /** What the superuser says before the processes come, whose role is `app`. */
  readonly first?: readonly string[]
}

export { stage as postgresStage }

/** A PostgreSQL under load, alone and before a standby. */
async function stage(inject: (scene: Scene) => ReturnType<Stage['inject']>, options: SceneOptions = {}): Promise<Stage> {
  const [server, standby] = await Promise.all([startPostgres(), startRedis()])
  const proxy = await FaultProxy.start(server.port)
  // Processes have rights on the table alone, as they should.
  await once(server.url, `CREATE ROLE ${APP} LOGIN PASSWORD 'open-sesame'`)
  const made = postgresStore({ url: server.url }, { unlogged: options.unlogged ?? false })
  await made.setup()
  await made.close()
  await once(server.url, `GRANT SELECT, INSERT, UPDATE, DELETE ON ${TABLE} TO ${APP}`)
  for (const statement of options.first ?? []) await once(server.url, statement)
  const through = new URL(proxy.addressOf(server.url))
  through.username = APP
  const url = through.href
  const { pool } = options
  const tell = await keeper(server.url)
  return {
    setups: [
      { name: 'postgres', stores: [{ kind: 'postgres', url, ...(pool !== undefined && { pool }) }] },
      {
        name: 'postgres + redis',
        stores: [
          { kind: 'postgres', url, pool: pool ?? 4 },
          { kind: 'redis', url: standby.url, client: 'address' },
        ],
      },
    ],
    inject: () => inject({ server, proxy, tell }),
    async close() {
      await proxy.stop()
      await Promise.all([server.stop(), standby.stop()])
    },
  }
}

async function once(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

/** A session that stays, and may end with its server. */
async function keeper(url: string): Promise<(statement: string) => Promise<unknown>> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  return (statement) => client.query(statement)
}

const END_SESSIONS = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${APP}'`

const stopped: FaultRow = {
  fault: 'kill -STOP of the server and its sessions',
  prepare: () =>
    stage(async ({ server }) => {
      await server.kill('SIGSTOP')
      return () => server.kill('SIGCONT')
    }),
}

export const BRIEF_POSTGRES_ROWS: readonly FaultRow[] = [stopped]

export const POSTGRES_ROWS: readonly FaultRow[] = [
  stopped,
  { ...stopped, fault: 'the same, 10 000 questions at once', surge: 10_000 },
  {
    fault: 'kill -9 and restart',
    prepare: () =>
      stage(async ({ server }) => {
        await server.kill('SIGKILL')
        return () => server.restart()
      }),
  },
  {
    fault: 'immediate stop and restart',
    prepare: () =>
      stage(async ({ server, tell }) => {
        process.kill(server.pid, 'SIGQUIT')
        // Until nobody answers any more.
        while (
          await tell('SELECT 1').then(
            () => true,
            () => false,
          )
        );
        return () => server.restart()
      }),
  },
  {
    fault: 'kill -9 and restart, unlogged table (comes back empty)',
    prepare: () =>
      stage(
        async ({ server }) => {
          await server.kill('SIGKILL')
          return () => server.restart()
        },
        { unlogged: true },
      ),
  },
  {
    fault: 'every row is locked',
    prepare: () =>
      stage(async ({ tell }) => {
        await tell('BEGIN')
        await tell(`SELECT 1 FROM ${TABLE} FOR UPDATE`)
        return async () => void (await tell('ROLLBACK'))
      }),
  },
  {
    fault: 'the table is locked',
    prepare: () =>
      stage(async ({ tell }) => {
        await tell('BEGIN')
        await tell(`LOCK TABLE ${TABLE} IN ACCESS EXCLUSIVE MODE`)
        return async () => void (await tell('ROLLBACK'))
      }),
  },
  {
    fault: 'rows are locked, statement_timeout 20 ms (57014)',
    prepare: () =>
      stage(async ({ tell }) => {
        await tell(`ALTER ROLE ${APP} SET statement_timeout = '20ms'`)
        await tell('BEGIN')
        await tell(`SELECT 1 FROM ${TABLE} FOR UPDATE`)
        await tell(END_SESSIONS)
        return async () => void (await tell('ROLLBACK'))
      }),
  },
  {
    fault: 'no room for connections (53300)',
    prepare: () =>
      stage(async ({ tell }) => {
        await tell(`ALTER ROLE ${APP} CONNECTION LIMIT 0`)
        await tell(END_SESSIONS)
        return async () => void (await tell(`ALTER ROLE ${APP} CONNECTION LIMIT -1`))
      }),
  },
  {
    fault: 'read-only (25006)',
    prepare: () =>
      stage(async ({ tell }) => {
        await tell('SET default_transaction_read_only = off')
        await tell('ALTER SYSTEM SET default_transaction_read_only = on')
        await tell('SELECT pg_reload_conf()')
        return async () => {
          await tell('ALTER SYSTEM RESET default_transaction_read_only')
          await tell('SELECT pg_reload_conf()')
        }
      }),
  },
  {
    fault: 'all sessions are ended every 300 ms (57P01)',
    flaps: true,
    answer: 'either',
    prepare: () => stage(async ({ tell }) => repeatedly(300, () => tell(END_SESSIONS))),
  },
  {
    fault: 'all connections of the pool are taken',
    prepare: () =>
      stage(async () => async () => {}, { pool: 4 }).then((scene) => ({
        ...scene,
        async inject(run) {
          run.tell({ kind: 'occupy', ms: 3000 })
          return async () => {}
        },
      })),
  },
  {
    fault: 'the right to write is taken away (42501)',
    prepare: () =>
      stage(async ({ tell }) => {
        await tell(`REVOKE ALL ON ${TABLE} FROM ${APP}`)
        return async () => void (await tell(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${TABLE} TO ${APP}`))
      }),
  },
  {
    fault: 'the table is emptied (TRUNCATE)',
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
  {
    fault: 'one byte a second comes back',
    prepare: () =>
      stage(async ({ proxy }) => {
        proxy.set({ kind: 'drip', ms: 1000 }, 'down')
        return async () => proxy.heal()
      }),
  },
]
