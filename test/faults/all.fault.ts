// The fault matrix: every row, against real servers. Prints tables at the end. Next: rows/, the faults; report.ts, what must be reached.

import { afterAll, describe, it } from 'vitest'
import { describeWithOwnServer } from '../servers.ts'
import { assertHeld, tables } from './report.ts'
import { type FaultRow, type Pace, THOROUGH, play } from './row.ts'
import { CONNECTING_ROWS } from './rows/connecting.ts'
import { MYSQL_ROWS } from './rows/mysql.ts'
import { NETWORK_ROWS } from './rows/network.ts'
import { POSTGRES_ROWS } from './rows/postgres.ts'
import { PROCESS_ROWS } from './rows/process.ts'
import { CLUSTER_ROWS } from './rows/redis-cluster.ts'
import { REPLICA_ROWS } from './rows/redis-replicas.ts'
import { SENTINEL_ROWS } from './rows/redis-sentinel.ts'
import { STARTUP_ROWS } from './rows/redis-startup.ts'
import { REDIS_ROWS } from './rows/redis.ts'
import { FULL_DISK_ROWS, SQLITE_ROWS, canMount } from './rows/sqlite.ts'

/** Statements cost more than commands: three processes and a database are to leave a machine of two cores something to do. */
const FOR_DATABASES: Pace = { ...THOROUGH, everyMs: 40 }

function holds(rows: readonly FaultRow[], pace = THOROUGH): void {
  it.each(rows)('$fault', async (row) => {
    assertHeld(await play(row, pace))
  })
}

describeWithOwnServer('redis', 'processes', () => {
  holds(PROCESS_ROWS)
})
describeWithOwnServer('redis', 'Redis', () => {
  holds([...REDIS_ROWS, ...STARTUP_ROWS])
})
describeWithOwnServer('redis', 'the way to Redis', () => {
  holds([...NETWORK_ROWS, ...CONNECTING_ROWS])
})
describeWithOwnServer('redis', 'Redis with a replica', () => {
  holds(REPLICA_ROWS)
})
describeWithOwnServer('redis', 'Redis Sentinel', () => {
  holds(SENTINEL_ROWS)
})
describeWithOwnServer('redis', 'Redis Cluster', () => {
  holds(CLUSTER_ROWS)
})
describeWithOwnServer('postgres', 'PostgreSQL', () => {
  holds(POSTGRES_ROWS, FOR_DATABASES)
})
describeWithOwnServer('mariadb', 'MariaDB', () => {
  holds(MYSQL_ROWS, FOR_DATABASES)
})
describeWithOwnServer('redis', 'SQLite', () => {
  holds(SQLITE_ROWS)
})
describe.skipIf(!canMount())('SQLite on a disk of its own (takes the right to mount one)', () => {
  holds(FULL_DISK_ROWS)
})

afterAll(() => void process.stdout.write(`\n${tables()}\n`))
