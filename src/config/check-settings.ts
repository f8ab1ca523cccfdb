// Data → settings. Promise: what is not in the vocabulary is an error that names the setting and where it came from; what is secret is
// hidden before anything else sees it; the result is frozen. Next: check-values.ts, which looks at what the values say together.

import { ConfigError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import { checkValues, storeOf } from './check-values.ts'
import { withoutSecrets } from './database-url.ts'
import { DATABASE_VARIABLE } from './environment.ts'
import { type Field, type Fields, type Value, isText, meant, shown } from './field.ts'
import { type Origins, located } from './origins.ts'
import { frozenCopy, isPlainObject } from './plain.ts'
import type { MiddlewareSettings, Settings } from './settings.ts'
import { INHERITED, OTHER_NAMES, VOCABULARY } from './vocabulary.ts'

const checked = new WeakSet<object>()

/**
 * Checks settings that are data.
 * @param where what errors call the place they came from, such as the name of a file
 * @throws ConfigError naming the setting and the place
 */
export function checkSettings(data: unknown, where = 'settings'): Settings {
  return settingsOf(data, { where, setBy: new Map() })
}

/** Settings that were checked are given back; others are checked. */
export function asSettings(data: unknown): Settings {
  return isSettings(data) ? data : checkSettings(data)
}

/** Whether they have been checked, and not changed since. */
export function isSettings(data: unknown): data is Settings {
  return typeof data === 'object' && data !== null && checked.has(data)
}

/**
 * @param databaseUrl where a database is of which no setting says it
 * @throws ConfigError naming the setting and where it came from
 */
export function settingsOf(data: unknown, origins: Origins, databaseUrl?: string): Settings {
  let setBy = origins.setBy
  try {
    const found = sectionOf(VOCABULARY, data, '')
    const { settings, placed } = withDefaults(found, databaseUrl)
    setBy = new Map([...setBy, ...placed.map((path) => [path, DATABASE_VARIABLE] as const)])
    checkValues(settings)
    checked.add(settings)
    return settings
  } catch (error) {
    throw located(error, { ...origins, setBy })
  }
}

type Found = Readonly<Record<string, unknown>>

/** The settings, and the paths of the addresses that came from outside. */
function withDefaults(found: Found, databaseUrl: string | undefined): { settings: Settings; placed: readonly string[] } {
  const { enabled = true, memoryMaxKeys = 10_000, middleware = {}, policies = {}, ...rest } = found
  const inherited = Object.fromEntries(HANDED_ON.flatMap((name) => (name in found ? [[name, found[name]]] : [])))
  // The kill switch is stronger than what a limit says of itself.
  const off = enabled === false ? { enabled } : undefined
  // Without a name of their own they would be numbered, and not alike in all processes.
  const named = Object.entries(policies as Record<string, object>).map(
    ([name, policy]) => [name, Object.freeze({ name, ...inherited, ...policy, ...off })] as const,
  )
  const store = storeOf(found)
  const { sections, placed } = databaseUrl === undefined ? UNPLACED : withUrls(store, found, databaseUrl)
  const settings = {
    ...rest,
    ...sections,
    enabled,
    store,
    memoryMaxKeys,
    middleware: Object.freeze({ name: 'middleware', ...inherited, ...middlewareOf(middleware as MiddlewareSettings, off) }),
    policies: tableOf(named),
  }
  return { settings: Object.freeze(settings) as unknown as Settings, placed }
}

function middlewareOf(middleware: MiddlewareSettings, off: object | undefined): object {
  const { rateLimits } = middleware
  if (off === undefined || rateLimits === undefined) return { ...middleware, ...off }
  const entries = Object.entries(rateLimits).map(
    ([path, own]) => [path, isPlainObject(own) && 'enabled' in own ? Object.freeze({ ...own, ...off }) : own] as const,
  )
  return { ...middleware, rateLimits: tableOf(entries), ...off }
}

/** Values by any name, `constructor` among them. */
function tableOf(entries: readonly (readonly [string, unknown])[]): object {
  return Object.freeze(Object.assign(Object.create(null) as object, Object.fromEntries(entries)))
}

/** What middleware and policies get from the top. */
const HANDED_ON = Object.keys(INHERITED).filter((name) => name !== 'enabled')
const UNPLACED = { sections: {}, placed: [] }

/** The sections of databases in use that say nothing of where they are, with the address from outside. */
function withUrls(store: string, found: Found, url: string): { sections: object; placed: readonly string[] } {
  const placed: string[] = []
  const at = (config: unknown, path: string): unknown => {
    if ((config as { url?: unknown } | undefined)?.url !== undefined) return config
    placed.push(`${path}.url`)
    return Object.freeze({ ...(config as object | undefined), url: new Secret(url, withoutSecrets(url)) })
  }
  if (store === 'database') return { sections: { database: at(found['database'], 'database') }, placed }
  if (store !== 'multi') return UNPLACED
  const entries = found['stores'] as readonly { readonly store: string; readonly config?: unknown }[]
  const isBare = ({ store: kind, config }: (typeof entries)[number]): boolean => kind === 'database' && config === undefined
  const stores = entries.map((entry, i) =>
    entry.store === 'database' && !isBare(entry)
      ? Object.freeze({ ...entry, config: at(entry.config, `stores[${i}].config`) })
      : entry,
  )
  return {
    sections: { stores: Object.freeze(stores), ...(entries.some(isBare) && { database: at(found['database'], 'database') }) },
    placed,
  }
}

function fieldOf(field: Field, given: unknown, option: string): unknown {
  switch (field.kind) {
    case 'value':
      return valueOf(field, given, option)
    case 'section':
      return sectionOf(field.fields, given, option)
    case 'list': {
      if (!Array.isArray(given) || given.length === 0) throw new ConfigError(option, `a ${field.type}`, kindOf(given))
      return Object.freeze(
        given.map((item: unknown, i) => {
          const at = `${option}[${i}]`
          if (!isPlainObject(item)) throw new ConfigError(at, 'an object', kindOf(item))
          return sectionOf(field.fieldsOf(item, at), item, at)
        }),
      )
    }
    case 'table': {
      if (!isPlainObject(given)) throw new ConfigError(option, `an object: ${field.type}`, kindOf(given))
      return tableOf(
        Object.keys(given).map((name) => {
          const at = `${option}[${JSON.stringify(name.slice(0, 200))}]`
          refuseProto(name, at)
          field.checkName(name, at)
          const own = isPlainObject(given[name]) ? given[name] : field.short(given[name])
          return [name, isPlainObject(own) ? sectionOf(field.fields, own, at) : frozenCopy(own)]
        }),
      )
    }
  }
}

function sectionOf(fields: Fields, given: unknown, option: string): Found {
  if (!isPlainObject(given)) throw new ConfigError(option === '' ? 'settings' : option, 'a plain object', kindOf(given))
  const section: Record<string, unknown> = {}
  for (const name of Object.keys(given)) {
    const at = option === '' ? name : `${option}.${name}`
    refuseProto(name, at)
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field === undefined) throw unknownName(name, fields, at)
    if (given[name] !== undefined) section[name] = fieldOf(field, given[name], at)
  }
  return Object.freeze(section)
}

function valueOf({ hides, check }: Value, given: unknown, option: string): unknown {
  const value = given instanceof Secret && hides !== undefined ? (given.reveal() as unknown) : given
  check?.(value, option)
  switch (hides) {
    case undefined:
      return frozenCopy(value)
    case 'object':
      return typeof value === 'object' && value !== null ? new Secret(value) : checkedFlag(value, option)
    case 'text':
      isText(value, option)
      return new Secret(value as string)
    case 'url':
      isText(value, option)
      return new Secret(value as string, withoutSecrets(value as string))
    case 'urls': {
      if (!Array.isArray(value)) throw new ConfigError(option, 'a list', kindOf(value))
      return Object.freeze(
        value.map((one: unknown, i) => {
          const url = one instanceof Secret ? (one.reveal() as unknown) : one
          isText(url, `${option}[${i}]`)
          return new Secret(url as string, /^[\w.:-]*$/.test(url as string) ? (url as string) : withoutSecrets(url as string))
        }),
      )
    }
  }
}

function checkedFlag(value: unknown, option: string): unknown {
  if (typeof value !== 'boolean') throw new ConfigError(option, 'true, false or an object', shown(value))
  return value
}

function refuseProto(name: string, option: string): void {
  if (name === '__proto__') throw new ConfigError(option, 'no such name', undefined)
}

function unknownName(name: string, fields: Fields, option: string): ConfigError {
  const names = Object.keys(fields)
  const other = Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name] : undefined
  const hint = other !== undefined && names.includes(other) ? ` (did you mean "${other}"?)` : meant(name, names)
  const at = /^[\w$-]{1,64}$/.test(name) ? option : `${option.slice(0, -name.length)}${JSON.stringify(name.slice(0, 64))}`
  return new ConfigError(at, `one of ${names.join(', ')}${hint}`, undefined)
}

/** What it is, without showing it: where a section belongs, a text may be an address with a password. */
function kindOf(value: unknown): unknown {
  return typeof value === 'string' ? '(not shown)' : value
}
