// The command as a process of its own, for tests. Promise: it runs this source, not an older build; in a folder and an environment of its
// own. Next: stores.test.ts.

import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { embeddedPage } from '../../scripts/embed-page.ts'

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
  /** What it finds on its standard input (default nothing). */
  readonly input?: string
  /** Told when it has begun, to send it a signal. */
  readonly begun?: (child: ChildProcess) => void
}

/** The command, ready to run. */
export interface BuiltCommand {
  /** For tests that end it themselves. */
  readonly file: string
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
    plugins: [embeddedPage],
    outExtension: { '.js': '.mjs' },
    logLevel: 'error',
  })
  const file = join(folder, 'main.mjs')
  return {
    file,
    run: (args, { cwd = process.cwd(), env = {}, input = '', begun } = {}) =>
      new Promise((done) => {
        const { PATH = '' } = process.env
        const child = spawn(process.execPath, [file, ...args], { cwd, env: { PATH, NO_COLOR: '1', ...env } })
        child.stdin.on('error', () => {}).end(input)
        begun?.(child)
        let out = ''
        let err = ''
        child.stdout.on('data', (data: Buffer) => (out += data.toString()))
        child.stderr.on('data', (data: Buffer) => (err += data.toString()))
        child.on('close', (code) => done({ code, out, err }))
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
