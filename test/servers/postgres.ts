// PostgreSQL of our own. Promise: password sessions over TCP alone, and nothing waits for a disk: what it acknowledged survives a
// killed server, not a crash of the machine. Next: own-server.ts, answers.ts.

import { execFile } from 'node:child_process'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { postgresAnswers } from './answers.ts'
import { databaseOwner } from './database-owner.ts'
import { type OwnServer, startServer } from './own-server.ts'
import { needProgram } from './programs.ts'

const USER = 'ratelimit'
const PASSWORD = 'open-sesame'

export interface DatabaseOptions {
  /** More of the server's own options: PostgreSQL `['-c', 'max_connections=5']`, MariaDB `['--max-connections=5']`. */
  readonly args?: readonly string[]
}

/** Starts a PostgreSQL (2 to 4 s, nearly all of it initdb). `url` is its superuser's. Throws `MissingServer` where it cannot be had. */
export async function startPostgres({ args = [] }: DatabaseOptions = {}): Promise<OwnServer> {
  const [program, initdb] = [await needProgram('postgres'), await needProgram('initdb')]
  const owner = databaseOwner('postgres')
  return startServer({
    name: 'postgres',
    program,
    owner,
    // SIGTERM would wait for the sessions to end by themselves.
    endSignal: 'SIGINT',
    async init(folder) {
      const passwordFile = join(folder, 'password')
      await writeFile(passwordFile, PASSWORD, { mode: 0o600 })
      if (owner !== undefined) await chown(passwordFile, owner.uid, owner.gid)
      const how = ['--no-sync', '--no-instructions', '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C']
      const options = [...how, `--username=${USER}`, `--pwfile=${passwordFile}`, `--pgdata=${folder}/data`]
      await promisify(execFile)(initdb, options, { cwd: folder, ...owner })
    },
    args: (port, folder) => [
      '-D',
      `${folder}/data`,
      '-p',
      `${port}`,
      '-h',
      '127.0.0.1',
      '-k',
      folder,
      ...['fsync=off', 'full_page_writes=off'].flatMap((setting) => ['-c', setting]),
      ...args,
    ],
    url: (port) => `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres`,
    isReady: postgresAnswers,
  })
}
