// The dashboard's page as one module: an esbuild plugin for what imports page/index.html. Promise: the page is bundled from its sources each
// time, with all it needs; its files are named after their content. Next: build.ts, ../src/monitor/dashboard/page-files.ts.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Plugin, build } from 'esbuild'
import type { Plugin as VitePlugin } from 'vitest/config'

const PAGE = /[\\/]dashboard[\\/]page[\\/]index\.html$/

/** For esbuild. */
export const embeddedPage: Plugin = {
  name: 'embedded-page',
  setup(bundler) {
    bundler.onLoad({ filter: PAGE }, async ({ path }) => ({ contents: await pageModule(path), loader: 'js' }))
  },
}

/** For Vite, and so for the tests. */
export const embeddedPageForVite: VitePlugin = {
  name: 'embedded-page',
  enforce: 'pre',
  load: (id) => (PAGE.test(id) ? pageModule(id) : undefined),
  // Kept for no other run: its text is made of files that the test runner does not see.
  configureVitest: ({ defineCacheKeyGenerator }) => defineCacheKeyGenerator(({ id }) => (PAGE.test(id) ? false : undefined)),
}

/** `export const html, files`. */
async function pageModule(path: string): Promise<string> {
  const folder = dirname(path)
  const { outputFiles, metafile } = await build({
    entryPoints: { app: join(folder, 'main.tsx'), page: join(folder, 'page.css') },
    outdir: folder,
    write: false,
    metafile: true,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome109', 'firefox115', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'warning',
  })
  const files: Record<string, string> = {}
  let html = readFileSync(path, 'utf8')
  const name = (placeholder: string, extension: string, text: string): void => {
    const file = `${placeholder}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}.${extension}`
    files[file] = text
    html = html.replaceAll(`{{${placeholder}}}`, file)
  }
  for (const { path: out, text } of outputFiles) {
    if (out.endsWith('.js')) name('script', 'js', `${text}${licences(Object.keys(metafile.inputs))}`)
    else name('styles', 'css', text)
  }
  name('icon', 'svg', readFileSync(join(folder, 'icon.svg'), 'utf8'))
  return `export const html = ${JSON.stringify(html)}\nexport const files = ${JSON.stringify(files)}\n`
}

/** Those of the packages in it, as they ask for. */
function licences(inputs: readonly string[]): string {
  const packages = new Set(inputs.flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []))
  return [...packages]
    .toSorted()
    .map((one) => `/*! ${one}\n${readFileSync(join('node_modules', one, 'LICENSE'), 'utf8').trim()}\n*/\n`)
    .join('')
}
