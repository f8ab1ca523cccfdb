// Lines a second of `smart-ratelimit replay` on a generated log of a million lines, start of the process included.

import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { markdown, median } from './race.ts'

const LINES = 1_000_000
const root = join(import.meta.dirname, '..')

/** Runs the command five times. */
export function replayRace(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bench-replay-'))
  const log = join(folder, 'access.log')
  try {
    const out = openSync(log, 'w')
    spawnSync(process.execPath, [join(root, 'scripts/make-log.ts'), String(LINES)], { stdio: ['ignore', out, 'inherit'] })
    closeSync(out)
    const rows = [
      ['--rate', '20/m'],
      ['--rate', '20/m', '--rate', '10/s,60/m', '--rate', '1000/h'],
    ].map((proposals) => {
      const times: number[] = []
      for (let round = 0; round < 5; round++) {
        const start = performance.now()
        const { status } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), 'replay', log, ...proposals, '--json'], {
          stdio: 'ignore',
        })
        if (status !== 0) throw new Error(`replay ended with ${status}`)
        times.push(performance.now() - start)
      }
      return [
        proposals.filter((word) => word !== '--rate').join(' and '),
        (median(times) / 1000).toFixed(2),
        Math.round(LINES / (median(times) / 1000)).toLocaleString('en-US'),
      ]
    })
    return markdown(['proposals', 'seconds', 'lines a second'], rows)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
