// One line of an access log → who asked for what, when. Promise: common, combined and JSON lines, told apart per line; what
// cannot be read is told and never guessed; nothing a client can write moves the time; fields that nobody asked for are not made.
// Next: log-json.ts, log-reader.ts.

import { parseAddress } from '../http/parse-address.ts'
import { parseJsonLine } from './log-json.ts'
import { STAMP_LENGTH, commonTime } from './log-time.ts'

/** Which fields a replay needs; making a text costs more than finding it. */
export interface WantedFields {
  readonly user: boolean
  readonly request: boolean
  /** Names of further JSON fields. */
  readonly fields: readonly string[]
}

/** How lines are read. `auto` tells JSON from the rest by its first character. */
export type LogFormat = 'auto' | 'common' | 'combined' | 'json'

/** A line that was read. One object serves for all lines: keep nothing of it. */
export interface LogEntry {
  /** Epoch ms. */
  timeMs: number
  client: string
  user: string | undefined
  method: string | undefined
  target: string | undefined
  /** Values of the further fields, in the order they were asked for. */
  readonly fields: (string | undefined)[]
}

/** Reads lines into `entry`. */
export interface LogLineParser {
  readonly entry: LogEntry
  /** Reads the bytes from `start` to `end` (no line end). Returns what is wrong with them; undefined when they were read. */
  parse(bytes: Buffer, start: number, end: number): string | undefined
}

const SPACE = 0x20
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN = 0x5b
const CLOSE = 0x5d
const BRACE = 0x7b
const DASH = 0x2d
/** From the bracket before the time to the quote after it: `[10/Oct/2000:13:55:36 -0700] "` */
const STAMP_TO_QUOTE = STAMP_LENGTH + 3

/** Builds a parser. */
export function logLineParser(format: LogFormat, wanted: WantedFields): LogLineParser {
  return new Parser(format, wanted)
}

class Parser implements LogLineParser {
  readonly entry: LogEntry = { timeMs: 0, client: '', user: undefined, method: undefined, target: undefined, fields: [] }
  readonly #format: LogFormat
  readonly #wanted: WantedFields
  /** The last timestamp's bytes: a busy log has many lines a second. */
  readonly #stamp = Buffer.alloc(STAMP_LENGTH)
  #stampMs = Number.NaN

  constructor(format: LogFormat, wanted: WantedFields) {
    this.#format = format
    this.#wanted = wanted
  }

  parse(bytes: Buffer, start: number, end: number): string | undefined {
    let from = start
    while (from < end && bytes[from] === SPACE) from++
    const json = bytes[from] === BRACE
    if (json) {
      if (this.#format === 'common' || this.#format === 'combined') return `not in the ${this.#format} format`
      return parseJsonLine(bytes.toString('utf8', from, end), this.#wanted.fields, this.entry)
    }
    if (this.#format === 'json') return 'no JSON object'
    return this.#parseCommon(bytes, from, end)
  }

  /** `client ident user [time] "METHOD target HTTP/1.1" status size …`; what follows the request is not needed. */
  #parseCommon(bytes: Buffer, start: number, end: number): string | undefined {
    const { entry } = this
    // The first quote that is not escaped opens the request. The time is sought before it and not by the first bracket:
    // the user name between is the client's to choose, and may contain a time of its own.
    const quote = findQuote(bytes, start, end)
    const open = quote - STAMP_TO_QUOTE
    if (
      open <= start ||
      bytes[open] !== OPEN ||
      bytes[open - 1] !== SPACE ||
      bytes[quote - 1] !== SPACE ||
      bytes[quote - 2] !== CLOSE
    ) {
      return 'not in the common or combined format'
    }
    const close = findQuote(bytes, quote + 1, end)
    if (close < 0) return 'cut off within the request'
    const timeMs = this.#time(bytes, open + 1)
    if (Number.isNaN(timeMs)) return 'no such time'
    let clientEnd = findSpace(bytes, start, open)
    // Without a `-` for the ident it may be Apache's format with the virtual host in front.
    if (bytes[clientEnd + 1] !== DASH && clientEnd < open - 1) {
      const second = findSpace(bytes, clientEnd + 1, open)
      if (startsWithHost(bytes, start, clientEnd, second)) {
        start = clientEnd + 1
        clientEnd = second
      }
    }
    entry.timeMs = timeMs
    entry.client = bytes.toString('latin1', start, clientEnd)
    if (this.#wanted.user) entry.user = userOf(bytes, clientEnd + 1, open - 1)
    if (this.#wanted.request) this.#request(bytes, quote + 1, close)
    entry.fields.length = 0
    return undefined
  }

  #request(bytes: Buffer, start: number, end: number): void {
    const { entry } = this
    const method = findSpace(bytes, start, end)
    // A request line that is none (`-`, a TLS hello on a plain port) was a request all the same.
    if (method === end) {
      entry.method = undefined
      entry.target = undefined
      return
    }
    entry.method = bytes.toString('latin1', start, method)
    entry.target = bytes.toString('latin1', method + 1, findSpace(bytes, method + 1, end))
  }

  #time(bytes: Buffer, at: number): number {
    let same = true
    // From the end: there the seconds change.
    for (let i = STAMP_LENGTH - 1; i >= 0 && same; i--) same = bytes[at + i] === this.#stamp[i]
    if (same) return this.#stampMs
    bytes.copy(this.#stamp, 0, at, at + STAMP_LENGTH)
    return (this.#stampMs = commonTime(bytes.toString('latin1', at, at + STAMP_LENGTH)))
  }
}

// These loops end with the line. Buffer.indexOf would search on through the whole piece that was read.

/** Where the first quote is that no backslash escapes; -1 when there is none. */
function findQuote(bytes: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
  }
  return -1
}

/** Where the first space is; `end` when there is none. */
function findSpace(bytes: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && bytes[at] !== SPACE) at++
  return at
}

/** Whether a line begins with `host:port address …` and not with `client ident …`. */
function startsWithHost(bytes: Buffer, start: number, hostEnd: number, addressEnd: number): boolean {
  return (
    parseAddress(bytes.toString('latin1', hostEnd + 1, addressEnd)) !== undefined &&
    parseAddress(bytes.toString('latin1', start, hostEnd)) === undefined
  )
}

/** The second of `ident user`; `-` means nobody. */
function userOf(bytes: Buffer, start: number, end: number): string | undefined {
  const ident = findSpace(bytes, start, end)
  if (ident >= end) return undefined
  const user = bytes.toString('utf8', ident + 1, end)
  return user === '' || user === '-' ? undefined : user
}
