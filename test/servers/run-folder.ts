// The temp folder of a test run, in which every server has one of its own. Promise: at the end of the process that made it, servers
// that are still in there are killed and the folder is gone, also when a worker died in the middle of a test. Next: control.ts.

import { chmodSync, existsSync, mkdtempSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signalAll, workingIn } from './processes.ts'

const FOLDER_VARIABLE = 'RATELIMIT_TEST_FOLDER'
const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The run's folder, made by the first process that asks; processes it starts use the same. */
export function runFolder(): string {
  return process.env[FOLDER_VARIABLE] ?? makeRunFolder()
}

/** Makes a folder for this process and all it starts. */
export function makeRunFolder(): string {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'smart-ratelimit-'))
  // Databases run as another user and must reach what is theirs inside.
  chmodSync(folder, 0o711)
  process.env[FOLDER_VARIABLE] = folder
  process.once('exit', () => clearRunFolder(folder))
  for (const signal of END_SIGNALS) {
    process.once(signal, () => {
      clearRunFolder(folder)
      // Nobody else handles it: then it does what it does without a handler.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
    })
  }
  return folder
}

/** Kills what still works in the folder and removes it. */
export function clearRunFolder(folder: string): void {
  if (!existsSync(folder)) return
  // A worker that has not heard of the end yet finds no place for another server.
  const ended = `${folder}-ended`
  renameSync(folder, ended)
  for (let attempt = 0; attempt < 50 && existsSync(ended); attempt++) {
    signalAll(workingIn(ended), 'SIGKILL')
    try {
      rmSync(ended, { recursive: true, force: true })
    } catch {
      // Something that is being killed has just written there. This runs while the process ends, so it can wait in no other way.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
  if (process.env[FOLDER_VARIABLE] === folder) delete process.env[FOLDER_VARIABLE]
}
