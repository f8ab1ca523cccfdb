// MariaDB of our own. Promise: password sessions over TCP, and nothing waits for a disk: what it acknowledged survives a killed
// server, not a crash of the machine. Next: own-server.ts, answers.ts.

import { execFile } from 'node:child_process'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { mariadbAnswers } from './answers.ts'
import { databaseOwner } from './database-owner.ts'
import { type OwnServer, startServer } from './own-server.ts'
import type { DatabaseOptions } from './postgres.ts'
import { needProgram } from './programs.ts'

const USER = 'ratelimit'
const PASSWORD = 'open-sesame'

/** What the server does at each start, one statement per line: it reads no other form rightly. */
const FIRST_STATEMENTS = [
  'CREATE DATABASE IF NOT EXISTS ratelimit;',
  `CREATE USER IF NOT EXISTS '${USER}'@'127.0.0.1' IDENTIFIED BY '${PASSWORD}';`,
  `GRANT ALL PRIVILEGES ON *.* TO '${USER}'@'127.0.0.1' WITH GRANT OPTION;`,
]

/** Starts a MariaDB (3 to 4 s, nearly all of it install-db). `url` may do everything. Throws `MissingServer` where it cannot be had. */
export async function startMariadb({ args = [] }: DatabaseOptions = {}): Promise<OwnServer> {
  const [program, installDb] = [await needProgram('mariadbd'), await needProgram('mariadb-install-db')]
  const owner = databaseOwner('mysql')
  return startServer({
    name: 'mariadb',
    program,
    owner,
    async init(folder) {
      const statements = join(folder, 'first.sql')
      await writeFile(statements, `${FIRST_STATEMENTS.join('\n')}\n`)
      if (owner !== undefined) await chown(statements, owner.uid, owner.gid)
      const how = ['--no-defaults', '--skip-test-db', '--skip-name-resolve', '--auth-root-authentication-method=normal']
      await promisify(execFile)(installDb, [...how, `--datadir=${folder}/data`], { cwd: folder, ...owner })
    },
    args: (port, folder) => [
      '--no-defaults',
      `--datadir=${folder}/data`,
      `--socket=${folder}/socket`,
      `--pid-file=${folder}/mariadb.pid`,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      '--performance-schema=OFF',
      '--innodb-flush-log-at-trx-commit=2',
      `--init-file=${folder}/first.sql`,
      ...args,
    ],
    url: (port) => `mysql://${USER}:${PASSWORD}@127.0.0.1:${port}/ratelimit`,
    isReady: mariadbAnswers,
  })
}
