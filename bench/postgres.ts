// The PostgreSQL store over loopback: 1, 32 and 256 decisions in flight, on one hot key and on 10 000, against the floor of one raw
// upsert per decision and rate-limiter-flexible's store. The server is one of its own, as it is shipped but for fsync: once with the
// commits of the default, once with those of ours. Next: in-flight.ts.

import pg from 'pg'
import { RateLimiterPostgres } from 'rate-limiter-flexible'
import { type PostgresStoreOptions, type SynchronousCommit, postgresStore } from '../dist/stores/postgres/index.js'
import { buildLimitSet } from '../src/core/limit-set.ts'
import type { AlgorithmName } from '../src/core/limit.ts'
import { startPostgres } from '../test/servers/postgres.ts'
import { type AsyncContender, raceInFlight } from './in-flight.ts'
import { markdown } from './race.ts'

const LIMIT = 1_000_000_000
const KEYS = 10_000
const PATIENT = { deadlineMs: 60_000, rememberRefusalsMs: false } as const satisfies PostgresStoreOptions
const FLOOR = 'raw upsert'

/** A table per kind of commit; the columns are in flight × keys. The last one is on one connection. */
export async function postgresRace(): Promise<string> {
  const parts: string[] = []
  for (const commit of ['on', 'off'] as const) {
    const server = await startPostgres({ args: ['-c', `synchronous_commit=${commit}`, '-c', 'fsync=on'] })
    try {
      parts.push(`### synchronous_commit = ${commit}, pools of 10\n\n${await raceOn(server.url, commit, 10)}`)
      parts.push(`### synchronous_commit = ${commit}, one connection\n\n${await raceOn(server.url, commit, 1)}`)
    } finally {
      await server.stop()
    }
  }
  return parts.join('\n\n')
}

async function raceOn(url: string, commit: SynchronousCommit, connections: number): Promise<string> {
  const head = ['decisions a second']
  const rows: string[][] = []
  const failures: string[] = []
  for (const inFlight of [1, 32, 256]) {
    for (const spread of [false, true]) {
      head.push(`${inFlight} in flight, ${spread ? `${KEYS} keys` : '1 hot key'}`, `× ${FLOOR}`)
      const { contenders, end } = await contendersOn(url, commit, connections, (turn) => `client:${spread ? turn % KEYS : 0}`)
      const results = await raceInFlight(contenders, FLOOR, { inFlight, rounds: 4, ms: 400 })
      for (const [i, { name, perSecond, ratio, failed }] of results.entries()) {
        rows[i] ??= [name]
        rows[i]?.push(Math.round(perSecond).toLocaleString('en'), ratio.toFixed(2))
        if (failed > 0) failures.push(`${name} failed ${failed} times at ${inFlight} in flight, ${spread ? 'spread' : 'hot'}.`)
      }
      await end()
    }
  }
  return [markdown(head, rows), ...failures].join('\n\n')
}

type Contenders = Readonly<Record<string, AsyncContender>>

async function contendersOn(
  url: string,
  synchronousCommit: SynchronousCommit,
  connections: number,
  keyOf: (turn: number) => string,
): Promise<{ contenders: Contenders; end: () => Promise<void> }> {
  const pool = new pg.Pool({ connectionString: url, max: connections })
  await pool.query(
    'CREATE TABLE IF NOT EXISTS floor (k text COLLATE "C" PRIMARY KEY, hits bigint NOT NULL, until bigint NOT NULL) WITH (fillfactor = 50)',
  )
  const flexible = await new Promise<RateLimiterPostgres>((resolve, reject) => {
    const made: RateLimiterPostgres = new RateLimiterPostgres(
      { storeClient: pool, storeType: 'pool', tableName: 'peer', points: LIMIT, duration: 3600 },
      (error) => (error ? reject(error) : resolve(made)),
    )
  })
  const options = { ...PATIENT, synchronousCommit }
  const ownPool = { url, maxConnections: Math.min(4, connections) }
  const batched = postgresStore(ownPool, options)
  const single = postgresStore(pool, { ...options, batchSize: 1, concurrency: connections })
  await batched.setup()
  const ours = (store: typeof batched, algorithm: AlgorithmName): AsyncContender => {
    const set = buildLimitSet(algorithm, `${LIMIT}/h`, { algorithm })
    return (turn) => store.take(set, keyOf(turn), 1, 'take')
  }
  const upsert = {
    name: 'floor',
    text: 'INSERT INTO floor AS f VALUES ($1, 1, $2) ON CONFLICT (k) DO UPDATE SET hits = f.hits + 1, until = $2 RETURNING hits',
  }
  return {
    contenders: {
      [FLOOR]: (turn) => pool.query({ ...upsert, values: [keyOf(turn), 1] }),
      'rate-limiter-flexible': (turn) => flexible.consume(keyOf(turn)),
      'ours, fixed_window': ours(batched, 'fixed_window'),
      'ours, sliding_window': ours(batched, 'sliding_window'),
      'ours, token_bucket': ours(batched, 'token_bucket'),
      'ours, one a trip (batchSize 1), fixed_window': ours(single, 'fixed_window'),
      'ours, one a trip (batchSize 1), token_bucket': ours(single, 'token_bucket'),
    },
    async end() {
      await batched.close()
      await single.close()
      await pool.end()
    },
  }
}
