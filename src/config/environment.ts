// The environment as settings. Promise: every variable that begins with RATELIMIT_ is read, or is an error that names it; one that is empty
// counts as not there. Next: vocabulary.ts, where the variables come from.

import { ConfigError } from '../core/errors.ts'
import { type Fields, type Value, meant } from './field.ts'
import { isPlainObject } from './plain.ts'
import { VOCABULARY } from './vocabulary.ts'

/** Names and values of environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A setting that a variable may set. */
export interface Variable {
  readonly name: string
  /** Where in the settings: `['redis', 'port']`. */
  readonly path: readonly string[]
  readonly field: Value
}

const PREFIX = 'RATELIMIT_'
/** Variables of this package's own tests. */
const TEST_PREFIX = 'RATELIMIT_TEST_'
/** Names the settings file. */
export const FILE_VARIABLE = 'RATELIMIT_CONFIG_FILE'
/** Where the database is, if no setting says so; other programs read it too. */
export const DATABASE_VARIABLE = 'DATABASE_URL'

/** Every variable there is, by name. */
export const VARIABLES: ReadonlyMap<string, Variable> = new Map(
  variablesOf(VOCABULARY, []).map((variable) => [variable.name, variable]),
)

function variablesOf(fields: Fields, above: readonly string[]): Variable[] {
  return Object.entries(fields).flatMap(([own, field]) => {
    const path = [...above, own]
    if (field.kind === 'section') return variablesOf(field.fields, path)
    if (field.kind !== 'value' || field.read === undefined) return []
    return [{ name: field.variable ?? nameOf(path), path, field }]
  })
}

/** `redis.socketTimeoutMs` → `RATELIMIT_REDIS_SOCKET_TIMEOUT_MS`. */
function nameOf(path: readonly string[]): string {
  return PREFIX + path.map((part) => part.replace(/[A-Z]/g, '_$&').toUpperCase()).join('_')
}

/** Settings with the environment laid over them, and which variable set what. */
export interface Overlaid {
  readonly data: unknown
  /** Path, as errors write it → variable. */
  readonly setBy: ReadonlyMap<string, string>
}

/**
 * Lays the environment over settings.
 * @throws ConfigError naming a variable that is not known
 */
export function overlay(data: unknown, environment: Environment): Overlaid {
  const setBy = new Map<string, string>()
  let laid = data
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || name.startsWith(TEST_PREFIX) || name === FILE_VARIABLE) continue
    const variable = VARIABLES.get(name)
    if (variable === undefined) throw unknownVariable(name)
    if (text === undefined || text === '') continue
    laid = withValue(laid, variable.path, variable.field.read?.(text))
    setBy.set(variable.path.join('.'), name)
  }
  return { data: laid, setBy }
}

/** A variable's text; undefined where it is empty or not there. */
export function textOf(environment: Environment, name: string): string | undefined {
  const text = environment[name]
  return text === '' ? undefined : text
}

function unknownVariable(name: string): ConfigError {
  const names = [FILE_VARIABLE, ...VARIABLES.keys()]
  const hint = meant(
    name.slice(PREFIX.length),
    names.map((one) => one.slice(PREFIX.length)),
  ).replace('"', `"${PREFIX}`)
  return new ConfigError(name, `a variable of docs/settings.md${hint}`, undefined)
}

/** A copy with one value more. What is no section where one belongs stays, for the check to refuse. */
function withValue(data: unknown, [own = '', ...rest]: readonly string[], value: unknown): unknown {
  if (data !== undefined && !isPlainObject(data)) return data
  return { ...data, [own]: rest.length === 0 ? value : withValue(data?.[own], rest, value) }
}
