// What a PostgreSQL and the way to it can answer with, error by error: how it is classed, what the counter holds afterwards, and who decides
// instead. Real servers, by both drivers. Next: ../../../src/stores/postgres/errors.ts; ../postgres.test.ts for what else can happen.

import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AsyncStore } from '../../../src/stores/store.ts'
import { Calls } from '../../../src/stores/postgres/calls.ts'
import { fromPg } from '../../../src/stores/postgres/clients.ts'
import { type PostgresStoreOptions, postgresStore } from '../../../src/stores/postgres/index.ts'
import { openLine } from '../../stores/line.ts'
import { type OwnServer, describeWithOwnServer, startPostgres } from '../../servers.ts'
import { type Break, breakHandshakes } from './broken-handshake.ts'
import { APP, POSTGRES_ROWS, PREFIX, type Scene } from './postgres-rows.ts'
import { DEADLINE_MS, play, set, until } from './table.ts'

const TABLE = 'smart_ratelimit'
const OPTIONS = { keyPrefix: PREFIX, rememberRefusalsMs: false, deadlineMs: DEADLINE_MS } as const satisfies PostgresStoreOptions
const DRIVERS = ['pg', 'postgres'] as const
type DriverName = (typeof DRIVERS)[number]

/** Nothing was sent, whatever becomes of the connection that is being made. */
const HANDSHAKES: readonly (Break & { readonly fault: string })[] = [
  { fault: 'when it is accepted', how: 'end' },
  { fault: 'when it is accepted', how: 'reset' },
  { fault: 'with the first message', how: 'end', after: 0 },
  { fault: 'with the first message', how: 'reset', after: 0 },
  { fault: 'in the authentication', how: 'end', after: 1 },
  { fault: 'in the authentication', how: 'reset', after: 1 },
]
const TLS_HANDSHAKES: readonly (Break & { readonly fault: string })[] = [
  { fault: 'when TLS is asked for', how: 'end', after: 0 },
  { fault: 'in the TLS handshake', how: 'end', after: 1, says: 'S' },
  { fault: 'in the TLS handshake', how: 'reset', after: 1, says: 'S' },
]

function storeOf(driver: DriverName, url: string, session: string | undefined, onClose: (() => Promise<unknown>)[]): AsyncStore {
  if (session === undefined) return postgresStore({ url, client: driver }, OPTIONS)
  if (driver === 'pg') {
    const pool = new pg.Pool({ connectionString: url, max: 2, options: session })
    pool.on('error', () => {})
    onClose.push(() => pool.end())
    return postgresStore(pool, OPTIONS)
  }
  const sql = postgres(url, { max: 2, fetch_types: false, onnotice: () => {}, connection: { options: session } as object })
  onClose.push(() => sql.end({ timeout: 1 }))
  return postgresStore(sql, OPTIONS)
}

describeWithOwnServer('postgres', 'the errors of a PostgreSQL', () => {
  let server: OwnServer
  let admin: pg.Pool
  let truth: ReturnType<typeof postgresStore>

  beforeAll(async () => {
    server = await startPostgres({ args: ['-c', 'deadlock_timeout=200ms'] })
    admin = new pg.Pool({ connectionString: server.url, max: 2 })
    admin.on('error', () => {})
    truth = postgresStore({ url: server.url, client: 'pg' }, { ...OPTIONS, deadlineMs: 5000, synchronousCommit: 'on' })
    await truth.setup()
    await admin.query(`
      CREATE ROLE ${APP} LOGIN PASSWORD 'open-sesame';
      GRANT SELECT, INSERT, UPDATE, DELETE ON ${TABLE} TO ${APP};
      CREATE SEQUENCE failures;
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        IF NEW.key = TG_ARGV[0] AND nextval('failures') <= TG_ARGV[2]::int THEN
          RAISE EXCEPTION 'made to fail' USING ERRCODE = TG_ARGV[1];
        END IF;
        RETURN NEW;
      END $$;
      CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        PERFORM nextval('failures');
        PERFORM pg_advisory_xact_lock(7);
        RETURN NEW;
      END $$;
    `)
  }, 60_000)

  afterAll(async () => {
    await truth.close()
    await admin.end()
    await server.stop()
  })

  const session = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: server.url })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  const asApp = (port: number): string => {
    const url = new URL(server.url)
    url.username = APP
    url.port = String(port)
    return url.href
  }

  describe.each(DRIVERS)('by %s', (driver) => {
    it.each(POSTGRES_ROWS)(
      '$fault: $kind',
      { timeout: 60_000 },
      async ({ during, session: settings, url = (same) => same, byPostgresJs, ...row }) => {
        const outcome = driver === 'postgres' && byPostgresJs !== undefined ? { kind: byPostgresJs, holds: row.holds } : row
        const line = await openLine(server.port)
        const onClose: (() => Promise<unknown>)[] = []
        const through = line.url(asApp(server.port))
        const scene: Scene = { server, url: through, line, session, tell: (sql, values) => admin.query(sql, values as unknown[]) }
        try {
          const played = play(outcome, {
            make: () => storeOf(driver, url(through), settings, onClose),
            truth,
            during: (key, act) => (during === undefined ? Promise.resolve(act()) : during(scene, key, act)),
          })
          await expect(played).resolves.toBeUndefined()
        } finally {
          for (const close of onClose) await close()
          await line.close()
        }
      },
    )

    it.each(HANDSHAKES)('a connection is lost $fault ($how): unavailable', async (how) => {
      await using way = await breakHandshakes(server.port, how)
      const make = (): AsyncStore => postgresStore({ url: asApp(way.port), client: driver }, OPTIONS)
      const message = /lost before anything was sent/
      await expect(
        play({ kind: 'unavailable', message, holds: 1 }, { make, truth, during: async (_, act) => act() }),
      ).resolves.toBeUndefined()
      // Nobody hammers at it.
      expect(way.broken).toBeLessThan(20)
    })

    it.each(TLS_HANDSHAKES)('a connection is lost $fault ($how): unavailable', async (how) => {
      await using way = await breakHandshakes(server.port, how)
      const make = (): AsyncStore =>
        postgresStore({ url: asApp(way.port), client: driver, ssl: { rejectUnauthorized: false } }, OPTIONS)
      await expect(
        play({ kind: 'unavailable', holds: 1 }, { make, truth, during: async (_, act) => act() }),
      ).resolves.toBeUndefined()
      expect(way.broken).toBeLessThan(20)
    })

    it('nobody listens there: unavailable', async () => {
      const way = await breakHandshakes(server.port, { how: 'end' })
      await way[Symbol.asyncDispose]()
      const make = (): AsyncStore => postgresStore({ url: asApp(way.port), client: driver }, OPTIONS)
      await expect(
        play(
          { kind: 'unavailable', message: /connection was refused/, holds: 1 },
          { make, truth, during: async (_, act) => act() },
        ),
      ).resolves.toBeUndefined()
    })

    it('a connection that was lost while it was idle is replaced, and nobody is told', async () => {
      const line = await openLine(server.port)
      const url = line.url(asApp(server.port))
      const make = (): AsyncStore => postgresStore({ url, client: driver }, OPTIONS)
      try {
        const store = make()
        for (const end of [`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${APP}'`, '']) {
          expect((await store.take(set, `idle ${driver}`, 1, 'take')).granted).toBe(true)
          if (end === '') line.cut()
          else await admin.query(end)
          // Until the end of the connection has come here as well.
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
        expect((await store.take(set, `idle ${driver}`, 1, 'take')).granted).toBe(true)
        expect((await truth.read(set, `idle ${driver}`))?.[0]?.[1]).toBe(3)
        await store.close()
      } finally {
        await line.close()
      }
    })
  })

  it('while it waits for a free connection the way to the server is lost: unavailable', async () => {
    const line = await openLine(server.port)
    const pool = new pg.Pool({ connectionString: line.url(asApp(server.port)), max: 1 })
    pool.on('error', () => {})
    try {
      const during = async <T>(_: string, act: () => PromiseLike<T>): Promise<T> => {
        const holder = await pool.connect()
        holder.on('error', () => {})
        const acting = act()
        await until(async () => pool.waitingCount > 0)
        line.refuse()
        holder.release(true)
        try {
          return await acting
        } finally {
          line.heal()
        }
      }
      const outcome = { kind: 'unavailable', message: /lost before anything was sent/, holds: 1 } as const
      await expect(play(outcome, { make: () => postgresStore(pool, OPTIONS), truth, during })).resolves.toBeUndefined()
    } finally {
      await pool.end()
      await line.close()
    }
  })

  it('a statement that is given up tells whether it was sent', async () => {
    const pool = new pg.Pool({ connectionString: server.url, max: 1 })
    const calls = new Calls(fromPg(pool, { prepare: true }), 'postgres', TABLE, 50, 4)
    const sleep = { name: 'sleep', text: 'SELECT pg_sleep($1::text::float)::text', nothing: ['0'] }
    try {
      await pool.query('SELECT 1')
      const given = await Promise.allSettled([calls.send(sleep, () => ['0.3']), calls.send(sleep, () => ['10'])])
      const code = 'ERR_RATELIMIT_STORE_TIMEOUT'
      expect(given).toMatchObject([{ reason: { code, kind: 'ambiguous' } }, { reason: { code, kind: 'unavailable' } }])
    } finally {
      await pool.end()
    }
  })

  it('25P02: a connection that was given back within a failed transaction: unavailable', async () => {
    const pool = new pg.Pool({ connectionString: asApp(server.port), max: 1 })
    try {
      const during = async <T>(_: string, act: () => PromiseLike<T>): Promise<T> => {
        const client = await pool.connect()
        await client.query('BEGIN')
        await client.query('SELECT 1/0').catch(() => {})
        client.release()
        return act()
      }
      const outcome = { kind: 'unavailable', message: /in a failed transaction/, holds: 1 } as const
      await expect(play(outcome, { make: () => postgresStore(pool, OPTIONS), truth, during })).resolves.toBeUndefined()
    } finally {
      await pool.end()
    }
  })
})
