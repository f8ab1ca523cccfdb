// The command as a process of its own, for tests. Promise: it runs this source, not an older build; in a folder and an environment of its
// own. Next: stores.test.ts.

import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'

/** What a command did. */
export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** How a command is run. */
export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** The command, ready to run. */
export interface BuiltCommand {
  run(args: readonly string[], options?: RunOptions): Promise<Ran>
  remove(): void
}

/** Bundles the command. */
export async function buildCommand(): Promise<BuiltCommand> {
  // Inside the repository, where it finds the package's own name.
  const folder = resolve('.cache', `cli-${process.pid}`)
  await build({
    entryPoints: ['src/cli/main.ts'],
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    loader: { '.sql': 'text', '.lua': 'text' },
    outExtension: { '.js': '.mjs' },
    logLevel: 'error',
  })
  return {
    run: (args, { cwd = process.cwd(), env = {} } = {}) =>
      new Promise((done) => {
        const { PATH = '' } = process.env
        const child = spawn(process.execPath, [join(folder, 'main.mjs'), ...args], { cwd, env: { PATH, NO_COLOR: '1', ...env } })
        let out = ''
        let err = ''
        child.stdout.on('data', (data: Buffer) => (out += data.toString()))
        child.stderr.on('data', (data: Buffer) => (err += data.toString()))
        child.on('close', (code) => done({ code, out, err }))
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
