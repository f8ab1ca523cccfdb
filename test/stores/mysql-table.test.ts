// The table of the MySQL and MariaDB store: made, migrated, cleared. Next: mysql-pools.test.ts.

import mysql, { type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { manualClock } from '../../src/core/clock.ts'
import { StoreError } from '../../src/core/errors.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import type { TableStore } from '../../src/stores/maintenance.ts'
import { type CounterRecord, type MysqlStoreOptions, mysqlStore } from '../../src/stores/mysql/index.ts'
import { storeKey } from '../../src/stores/store-key.ts'
import { describeWithServer } from '../servers.ts'

const START = 1_700_000_000_000
const PATIENT = { deadlineMs: 10_000, rememberRefusalsMs: false } as const satisfies MysqlStoreOptions

describeWithServer('mariadb', 'the MySQL table', async (server) => {
  const url = await server.freshDatabase()
  const pool = mysql.createPool(url)
  const clock = manualClock(START)
  const set = buildLimitSet('table', '10/h', { algorithm: 'fixed_window' })
  const stores: TableStore[] = []

  beforeEach(() => clock.set(START))
  afterAll(async () => {
    for (const store of stores) await store.close()
    await pool.end()
  })

  function fresh(options: MysqlStoreOptions = {}): ReturnType<typeof mysqlStore> {
    const store = mysqlStore(pool, { ...PATIENT, clock, ...options })
    stores.push(store)
    return store
  }
  const query = async (sql: string): Promise<RowDataPacket[]> => (await pool.query<RowDataPacket[]>(sql))[0]
  const keys = async (table: string): Promise<string[]> =>
    (await query(`SELECT \`key\` FROM ${table} WHERE \`key\` <> ' version'`)).map(({ key }) => String(key).replace(/.*\|/, ''))
  const spend = async (store: TableStore, ...identities: string[]): Promise<void> => {
    for (const identity of identities) await store.take(set, identity, 1, 'take')
  }

  it('is missed with an error that tells what to do, and is found once it is there', async () => {
    const store = fresh({ table: 'late' })
    const calls = [
      () => store.take(set, 'k', 1, 'take'),
      () => store.take(set, 'k', 1, 'peek'),
      () => store.ping(),
      () => store.reset(set, 'k'),
    ]
    for (const call of calls) {
      const error = await Promise.resolve(call()).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(StoreError)
      expect(error).toMatchObject({ code: 'ERR_RATELIMIT_STORE_SETUP', kind: 'misconfigured' })
      expect((error as Error).message).toMatch(/no table `late`: call setup\(\) or run `npx smart-ratelimit setup`/)
    }
    expect(await query(`SHOW TABLES LIKE 'late'`)).toEqual([])
    await store.setup()
    expect((await store.take(set, 'k', 1, 'take')).granted).toBe(true)
  })

  it('is made once by eight who set up at the same time, and again without touching a counter', async () => {
    const all = Array.from({ length: 8 }, () => fresh({ table: 'crowd' }))
    await Promise.all(all.map((store) => store.setup()))
    await spend(all[0] as TableStore, 'kept')
    await Promise.all(all.map((store) => store.setup()))
    expect(await all[1]?.read(set, 'kept')).toEqual([[expect.any(Number), 1]])
    expect(
      (await query('SELECT IS_USED_LOCK(CONCAT("ratelimit:", MD5(CONCAT_WS(".", DATABASE(), "`crowd`")))) AS id'))[0],
    ).toEqual({ id: null })
  })

  it('is made by setupSql() alone, also in another schema', async () => {
    const store = fresh({ table: 'by_hand' })
    const several = await mysql.createConnection({ uri: url, multipleStatements: true })
    await several.query(store.setupSql())
    await several.query(store.setupSql())
    await several.end()
    await store.ping()
    const named = fresh({ table: `${new URL(url).pathname.slice(1)}.qualified` })
    await named.setup()
    expect((await named.take(set, 'k', 1, 'take')).granted).toBe(true)
    expect(await keys('qualified')).toEqual(['k'])
  })

  it('compares keys byte by byte, and holds the longest', async () => {
    const store = fresh({ table: 'bytes', keyPrefix: `a'"\\?:x${'%'.repeat(57)}` })
    await store.setup()
    const long = buildLimitSet('x'.repeat(100), '1/h', {})
    const identities = ['a', 'A', 'ä', 'a ', '?', ':x', '\\', "'", 'l'.repeat(300)]
    for (const identity of identities) expect((await store.take(long, identity, 1, 'take')).granted, identity).toBe(true)
    for (const identity of identities) expect((await store.take(long, identity, 1, 'take')).granted, identity).toBe(false)
    const [longest] = await query('SELECT MAX(LENGTH(`key`)) AS n FROM bytes')
    expect(longest?.['n']).toBeLessThanOrEqual(264)
    await store.reset(long, "'")
    expect((await store.take(long, "'", 1, 'take')).granted).toBe(true)
  })

  it('of another version is refused: an older one until it is set up, a newer one until the package is updated', async () => {
    const store = fresh({ table: 'versions' })
    await store.setup()
    await spend(store, 'kept')
    await query(`DELETE FROM versions WHERE \`key\` = ' version'`)
    const older = fresh({ table: 'versions' })
    await expect(older.take(set, 'kept', 1, 'take')).rejects.toThrow(/of version none, and version 1 is needed: call setup/)
    await older.setup()
    expect(await older.read(set, 'kept')).toHaveLength(1)
    await query(`UPDATE versions SET state = '2' WHERE \`key\` = ' version'`)
    const newer = fresh({ table: 'versions' })
    await expect(newer.ping()).rejects.toThrow(/of version 2, made by a newer release/)
    await expect(newer.setup()).rejects.toMatchObject({ code: 'ERR_RATELIMIT_STORE_SETUP' })
    await pool.query('CREATE TABLE foreign_table (id INT PRIMARY KEY)')
    await expect(fresh({ table: 'foreign_table' }).setup()).rejects.toMatchObject({ code: 'ERR_RATELIMIT_STORE_SETUP' })
  })

  it('holds a row for a counter that was charged, and none for a look, a refund, a lifted ban or a reset', async () => {
    const store = fresh({ table: 'holding' })
    await store.setup()
    await Promise.all([store.take(set, 'seen', 1, 'peek'), store.take(set, 'back', 1, 'refund'), store.unban(set, 'free')])
    await Promise.all([store.take(set, 'a', 1, 'take'), store.take(set, 'seen', 1, 'peek'), store.take(set, 'back', 1, 'refund')])
    await store.reset(set, 'never')
    expect(await keys('holding')).toEqual(['a'])
    await store.reset(set, 'a')
    expect(await keys('holding')).toEqual([])
  })

  it('takes a change by a function once per entry, from many at the same time', async () => {
    const store = fresh({ table: 'updated' })
    await store.setup()
    await spend(store, 'k')
    const add = (record: CounterRecord): boolean => {
      ;(record.states[0] as number[])[1] = ((record.states[0] as number[])[1] ?? 0) + 1
      return true
    }
    const entries = ['a', 'b'].flatMap((writer) => [1, 2, 2, 1].map((sequence) => ({ writer, sequence })))
    const outcomes = await Promise.all(entries.map(async (entry) => (await store.update(set, 'k', add, entry)).outcome))
    const made = outcomes.filter((outcome) => outcome === 'changed').length
    expect(await store.read(set, 'k')).toEqual([[expect.any(Number), 1 + made]])
    for (const writer of ['a', 'b'])
      expect(await store.update(set, 'k', add, { writer, sequence: 2 })).toEqual({
        outcome: 'already',
        states: await store.read(set, 'k'),
        now: START,
      })
    expect((await store.update(set, 'k', () => false)).outcome).toBe('unchanged')
    expect((await store.update(set, 'k', add)).outcome).toBe('changed')
    const longest = buildLimitSet('z'.repeat(150), '10/h', {})
    const writer = 'w'.repeat(32)
    const long = fresh({ table: 'updated', keyPrefix: 'p'.repeat(64) })
    expect((await long.update(longest, 'k', () => true, { writer, sequence: 1 })).outcome).toBe('changed')
    expect((await long.update(longest, 'k', () => true, { writer, sequence: 1 })).outcome).toBe('already')
  })

  it('is swept of expired counters alone, and only of its own prefix', async () => {
    const store = fresh({ table: 'swept' })
    const other = fresh({ table: 'swept', keyPrefix: 'other_' })
    await store.setup()
    await spend(store, 'old1', 'old2')
    await spend(other, 'theirs')
    expect(await store.sweep()).toBe(0)
    clock.advance(3 * 3_600_000)
    await spend(store, 'live')
    expect(await store.sweep()).toBe(2)
    expect((await keys('swept')).toSorted()).toEqual(['live', 'theirs'])
    await store.ping()
  })

  it('is cleaned up as told: a dry run tells exactly what the real run deletes', async () => {
    const store = fresh({ table: 'cleaned' })
    await store.setup()
    const five = ['a_1', 'a%2', 'ab3', 'b', "a'4\\"]
    await spend(store, ...five)
    expect(await store.cleanup()).toEqual({ found: 0, deleted: 0 })
    clock.advance(600_000)
    await spend(store, 'fresh')
    const plans = [
      [{ olderThanMs: 600_000, keyPattern: '*|a_*' }, 1],
      [{ olderThanMs: 600_000, keyPattern: '*|a%*' }, 1],
      [{ olderThanMs: 600_000, keyPattern: "*|a'4\\" }, 1],
      [{ olderThanMs: 600_001 }, 0],
      [{ olderThanMs: 600_000, batchSize: 1 }, 2],
    ] as const
    for (const [options, count] of plans) {
      const progress: number[] = []
      expect(await store.cleanup({ ...options, dryRun: true }), JSON.stringify(options)).toEqual({ found: count, deleted: 0 })
      const onProgress = (deleted: number): void => void progress.push(deleted)
      expect(await store.cleanup({ ...options, onProgress })).toEqual({ found: count, deleted: count })
      expect(progress.at(-1) ?? 0).toBe(count)
    }
    expect(await keys('cleaned')).toEqual(['fresh'])
    clock.advance(3 * 3_600_000)
    expect(await store.cleanup({ dryRun: true })).toEqual({ found: 1, deleted: 0 })
    expect(await store.cleanup()).toEqual({ found: 1, deleted: 1 })
    await expect(store.cleanup({ batchSize: 0 })).rejects.toThrow(/batchSize/)
  })

  it('leaves a counter that is used again between finding and deleting it', async () => {
    const store = fresh({ table: 'revived' })
    await store.setup()
    await spend(store, 'back', 'gone')
    const holder = await pool.getConnection()
    await holder.beginTransaction()
    const row = `ratelimit:${storeKey(set, 'back')}`
    await holder.query('UPDATE revived SET expires_at = ? WHERE `key` = ?', [START + 9 * 3_600_000, row])
    clock.advance(4 * 3_600_000)
    const cleaning = store.cleanup()
    // It has found both, as the change is not committed, and waits for the row.
    await expect
      .poll(
        async () =>
          (await query("SELECT COUNT(*) AS n FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"))[0]?.['n'],
        { interval: 150 },
      )
      .toBeGreaterThan(0)
    await holder.commit()
    holder.release()
    expect(await cleaning).toEqual({ found: 2, deleted: 1 })
    expect(await keys('revived')).toEqual(['back'])
  })
})
