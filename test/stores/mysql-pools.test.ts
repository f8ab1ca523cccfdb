// What the MySQL and MariaDB store does with the pools it is handed: types, exhaustion, sessions left as they were; and MySQL's ways,
// as far as a MariaDB that calls itself MySQL can show them. Next: ../conformance/mysql.test.ts.

import callbacks from 'mysql2'
import mysql, { type RowDataPacket } from 'mysql2/promise'
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { ConfigError } from '../../src/core/errors.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { type MysqlPool, type MysqlStoreOptions, mysqlStore } from '../../src/stores/mysql/index.ts'
import { storeConformance } from '../../src/testing/store-conformance.ts'
import { describeWithOwnServer, describeWithServer, startMariadb } from '../servers.ts'

const PATIENT = { deadlineMs: 10_000, rememberRefusalsMs: false } as const satisfies MysqlStoreOptions
const set = buildLimitSet('pools', '1000/h', { algorithm: 'token_bucket' })

describe('what the MySQL store takes', () => {
  it('is every pool of the driver, by type', () => {
    expectTypeOf<mysql.Pool>().toExtend<MysqlPool>()
    expectTypeOf<callbacks.Pool>().toExtend<MysqlPool>()
    expectTypeOf<mysql.Connection>().not.toExtend<MysqlPool>()
    expectTypeOf<callbacks.Connection>().not.toExtend<MysqlPool>()
  })

  it.each([
    [undefined, /mysqlStore\.source: expected a pool of mysql2/],
    ['mysql://u:s3cr3t@h/d', /mysqlStore\.source: expected a pool of mysql2, or \{ url \} or \{ host \}, received a symbol/],
    [{}, /mysqlStore\.source: expected a pool of mysql2/],
    [{ query: () => undefined }, /expected a pool \(createPool\) rather than a single connection/],
  ])('is not %j', (source, message) => {
    expect(() => mysqlStore(source as never)).toThrow(ConfigError)
    expect(() => mysqlStore(source as never)).toThrow(message)
    expect(() => mysqlStore(source as never)).not.toThrow(/s3cr3t/)
  })

  it.each([
    [{ table: 'a; DROP TABLE b' }, /options\.table/],
    [{ table: 'a.b.c' }, /options\.table/],
    [{ table: '`a`' }, /options\.table/],
    [{ concurrency: 0 }, /options\.concurrency/],
    [{ tabel: 'x' }, /options\.tabel: expected one of table, concurrency, deadlineMs/],
  ])('is not the option %j', (options, message) => {
    expect(() => mysqlStore({ host: 'x' }, options as MysqlStoreOptions)).toThrow(message)
  })
})

describeWithServer('mariadb', 'the MySQL store on a pool handed in', ({ url }) => {
  beforeAll(async () => {
    const store = mysqlStore({ url })
    await store.setup()
    await store.close()
  })

  it('fails in time when the app holds all connections, queues no more than its trips, and goes on when one is free', async () => {
    const pool = callbacks.createPool({ uri: url, connectionLimit: 1 })
    const store = mysqlStore(pool, { ...PATIENT, deadlineMs: 50, concurrency: 2 })
    const held = await pool.promise().getConnection()
    let queued = 0
    pool.on('enqueue', () => queued++)
    for (let i = 0; i < 5; i++) {
      const asked = Array.from({ length: 20 }, (_, n) => Promise.resolve(store.take(set, `${i}.${n}`, 1, 'take')))
      const results = await Promise.allSettled(asked)
      expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['rejected']))
    }
    expect(queued).toBeGreaterThan(0)
    expect(queued).toBeLessThanOrEqual(2)
    held.release()
    await expect
      .poll(() =>
        Promise.resolve(store.take(set, 'k', 1, 'take')).then(
          ({ granted }) => granted,
          () => false,
        ),
      )
      .toBe(true)
    expect(await pool.promise().query('SELECT 1')).toBeDefined()
    await store.close()
    // What was handed in is not ended.
    expect(await pool.promise().query('SELECT 1')).toBeDefined()
    await pool.promise().end()
  })

  it.each([true, false])('leaves its session as it was (several statements at once: %s)', async (multipleStatements) => {
    const pool = mysql.createPool({ uri: url, connectionLimit: 1, multipleStatements })
    const session =
      'SELECT CONNECTION_ID() AS id, @@innodb_lock_wait_timeout AS a, @@wait_timeout AS b, @@tx_isolation AS c, @@in_transaction AS d'
    await pool.query('SET SESSION innodb_lock_wait_timeout = 33, SESSION wait_timeout = 444')
    const [before] = await pool.query<RowDataPacket[]>(session)
    const store = mysqlStore(pool, PATIENT)
    await store.take(set, 'session', 1, 'take')
    await store.take(set, 'session', 1, 'peek')
    await store.ban(set, 'session', { durationMs: 1, factor: 1, maxMs: 1, forgetAfterMs: 0 })
    await store.reset(set, 'session')
    await store.sweep()
    await store.cleanup()
    const missing = mysqlStore(pool, { ...PATIENT, table: 'nowhere' })
    await expect(missing.take(set, 'k', 1, 'take')).rejects.toThrow(/no table/)
    await pool.query('CREATE TABLE IF NOT EXISTS dropped LIKE smart_ratelimit')
    await pool.query('INSERT IGNORE INTO dropped SELECT * FROM smart_ratelimit WHERE `key` = " version"')
    const dropped = mysqlStore(pool, { ...PATIENT, table: 'dropped' })
    await dropped.ping()
    await pool.query('DROP TABLE dropped')
    // The error meets it within a transaction.
    await expect(dropped.take(set, 'k', 1, 'take')).rejects.toThrow(/no table/)
    const [after] = await pool.query<RowDataPacket[]>(session)
    expect(before).toEqual(after)
    expect(after[0]).toMatchObject({ a: 33, b: 444, d: 0 })
    await pool.end()
  })

  it('says so when the pool has no connection and lets nobody wait', async () => {
    const pool = callbacks.createPool({ uri: url, connectionLimit: 1, waitForConnections: false })
    const held = await pool.promise().getConnection()
    await expect(mysqlStore(pool, PATIENT).take(set, 'k', 1, 'take')).rejects.toMatchObject({ kind: 'unavailable' })
    held.release()
    await pool.promise().end()
  })

  it('refuses a pool whose sessions do not commit by themselves', async () => {
    const pool = callbacks.createPool({ uri: url, connectionLimit: 1 })
    await pool.promise().query('SET autocommit = 0')
    await expect(mysqlStore(pool, PATIENT).take(set, 'k', 1, 'take')).rejects.toThrow(/autocommit/)
    await pool.promise().end()
  })

  it('works under every sql_mode that changes how texts are read', async () => {
    for (const mode of ['NO_BACKSLASH_ESCAPES', 'ANSI', 'TRADITIONAL', '']) {
      const pool = mysql.createPool({ uri: url, connectionLimit: 1 })
      await pool.query(`SET SESSION sql_mode = '${mode}'`)
      const store = mysqlStore(pool, { ...PATIENT, keyPrefix: `mode\\'"${mode}:` })
      for (const key of ["'", '\\', '\\\\', '"']) {
        expect((await store.take(set, key, 1000, 'take')).granted, `${mode} ${key}`).toBe(true)
        expect((await store.take(set, key, 1000, 'take')).granted, `${mode} ${key}`).toBe(false)
      }
      expect(await store.cleanup({ olderThanMs: 1, keyPattern: '*|\\*' })).toEqual({ found: 2, deleted: 2 })
      await pool.end()
    }
  })

  it('ends its own connections with close(), also in the middle of work', async () => {
    const pool = mysql.createPool(url)
    const count = async (): Promise<number> => {
      const [rows] = await pool.query<RowDataPacket[]>(
        'SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE()',
      )
      return Number(rows[0]?.['n'])
    }
    const before = await count()
    const store = mysqlStore({ url, maxConnections: 3 }, { ...PATIENT, batchSize: 1 })
    const asked = Array.from({ length: 30 }, (_, i) => Promise.resolve(store.take(set, `close${i}`, 1, 'take')))
    const settled = Promise.allSettled(asked)
    await asked[0]
    await store.close()
    await store.close()
    const codes = (await settled).flatMap((result) =>
      result.status === 'rejected' ? [(result.reason as { code: string }).code] : [],
    )
    expect(new Set(codes)).toEqual(new Set(['ERR_RATELIMIT_STORE_CLOSED']))
    await expect(store.take(set, 'k', 1, 'take')).rejects.toMatchObject({ code: 'ERR_RATELIMIT_STORE_CLOSED' })
    await expect.poll(count).toBeLessThanOrEqual(before)
    await pool.end()
  })
})

describeWithOwnServer('mariadb', 'the MySQL store, and what calls itself MySQL', () => {
  it('decides as MySQL is asked: no RETURNING, and one statement a trip where the pool allows no more', async () => {
    await using server = await startMariadb({ args: ['--version=8.0.36'] })
    const own = mysqlStore({ url: server.url }, PATIENT)
    await own.setup()
    const pool = callbacks.createPool(server.url)
    const texts: string[] = []
    pool.on('connection', (connection: { query: (...args: { sql: string }[]) => unknown }) => {
      const { query } = connection
      connection.query = (...args) => {
        texts.push(args[0]?.sql ?? '')
        return query.apply(connection, args)
      }
    })
    let n = 0
    for (const source of [pool, { url: server.url }]) {
      await storeConformance(async (clock) => mysqlStore(source, { ...PATIENT, clock, keyPrefix: `${n++}:` }), {
        rounds: 4,
        steps: 80,
      })
    }
    expect(texts.filter((text) => text === 'COMMIT').length).toBeGreaterThan(50)
    expect(texts.join('\n')).not.toMatch(/RETURNING|NOT ATOMIC/)
    await own.close()
    await pool.promise().end()
  }, 60_000)

  it('refuses a server that is too old', async () => {
    await using server = await startMariadb({ args: ['--version=5.7.44-log'] })
    const store = mysqlStore({ url: server.url }, PATIENT)
    const message = 'store mysql: needs MySQL 8.0 or MariaDB 10.5, or later; this server says "5.7.44-log"'
    await expect(store.take(set, 'k', 1, 'take')).rejects.toMatchObject({ kind: 'misconfigured', message })
    await store.close()
  }, 60_000)

  it('meets no deadlock: takes, refunds, bans, resets and sweeps over the same keys', async () => {
    await using server = await startMariadb()
    const stores = Array.from({ length: 3 }, () => mysqlStore({ url: server.url }, { ...PATIENT, batchSize: 16 }))
    await stores[0]?.setup()
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    const cross = buildLimitSet('cross', '100/h, 70/2h', {})
    const work = stores.flatMap((store, s) =>
      Array.from({ length: 400 }, async (_, i) => {
        const key = keys[(i * (s + 1) * 7 + s) % keys.length] as string
        if (i % 97 === 0) await store.sweep()
        else if (i % 31 === 0) await store.ban(cross, key, { durationMs: 1, factor: 1, maxMs: 1, forgetAfterMs: 0 })
        else if (i % 29 === 0) await store.reset(cross, key)
        else await store.take(cross, key, 1, i % 5 === 0 ? 'refund' : 'take')
      }),
    )
    await Promise.all(work)
    const connection = await mysql.createConnection(server.url)
    const [rows] = await connection.query<RowDataPacket[]>("SHOW STATUS LIKE 'Innodb_deadlocks'")
    expect(rows[0]?.['Value']).toBe('0')
    await connection.end()
    for (const store of stores) await store.close()
  }, 60_000)
})
