// A JSON line of an access log → what it says of the request. Promise: the first field that holds a usable value counts, so an
// empty or unrelated field of a known name hides nothing. Next: log-time.ts.

import type { LogEntry } from './log-line.ts'
import { jsonTime } from './log-time.ts'

// Field names of nginx, Caddy, Traefik, pino, Envoy and cloud load balancers; the more certain one first.
const CLIENT = [
  'client_ip',
  'clientIp',
  'remote_addr',
  'remoteAddress',
  'remote_ip',
  'remoteIp',
  'ip',
  'ClientHost',
  'client',
  'downstream_remote_address',
]
const TIME = ['msec', 'time_iso8601', 'time_local', '@timestamp', 'timestamp', 'ts', 'StartUTC', 'start_time', 'time']
const USER = ['user', 'remote_user', 'userId', 'user_id', 'ClientUsername']
const METHOD = ['method', 'request_method', 'RequestMethod', 'requestMethod']
const TARGET = ['uri', 'request_uri', 'path', 'url', 'RequestPath', 'requestUrl', 'target']
/** Objects in which loggers put what they say of the request. */
const REQUEST = ['request', 'req', 'httpRequest']

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads a line into `entry`.
 * @param fields names of further fields, at the top or in the request's object; their values go to `entry.fields`
 * @returns what is wrong with the line, or undefined when it was read
 */
export function parseJsonLine(text: string, fields: readonly string[], entry: LogEntry): string | undefined {
  let line: unknown
  try {
    line = JSON.parse(text)
  } catch {
    return 'broken JSON'
  }
  if (!isObject(line)) return 'no JSON object'
  const name = REQUEST.find((own) => isObject(valueOf(line as Fields, own)))
  const request = name === undefined ? undefined : (line[name] as Fields)
  const client = textOf(line, request, CLIENT)
  if (client === undefined) return 'no client address'
  const timeMs = timeOf(line)
  if (Number.isNaN(timeMs)) return 'no time'
  entry.client = client
  entry.timeMs = timeMs
  entry.user = textOf(line, request, USER)
  // nginx's `$request` is the whole request line.
  const [method, target] = (textOf(line, undefined, ['request']) ?? '').split(' ', 2)
  entry.method = textOf(line, request, METHOD) ?? (method === '' ? undefined : method)
  entry.target = textOf(line, request, TARGET) ?? target
  entry.fields.length = 0
  for (const field of fields) entry.fields.push(textOf(line, request, [field]))
  return undefined
}

function timeOf(line: Fields): number {
  for (const name of TIME) {
    const timeMs = jsonTime(valueOf(line, name))
    if (!Number.isNaN(timeMs)) return timeMs
  }
  return Number.NaN
}

function textOf(line: Fields, request: Fields | undefined, names: readonly string[]): string | undefined {
  for (const name of names) {
    const text = textIn(valueOf(line, name))
    if (text !== undefined) return text
  }
  return request === undefined ? undefined : textOf(request, undefined, names)
}

function textIn(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' && value !== '-' ? value : undefined
}

/** A field of the line itself, not one that every object has. */
function valueOf(line: Fields, name: string): unknown {
  return Object.hasOwn(line, name) ? line[name] : undefined
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
