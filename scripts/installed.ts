// Packs the built library as npm would publish it and installs the tarball into an empty folder, as a user does.
// Promise: what runs there sees nothing of this checkout. Next: matrix.ts and ../test/package/installed.test.ts.

import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SMOKE = join(ROOT, 'test/package/smoke')
const run = promisify(execFile)

/** A folder with the library installed from its tarball, and the smoke files beside it. */
export interface Installed {
  readonly folder: string
  /** Files of the tarball, as paths inside the package. */
  readonly files: readonly string[]
  /** Runs one smoke file and resolves to what it printed; rejects with its stderr when it exits otherwise than with 0. */
  smoke(node: string, file: string): Promise<string>
  remove(): void
}

/** The files of {@link SMOKE}: one loads the library as a module, one by `require`, one runs its command. */
export const SMOKE_FILES: readonly string[] = readdirSync(SMOKE).toSorted()

/** Packs `dist/` as it stands: build first. */
export async function installPacked(): Promise<Installed> {
  const folder = mkdtempSync(join(tmpdir(), 'smart-ratelimit-'))
  try {
    const packed = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT })
    const [report] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }]
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user-of-the-library', private: true }))
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline']
    await run('npm', ['install', ...flags, `./${report.filename}`, `express@${expressVersion()}`], { cwd: folder })
    cpSync(SMOKE, folder, { recursive: true })
    return {
      folder,
      files: report.files.map(({ path }) => path),
      smoke: async (node, file) => {
        // The environment is the user's, not a test runner's: a warning on stderr counts as a failure.
        const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1' }
        const { stdout, stderr } = await run(node, [file], { cwd: folder, env, timeout: 60_000 })
        if (stderr !== '') throw new Error(`${file} on ${node} wrote to stderr: ${stderr}`)
        return stdout
      },
      remove: () => rmSync(folder, { recursive: true, force: true }),
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

function expressVersion(): string {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: { express: string }
  }
  return devDependencies.express
}
