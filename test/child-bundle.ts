// A program of this source for a child process, as one file. Promise: it is what stands in src/ now, not an older build.
// Next: conformance/race.ts and faults/processes.ts, which start such children.

import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

/** Beside the packages that children import. */
const FOLDER = join('node_modules', '.cache', 'smart-ratelimit', `child-${process.pid}`)
let bundles = 0

/** A file for `fork`, and what removes it. */
export interface ChildBundle {
  readonly file: string
  readonly remove: () => void
}

/** Bundles a piece of TypeScript; its imports begin at a folder. */
export async function bundleChild(program: { readonly contents: string; readonly resolveDir: string }): Promise<ChildBundle> {
  const file = join(FOLDER, `${bundles++}.mjs`)
  mkdirSync(dirname(file), { recursive: true })
  await build({
    stdin: { ...program, loader: 'ts' },
    outfile: file,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    loader: { '.lua': 'text', '.sql': 'text' },
    logLevel: 'error',
  })
  return { file, remove: () => rmSync(file, { force: true }) }
}
