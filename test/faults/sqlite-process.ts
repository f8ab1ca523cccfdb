// A process of its own that decides on a SQLite file, for tests that kill it or limit what it may do. Promise: it runs this source, not an
// older build. Next: sqlite-child.ts, which is what it runs.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type ChildBundle, bundleChild } from '../child-bundle.ts'

/** The child as one file. */
export function bundleSqliteChild(): Promise<ChildBundle> {
  return bundleChild({ contents: `import { run } from './sqlite-child.ts'\nawait run()`, resolveDir: import.meta.dirname })
}

/** Starts `node` with these arguments, through a shell where its limits are to be set first. */
export function start(args: readonly string[], shell = ''): ChildProcess {
  const command = `${shell} exec "$0" --disable-warning=ExperimentalWarning "$@"`
  return spawn('/bin/sh', ['-c', command, process.execPath, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** What a process has printed when it ends. */
export async function finished(child: ChildProcess): Promise<string> {
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(child, 'close')
  return text
}
