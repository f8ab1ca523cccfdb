// PostgreSQL against the suite of all shared stores. Next: shared-store.ts.

import { join } from 'node:path'
import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type PostgresConnection, type PgPool, type PostgresJsSql, postgresStore } from '../../src/stores/postgres/index.ts'
import { storeConformance } from '../../src/testing/store-conformance.ts'
import { describeWithServer } from '../servers.ts'
import { sharedStoreSuite } from './shared-store.ts'

describeWithServer('postgres', 'the PostgreSQL store', async (server) => {
  const pool = new pg.Pool({ connectionString: server.url, max: 4 })
  const sql = postgres(server.url, { max: 4 })
  beforeAll(() => postgresStore(pool).setup())
  afterAll(async () => {
    await pool.end()
    await sql.end()
  })

  const plant =
    (state: string) =>
    async (keyPrefix: string, key: string): Promise<void> => {
      await pool.query('INSERT INTO smart_ratelimit VALUES ($1, $2::bigint[], $3, $3)', [
        keyPrefix + key,
        state,
        4_102_444_800_000,
      ])
    }
  const sources: Readonly<Record<string, () => PgPool | PostgresJsSql | PostgresConnection>> = {
    'a Pool of pg': () => pool,
    'postgres.js': () => sql,
    'a URL': () => ({ url: server.url }),
  }
  for (const [title, source] of Object.entries(sources)) {
    sharedStoreSuite(`the PostgreSQL store on ${title}`, server.prefix, {
      async make(options) {
        return postgresStore(source(), { ...options, rememberRefusalsMs: false, deadlineMs: 20_000 })
      },
      worker: { module: join(import.meta.dirname, 'postgres-worker.ts'), argument: server.url },
      ...(title === 'a Pool of pg' && {
        poisons: {
          'an empty list': plant('{}'),
          NULLs: plant('{0,2,NULL,NULL}'),
          'a NULL length': plant('{0,NULL}'),
          'too few numbers': plant('{0,2,5}'),
          'too many numbers': plant('{0,0,0,0}'),
          'a negative number': plant('{0,2,-5,-7}'),
          'a number beyond 2^53': plant('{0,2,9223372036854775807,9223372036854775807}'),
          'a table of numbers': plant('{{0,2},{1,1}}'),
          'another first index': plant('[0:3]={0,2,1,1}'),
          'a length without end': plant('{0,9007199254740991,1,1}'),
          'an unknown head': plant('{1,2,3,4}'),
          'a total without entries': plant('{0,1,50}'),
        },
      }),
    })
  }

  describe('is asked the same way by every client, however it is set', () => {
    const nothing = (): string => 'nothing of use'
    const ways: Readonly<
      Record<string, () => { source: PgPool | PostgresJsSql | PostgresConnection; end?: () => Promise<void> }>
    > = {
      'a Pool with parsers of its own': () => {
        const own = new pg.Pool({ connectionString: server.url, types: { getTypeParser: () => nothing } as never })
        return { source: own, end: () => own.end() }
      },
      'postgres.js with transforms of its own': () => {
        const own = postgres(server.url, { max: 2, transform: { ...postgres.camel, value: nothing } as never })
        return { source: own, end: () => own.end() }
      },
      'postgres.js that prepares nothing and knows no types': () => {
        const own = postgres(server.url, { max: 2, prepare: false, fetch_types: false })
        return { source: own, end: () => own.end() }
      },
      'a connection by postgres.js': () => ({ source: { url: server.url, client: 'postgres' } }),
    }
    const cases = Object.entries(ways).flatMap(([title, make]) => [true, false].map((prepare) => ({ title, make, prepare })))

    it.each(cases)('$title, prepare $prepare', async ({ title, make, prepare }) => {
      const { source, end } = make()
      let n = 0
      await storeConformance(
        async (clock) =>
          postgresStore(source, {
            clock,
            prepare,
            keyPrefix: `${server.prefix}${title.length}${prepare}${n++}:`,
            rememberRefusalsMs: false,
            deadlineMs: 20_000,
            synchronousCommit: 'on',
          }),
        { rounds: 3, steps: 50 },
      )
      await end?.()
    })
  })
})
