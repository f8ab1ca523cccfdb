// What happens to PostgreSQL decisions when the server, the pool or another session does not play along. Real faults, on real servers.
// Next: ../conformance/postgres.test.ts, where all is well.

import { inspect } from 'node:util'
import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { manualClock, systemClock } from '../../src/core/clock.ts'
import { ConfigError, StoreError } from '../../src/core/errors.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { storeKey } from '../../src/stores/store-key.ts'
import { type PgPool, type PostgresStoreOptions, postgresStore } from '../../src/stores/postgres/index.ts'
import { describeWithOwnServer, describeWithServer, startPostgres } from '../servers.ts'

const set = buildLimitSet('faults', '50/h', {})
const FORGETFUL = { rememberRefusalsMs: false } as const satisfies PostgresStoreOptions
const HURRY_FREE = { ...FORGETFUL, deadlineMs: 20_000 } as const

async function failure(promise: PromiseLike<unknown>): Promise<StoreError> {
  const error: unknown = await Promise.resolve(promise).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(StoreError)
  return error as StoreError
}

/** Ms that something took, and how it failed. */
async function timed(promise: PromiseLike<unknown>): Promise<{ ms: number; error: StoreError }> {
  const start = performance.now()
  const error = await failure(promise)
  return { ms: performance.now() - start, error }
}

const used = async (store: ReturnType<typeof postgresStore>, key: string): Promise<number> =>
  (await store.take(set, key, 1, 'peek')).readings[1] as number

describeWithServer('postgres', 'PostgreSQL that does not play along', async (server) => {
  const { url } = server
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  beforeAll(() => postgresStore(pool).setup())
  afterAll(() => pool.end())

  it('gives up on a row that another session holds, charges nothing later, and answers the neighbours', async () => {
    const keyPrefix = 'held:'
    const store = postgresStore(pool, { ...FORGETFUL, keyPrefix, deadlineMs: 400 })
    await store.take(set, 'a', 1, 'take')
    const other = await pool.connect()
    await other.query('BEGIN')
    await other.query('SELECT 1 FROM smart_ratelimit WHERE key = $1 FOR UPDATE', [keyPrefix + storeKey(set, 'a')])
    const held = timed(store.take(set, 'a', 1, 'take'))
    const neighbours = ['b', 'c', '0'].map((key) => store.take(set, key, 1, 'take'))
    expect((await Promise.all(neighbours)).map(({ granted }) => granted)).toEqual([true, true, true])
    const { ms, error } = await held
    expect(ms).toBeLessThan(800)
    expect(error.message).toMatch(/another session holds/)
    expect(error.kind).toBe('unavailable')
    await other.query('ROLLBACK')
    other.release()
    expect(await used(store, 'a')).toBe(1)
    expect(await used(store, 'b')).toBe(1)
  })

  it('looks, and refuses, without waiting for a lock', async () => {
    const keyPrefix = 'look:'
    const store = postgresStore(pool, { ...FORGETFUL, keyPrefix, deadlineMs: 2000 })
    await store.take(set, 'a', 50, 'take')
    const other = await pool.connect()
    await other.query('BEGIN')
    await other.query('SELECT 1 FROM smart_ratelimit WHERE key = $1 FOR UPDATE', [keyPrefix + storeKey(set, 'a')])
    expect((await store.take(set, 'a', 1, 'peek')).granted).toBe(false)
    expect((await store.take(set, 'a', 1, 'take')).granted).toBe(false)
    await other.query('ROLLBACK')
    other.release()
  })

  it('an exhausted pool of pg costs no more than the deadline, and nothing is charged when it is free again', async () => {
    const small = new pg.Pool({ connectionString: url, max: 1 })
    const store = postgresStore(small, { ...FORGETFUL, keyPrefix: 'pool:', deadlineMs: 150 })
    await store.take(set, 'a', 1, 'take')
    const busy = await small.connect()
    const { ms, error } = await timed(store.take(set, 'a', 1, 'take'))
    expect(ms).toBeLessThan(450)
    expect(error.code).toBe('ERR_RATELIMIT_STORE_TIMEOUT')
    // The pool is not handed ever more: the next is told at once.
    const next = await timed(store.take(set, 'a', 1, 'take'))
    expect(next.ms).toBeLessThan(100)
    expect(next.error.message).toMatch(/pool exhausted/)
    expect(small.waitingCount).toBe(1)
    busy.release()
    await vi.waitFor(() => expect(small.idleCount).toBe(1))
    expect(await used(store, 'a')).toBe(1)
    await small.end()
  })

  it('an exhausted postgres.js costs no more than the deadline, and nothing is charged when it is free again', async () => {
    const sql = postgres(url, { max: 1 })
    const store = postgresStore(sql, { ...FORGETFUL, keyPrefix: 'js:', deadlineMs: 150 })
    await store.take(set, 'a', 1, 'take')
    let [release, begin] = [(): void => {}, (): void => {}]
    const released = new Promise<void>((resolve) => (release = resolve))
    const begun = new Promise<void>((resolve) => (begin = resolve))
    const busy = sql.begin(async (inside) => {
      await inside`SELECT 1`
      begin()
      await released
    })
    await begun
    const { ms, error } = await timed(store.take(set, 'a', 1, 'take'))
    expect(ms).toBeLessThan(450)
    expect(error.code).toBe('ERR_RATELIMIT_STORE_TIMEOUT')
    release()
    await busy
    await vi.waitFor(async () => expect(await used(store, 'a')).toBe(1))
    await sql.end()
  })

  it('asks again when the server rolls back for others’ sake, and admits exactly the limit', async () => {
    const strict = new pg.Pool({ connectionString: url, max: 4, options: '-c default_transaction_isolation=serializable' })
    const store = postgresStore(strict, { ...HURRY_FREE, keyPrefix: 'strict:', batchSize: 1 })
    const takes = await Promise.all(Array.from({ length: 200 }, () => store.take(set, 'a', 1, 'take')))
    expect(takes.filter(({ granted }) => granted)).toHaveLength(50)
    await strict.end()
  })

  it('sends all questions of a turn as one statement', async () => {
    const texts: string[] = []
    const counting = Object.assign(Object.create(pool) as pg.Pool, {
      query: (query: Parameters<PgPool['query']>[0]) => {
        texts.push(typeof query === 'string' ? query : (query as { text: string }).text)
        return (pool as PgPool).query(query as never)
      },
    })
    const store = postgresStore(counting, { ...HURRY_FREE, keyPrefix: 'one:' })
    const policy = buildLimitSet('trip', '5/s, 10/m, 20/h', {})
    await Promise.all(Array.from({ length: 60 }, (_, i) => store.take(policy, `k${i % 20}`, 1, 'take')))
    expect(texts).toHaveLength(1)
    await store.take(policy, 'k1', 1, 'take')
    expect(texts).toHaveLength(2)
  })

  it('a batch of more than one statement holds keeps to its size', async () => {
    const store = postgresStore(pool, { ...HURRY_FREE, keyPrefix: 'size:', batchSize: 10 })
    const takes = await Promise.all(Array.from({ length: 95 }, (_, i) => store.take(set, `k${i}`, 1, 'take')))
    expect(takes.every(({ granted }) => granted)).toBe(true)
  })

  it('finds the calendar period of the server’s clock where this process’s is days off', async () => {
    // Not the machine's date: the guarded clock would stay ahead for all tests of this process.
    const now = systemClock.now.bind(systemClock)
    const ahead = vi.spyOn(systemClock, 'now').mockImplementation(() => now() + 40 * 86_400_000)
    try {
      const store = postgresStore(pool, { ...HURRY_FREE, keyPrefix: 'calendar:' })
      const day = buildLimitSet('calendar', '2/day', {})
      const answers = []
      for (let i = 0; i < 3; i++) answers.push(await store.take(day, 'k', 1, 'take'))
      expect(answers.map(({ granted }) => granted)).toEqual([true, true, false])
      const { rows } = await pool.query<{ now: string }>('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now')
      expect(Math.abs((answers[0]?.now ?? 0) - Number(rows[0]?.now))).toBeLessThan(60_000)
      expect(answers[0]?.readings[0]).toBe(Math.floor((answers[0]?.now ?? 0) / 86_400_000) * 86_400_000)
    } finally {
      ahead.mockRestore()
    }
  })

  describe('says what is wrong, and what to do', () => {
    const PASSWORD = 's3cr3t@:/?#'
    const where = new URL(url)
    const parts = { host: where.hostname, port: Number(where.port), database: where.pathname.slice(1), user: where.username }

    /** Nothing in it, at any depth, shows the password. */
    const keepsSecret = (error: unknown): void => {
      const told = `${inspect(error, { depth: 10, showHidden: true })} ${String((error as Error).stack)} ${JSON.stringify(error)}`
      expect(told).not.toContain('s3cr3t')
      expect(told).not.toContain(encodeURIComponent(PASSWORD))
    }

    it.each(['pg', 'postgres'] as const)('by %s: a wrong password, a wrong database, a closed port', async (client) => {
      const cases: readonly [object, RegExp, string][] = [
        [{ ...parts, password: PASSWORD }, /wrong user or password/, 'misconfigured'],
        [{ ...parts, password: PASSWORD, port: 1 }, /connection was refused/, 'unavailable'],
        [{ url: `postgres://nobody:${encodeURIComponent(PASSWORD)}@127.0.0.1:1/x` }, /connection was refused/, 'unavailable'],
        [{ ...parts, password: where.password, database: 'no_such' }, /no such database/, 'misconfigured'],
        [{ ...parts, password: where.password, ssl: true }, /TLS connection failed|connection was lost/, ''],
      ]
      for (const [source, message, kind] of cases) {
        const store = postgresStore({ ...source, client }, { deadlineMs: 5000 })
        for (const error of [await failure(store.take(set, 'k', 1, 'take')), await failure(store.setup())]) {
          expect(error.message).toMatch(message)
          if (kind !== '') expect(error.kind).toBe(kind)
          expect(error.store).toBe('postgres')
          keepsSecret(error)
        }
        await store.close()
      }
    })

    it('a table that is missing, is another’s, or is newer', async () => {
      const database = new pg.Pool({ connectionString: await server.freshDatabase() })
      const store = postgresStore(database, HURRY_FREE)
      const missing = await failure(store.take(set, 'k', 1, 'take'))
      expect(missing.code).toBe('ERR_RATELIMIT_STORE_SETUP')
      expect(missing.message).toMatch(/smart_ratelimit: call setup\(\) or run `npx smart-ratelimit setup`/)
      expect((await failure(store.ping())).code).toBe('ERR_RATELIMIT_STORE_SETUP')
      await database.query('CREATE TABLE smart_ratelimit (id int)')
      const foreign = await failure(store.setup())
      expect(foreign.code).toBe('ERR_RATELIMIT_STORE_SETUP')
      expect(foreign.message).toMatch(/not one of this package/)
      await database.query('DROP TABLE smart_ratelimit')
      await store.setup()
      await database.query(`UPDATE smart_ratelimit SET state = '{99}' WHERE key = ' version'`)
      expect((await failure(store.setup())).message).toMatch(/made by a newer release/)
      await database.query('DROP TABLE smart_ratelimit')
      expect((await failure(store.take(set, 'k', 1, 'take'))).code).toBe('ERR_RATELIMIT_STORE_SETUP')
      await database.end()
    })

    it('a server that only reads: looks are answered, beside takes that are not', async () => {
      const standby = new pg.Pool({ connectionString: url, options: '-c default_transaction_read_only=on' })
      const store = postgresStore(standby, { ...HURRY_FREE, keyPrefix: 'standby:' })
      const take = store.take(set, 'a', 1, 'take')
      const look = store.take(set, 'b', 1, 'peek')
      const error = await failure(take)
      expect([error.kind, error.message]).toEqual(['wrong_node', expect.stringMatching(/read-only.*primary/)])
      expect((await look).granted).toBe(true)
      expect((await failure(store.ping())).kind).toBe('wrong_node')
      await standby.end()
    })

    it('a user without rights', async () => {
      await pool.query(`CREATE ROLE weak LOGIN PASSWORD 'weak'`)
      try {
        const store = postgresStore({ ...parts, user: 'weak', password: 'weak' }, HURRY_FREE)
        const error = await failure(store.take(set, 'k', 1, 'take'))
        expect([error.kind, error.message]).toEqual(['misconfigured', expect.stringMatching(/lacks a right/)])
        await store.close()
        // Where all is set up, setting up again needs no right but to look.
        await pool.query('GRANT SELECT, INSERT, UPDATE, DELETE ON smart_ratelimit TO weak')
        const again = postgresStore({ ...parts, user: 'weak', password: 'weak' }, HURRY_FREE)
        await again.setup()
        expect((await again.take(set, 'weak', 1, 'take')).granted).toBe(true)
        await again.close()
      } finally {
        await pool.query('REVOKE ALL ON smart_ratelimit FROM weak')
        await pool.query('DROP ROLE weak')
      }
    })

    it('a server that is too old', async () => {
      const old = Object.assign(Object.create(pool) as pg.Pool, {
        query: (query: { text?: string }) =>
          query.text?.includes('server_version_num') === true
            ? Promise.resolve({ rows: [['110022', null, null]] })
            : (pool as PgPool).query(query as never),
      })
      const error = await failure(postgresStore(old).setup())
      expect(error.message).toMatch(/PostgreSQL 12 or newer; this one says 110022/)
    })

    it('a client of another kind, at construction', () => {
      const client = new pg.Client({ connectionString: url })
      expect(() => postgresStore(client as never)).toThrow(/Pool of pg rather than a single Client/)
      for (const source of [undefined, null, 5, {}, [], `postgres://u:${PASSWORD}@h/d`]) {
        try {
          postgresStore(source as never)
          expect.unreachable()
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
          keepsSecret(error)
        }
      }
    })
  })

  describe('sets up and clears', () => {
    it('from several processes at once, again and again, and prints what it runs', async () => {
      const database = await server.freshDatabase()
      const pools = Array.from({ length: 5 }, () => new pg.Pool({ connectionString: database, max: 1 }))
      await Promise.all(pools.map((one) => postgresStore(one).setup()))
      const [first] = pools as [pg.Pool]
      const store = postgresStore(first, HURRY_FREE)
      await store.take(set, 'k', 50, 'take')
      await Promise.all(pools.map((one) => postgresStore(one).setup()))
      await first.query(store.setupSql())
      expect((await store.take(set, 'k', 1, 'take')).granted).toBe(false)
      // As an older release of the function would be.
      await first.query('DROP FUNCTION smart_ratelimit_take_v1')
      await store.setup()
      expect((await store.take(set, 'k', 1, 'take')).granted).toBe(false)
      await Promise.all(pools.map((one) => one.end()))
    })

    it('in a schema of choice, unlogged or not, keeping the counters', async () => {
      const own = new pg.Pool({ connectionString: await server.freshDatabase() })
      await own.query('CREATE SCHEMA limits')
      const table = 'limits.Rate_Limits'
      const persistence = async (): Promise<unknown> =>
        (await own.query(`SELECT relpersistence FROM pg_class WHERE relname = 'Rate_Limits'`)).rows
      const unlogged = postgresStore(own, { ...HURRY_FREE, table, unlogged: true })
      await unlogged.setup()
      await unlogged.take(set, 'k', 50, 'take')
      expect(await persistence()).toEqual([{ relpersistence: 'u' }])
      await postgresStore(own, { ...HURRY_FREE, table }).setup()
      expect(await persistence()).toEqual([{ relpersistence: 'u' }])
      const logged = postgresStore(own, { ...HURRY_FREE, table, unlogged: false })
      await logged.setup()
      expect(await persistence()).toEqual([{ relpersistence: 'p' }])
      expect((await logged.take(set, 'k', 1, 'take')).granted).toBe(false)
      await own.end()
    })

    it('deletes what has expired and nothing else, a page at a time, and a dry run counts exactly that', async () => {
      const clock = manualClock(1_700_000_000_000)
      const store = postgresStore(pool, { ...HURRY_FREE, keyPrefix: 'clean:', clock })
      const short = buildLimitSet('short', '5/s', {})
      const long = buildLimitSet('long', '5/30d', {})
      for (let i = 0; i < 25; i++) await store.take(short, `k${i}`, 1, 'take')
      for (let i = 0; i < 5; i++) await store.take(long, `k${i}`, 1, 'take')
      await pool.query(`INSERT INTO smart_ratelimit VALUES ('strange:x', '{0,0}', 0, 0)`)
      expect(await store.cleanup({ dryRun: true })).toEqual({ found: 0, deleted: 0 })
      clock.advance(3_600_000)
      const seen: number[] = []
      const dry = await store.cleanup({ dryRun: true, batchSize: 7 })
      expect(dry).toEqual({ found: 25, deleted: 0 })
      expect(await store.cleanup({ dryRun: true, keyPattern: 'short|*|k1*' })).toEqual({ found: 11, deleted: 0 })
      expect(await store.cleanup({ batchSize: 7, onProgress: (n) => seen.push(n) })).toEqual({ found: 25, deleted: 25 })
      expect(seen.at(-1)).toBe(25)
      expect(seen.length).toBeGreaterThan(3)
      for (let i = 0; i < 5; i++) expect((await store.take(long, `k${i}`, 5, 'take')).granted).toBe(false)
      expect(await store.cleanup({ olderThanMs: 3_600_000 })).toEqual({ found: 5, deleted: 5 })
      expect((await pool.query(`SELECT key FROM smart_ratelimit WHERE key IN ('strange:x', ' version')`)).rowCount).toBe(2)
    })

    it('leaves a row that is being used, and sweeps the whole table a page at a time', async () => {
      const clock = manualClock(1_700_000_000_000)
      const keyPrefix = 'sweep:'
      const store = postgresStore(pool, { ...HURRY_FREE, keyPrefix, clock })
      const short = buildLimitSet('short', '5/s', {})
      await Promise.all(Array.from({ length: 2500 }, (_, i) => store.take(short, `k${i}`, 1, 'take')))
      clock.advance(3_600_000)
      const other = await pool.connect()
      await other.query('BEGIN')
      await other.query('SELECT 1 FROM smart_ratelimit WHERE key = $1 FOR UPDATE', [keyPrefix + storeKey(short, 'k7')])
      const swept = [await store.sweep(), await store.sweep(), await store.sweep()]
      expect(Math.max(...swept)).toBeLessThanOrEqual(1000)
      expect(swept.reduce((sum, n) => sum + n)).toBe(2499)
      await other.query('ROLLBACK')
      other.release()
      await store.sweep()
      expect(await store.sweep()).toBe(1)
    })
  })
})

describeWithServer('postgres', 'a PostgreSQL counter changed by a function', async ({ url }) => {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  beforeAll(() => postgresStore(pool).setup())
  afterAll(() => pool.end())
  const START_MS = 1_700_000_000_000
  const fixed = buildLimitSet('update', '50/h', { algorithm: 'fixed_window' })
  const add = (count: number) => (record: { states: number[][] }, now: number) => {
    record.states[0] = [now, (record.states[0]?.[1] ?? 0) + count]
    return count > 0
  }

  it('is changed at most once under one entry, and tells what it holds', async () => {
    const clock = manualClock(START_MS)
    const store = postgresStore(pool, { ...HURRY_FREE, keyPrefix: 'update:', clock })
    const entry = { writer: 'w1', sequence: 7 }
    const told = (outcome: string, count: number): object => ({ outcome, states: [[START_MS, count]], now: START_MS })
    expect(await store.update(fixed, 'k', add(2), entry)).toEqual(told('changed', 2))
    expect(await store.update(fixed, 'k', add(2), entry)).toEqual(told('already', 2))
    expect((await store.update(fixed, 'k', add(2), { ...entry, sequence: 6 })).outcome).toBe('already')
    expect((await store.update(fixed, 'k', add(1), { writer: 'w2', sequence: 1 })).outcome).toBe('changed')
    expect((await store.update(fixed, 'k', add(0), { ...entry, sequence: 8 })).outcome).toBe('unchanged')
    expect((await store.update(fixed, 'k', add(1), { ...entry, sequence: 8 })).outcome).toBe('changed')
    expect((await store.update(fixed, 'k', add(1))).states).toEqual([[START_MS, 5]])
    expect((await store.update(fixed, 'j', () => false)).states).toEqual([[]])
    expect((await store.take(fixed, 'k', 45, 'take')).granted).toBe(true)
    expect((await store.take(fixed, 'k', 1, 'take')).granted).toBe(false)
  })

  it('loses nothing to others who change it meanwhile, entries or takes', async () => {
    const clock = manualClock(START_MS)
    const store = postgresStore(pool, { ...HURRY_FREE, keyPrefix: 'both:', clock })
    const same = Array.from({ length: 5 }, () => store.update(fixed, 'k', add(3), { writer: 'w', sequence: 1 }))
    const others = Array.from({ length: 5 }, (_, i) => store.update(fixed, 'k', add(1), { writer: `v${i}`, sequence: 1 }))
    const takes = Array.from({ length: 20 }, () => store.take(fixed, 'k', 1, 'take'))
    const outcomes = (await Promise.all(same)).map(({ outcome }) => outcome)
    expect(outcomes.filter((outcome) => outcome === 'changed')).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === 'already')).toHaveLength(4)
    await Promise.all([...others, ...takes])
    expect((await store.take(fixed, 'k', 1, 'peek')).readings[1]).toBe(3 + 5 + 20)
  })

  it('of sliding windows and bans, as they are read', async () => {
    const clock = manualClock(START_MS)
    const store = postgresStore(pool, { ...HURRY_FREE, keyPrefix: 'whole:', clock })
    const policy = buildLimitSet('whole', '5/10s, 9/m', {})
    await store.take(policy, 'k', 2, 'take')
    clock.advance(3000)
    await store.take(policy, 'k', 1, 'take')
    await store.ban(policy, 'k', { durationMs: 1000, factor: 1, maxMs: 1000, forgetAfterMs: 5000 })
    const before = await store.read(policy, 'k')
    expect((await store.update(policy, 'k', () => true)).outcome).toBe('changed')
    expect(await store.read(policy, 'k')).toEqual(before)
    expect((await store.take(policy, 'k', 1, 'take')).bannedForMs).toBe(1000)
    clock.advance(1000)
    expect(Array.from((await store.take(policy, 'k', 1, 'take')).readings).filter((_, i) => i % 4 === 1)).toEqual([4, 4])
  })
})

describeWithOwnServer('postgres', 'a PostgreSQL server that fails', () => {
  it('stopped: every decision settles within the deadline, and it is quick again when the server is back', async () => {
    await using server = await startPostgres()
    const store = postgresStore({ url: server.url }, { ...FORGETFUL, deadlineMs: 100 })
    await store.setup()
    await store.take(set, 'k', 1, 'take')
    await server.kill('SIGSTOP')
    const waits = await Promise.all(Array.from({ length: 300 }, (_, i) => timed(store.take(set, `k${i}`, 1, 'take'))))
    expect(Math.max(...waits.map(({ ms }) => ms))).toBeLessThan(400)
    const more = await Promise.all(Array.from({ length: 300 }, (_, i) => timed(store.take(set, `k${i}`, 1, 'take'))))
    expect(Math.max(...more.map(({ ms }) => ms))).toBeLessThan(400)
    await server.kill('SIGCONT')
    await vi.waitFor(async () => expect((await store.take(set, 'k', 1, 'peek')).granted).toBe(true), { timeout: 5000 })
    for (const client of ['pg', 'postgres'] as const) {
      const other = postgresStore({ url: server.url, client }, { ...FORGETFUL, deadlineMs: 2000 })
      await other.take(set, 'k', 1, 'peek')
      await server.kill('SIGSTOP')
      const hanging = failure(other.take(set, 'k', 1, 'take'))
      const start = performance.now()
      await other.close()
      expect((await hanging).code).toBe('ERR_RATELIMIT_STORE_CLOSED')
      expect(performance.now() - start).toBeLessThan(4000)
      await server.kill('SIGCONT')
    }
    await store.close()
  })

  it('killed and restarted: errors say so, the counters of a server that was stopped in order are there', async () => {
    await using server = await startPostgres()
    const store = postgresStore({ url: server.url }, { ...FORGETFUL, deadlineMs: 1000 })
    const handedIn = new pg.Pool({ connectionString: server.url, max: 2 })
    handedIn.on('error', () => {})
    const other = postgresStore(handedIn, { ...FORGETFUL, deadlineMs: 1000 })
    await store.setup()
    await store.take(set, 'k', 50, 'take')
    await other.take(set, 'k', 1, 'peek')
    await server.restart()
    await vi.waitFor(async () => expect((await store.take(set, 'k', 1, 'take')).granted).toBe(false), { timeout: 5000 })
    await vi.waitFor(async () => expect((await other.take(set, 'k', 1, 'take')).granted).toBe(false), { timeout: 5000 })
    await server.kill('SIGKILL')
    for (const one of [store, other]) {
      await vi.waitFor(
        async () => expect((await failure(one.take(set, 'k', 1, 'take'))).message).toMatch(/connection was refused/),
        { timeout: 5000 },
      )
    }
    await server.restart()
    await vi.waitFor(async () => expect((await store.take(set, 'k', 1, 'peek')).now).toBeGreaterThan(0), { timeout: 10_000 })
    await store.close()
    await handedIn.end()
  })

  it('without a free connection: told within the deadline', async () => {
    await using server = await startPostgres({ args: ['-c', 'max_connections=4', '-c', 'superuser_reserved_connections=0'] })
    const store = postgresStore({ url: server.url }, { ...FORGETFUL, deadlineMs: 1000 })
    await store.setup()
    await store.close()
    const others: pg.Client[] = []
    // The server gives the store's own place back a little later.
    await vi.waitFor(async () => {
      while (others.length < 4) {
        const other = new pg.Client({ connectionString: server.url })
        other.on('error', () => {})
        await other.connect()
        others.push(other)
      }
    })
    for (const client of ['pg', 'postgres'] as const) {
      const late = postgresStore({ url: server.url, client }, { ...FORGETFUL, deadlineMs: 1000 })
      const { ms, error } = await timed(late.take(set, 'k', 1, 'take'))
      expect(ms).toBeLessThan(1300)
      expect([error.kind, error.message]).toEqual(['unavailable', expect.stringMatching(/no connection left/)])
      await late.close()
    }
    await Promise.all(others.map((one) => one.end()))
  })
})
