// The lines of a log: a file or standard input, plain or gzip, however large. Promise: memory does not grow with the log, nor
// with a line that has no end. Next: log-line.ts.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { RateLimitError, show } from '../core/errors.ts'

/** Longer lines are no log lines. */
const LONGEST_LINE = 65_536
const NEWLINE = 0x0a
const RETURN = 0x0d

/** What is told of lines. The bytes are those of the read buffer: keep no reference. */
export interface LineSink {
  /** A line; of no bytes where it is empty. */
  line(bytes: Buffer, start: number, end: number): void
  /** A line of more than 64 kB; `bytes` has its beginning. */
  overlong(bytes: Buffer): void
}

/** A log that is open. */
export interface OpenLog {
  /** Bytes of the file; undefined for standard input. */
  readonly size: number | undefined
  /** Bytes of it read so far. */
  readonly read: number
  /** Tells all lines, in order. */
  lines(sink: LineSink): Promise<void>
}

/**
 * Opens a log.
 * @param path a file, or `-` for standard input
 * @throws RateLimitError `ERR_RATELIMIT_LOG` for what is missing, unreadable, a folder, or broken gzip
 */
export async function openLog(path: string): Promise<OpenLog> {
  if (path === '-') return new Log(process.stdin, undefined, 'standard input')
  let size: number
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw new RateLimitError('ERR_RATELIMIT_LOG', `log ${show(path)}: expected a file, found a folder`)
    size = found.size
  } catch (error) {
    throw unreadable(path, error)
  }
  return new Log(createReadStream(path, { highWaterMark: 1 << 18 }), size, path)
}

class Log implements OpenLog {
  readonly size: number | undefined
  read = 0
  readonly #source: AsyncIterable<Buffer>
  readonly #name: string

  constructor(source: AsyncIterable<Buffer>, size: number | undefined, name: string) {
    this.#source = source
    this.size = size
    this.#name = name
  }

  async lines(sink: LineSink): Promise<void> {
    const splitter = new Splitter(sink)
    try {
      for await (const chunk of await plain(this.#counted())) splitter.add(chunk)
    } catch (error) {
      throw unreadable(this.#name, error)
    }
    splitter.end()
  }

  async *#counted(): AsyncGenerator<Buffer> {
    for await (const chunk of this.#source) {
      this.read += chunk.length
      yield chunk
    }
  }
}

/** Longest beginning that tells how a file is compressed. */
const MAGIC_LENGTH = 6
/** Beginnings of compressed files that are not unpacked here, and the program that does. */
const FOREIGN: readonly (readonly [magic: Buffer, program: string])[] = [
  [Buffer.from('28b52ffd', 'hex'), 'zstd'],
  [Buffer.from('fd377a585a00', 'hex'), 'xz'],
  [Buffer.from('BZh'), 'bzip2'],
]

/** What is inside, if it is gzip; told by its first bytes, not by a name. */
async function plain(source: AsyncGenerator<Buffer>): Promise<AsyncIterable<Buffer>> {
  let head: Buffer = Buffer.alloc(0)
  while (head.length < MAGIC_LENGTH) {
    const next = await source.next()
    if (next.done === true) break
    head = Buffer.concat([head, next.value])
  }
  for (const [magic, program] of FOREIGN) {
    if (head.subarray(0, magic.length).equals(magic)) {
      throw new RateLimitError(
        'ERR_RATELIMIT_LOG',
        `log: it is compressed by ${program}; unpack it first: ${program} -dc … | smart-ratelimit replay - …`,
      )
    }
  }
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield head
    yield* source
  }
  if (head[0] !== 0x1f || head[1] !== 0x8b) return whole()
  const input = Readable.from(whole())
  const output = createGunzip({ chunkSize: 1 << 18 })
  input.on('error', (error) => output.destroy(error))
  return input.pipe(output)
}

class Splitter {
  readonly #sink: LineSink
  /** The beginning of a line whose end is still to come. */
  #rest: Buffer = Buffer.alloc(0)
  /** Within a line that is too long. */
  #skipping = false

  constructor(sink: LineSink) {
    this.#sink = sink
  }

  add(chunk: Buffer): void {
    let start = 0
    if (this.#rest.length > 0 || this.#skipping) {
      const end = chunk.indexOf(NEWLINE)
      if (end < 0) {
        this.#keep(chunk)
        return
      }
      if (!this.#skipping) this.#tell(Buffer.concat([this.#rest, chunk.subarray(0, end)]), 0, this.#rest.length + end)
      this.#rest = Buffer.alloc(0)
      this.#skipping = false
      start = end + 1
    }
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start)
      if (end < 0) break
      this.#tell(chunk, start, end)
      start = end + 1
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
  }

  end(): void {
    if (this.#rest.length > 0) this.#tell(this.#rest, 0, this.#rest.length)
  }

  #keep(part: Buffer): void {
    if (this.#skipping) return
    if (this.#rest.length + part.length <= LONGEST_LINE) {
      this.#rest = Buffer.concat([this.#rest, part])
      return
    }
    this.#sink.overlong(this.#rest.length > 0 ? this.#rest : part.subarray(0, LONGEST_LINE))
    this.#rest = Buffer.alloc(0)
    this.#skipping = true
  }

  #tell(bytes: Buffer, start: number, end: number): void {
    const last = end > start && bytes[end - 1] === RETURN ? end - 1 : end
    if (last - start > LONGEST_LINE) this.#sink.overlong(bytes.subarray(start, start + LONGEST_LINE))
    else this.#sink.line(bytes, start, last)
  }
}

function unreadable(name: string, error: unknown): RateLimitError {
  if (error instanceof RateLimitError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const why =
    code === 'ENOENT'
      ? 'there is no such file'
      : code === 'EACCES' || code === 'EPERM'
        ? 'it may not be read'
        : code === 'EISDIR'
          ? 'it is a folder'
          : code?.startsWith('Z_') === true
            ? `its gzip data is broken (${message})`
            : message
  return new RateLimitError('ERR_RATELIMIT_LOG', `log ${show(name)}: ${why}`, { cause: error })
}
