// The MySQL and MariaDB store over loopback: 1, 32 and 256 decisions in flight, on one hot key and on 10 000, against the floor of one
// raw upsert per decision and rate-limiter-flexible's store. The server is one of its own, once as it is shipped and once relaxed.

import mysql from 'mysql2'
import { RateLimiterMySQL } from 'rate-limiter-flexible'
import { type AlgorithmName, createLimiter } from '../dist/index.js'
import { type MysqlStoreOptions, mysqlStore } from '../dist/stores/mysql/index.js'
import { startMariadb } from '../test/servers/mariadb.ts'
import { type AsyncContender, raceInFlight } from './in-flight.ts'
import { markdown } from './race.ts'

const LIMIT = 1_000_000_000
const HURRY_FREE = { deadlineMs: 60_000, rememberRefusalsMs: false } as const satisfies MysqlStoreOptions

/** Two tables per durability. */
export async function mysqlRace(): Promise<string> {
  const parts: string[] = []
  for (const [title, value] of [
    ['innodb_flush_log_at_trx_commit = 1, the default', 1],
    ['innodb_flush_log_at_trx_commit = 2', 2],
  ] as const) {
    const server = await startMariadb({ args: [`--innodb-flush-log-at-trx-commit=${value}`] })
    try {
      parts.push(`### ${title}\n\n${await raceOn(server.url)}`)
    } finally {
      await server.stop()
    }
  }
  return parts.join('\n\n')
}

async function raceOn(url: string): Promise<string> {
  const parts: string[] = []
  for (const [title, keys] of [
    ['1 hot key', 1],
    ['10k keys', 10_000],
  ] as const) {
    const head = [`${title}, a second`]
    const rows: string[][] = []
    const failures: string[] = []
    for (const inFlight of [1, 32, 256]) {
      head.push(`${inFlight} in flight`, '× raw upsert')
      const { contenders, end } = await contendersOn(url, (turn) => `client:${turn % keys}`)
      const results = await raceInFlight(contenders, 'raw upsert', { inFlight, rounds: 5, ms: 600 })
      for (const [i, { name, perSecond, ratio, failed }] of results.entries()) {
        rows[i] ??= [name]
        rows[i]?.push(Math.round(perSecond).toLocaleString('en'), ratio.toFixed(2))
        if (failed > 0) failures.push(`${name} failed ${failed} times with ${inFlight} in flight.`)
      }
      await end()
    }
    parts.push([markdown(head, rows), ...failures].join('\n\n'))
  }
  return parts.join('\n\n')
}

type Contenders = Readonly<Record<string, AsyncContender>>

async function contendersOn(
  url: string,
  keyOf: (turn: number) => string,
): Promise<{ contenders: Contenders; end: () => Promise<void> }> {
  const pool = mysql.createPool({ uri: url, connectionLimit: 10 })
  await pool
    .promise()
    .query('CREATE TABLE IF NOT EXISTS floor (k VARBINARY(255) PRIMARY KEY, hits BIGINT NOT NULL, until BIGINT NOT NULL)')
  const flexible = await new Promise<RateLimiterMySQL>((resolve, reject) => {
    const made: RateLimiterMySQL = new RateLimiterMySQL(
      { storeClient: pool, storeType: 'pool', dbName: 'ratelimit', tableName: 'peer', points: LIMIT, duration: 3600 },
      (error) => (error ? reject(error) : resolve(made)),
    )
  })
  const stores = [
    mysqlStore({ url }, HURRY_FREE),
    mysqlStore({ url }, { ...HURRY_FREE, batchSize: 1 }),
    mysqlStore(pool, HURRY_FREE),
  ] as const
  await stores[0].setup()
  const ours = (store: (typeof stores)[number], algorithm: AlgorithmName): AsyncContender => {
    const limiter = createLimiter({ rate: `${LIMIT}/h`, algorithm, store })
    return async (turn) => {
      // What this process decided alone is no decision of the store.
      if ((await limiter.check(keyOf(turn))).source !== 'primary') throw new Error('not decided by the store')
    }
  }
  const upsert = `INSERT INTO floor (k, hits, until) VALUES (?, 1, ?) ON DUPLICATE KEY UPDATE hits = hits + 1, until = VALUES(until)`
  return {
    contenders: {
      'raw upsert': (turn) =>
        new Promise((resolve, reject) => {
          pool.query(upsert, [keyOf(turn), 1], (error, result) => (error ? reject(error) : resolve(result)))
        }),
      'rate-limiter-flexible': (turn) => flexible.consume(keyOf(turn)),
      'ours, fixed_window': ours(stores[0], 'fixed_window'),
      'ours, sliding_window': ours(stores[0], 'sliding_window'),
      'ours, token_bucket': ours(stores[0], 'token_bucket'),
      'ours, one a trip (batchSize 1)': ours(stores[1], 'token_bucket'),
      'ours, the peers’ pool': ours(stores[2], 'token_bucket'),
    },
    async end() {
      for (const store of stores) await store.close()
      await pool.promise().end()
    },
  }
}
