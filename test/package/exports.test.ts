// What package.json promises, what the build made and what the docs tell are the same list.
// Reads dist/: `npm test` builds it first. Next: docs-code.test.ts.

import { existsSync, globSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
  readonly bin: Readonly<Record<string, string>>
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
const entries = Object.entries(manifest.exports).flatMap(([path, entry]) =>
  typeof entry === 'string' ? [] : [{ specifier: path.replace(/^\./, manifest.name), ...entry }],
)
const reference = readFileSync('docs/api.md', 'utf8')

describe('the entries of package.json', () => {
  it('are all built, with declarations', () => {
    const promised = [...entries.flatMap(({ types, default: code }) => [types, code]), ...Object.values(manifest.bin)]
    expect(promised.filter((file) => !existsSync(file))).toEqual([])
  })

  it('are all that is built: everything else is a shared chunk', () => {
    const promised = [...entries.map((entry) => entry.default), ...Object.values(manifest.bin)]
    const built = globSync('dist/**/*.js').map((file) => `./${file.replaceAll('\\', '/')}`)
    expect(built.filter((file) => !file.startsWith('./dist/chunks/') && !promised.includes(file))).toEqual([])
  })

  it('have a command that Node can start', () => {
    for (const file of Object.values(manifest.bin)) expect(readFileSync(file, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  it('each have a section in docs/api.md, and no section is about another', () => {
    const sections = [...reference.matchAll(/^## `(smart-ratelimit[^`]*)`/gm)].map((match) => match[1])
    expect(sections).toEqual(entries.map(({ specifier }) => specifier))
  })

  it.each(entries)('$specifier: every exported name is told of in its section', async ({ specifier, types, default: code }) => {
    const values = Object.keys((await import(pathToFileURL(code).href)) as object)
    expect(values.length).toBeGreaterThan(0)
    const section = reference.split(/^## /m).find((text) => text.startsWith(`\`${specifier}\``)) ?? ''
    const told = new Set([...section.matchAll(/`([A-Za-z_$][\w$]*)/g)].map((match) => match[1]))
    const names = new Set([...values, ...declaredNames(types)])
    expect([...names].filter((name) => !told.has(name)).toSorted()).toEqual([])
  })
})

/** The names an entry's declaration file exports, types included. */
function declaredNames(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const lists = [...text.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap((match) => (match[1] ?? '').split(','))
  const listed = lists.map((name) => name.replace(/^[\s\S]*\bas\b|\btype\b/, '').trim()).filter((name) => name !== '')
  const declared = [...text.matchAll(/^export (?:declare )?(?:abstract )?(?:function|const|class|interface|type|let) ([\w$]+)/gm)]
  expect(text, `${file} re-exports by name, so that the list can be read`).not.toMatch(/export \* from/)
  return [...listed, ...declared.map((match) => match[1] ?? '')]
}
