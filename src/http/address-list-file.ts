// A list of addresses kept in a file. Promise: what is served is always a whole, valid list; one bad line makes none of it, and the list
// before stays in force. Next: background-file.ts (when it is read), address-list.ts, which asks it.

import type { Clock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import { rangesBuilder, type AddressRanges } from './address-ranges.ts'
import { type BackgroundFile, backgroundFile, fileOptions } from './background-file.ts'

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
export type FileRanges = BackgroundFile<AddressRanges>

const OPTIONS: readonly string[] = ['file', 'reloadMs', 'maxBytes'] satisfies (keyof AddressFile)[]
const DEFAULTS = { reloadMs: 300_000, maxBytes: 5 * 1024 * 1024 }
const CODE = 'ERR_RATELIMIT_LIST'

/** Lines read in one go before other work gets its turn. */
const LINES_A_TURN = 5_000

/**
 * Prepares a file list; nothing is read yet.
 * @param report told of every failed refresh; what it throws is dropped
 * @throws ConfigError for a misspelt option or a number out of range
 */
export function fileRanges(input: AddressFile, option: string, clock: Clock, report: (error: ConfigError) => void): FileRanges {
  for (const own of Object.keys(input)) {
    if (!OPTIONS.includes(own)) throw new ConfigError(`${option}.${own}`, `one of ${OPTIONS.join(', ')}`, own, CODE)
  }
  const terms = fileOptions(input, DEFAULTS, option, CODE)
  const parse = (bytes: Uint8Array): Promise<AddressRanges> => parseLines(new TextDecoder().decode(bytes), terms.file, option)
  return backgroundFile({ ...terms, option, code: CODE, clock, report, parse })
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
      if (expected !== undefined) throw new ConfigError(`${option} (${file}:${line})`, expected, entry, CODE)
    }
    start = end + 1
    if (line % LINES_A_TURN === 0) await new Promise<void>((resolve) => void setTimeout(resolve, 0))
  }
  return builder.build()
}
