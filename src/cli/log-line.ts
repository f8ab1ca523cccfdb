// One line of an access log → who asked for what, when. Promise: common, combined and JSON lines, told apart per line; what
// cannot be read is told and never guessed; fields that nobody asked for are not made. Next: log-reader.ts.

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
  /** Whether the bytes from `start` to `end` (no line end) are a line that could be read. */
  parse(bytes: Buffer, start: number, end: number): boolean
}

const SPACE = 0x20
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN = 0x5b
const CLOSE = 0x5d
const BRACE = 0x7b
const DASH = 0x2d
/** `10/Oct/2000:13:55:36 -0700` */
const STAMP_LENGTH = 26
const MONTHS: ReadonlyMap<string, number> = new Map(
  ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'].map((name, month) => [name, month]),
)

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

  parse(bytes: Buffer, start: number, end: number): boolean {
    let from = start
    while (from < end && bytes[from] === SPACE) from++
    const json = bytes[from] === BRACE
    if (json ? this.#format === 'common' || this.#format === 'combined' : this.#format === 'json') return false
    return json ? this.#parseJson(bytes.toString('utf8', from, end)) : this.#parseCommon(bytes, from, end)
  }

  /** `client ident user [time] "METHOD target HTTP/1.1" status size …`; what follows the request is not needed. */
  #parseCommon(bytes: Buffer, start: number, end: number): boolean {
    const { entry } = this
    const clientEnd = bytes.indexOf(SPACE, start)
    if (clientEnd <= start || clientEnd >= end) return false
    const open = bytes.indexOf(OPEN, clientEnd)
    if (open < 0 || open + STAMP_LENGTH + 1 >= end || bytes[open + STAMP_LENGTH + 1] !== CLOSE) return false
    const timeMs = this.#time(bytes, open + 1)
    if (Number.isNaN(timeMs)) return false
    entry.timeMs = timeMs
    entry.client = bytes.toString('latin1', start, clientEnd)
    if (this.#wanted.user) entry.user = userOf(bytes, clientEnd + 1, open)
    if (this.#wanted.fields.length > 0) entry.fields.length = 0
    return this.#wanted.request ? this.#request(bytes, open + STAMP_LENGTH + 2, end) : true
  }

  #request(bytes: Buffer, from: number, end: number): boolean {
    const { entry } = this
    const quote = bytes.indexOf(QUOTE, from)
    if (quote < 0 || quote >= end) return false
    let close = quote + 1
    while (close < end && bytes[close] !== QUOTE) close += bytes[close] === BACKSLASH ? 2 : 1
    const method = bytes.indexOf(SPACE, quote)
    // A request line that is none (`"-"`, a TLS hello on a plain port) was a request all the same.
    if (close >= end) return false
    if (method < 0 || method > close) {
      entry.method = undefined
      entry.target = undefined
      return true
    }
    let targetEnd = bytes.indexOf(SPACE, method + 1)
    if (targetEnd < 0 || targetEnd > close) targetEnd = close
    entry.method = bytes.toString('latin1', quote + 1, method)
    entry.target = bytes.toString('latin1', method + 1, targetEnd)
    return true
  }

  #time(bytes: Buffer, at: number): number {
    let same = true
    // From the end: there the seconds change.
    for (let i = STAMP_LENGTH - 1; i >= 0 && same; i--) same = bytes[at + i] === this.#stamp[i]
    if (same) return this.#stampMs
    bytes.copy(this.#stamp, 0, at, at + STAMP_LENGTH)
    return (this.#stampMs = commonTime(bytes.toString('latin1', at, at + STAMP_LENGTH)))
  }

  #parseJson(text: string): boolean {
    const { entry } = this
    let line: unknown
    try {
      line = JSON.parse(text)
    } catch {
      return false
    }
    if (typeof line !== 'object' || line === null) return false
    const request = objectAt(line, 'request') ?? objectAt(line, 'req') ?? objectAt(line, 'httpRequest')
    const client = textAt(line, CLIENT) ?? (request && textAt(request, CLIENT))
    const timeMs = jsonTime(valueAt(line, TIME))
    if (client === undefined || Number.isNaN(timeMs)) return false
    entry.client = client
    entry.timeMs = timeMs
    entry.user = textAt(line, USER) ?? (request && textAt(request, USER))
    // nginx's `$request` is the whole request line.
    const [method, target] = (textAt(line, ['request']) ?? '').split(' ')
    entry.method = textAt(line, METHOD) ?? (request && textAt(request, METHOD)) ?? (method === '' ? undefined : method)
    entry.target = textAt(line, TARGET) ?? (request && textAt(request, TARGET)) ?? target
    this.#wanted.fields.forEach((name, i) => (entry.fields[i] = textAt(line, [name]) ?? (request && textAt(request, [name]))))
    return true
  }
}

// Field names of nginx, Caddy, Traefik, pino, Envoy and cloud load balancers.
const CLIENT = ['remote_addr', 'client_ip', 'clientIp', 'ip', 'remoteAddress', 'remote_ip', 'remoteIp', 'ClientHost', 'client', 'downstream_remote_address']
const TIME = ['time_local', 'time_iso8601', 'time', 'ts', 'timestamp', '@timestamp', 'StartUTC', 'start_time', 'msec']
const USER = ['user', 'remote_user', 'userId', 'user_id', 'ClientUsername']
const METHOD = ['method', 'request_method', 'RequestMethod', 'requestMethod']
const TARGET = ['uri', 'request_uri', 'path', 'url', 'RequestPath', 'requestUrl', 'target']

function valueAt(line: object, names: readonly string[]): unknown {
  for (const name of names) if (Object.hasOwn(line, name)) return (line as Record<string, unknown>)[name]
  return undefined
}

function textAt(line: object, names: readonly string[]): string | undefined {
  const value = valueAt(line, names)
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' && value !== '-' ? value : undefined
}

function objectAt(line: object, name: string): object | undefined {
  const value = valueAt(line, [name])
  return typeof value === 'object' && value !== null ? value : undefined
}

/** The third of `client ident user`; `-` means nobody. */
function userOf(bytes: Buffer, from: number, open: number): string | undefined {
  const ident = bytes.indexOf(SPACE, from)
  if (ident < 0 || ident + 1 >= open) return undefined
  const user = bytes.toString('latin1', ident + 1, open - 1)
  return user === '' || (user.length === 1 && user.charCodeAt(0) === DASH) ? undefined : user
}

/** `10/Oct/2000:13:55:36 -0700` → epoch ms; NaN for what is none. */
function commonTime(text: string): number {
  const month = MONTHS.get(text.slice(3, 6))
  const parts = [text.slice(7, 11), text.slice(0, 2), text.slice(12, 14), text.slice(15, 17), text.slice(18, 20), text.slice(22, 24), text.slice(24, 26)]
  const sign = text[21]
  if (month === undefined || (sign !== '+' && sign !== '-') || parts.some((part) => !/^\d+$/.test(part))) return Number.NaN
  const [year, day, hour, minute, second, zoneHour, zoneMinute] = parts.map(Number) as [number, number, number, number, number, number, number]
  if (day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return Number.NaN
  const zone = (zoneHour * 60 + zoneMinute) * 60_000
  return Date.UTC(year, month, day, hour, minute, second) - (sign === '+' ? zone : -zone)
}

/** ISO 8601, epoch seconds or milliseconds (number or text), or the common format → epoch ms; NaN for what is none. */
function jsonTime(value: unknown): number {
  const number = typeof value === 'number' ? value : typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined
  // From 1e11 on it can only be milliseconds: as seconds it would be the year 5138.
  if (number !== undefined) return number > 0 && number < 1e14 ? Math.floor(number < 1e11 ? number * 1000 : number) : Number.NaN
  if (typeof value !== 'string') return Number.NaN
  return value.length === STAMP_LENGTH && value[2] === '/' ? commonTime(value) : Math.floor(Date.parse(value))
}
