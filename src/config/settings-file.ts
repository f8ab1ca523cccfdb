// Finds and reads the settings file. Promise: it is read anew each time it has changed; a file that cannot be read is an error that tells the
// file and the line, and shows nothing of what is in it. Next: load-settings.ts.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '../core/errors.ts'

const NAME = 'smart-ratelimit.config'
/** What is looked for. A named file may also end in .mts or .cjs. */
const FOUND = ['.ts', '.js', '.mjs', '.json']
const READ = [...FOUND, '.mts', '.cjs']

/** A settings file's content. */
export interface SettingsFile {
  /** Its path as errors show it: from the working directory, where it is in there. */
  readonly where: string
  readonly data: unknown
}

/**
 * Reads the named file, or the one that is in the folder; undefined where there is none.
 * @param option what an error calls the place that names the file
 * @throws ConfigError
 */
export async function readSettingsFile(cwd: string, file: string | undefined, option: string): Promise<SettingsFile | undefined> {
  const path = file === undefined ? findIn(cwd) : named(cwd, file, option)
  if (path === undefined) return undefined
  const inside = relative(cwd, path)
  const where = inside.startsWith('..') ? path : inside
  return { where, data: extname(path) === '.json' ? readJson(path, where) : await readCode(path, where) }
}

function findIn(cwd: string): string | undefined {
  const there = FOUND.map((ending) => NAME + ending).filter((name) => existsSync(join(cwd, name)))
  if (there.length > 1) throw new ConfigError('settings', `one settings file in ${cwd}`, there.join(', '))
  return there[0] === undefined ? undefined : join(cwd, there[0])
}

function named(cwd: string, file: string, option: string): string {
  const path = resolve(cwd, file)
  if (!READ.includes(extname(path))) throw new ConfigError(option, `a file that ends in ${READ.join(', ')}`, file)
  if (!existsSync(path)) throw new ConfigError(option, 'a file that exists', file)
  return path
}

function readJson(path: string, where: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
  } catch (error) {
    throw unreadable(where, 'a file that can be read', (error as NodeJS.ErrnoException).code ?? 'an error')
  }
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    // Its message quotes the file.
    const [, at] = /at position (\d+)/.exec((error as Error).message) ?? []
    const line = text.slice(0, at === undefined ? wordsEnd(text) : Number(at)).split('\n').length
    throw unreadable(where, 'JSON', `something else in line ${line}`)
  }
}

const WORD = /\s+|[{}[\],:]|true|false|null|-?\d[\d.eE+-]*|"(?:[^"\\\n]|\\.)*"/y

/** How far a text consists of JSON's words. */
function wordsEnd(text: string): number {
  WORD.lastIndex = 0
  let end = 0
  while (WORD.test(text)) end = WORD.lastIndex
  return end
}

/** File → when it had changed last when it was first read. */
const firstRead = new Map<string, number>()

async function readCode(path: string, where: string): Promise<unknown> {
  if (path.endsWith('ts') && !stripsTypes())
    throw unreadable(
      where,
      'Node 22.18 or newer, which runs TypeScript; or a settings file in .js or .json',
      `Node ${process.version}`,
    )
  let found: { readonly default?: unknown }
  try {
    const { mtimeMs } = statSync(path)
    if (!firstRead.has(path)) firstRead.set(path, mtimeMs)
    const isNew = firstRead.get(path) !== mtimeMs
    // What `require` keeps is not asked again, and `import` keeps files by their address.
    if (isNew) delete createRequire(import.meta.url).cache[path]
    const address = pathToFileURL(path).href + (isNew ? `?changed=${mtimeMs}` : '')
    found = (await import(address)) as typeof found
  } catch (error) {
    throw unreadable(where, `a module that runs (node ${where} shows where it does not)`, fault(error))
  }
  if (found.default === undefined) throw unreadable(where, 'export default defineSettings({ … })', 'no default export')
  return found.default
}

/** Whether this process runs TypeScript as it is. Bundlers' and test runners' loaders do, too, whatever Node says. */
function stripsTypes(): boolean {
  return (
    Boolean((process.features as { typescript?: unknown }).typescript) ||
    process.execArgv.some((flag) => /tsx|ts-node/.test(flag))
  )
}

/** What went wrong, without what the file says: a line of it, or a value, may be a password. */
function fault(error: unknown): string {
  if (!(error instanceof Error)) return 'something thrown'
  const { code } = error as NodeJS.ErrnoException
  const told = code === 'ERR_MODULE_NOT_FOUND' || error.constructor === Error ? `: ${error.message}` : ''
  const [, line] = /smart-ratelimit[^\n]*?:(\d+)(?::\d+)?\)?$/m.exec(error.stack ?? '') ?? []
  return `${error.name}${code === undefined ? '' : ` ${code}`}${line === undefined ? '' : ` in line ${line}`}${told}`
}

function unreadable(where: string, expected: string, received: string): ConfigError {
  return new ConfigError(where, expected, received)
}
