// The words of settings: every name, its type, its default, and its environment variable. Promise: what is not here is an error, and
// docs/settings.md tells of all that is. Next: check-settings.ts, which holds data against it.

import { ConfigError } from '../core/errors.ts'
import { ALGORITHMS } from '../core/limit.ts'
import { GATE_OPTIONS } from '../http/gate.ts'
import { ON_STORE_ERROR } from '../limiter/outage.ts'
import {
  type Fields,
  type Value,
  asBoolean,
  asList,
  asNumber,
  asNumberOrFalse,
  asText,
  isBoolean,
  isHost,
  isNumber,
  isNumberOrFalse,
  isOneOf,
  isText,
  isWhole,
  meant,
  section,
  shown,
  value,
} from './field.ts'
import type {
  DatabaseSettings,
  FailoverSettings,
  MemorySettings,
  RedisSettings,
  Settings,
  SharedStoreSettings,
} from './settings.ts'

type Words<Of> = Readonly<Record<keyof Of, Fields[string]>>

const text = (type: string, fallback: string, more: Partial<Value> = {}): Value =>
  value(type, fallback, { read: asText, ...more })
const whole = (unit: string, fallback: string, more: Partial<Value> = {}): Value =>
  value(`whole number${unit === '' ? '' : ` of ${unit}`}`, fallback, { read: asNumber, check: isNumber, ...more })
const wholeOrFalse = (unit: string, fallback: string, more: Partial<Value> = {}): Value =>
  value(`whole number of ${unit}, or false`, fallback, { read: asNumberOrFalse, check: isNumberOrFalse, ...more })
const flag = (fallback: string, more: Partial<Value> = {}): Value =>
  value('true or false', fallback, { read: asBoolean, check: isBoolean, ...more })

/** What every store behind a connection takes. */
export const SHARED = {
  deadlineMs: whole('ms', '100'),
  batchSize: whole('questions', '256'),
  maxWaiting: whole('decisions', '10000'),
  rememberRefusalsMs: wholeOrFalse('ms', '1000'),
  keyPrefix: text('text', 'ratelimit:'),
} satisfies Words<SharedStoreSettings>

/** The same for one kind of store. */
const OWN_SHARED = Object.fromEntries(
  Object.entries(SHARED).map(([name, field]) => [name, { ...field, fallback: 'that of all stores' }]),
) as typeof SHARED

/** Where a Redis is. */
export const REDIS_ADDRESS = {
  url: text('redis: or rediss: URL', '', { hides: 'url' }),
  host: text('text', 'localhost', { check: isHost }),
  port: whole('', '6379'),
  db: whole('', '0'),
  username: text('text', ''),
  password: text('text', '', { hides: 'text' }),
  tls: value('true, false, or options of tls.connect', 'false', { read: asBoolean, hides: 'object' }),
  socketTimeoutMs: whole('ms', '5000'),
  cluster: value('list of host:port or URLs', '', { read: asList, hides: 'urls' }),
  sentinel: section({
    name: text('text', ''),
    nodes: value('list of host:port', '', { read: asList, hides: 'urls' }),
    username: text('text', ''),
    password: text('text', '', { hides: 'text' }),
  }),
  client: text('ioredis or redis', 'what is installed'),
} satisfies Words<Omit<RedisSettings, keyof SharedStoreSettings>>

export const REDIS = { ...REDIS_ADDRESS, ...OWN_SHARED } satisfies Words<RedisSettings>

const TABLE_NAME = /^[A-Za-z_]\w{0,63}(?:\.[A-Za-z_]\w{0,63})?$/

function isTable(found: unknown, option: string): void {
  if (typeof found !== 'string' || !TABLE_NAME.test(found))
    throw new ConfigError(option, 'a table, or schema.table, of letters, digits and _', shown(found))
}

function isSweepInterval(found: unknown, option: string): void {
  if (found !== false) isWhole(10, 86_400_000)(found, option)
}

export const DATABASE = {
  url: text('sqlite:, postgres:, mysql: or mariadb: URL', 'DATABASE_URL, else an SQLite file', { hides: 'url' }),
  user: text('text', '', { check: isText }),
  password: text('text', '', { hides: 'text', check: isText }),
  ssl: value('true, false, or TLS options', 'false', { read: asBoolean, hides: 'object' }),
  maxConnections: whole('connections', '4', { check: isWhole(1, 100) }),
  client: text('pg or postgres', 'what is installed', { check: isOneOf('pg', 'postgres') }),
  table: text('text', 'smart_ratelimit', { variable: 'RATELIMIT_TABLE', check: isTable }),
  concurrency: whole('trips', '4', { check: isWhole(1, 100) }),
  synchronousCommit: text('off, local, remote_write, on or remote_apply', 'off', {
    check: isOneOf('off', 'local', 'remote_write', 'on', 'remote_apply'),
  }),
  unlogged: flag('false'),
  prepare: flag('true'),
  sweepIntervalMs: wholeOrFalse('ms', '10000', { check: isSweepInterval }),
  ...OWN_SHARED,
} satisfies Words<DatabaseSettings>

export const MEMORY = {
  memoryMaxKeys: whole('counters', '10000', { check: isWhole(1, 100_000_000) }),
  memoryMaxBytes: whole('bytes', '268435456', { check: isWhole(65_536, Number.MAX_SAFE_INTEGER) }),
} satisfies Words<MemorySettings>

export const FAILOVER = {
  healthCheckIntervalMs: whole('ms', '1000'),
  healthCheckTimeoutMs: whole('ms', 'the deadline, at least 100'),
  circuitBreaker: section({
    failureThreshold: whole('failures', '5'),
    failureRatio: value('number above 0, at most 1', '0.5', { read: asNumber, check: isNumber }),
    slowMs: whole('ms', '80 % of the deadline'),
    backoffMs: whole('ms', '250'),
    maxBackoffMs: whole('ms', 'half of healthCheckIntervalMs'),
    successThreshold: whole('probes', '2'),
    rampMs: whole('ms', '1000'),
  }),
  expectedInstances: whole('processes', 'as many as were seen'),
  rememberedKeys: whole('keys', '10000'),
  copyIntervalMs: wholeOrFalse('ms', '250'),
} satisfies Words<FailoverSettings>

const asProxies = (given: string): unknown => {
  const number = asNumber(given)
  return typeof number === 'number' ? number : asList(given)
}

/** What middleware and policies have in common, unless they say otherwise. */
export const INHERITED = {
  enabled: flag('true'),
  onStoreError: text('local, allow, deny or throw', 'local', { check: isOneOf(...ON_STORE_ERROR) }),
  trustedProxies: value('number or list, as in options.md', '', { read: asProxies }),
  secret: text('text of 16 characters or more', '', { hides: 'text' }),
} satisfies Fields

const IN_OPTIONS = 'as in options.md'
/** Only code can give them. */
const CODE_ONLY = ['store', 'observers']
/** Options of a limiter. Their values are checked by building one. */
const LIMITER: Fields = Object.fromEntries(
  GATE_OPTIONS.filter((name) => !CODE_ONLY.includes(name)).map((name) => [
    name,
    value(IN_OPTIONS, '', name === 'secret' ? { hides: 'text' } : {}),
  ]),
)

/** Entries have a rate, the middleware has `defaultRate`. */
const WITHOUT_RATE: Fields = Object.fromEntries(Object.entries(LIMITER).filter(([name]) => name !== 'rate'))

/** Options of the middleware, and those of its entries that a variable may set. */
export const MIDDLEWARE: Fields = {
  ...WITHOUT_RATE,
  defaultRate: text('rate, or null', '100/m'),
  rateLimits: {
    kind: 'table',
    type: 'path → rate, options, or null',
    fields: LIMITER,
    checkName: () => {},
    short: (given) => given,
  },
  skipPaths: value('list of paths', '', { read: asList }),
  methods: value('list of methods', 'all', { read: asList }),
  caseSensitive: value('true or false', 'false', { read: asBoolean }),
  keyFunction: value('function', ''),
  name: text('text', 'middleware'),
  key: text(IN_OPTIONS, 'ip'),
  algorithm: text(ALGORITHMS.join(', '), 'sliding_window'),
  block: value('true or false', 'true', { read: asBoolean }),
  shadow: value('true or false', 'false', { read: asBoolean }),
}

function checkPolicyName(name: string, option: string): void {
  if (!/^[A-Za-z][\w.-]{0,63}$/.test(name))
    throw new ConfigError(option, 'a name of letters, digits, _, . and -, a letter first', undefined)
}

/** Everything. */
export const VOCABULARY = {
  ...INHERITED,
  store: text('memory, redis, database or multi', 'what is configured, else memory', {
    check: isOneOf('memory', 'redis', 'database', 'multi'),
  }),
  ...MEMORY,
  redis: section(REDIS),
  database: section(DATABASE),
  ...SHARED,
  stores: { kind: 'list', type: 'list of { name, store, config }', fieldsOf: entryFields },
  strategy: text('first_healthy or round_robin', 'first_healthy', { check: isOneOf('first_healthy', 'round_robin') }),
  ...FAILOVER,
  middleware: section(MIDDLEWARE),
  policies: {
    kind: 'table',
    type: 'name → rate, or options',
    fields: LIMITER,
    checkName: checkPolicyName,
    short: (rate) => ({ rate }),
  },
} satisfies Words<Settings>

const CONFIGS: Readonly<Record<string, Fields>> = { redis: REDIS, database: DATABASE, memory: MEMORY }

function entryFields(entry: Readonly<Record<string, unknown>>, option: string): Fields {
  const { store } = entry
  const config = typeof store === 'string' && Object.hasOwn(CONFIGS, store) ? CONFIGS[store] : undefined
  const kinds = Object.keys(CONFIGS)
  if (config === undefined)
    throw new ConfigError(`${option}.store`, `one of ${kinds.join(', ')}${meant(store, kinds)}`, shown(store))
  return {
    name: value('text', '', { check: isText }),
    store: value(kinds.join(', '), ''),
    config: section(config),
  }
}

/** Names that people bring along, and what they are called here. */
export const OTHER_NAMES: Readonly<Record<string, string>> = {
  backend: 'store',
  backends: 'stores',
  fallbackStrategy: 'strategy',
  enable: 'enabled',
  socketTimeout: 'socketTimeoutMs',
  ssl: 'tls',
}
