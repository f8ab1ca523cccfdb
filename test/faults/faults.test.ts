// The faults that tell most, briefly, for every test run; `npm run test:faults` plays them all and for longer. Next: all.fault.ts.

import { describe, it } from 'vitest'
import { describeWithOwnServer } from '../servers.ts'
import { assertHeld } from './report.ts'
import { BRIEF, type FaultRow, play } from './row.ts'
import { BLACKHOLE_ROW } from './rows/network.ts'
import { BRIEF_POSTGRES_ROWS } from './rows/postgres.ts'
import { BRIEF_REDIS_ROWS } from './rows/redis.ts'
import { BRIEF_SQLITE_ROWS } from './rows/sqlite.ts'

function holds(rows: readonly FaultRow[]): void {
  it.each(rows)('$fault', { timeout: 60_000 }, async (row) => {
    assertHeld(await play(row, BRIEF))
  })
}

describeWithOwnServer('redis', 'limits hold when Redis fails', () => {
  holds([...BRIEF_REDIS_ROWS, BLACKHOLE_ROW])
})
describeWithOwnServer('postgres', 'limits hold when PostgreSQL fails', () => {
  holds(BRIEF_POSTGRES_ROWS)
})
describe('limits hold when SQLite fails', () => {
  holds(BRIEF_SQLITE_ROWS)
})
