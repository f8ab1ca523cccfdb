// Takes from a limit on a SQLite file as often as it is told, and prints a line per grant and a line per error. Next: sqlite-process.ts.

import { writeSync } from 'node:fs'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'

/** Arguments of the process: the file, how many takes (default 1), and of how many keys in turn (default 1). */
export async function run(): Promise<void> {
  const [, , file, takes = '1', keys = '1'] = process.argv
  const store = sqliteStore(file, { deadlineMs: 20_000, rememberRefusalsMs: false })
  const set = buildLimitSet('child', '1000000/d', { algorithm: 'fixed_window' })
  for (let i = 0; i < Number(takes); i++) {
    try {
      await store.take(set, `k${i % Number(keys)}`, 1, 'take')
      // Straight to the pipe: what was printed was granted before.
      writeSync(1, 'granted\n')
    } catch (error) {
      const { message, kind } = error as { message: string; kind?: string }
      writeSync(1, `failed ${kind} ${message}\n`)
      break
    }
  }
  await store.close()
}
