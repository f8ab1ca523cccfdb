// The MySQL and MariaDB store: the suite of all shared stores, over a connection of its own and over pools handed in.
// Next: shared-store.ts; mysql-faults.test.ts for what goes wrong.

import { join } from 'node:path'
import mysql, { type Pool } from 'mysql2'
import mysqlPromise from 'mysql2/promise'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type MysqlStoreOptions, mysqlStore } from '../../src/stores/mysql/index.ts'
import { storeConformance } from '../../src/testing/store-conformance.ts'
import { describeWithServer } from '../servers.ts'
import { type SharedStoreOptions, sharedStoreSuite } from './shared-store.ts'

const HURRY_FREE = { deadlineMs: 20_000, rememberRefusalsMs: false } as const satisfies MysqlStoreOptions

describeWithServer('mariadb', 'the MySQL store', async ({ url, prefix }) => {
  let pool: Pool

  beforeAll(async () => {
    pool = mysql.createPool({ uri: url, multipleStatements: true })
    const store = mysqlStore({ url })
    await store.setup()
    await store.close()
  })

  afterAll(() => pool.promise().end())

  const write = async (sql: string, values: readonly unknown[]): Promise<void> =>
    void (await pool.promise().query(sql, [...values]))
  const plant =
    (state: string, expiresAt = 9e15) =>
    (keyPrefix: string, key: string): Promise<void> =>
      write('INSERT INTO smart_ratelimit (`key`, state, expires_at, updated_at) VALUES (?, ?, ?, 0)', [
        keyPrefix + key,
        state,
        expiresAt,
      ])

  sharedStoreSuite('the MySQL store', prefix, {
    make: async (options: SharedStoreOptions) => mysqlStore(pool, { ...HURRY_FREE, ...options }),
    worker: { module: join(import.meta.dirname, 'mysql-worker.ts'), argument: url },
    poisons: {
      'a text that is no state': plant('NaN'),
      'numbers beyond 2^53': plant('99999999999999999999,1'),
      'a negative count': plant('1,-1'),
      'a word': plant('-nan,inf', 0),
      'a text of another store': plant('{"tokens":50}', -1),
    },
  })

  describe('is asked the same way by every client', () => {
    const ways = {
      'a pool of mysql2/promise': () => mysqlPromise.createPool(url),
      'a pool of mysql2/promise, several statements at once': () =>
        mysqlPromise.createPool({ uri: url, multipleStatements: true }),
      'a pool of mysql2': () => mysql.createPool(url),
      'a pool that is set to other shapes': () =>
        mysqlPromise.createPool({
          uri: url,
          rowsAsArray: false,
          nestTables: true,
          supportBigNumbers: true,
          bigNumberStrings: true,
          decimalNumbers: true,
          dateStrings: true,
          namedPlaceholders: true,
          timezone: '+05:30',
          charset: 'gbk',
          typeCast: () => 'nothing of use',
        }),
    } satisfies Record<string, () => mysqlPromise.Pool | Pool>

    it.each(Object.entries(ways))('%s', async (_name, make) => {
      const handedIn = make()
      let n = 0
      await storeConformance(
        async (clock) => mysqlStore(handedIn, { ...HURRY_FREE, clock, keyPrefix: `${prefix}${_name.length}.${n++}:` }),
        { rounds: 4, steps: 60 },
      )
      await handedIn.end()
    })
  })
})
