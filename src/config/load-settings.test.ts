import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError } from '../core/errors.ts'
import { loadSettings, readSettings } from './load-settings.ts'

const root = mkdtempSync(join(tmpdir(), 'settings-'))
afterAll(() => rmSync(root, { recursive: true }))
let folders = 0

/** A folder with these files. */
function folder(files: Readonly<Record<string, string>>): string {
  const path = join(root, String(++folders))
  mkdirSync(path)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return path
}

async function problem(files: Readonly<Record<string, string>>, file?: string, env = {}): Promise<ConfigError> {
  const error = await loadSettings({ cwd: folder(files), file, env }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(ConfigError)
  return error as ConfigError
}

const JSON_NAME = 'smart-ratelimit.config.json'

describe('a settings file', () => {
  it('is not needed', async () => {
    expect(await readSettings({ cwd: folder({}), env: {} })).toMatchObject({
      settings: { store: 'memory' },
      file: undefined,
      variables: [],
    })
  })

  it.each([
    [JSON_NAME, '\uFEFF{"memoryMaxKeys": 5}'],
    ['smart-ratelimit.config.mjs', 'export default { memoryMaxKeys: 5 }'],
    ['smart-ratelimit.config.ts', 'const keys: number = 5\nexport default { memoryMaxKeys: keys }'],
    ['smart-ratelimit.config.js', 'module.exports = { memoryMaxKeys: 5 }'],
  ])('is found: %s', async (name, text) => {
    const cwd = folder({ [name]: text, 'package.json': '{}' })
    const found = await readSettings({ cwd, env: { RATELIMIT_KEY_PREFIX: 'x:' } })
    expect(found).toMatchObject({
      settings: { memoryMaxKeys: 5, keyPrefix: 'x:' },
      file: name,
      variables: ['RATELIMIT_KEY_PREFIX'],
    })
  })

  it('is what is named, by the call before the environment', async () => {
    const cwd = folder({
      'a.json': '{"memoryMaxKeys": 1}',
      'b.cjs': 'module.exports = { memoryMaxKeys: 2 }',
      [JSON_NAME]: '{"memoryMaxKeys": 3}',
    })
    const keys = async (file: string | undefined, env: Record<string, string>): Promise<number> =>
      (await loadSettings({ cwd, file, env })).memoryMaxKeys
    expect(await keys(undefined, {})).toBe(3)
    expect(await keys(undefined, { RATELIMIT_CONFIG_FILE: 'b.cjs' })).toBe(2)
    expect(await keys('./a.json', { RATELIMIT_CONFIG_FILE: 'b.cjs' })).toBe(1)
    expect(await keys(join(cwd, 'a.json'), {})).toBe(1)
  })

  it('is read anew when it has changed', async () => {
    for (const [name, text] of [
      [JSON_NAME, (n: number) => `{"memoryMaxKeys": ${n}}`],
      ['smart-ratelimit.config.mjs', (n: number) => `export default { memoryMaxKeys: ${n} }`],
    ] as const) {
      const cwd = folder({ [name]: text(1) })
      expect((await loadSettings({ cwd, env: {} })).memoryMaxKeys).toBe(1)
      writeFileSync(join(cwd, name), text(2))
      utimesSync(join(cwd, name), 2_000_000_000, 2_000_000_000)
      expect((await loadSettings({ cwd, env: {} })).memoryMaxKeys).toBe(2)
    }
  })

  it.each([
    ['unknown names', { [JSON_NAME]: '{"stor": 1}' }, undefined, /^stor: .*\(smart-ratelimit\.config\.json\)$/],
    [
      'two of them',
      { [JSON_NAME]: '{}', 'smart-ratelimit.config.js': '' },
      undefined,
      /one settings file in .*received "smart-ratelimit\.config\.js, smart-ratelimit\.config\.json"/,
    ],
    ['a name that leads nowhere', {}, 'none.json', /^file: expected a file that exists, received "none\.json"/],
    ['an ending that is not read', { 'a.yaml': '' }, 'a.yaml', /^file: expected a file that ends in .*received "a\.yaml"/],
    [
      'no JSON',
      { [JSON_NAME]: '{\n"a": 1,\n"password": s3cr3t\n}' },
      undefined,
      /config\.json: expected JSON, received "something else in line 3"/,
    ],
    ['half of it', { [JSON_NAME]: '{\n"password": "s3cr3t"' }, undefined, /received "something else in line 2"/],
    [
      'nothing exported',
      { 'smart-ratelimit.config.mjs': 'export const a = 1' },
      undefined,
      /export default defineSettings.*received "no default export"/,
    ],
    [
      'code that throws',
      { 'a.mjs': 'throw new Error("no network")' },
      'a.mjs',
      /a module that runs .*, received "Error.*: no network"/,
    ],
    ['a package that is missing', { 'a.mjs': 'import "not-there"' }, 'a.mjs', /received ".*not-there/],
    [
      'a password without quotes',
      { 'a.mjs': '\nexport default { password: s3cr3t }' },
      'a.mjs',
      /received "ReferenceError[^:]*"/,
    ],
    ['a URL that is none', { 'a.mjs': 'new URL("s3cr3t@:/?#")' }, 'a.mjs', /received "TypeError ERR_INVALID_URL[^:]*"/],
  ] as [string, Record<string, string>, string | undefined, RegExp][])('is refused: %s', async (_, files, file, message) => {
    const error = await problem(files, file)
    expect(error.message).toMatch(message)
    expect(error.cause).toBeUndefined()
    expect(`${error.message} ${error.stack}`).not.toContain('s3cr3t')
  })

  it('that the environment names is told by the variable', async () => {
    expect((await problem({}, undefined, { RATELIMIT_CONFIG_FILE: 'x.json' })).option).toBe('RATELIMIT_CONFIG_FILE')
  })
})

describe('a plain Node', () => {
  const bundle = join('node_modules', '.cache', 'smart-ratelimit', `config-${process.pid}`)
  const run = promisify(execFile)
  beforeAll(() =>
    build({
      entryPoints: [join(import.meta.dirname, 'index.ts')],
      outdir: bundle,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      packages: 'external',
      loader: { '.sql': 'text', '.lua': 'text' },
      outExtension: { '.js': '.mjs' },
      logLevel: 'error',
    }),
  )
  afterAll(() => rmSync(bundle, { recursive: true }))

  async function load(cwd: string, flags: readonly string[], times = 1): Promise<string> {
    const code = `
      import { writeFileSync, utimesSync } from 'node:fs'
      const { loadSettings } = await import(${JSON.stringify(join(process.cwd(), bundle, 'index.mjs'))})
      try {
        for (let i = 0; i < ${times}; i++) {
          if (i > 0) {
            writeFileSync('smart-ratelimit.config.js', 'module.exports = { memoryMaxKeys: 9 }')
            utimesSync('smart-ratelimit.config.js', 2e9, 2e9)
          }
          console.log((await loadSettings({ env: {} })).memoryMaxKeys)
        }
      } catch (error) { console.log(error.message) }`
    const { stdout } = await run(process.execPath, [...flags, '--input-type=module', '-e', code], { cwd })
    return stdout.trim()
  }

  it('reads TypeScript where it strips types, and says what to do where it does not', async () => {
    const cwd = folder({ 'smart-ratelimit.config.ts': 'const keys: number = 7\nexport default { memoryMaxKeys: keys }' })
    expect(await load(cwd, [])).toBe('7')
    expect(await load(cwd, ['--no-experimental-strip-types'])).toMatch(
      /^smart-ratelimit\.config\.ts: expected Node 22\.18 or newer, which runs TypeScript; or a settings file in \.js or \.json, received "Node v/,
    )
  })

  it('reads CommonJS anew when it has changed', async () => {
    const cwd = folder({ 'smart-ratelimit.config.js': 'module.exports = { memoryMaxKeys: 8 }', 'package.json': '{}' })
    expect(await load(cwd, [], 2)).toBe('8\n9')
  })

  it('tells the line of what is wrong, and not the line itself', async () => {
    const cwd = folder({ 'smart-ratelimit.config.mjs': '\n\nexport default { password: s3cr3t }' })
    expect(await load(cwd, [])).toMatch(/received "ReferenceError in line 3"$/)
    const syntax = folder({ 'smart-ratelimit.config.mjs': '\nexport default { password: s3cr3t@ }' })
    expect(await load(syntax, [])).toMatch(
      /\(node smart-ratelimit\.config\.mjs shows where it does not\), received "SyntaxError"$/,
    )
  })
})
