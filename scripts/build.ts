// Builds dist/: JavaScript by esbuild, declarations by tsc. Quick, clean each time, silent unless something is wrong.
// Promise: what package.json exports (and bins) is what is built; nothing is listed here a second time.
// Next: ../tsconfig.build.json; ../test/package/exports.test.ts holds the promise.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { embeddedPage } from './embed-page.ts'

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
  readonly bin: Readonly<Record<string, string>>
}

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
const outputs = [
  ...Object.values(exports).map((entry) => (typeof entry === 'string' ? entry : entry.default)),
  ...Object.values(bin),
]
const entryPoints = outputs
  .filter((file) => file.startsWith('./dist/'))
  .map((file) => file.replace('./dist/', 'src/').replace(/\.js$/, '.ts'))

const missing = entryPoints.filter((file) => !existsSync(file))
if (missing.length > 0) fail(`package.json names entries that have no source: ${missing.join(', ')}`)

rmSync('dist', { recursive: true, force: true })
// Declarations take longest, and they do not wait for the code.
await Promise.all([emitDeclarations(), emitCode()])

async function emitCode(): Promise<void> {
  try {
    await build({
      entryPoints,
      outdir: 'dist',
      outbase: 'src',
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      packages: 'external',
      sourcemap: true,
      sourcesContent: false,
      chunkNames: 'chunks/[name]-[hash]',
      loader: { '.lua': 'text', '.sql': 'text' },
      plugins: [embeddedPage],
      logLevel: 'warning',
    })
  } catch {
    // esbuild has printed where and why.
    process.exitCode = 1
  }
}

function emitDeclarations(): Promise<void> {
  return new Promise((resolve) => {
    const failed = (): void => {
      process.exitCode = 1
      resolve()
    }
    spawn('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' })
      .on('error', failed)
      .on('close', (code) => (code === 0 ? resolve() : failed()))
  })
}

function fail(message: string): never {
  process.stderr.write(`build: ${message}\n`)
  process.exit(1)
}
