// The folders of src/ are floors: a file imports from its own folder and from the floors below, never from above.
// The table stands here, in CONTRIBUTING.md for people, and in .oxlintrc.json for editors. Next: source-files.ts.

import { existsSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Import, type SourceFile, parseSource, sourceFiles } from './source-files.ts'

/** Folder → what it may import besides itself. A file stands for itself, a folder for all in it. */
const FLOORS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  algorithms: ['core'],
  stores: ['core', 'algorithms'],
  limiter: ['core', 'algorithms', 'stores/store.ts'],
  http: ['core', 'limiter', 'stores/store.ts'],
  adapters: ['core', 'limiter', 'http'],
  config: ['core', 'algorithms', 'stores', 'limiter', 'http', 'adapters', 'index.ts'],
  monitor: ['core', 'algorithms', 'stores', 'limiter', 'http', 'adapters', 'config', 'index.ts'],
  cli: ['core', 'algorithms', 'stores', 'limiter', 'http', 'adapters', 'config', 'monitor', 'index.ts'],
  testing: ['core', 'algorithms', 'stores', 'limiter', 'http', 'adapters', 'config', 'index.ts'],
}

/** Files that know a store by name: what is there when no other is named, and when no other is left. */
const BY_NAME: Readonly<Record<string, readonly string[]>> = {
  'src/limiter/create-limiter.ts': ['src/stores/memory/memory-store.ts', 'src/stores/failover/multi-store.ts'],
  'src/stores/failover/multi-store.ts': ['src/stores/memory/memory-store.ts'],
}

/** Files outside stores/ and cli/ that may use Node's own modules. The rest runs on every JavaScript runtime. */
const NODE_ALLOWED: readonly string[] = ['src/config/settings-file.ts', 'src/http/background-file.ts', 'src/monitor/statsd.ts']

/**
 * Folders of frameworks that want their own classes: the optional peers they import when they run. Nothing outside such a folder imports
 * from it, so that every other entry runs without those packages.
 */
const PEERS_AT_RUN_TIME: Readonly<Record<string, readonly string[]>> = {
  'src/stores/redis/': ['ioredis', 'redis'],
  'src/adapters/nest/': ['@nestjs/common', '@nestjs/core'],
}

/** Folders that the build bundles with the packages they import, so that those who install ours need none of them. */
const BUNDLED: Readonly<Record<string, readonly string[]>> = {
  'src/monitor/dashboard/page/': ['preact', 'uplot'],
}

/** Files outside that import from such a folder nevertheless: what they import loads its packages when a store connects, not before. */
const LOADED_LATE: readonly string[] = ['src/config/check-values.ts', 'src/config/open-stores.ts']

const files = sourceFiles()

interface LintOverride {
  readonly files: readonly string[]
  readonly rules: {
    readonly 'no-restricted-imports'?: 'off' | ['error', { readonly patterns: readonly { readonly group?: readonly string[] }[] }]
  }
}

describe('the floors', () => {
  it('are read rightly from a file', () => {
    const { imports } = parseSource(
      'src/http/x.ts',
      [
        `import { a, type B } from '../core/a.ts'`,
        `import type { C } from '../limiter/c.ts'`,
        `import { type D, type E } from './d.ts'`,
        `export * from "../../x.ts" // import 'no'`,
        `export { f } from './f.ts'`,
        `/* import { g } from '../cli/g.ts' */`,
        `const h = await import('node:fs')`,
        `import './side.ts'`,
        `import {`,
        `  i,`,
        `} from 'commander'`,
      ].join('\n'),
    )
    expect(imports).toEqual<Import[]>([
      { specifier: '../core/a.ts', target: 'src/core/a.ts', typeOnly: false },
      { specifier: '../limiter/c.ts', target: 'src/limiter/c.ts', typeOnly: true },
      { specifier: './d.ts', target: 'src/http/d.ts', typeOnly: true },
      { specifier: '../../x.ts', target: 'x.ts', typeOnly: false },
      { specifier: './f.ts', target: 'src/http/f.ts', typeOnly: false },
      { specifier: 'node:fs', target: undefined, typeOnly: false },
      { specifier: './side.ts', target: 'src/http/side.ts', typeOnly: false },
      { specifier: 'commander', target: undefined, typeOnly: false },
    ])
  })

  it('cover every folder of src/', () => {
    const folders = new Set(files.map(folderOf).filter((folder) => folder !== ''))
    expect([...folders].filter((folder) => FLOORS[folder] === undefined)).toEqual([])
    expect(folders.size).toBeGreaterThan(4)
  })

  it('import only downwards', () => {
    const wrong = eachImport((file, { target }) => {
      if (target === undefined || folderOf(file) === '') return false
      if (BY_NAME[file.path]?.includes(target) === true) return false
      const inside = target.replace(/^src\//, '')
      const allowed = [folderOf(file), ...(FLOORS[folderOf(file)] ?? [])]
      return !allowed.some((place) => inside === place || inside.startsWith(`${place}/`))
    })
    expect(wrong).toEqual([])
  })

  it('name files that exist', () => {
    expect(eachImport((_, { target }) => target !== undefined && !existsSync(target))).toEqual([])
  })

  it('keep stores from importing each other', () => {
    const wrong = eachImport((file, { target }) => {
      const own = /^src\/stores\/([^/]+)\//.exec(file.path)?.[1]
      if (own === undefined || !target?.startsWith('src/stores/')) return false
      // What lies beside the folders is for all of them.
      const isCommon = !target.slice('src/stores/'.length).includes('/')
      return !isCommon && !target.startsWith(`src/stores/${own}/`) && BY_NAME[file.path]?.includes(target) !== true
    })
    expect(wrong).toEqual([])
  })

  it('leave the clock to core/clock.ts', () => {
    const reads =
      /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)(?!\s*=>)|\bperformance\.(now|timeOrigin)\b|\bhrtime\b|\buptime\(\)/
    expect(files.filter(({ path, code }) => path !== 'src/core/clock.ts' && reads.test(code)).map(({ path }) => path)).toEqual([])
    expect(reads.test(readFileSync('src/core/clock.ts', 'utf8'))).toBe(true)
  })

  it("keep Node's own modules to the stores, the command and a short list", () => {
    const wrong = eachImport((file, { specifier, typeOnly }) => {
      if (typeOnly || !isBuiltin(specifier)) return false
      return !/^src\/(stores|cli)\//.test(file.path) && !NODE_ALLOWED.includes(file.path)
    })
    expect(wrong).toEqual([])
    const unused = NODE_ALLOWED.filter(
      (path) => !files.some((file) => file.path === path && file.imports.some((i) => isBuiltin(i.specifier))),
    )
    expect(unused, 'entries of NODE_ALLOWED that need no place there').toEqual([])
  })

  it("name Node's modules with node: in front", () => {
    expect(eachImport((_, { specifier }) => isBuiltin(specifier) && !specifier.startsWith('node:'))).toEqual([])
  })

  it('use no package that is not a dependency or an optional peer', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string> | undefined>
    const dependencies = Object.keys(manifest['dependencies'] ?? {})
    const peers = Object.keys(manifest['peerDependencies'] ?? {})
    const wrong = eachImport(({ path }, { specifier, typeOnly }) => {
      if (specifier.startsWith('.') || isBuiltin(specifier)) return false
      const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? ''
      const [, atRunTime = []] = Object.entries(PEERS_AT_RUN_TIME).find(([folder]) => path.startsWith(folder)) ?? []
      const [, bundled = []] = Object.entries(BUNDLED).find(([folder]) => path.startsWith(folder)) ?? []
      if (bundled.includes(name)) return false
      return !dependencies.includes(name) && !(peers.includes(name) && (typeOnly || atRunTime.includes(name)))
    })
    expect(wrong).toEqual([])
  })

  it('keep packages that an entry needs to run away from the other entries', () => {
    for (const [folder, names] of Object.entries(PEERS_AT_RUN_TIME)) {
      const outside = eachImport(
        ({ path }, { target, typeOnly }) =>
          target?.startsWith(folder) === true && !typeOnly && !path.startsWith(folder) && !LOADED_LATE.includes(path),
      )
      expect(outside).toEqual([])
      const used = files.filter(({ path }) => path.startsWith(folder)).flatMap(({ imports }) => imports)
      const unused = names.filter((name) => !used.some(({ specifier, typeOnly }) => specifier === name && !typeOnly))
      expect(unused, 'packages that need no place in PEERS_AT_RUN_TIME').toEqual([])
    }
  })

  it('keep what is bundled apart: others import it as one module, by the file that its build begins with', () => {
    for (const folder of Object.keys(BUNDLED)) {
      const inside = eachImport(({ path }, { target }) => target?.startsWith(folder) === true && !path.startsWith(folder))
      expect(inside).toEqual(['src/monitor/dashboard/page-files.ts → ./page/index.html'])
    }
  })

  it('are what the linter forbids', () => {
    const { overrides } = JSON.parse(readFileSync('.oxlintrc.json', 'utf8')) as { overrides: LintOverride[] }
    const floors = overrides.flatMap(({ files: [glob = ''], rules }) => {
      const [, folder] = /^src\/([a-z]+)\/\*\*\/\*\.ts$/.exec(glob) ?? []
      const rule = rules['no-restricted-imports']
      const forbidden = rule === undefined || rule === 'off' ? [] : rule[1].patterns.flatMap(({ group = [] }) => group)
      return folder === undefined ? [] : [{ folder, forbidden }]
    })
    expect(floors.map(({ folder }) => folder)).toEqual(['core', 'algorithms', 'stores', 'limiter', 'http', 'adapters'])
    for (const { folder, forbidden } of floors) {
      const above = Object.keys(FLOORS).filter(
        (other) => other !== folder && !FLOORS[folder]?.some((place) => place.startsWith(other)),
      )
      expect(forbidden, folder).toEqual(expect.arrayContaining(above.map((other) => `**/${other}/**`)))
    }
  })

  it('are the table of CONTRIBUTING.md', () => {
    const rows = readFileSync('CONTRIBUTING.md', 'utf8').matchAll(/^\| `([a-z]+)\/` \|[^|]*\| ([^|]*) \|$/gm)
    const table = Object.fromEntries([...rows].map(([, folder = '', cell = '']) => [folder, places(cell)]))
    expect(table).toEqual(FLOORS)
  })
})

describe('every file', () => {
  it('opens with one to six lines: the promise it keeps and where to read next', () => {
    const wrong = files.filter(({ text }) => {
      const lines = text.replace(/^#!.*\n/, '').split('\n')
      const opening = lines.slice(
        0,
        lines.findIndex((line) => !line.startsWith('//')),
      )
      return opening.length < 1 || opening.length > 6 || !/\b(Next|Start reading)\b/.test(opening.join('\n'))
    })
    expect(wrong.map(({ path }) => path)).toEqual([])
  })

  it('names files that exist as the next to read', () => {
    const dead = files.flatMap(({ path, text }) => {
      const opening = /^(?:#!.*\n)?((?:\/\/.*\n)+)/.exec(text)?.[1]?.replaceAll('\n//', '') ?? ''
      const next = /\b(?:Next:|Start reading at)(.*)/.exec(opening)?.[1] ?? ''
      const named = [...next.matchAll(/[\w./-]+\.(?:tsx?|lua|sql|md)\b/g)].map(([name]) => join(dirname(path), name))
      return named.filter((name) => !existsSync(name)).map((name) => `${path} → ${name}`)
    })
    expect(dead).toEqual([])
  })

  it('is named in kebab-case after one idea', () => {
    const vague = /^(utils?|helpers?|common|lib|types?|base|manager)(\.|$)/
    const wrong = files.filter(({ path }) =>
      path.split('/').some((part) => vague.test(part) || !/^[a-z0-9-]+(\.tsx?)?$/.test(part)),
    )
    expect(wrong.map(({ path }) => path)).toEqual([])
  })
})

function folderOf({ path }: SourceFile): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? ''
}

/** `core`, `stores/store.ts` → their names; the cell of the lowest floor says "nothing of ours". */
function places(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+?)\/?`/g)].map(([, place = '']) => place)
}

function eachImport(isWrong: (file: SourceFile, entry: Import) => boolean): string[] {
  return files.flatMap((file) =>
    file.imports.filter((entry) => isWrong(file, entry)).map(({ specifier }) => `${file.path} → ${specifier}`),
  )
}
