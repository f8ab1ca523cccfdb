// The benchmarks: `npm run bench` for all, `npm run bench -- memory density` for some. README.md has the method and the figures.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { density } from './density.ts'
import { expressRace } from './express.ts'
import { faultRace } from './faults.ts'
import { laws } from './laws.ts'
import { memory } from './memory.ts'
import { monitor } from './monitor.ts'
import { mysqlRace } from './mysql.ts'
import { postgresRace } from './postgres.ts'
import { redisRace } from './redis.ts'
import { replayRace } from './replay.ts'
import { sqliteRace } from './sqlite.ts'

const RACES: Readonly<Record<string, () => string | Promise<string>>> = {
  laws,
  memory,
  density,
  monitor,
  express: expressRace,
  replay: replayRace,
  mysql: mysqlRace,
  postgres: postgresRace,
  sqlite: sqliteRace,
  redis: redisRace,
  faults: faultRace,
}

function versions(): string {
  const { dependencies } = JSON.parse(readFileSync(join(import.meta.dirname, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const peers = Object.entries(dependencies).map(([name, version]) => `${name} ${version}`)
  return `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}; ${peers.join(', ')}`
}

const [only, ...rest] = process.argv.slice(2)
if (only !== undefined && rest.length === 0) {
  const run = RACES[only]
  if (run === undefined) {
    console.error(`bench: expected one of ${Object.keys(RACES).join(', ')}, received "${only}"`)
    process.exitCode = 1
  } else {
    console.log(`## ${only}\n\n${await run()}\n`)
    // Peers keep timers.
    process.exit()
  }
} else {
  console.log(`${versions()}\n`)
  // Each in a process of its own: what one leaves in the heap is not the next one's burden.
  for (const name of only === undefined ? Object.keys(RACES) : [only, ...rest]) {
    const { status } = spawnSync(process.execPath, ['--expose-gc', import.meta.filename, name], { stdio: 'inherit' })
    if (status !== 0) process.exitCode = status ?? 1
  }
}
