// A list of addresses kept in a file. Promise: what is served is always a whole, valid list; it is read again in the background when
// it has aged and somebody asks, so no timer keeps the process alive; a list that turned bad leaves the last good one in force.
// Next: address-list.ts, which asks it.

import type * as files from 'node:fs/promises'
import type { Clock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import { rangesBuilder, type AddressRanges } from './address-ranges.ts'

/** A file with one address or block a line; blank lines and what follows a `#` are ignored. */
export interface AddressFile {
  /** Path of a regular file. */
  readonly file: string
  /** Ms after which the file is read again, at the next use; a whole number ≥ 1, default 300000. */
  readonly reloadMs?: number
  /** The largest size accepted, in bytes; a whole number ≥ 1, default 5 MB (5 × 1024 × 1024). */
  readonly maxBytes?: number
}

/** The list of a file, as it was when last read. */
export interface FileRanges {
  /** The last good list; undefined until there is one. Starts reading again in the background when it has aged. */
  current(): AddressRanges | undefined
  /** The first good list. A failed attempt is repeated at the earliest after ten seconds, so a missing file is not read per request. */
  first(): Promise<AddressRanges>
  /** Resolves when there is a good list; tries now if there is none. Rejects with a ConfigError saying why there is not. */
  ready(): Promise<AddressRanges>
}

const OPTIONS: readonly string[] = ['file', 'reloadMs', 'maxBytes'] satisfies (keyof AddressFile)[]

const RETRY_MS = 10_000

/** Lines read in one go before other work gets its turn. */
const LINES_A_TURN = 5_000

/**
 * Prepares a file list; nothing is read yet.
 * @param report told of every failed refresh; what it throws is dropped
 * @throws ConfigError for a misspelt option or a number out of range
 */
export function fileRanges(input: AddressFile, option: string, clock: Clock, report: (error: ConfigError) => void): FileRanges {
  const { file, reloadMs, maxBytes } = checked(input, option)
  let ranges: AddressRanges | undefined
  let failure: ConfigError | undefined
  let loading: Promise<AddressRanges> | undefined
  let triedAt = 0

  const load = (): Promise<AddressRanges> => (loading ??= attempt())
  const attempt = async (): Promise<AddressRanges> => {
    try {
      ranges = await readRanges(file, maxBytes, option)
      failure = undefined
      return ranges
    } catch (error) {
      failure = error instanceof ConfigError ? error : unreadable(option, file, error)
      throw failure
    } finally {
      triedAt = clock.now()
      loading = undefined
    }
  }
  const refresh = async (): Promise<void> => {
    try {
      await load()
    } catch (error) {
      try {
        report(error as ConfigError)
      } catch {
        // Whoever listens must not take the list down.
      }
    }
  }

  return {
    current() {
      if (ranges !== undefined && loading === undefined && clock.now() - triedAt >= reloadMs) void refresh()
      return ranges
    },
    first() {
      if (ranges !== undefined) return Promise.resolve(ranges)
      const recently = failure !== undefined && loading === undefined && clock.now() - triedAt < Math.min(RETRY_MS, reloadMs)
      return recently ? Promise.reject(failure as ConfigError) : load()
    },
    ready: () => (ranges === undefined ? load() : Promise.resolve(ranges)),
  }
}

function checked(input: AddressFile, option: string): Required<AddressFile> {
  for (const own of Object.keys(input)) {
    if (!OPTIONS.includes(own))
      throw new ConfigError(`${option}.${own}`, `one of ${OPTIONS.join(', ')}`, own, 'ERR_RATELIMIT_LIST')
  }
  const { file, reloadMs = 300_000, maxBytes = 5 * 1024 * 1024 } = input
  if (typeof file !== 'string' || file === '') {
    throw new ConfigError(`${option}.file`, 'the path of a file', file, 'ERR_RATELIMIT_LIST')
  }
  for (const [own, value] of Object.entries({ reloadMs, maxBytes })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ConfigError(`${option}.${own}`, 'a whole number ≥ 1', value, 'ERR_RATELIMIT_LIST')
    }
  }
  return { file, reloadMs, maxBytes }
}

async function readRanges(file: string, maxBytes: number, option: string): Promise<AddressRanges> {
  const { open } = fileSystem(option)
  const handle = await open(file, 'r')
  let text: string
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw new ConfigError(`${option}.file`, 'a regular file', file, 'ERR_RATELIMIT_LIST')
    // The file may still be growing: one byte more than allowed is enough to know.
    const bytes = new Uint8Array(Math.min(stat.size, maxBytes) + 1)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    if (length === bytes.length) {
      const expected = stat.size > maxBytes ? `a file of at most ${maxBytes} bytes` : 'a file that does not grow while it is read'
      throw new ConfigError(`${option}.file`, expected, file, 'ERR_RATELIMIT_LIST')
    }
    text = new TextDecoder().decode(bytes.subarray(0, length))
  } finally {
    await handle.close()
  }
  return parseLines(text, file, option)
}

/** Asked for by name, so that bundles for runtimes without files need not know the module. */
function fileSystem(option: string): typeof files {
  const found =
    typeof process === 'object' && typeof process.getBuiltinModule === 'function'
      ? process.getBuiltinModule('node:fs/promises')
      : undefined
  if (found === undefined) throw new ConfigError(option, 'no file, as this runtime has no file system', 'a file')
  return found
}

async function parseLines(text: string, file: string, option: string): Promise<AddressRanges> {
  const builder = rangesBuilder()
  let line = 0
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline
    const hash = text.indexOf('#', start)
    const entry = text.slice(start, hash < 0 || hash > end ? end : hash).trim()
    line++
    if (entry !== '') {
      const expected = builder.add(entry)
      if (expected !== undefined) throw new ConfigError(`${option} (${file}:${line})`, expected, entry, 'ERR_RATELIMIT_LIST')
    }
    start = end + 1
    if (line % LINES_A_TURN === 0) await new Promise<void>((resolve) => void setTimeout(resolve, 0))
  }
  return builder.build()
}

function unreadable(option: string, file: string, error: unknown): ConfigError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  return new ConfigError(`${option}.file`, `a file that can be read${code}`, file, 'ERR_RATELIMIT_LIST')
}
