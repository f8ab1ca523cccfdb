// Adapters for the fetch standard run where there is no Node.js: bundled for no platform at all, they import nothing of it, and work in a
// realm that has the web's globals alone. Next: ../../src/adapters/fetch.ts.

import { createContext, runInContext } from 'node:vm'
import { isBuiltin } from 'node:module'
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'

/** One adapter in one text. Fails on any import that is not in the package or its dependencies. */
async function bundled(adapter: string, format: 'esm' | 'iife' = 'esm') {
  const { outputFiles, metafile } = await build({
    entryPoints: [`src/adapters/${adapter}.ts`],
    bundle: true,
    write: false,
    metafile: true,
    format,
    globalName: 'adapter',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    logLevel: 'silent',
  })
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports)
  return { code: outputFiles[0]?.text ?? '', imports }
}

/** What browsers, Workers and edge runtimes share, and this adapter needs. */
const WEB = [
  'Headers',
  'Request',
  'Response',
  'URL',
  'TextEncoder',
  'TextDecoder',
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'crypto',
  'performance',
]

function realm(): Record<string, unknown> {
  const globals = globalThis as unknown as Record<string, unknown>
  return createContext(Object.fromEntries(WEB.map((name) => [name, globals[name]])))
}

describe.each(['fetch', 'graphql', 'hono', 'next', 'trpc'])('the adapter %s', (adapter) => {
  test('bundles for no platform, without an import of Node.js', async () => {
    const { code, imports } = await bundled(adapter)
    expect(imports.length).toBeGreaterThan(10)
    expect(imports.filter(({ path, external }) => external === true || isBuiltin(path))).toEqual([])
    expect(code).not.toMatch(/\b(?:require|import)\s*\(\s*["'](?:node:|fs|net|crypto|os|path)/)
  })

  test('loads and starts no timer in a realm that knows the web alone, without process', async () => {
    const { code } = await bundled(adapter, 'iife')
    const context = realm()
    const timers: unknown[] = []
    Object.assign(context, { setTimeout: () => timers.push('timeout'), setInterval: () => timers.push('interval') })
    runInContext(code, context)
    expect(timers).toEqual([])
    expect(Object.keys(context['adapter'] as object).length).toBeGreaterThan(0)
  })
})

test('a Node.js import would be noticed: the adapter for node:http servers is told from the others by its types alone', async () => {
  await expect(
    build({
      stdin: { contents: `import { readFileSync } from 'node:fs'; console.log(readFileSync)` },
      bundle: true,
      write: false,
      platform: 'neutral',
      logLevel: 'silent',
    }),
  ).rejects.toThrow(/node:fs/)
})

test('in such a realm it limits', async () => {
  const { code } = await bundled('fetch', 'iife')
  const context = realm()
  runInContext(code, context)
  const statuses: unknown = await runInContext(
    `(async () => {
      const handler = adapter.withRateLimit(() => new Response('ok'), { rate: '2/m' })
      const ask = async () => (await handler(new Request('http://localhost/'), '192.0.2.1')).status
      return JSON.stringify([await ask(), await ask(), await ask()])
    })()`,
    context,
  )
  expect(statuses).toBe('[200,200,429]')
})
