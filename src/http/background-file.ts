// A file that is read ahead and again in the background. Promise: what is served is always whole; it is read again when it has aged and
// somebody asks, so no timer keeps the process alive; a file that turned bad leaves the last good content in force.
// Next: address-list-file.ts and maxmind.ts, which make something of the bytes.

import type * as files from 'node:fs/promises'
import type { Clock } from '../core/clock.ts'
import { ConfigError, type ErrorCode } from '../core/errors.ts'

/** What a file's content was made into, as it was when last read. */
export interface BackgroundFile<Content> {
  /** The last good content; undefined until there is some. Starts reading again in the background when it has aged. */
  current(): Content | undefined
  /** The first good content. A failed attempt is repeated at the earliest after ten seconds, so a missing file is not read per request. */
  first(): Promise<Content>
  /** Resolves when there is good content; tries now if there is none. Rejects with a ConfigError saying why there is not. */
  ready(): Promise<Content>
}

/** How a file is read. */
export interface BackgroundFileTerms<Content> {
  readonly file: string
  /** Ms after which it is read again, at the next use. */
  readonly reloadMs: number
  /** The largest size accepted. */
  readonly maxBytes: number
  /** What errors call the place the file is named in, and their code. */
  readonly option: string
  readonly code: ErrorCode
  readonly clock: Clock
  /** Makes something of the bytes. What it throws that is no ConfigError is wrapped into one. */
  readonly parse: (bytes: Uint8Array) => Content | Promise<Content>
  /** Told of every failed refresh; what it throws is dropped. */
  readonly report: (error: ConfigError) => void
}

const RETRY_MS = 10_000

/** Prepares a file; nothing is read yet. */
export function backgroundFile<Content>(terms: BackgroundFileTerms<Content>): BackgroundFile<Content> {
  const { clock, reloadMs, report } = terms
  let content: Content | undefined
  let failure: ConfigError | undefined
  let loading: Promise<Content> | undefined
  let triedAt = 0

  const load = (): Promise<Content> => (loading ??= attempt())
  const attempt = async (): Promise<Content> => {
    try {
      content = await terms.parse(await readBytes(terms))
      failure = undefined
      return content
    } catch (error) {
      failure = error instanceof ConfigError ? error : unreadable(terms, error)
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
        // Whoever listens must not take the file down.
      }
    }
  }

  return {
    current() {
      if (content !== undefined && loading === undefined && clock.now() - triedAt >= reloadMs) void refresh()
      return content
    },
    first() {
      if (content !== undefined) return Promise.resolve(content)
      const recently = failure !== undefined && loading === undefined && clock.now() - triedAt < Math.min(RETRY_MS, reloadMs)
      return recently ? Promise.reject(failure as ConfigError) : load()
    },
    ready: () => (content === undefined ? load() : Promise.resolve(content)),
  }
}

/**
 * The options of a file, with their defaults.
 * @throws ConfigError for a path that is none, or a number out of range
 */
export function fileOptions(
  given: { readonly file: string; readonly reloadMs?: number; readonly maxBytes?: number },
  defaults: { readonly reloadMs: number; readonly maxBytes: number },
  option: string,
  code: ErrorCode,
): { readonly file: string; readonly reloadMs: number; readonly maxBytes: number } {
  const { file, reloadMs = defaults.reloadMs, maxBytes = defaults.maxBytes } = given
  if (typeof file !== 'string' || file === '') throw new ConfigError(`${option}.file`, 'the path of a file', file, code)
  for (const [own, value] of Object.entries({ reloadMs, maxBytes })) {
    if (!Number.isSafeInteger(value) || value < 1) throw new ConfigError(`${option}.${own}`, 'a whole number ≥ 1', value, code)
  }
  return { file, reloadMs, maxBytes }
}

async function readBytes({ file, maxBytes, option, code }: BackgroundFileTerms<unknown>): Promise<Uint8Array> {
  const { open } = fileSystem(option, code)
  const handle = await open(file, 'r')
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw new ConfigError(`${option}.file`, 'a regular file', file, code)
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
      throw new ConfigError(`${option}.file`, expected, file, code)
    }
    return bytes.subarray(0, length)
  } finally {
    await handle.close()
  }
}

/** Asked for by name, so that bundles for runtimes without files need not know the module. */
function fileSystem(option: string, code: ErrorCode): typeof files {
  const found =
    typeof process === 'object' && typeof process.getBuiltinModule === 'function'
      ? process.getBuiltinModule('node:fs/promises')
      : undefined
  if (found === undefined) throw new ConfigError(option, 'no file, as this runtime has no file system', 'a file', code)
  return found
}

function unreadable({ file, option, code }: BackgroundFileTerms<unknown>, error: unknown): ConfigError {
  const { code: reason, message } = error as { code?: unknown; message?: unknown }
  const why = typeof reason === 'string' ? ` (${reason})` : typeof message === 'string' ? ` (${message.slice(0, 80)})` : ''
  return new ConfigError(`${option}.file`, `a file that can be read${why}`, file, code)
}
