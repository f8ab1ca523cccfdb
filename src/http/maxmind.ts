// Where an address is, by a MaxMind database. Promise: the file is read in the background and again when it has changed; a database that
// turned bad leaves the last good one in force; nothing is loaded before somebody asks. Next: background-file.ts, geography.ts.

import { type Clock, systemClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import { checkNames } from '../core/check-names.ts'
import { type BackgroundFile, backgroundFile, fileOptions } from './background-file.ts'

/** What a database says of an address: for GeoLite2 and GeoIP2 an object with `country`, `continent`, `city`, … */
export type MaxmindRecord = Readonly<Record<string, unknown>>

/** Options of {@link maxmind}. */
export interface MaxmindOptions {
  /** Path of the database, such as `GeoLite2-Country.mmdb`. */
  readonly file: string
  /** What of a record is the region: the country's or the continent's code, or a function of the record (default `'country'`). */
  readonly region?: 'country' | 'continent' | ((record: MaxmindRecord) => string | null | undefined)
  /** Ms after which the file is read again, at the next lookup; a whole number ≥ 1, default an hour. */
  readonly reloadMs?: number
  /** The largest size accepted, in bytes; a whole number ≥ 1, default 256 MB. */
  readonly maxBytes?: number
  /** Told when the file cannot be read again, while the last good database is in use; what it throws is dropped. */
  readonly onRefreshError?: (error: ConfigError) => void
  /** Tells the age of the database (default the system's clock). */
  readonly clock?: Clock
}

/** Looks addresses up. It fits `geography({ lookup })` and `boundedLookup`. */
export interface MaxmindLookup {
  /** The region; undefined for an address that is not in the database. A promise until the database is loaded. @throws ConfigError while it cannot be */
  (address: string): string | undefined | Promise<string | undefined>
  /** Loads the database, so that a wrong path is known at the start. @throws ConfigError as a rejection, saying why not */
  ready(): Promise<void>
}

/** What is needed of a reader of mmdb-lib. */
interface Reader {
  get(address: string): MaxmindRecord | null
}

type ReaderClass = new (bytes: Uint8Array) => Reader

const DEFAULTS = { reloadMs: 3_600_000, maxBytes: 256 * 1024 * 1024 }
const CODE = 'ERR_RATELIMIT_CONFIG'
/** Not a literal, so that no bundler looks for a package that is not installed. */
const PACKAGE: string = 'mmdb-lib'

/**
 * A provider over a MaxMind database (needs the package `mmdb-lib`): `geography({ lookup: maxmind({ file: 'GeoLite2-Country.mmdb' }) })`.
 * @throws ConfigError for anything that is wrong with the options
 */
export function maxmind(options: MaxmindOptions): MaxmindLookup {
  const option = 'maxmind'
  checkNames(options, ['file', 'region', 'reloadMs', 'maxBytes', 'onRefreshError', 'clock'], option)
  const { region = 'country', onRefreshError, clock = systemClock } = options
  if (region !== 'country' && region !== 'continent' && typeof region !== 'function')
    throw new ConfigError(`${option}.region`, '"country", "continent" or a function', region)
  if (onRefreshError !== undefined && typeof onRefreshError !== 'function')
    throw new ConfigError(`${option}.onRefreshError`, 'a function', onRefreshError)
  if (typeof clock?.now !== 'function') throw new ConfigError(`${option}.clock`, 'a clock { now() }', clock)
  const database: BackgroundFile<Reader> = backgroundFile({
    ...fileOptions(options, DEFAULTS, option, CODE),
    option,
    code: CODE,
    clock,
    report: (error) => onRefreshError?.(error),
    // The reader wants a Buffer; this one is over the same bytes.
    parse: async (bytes) => new (await readerClass(option))(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)),
  })
  const regionOf = typeof region === 'function' ? region : region === 'country' ? countryOf : continentOf
  const find = (reader: Reader, address: string): string | undefined => {
    const record = reader.get(address)
    return record === null ? undefined : (regionOf(record) ?? undefined)
  }
  const lookup = (address: string): string | undefined | Promise<string | undefined> => {
    const reader = database.current()
    return reader === undefined ? database.first().then((loaded) => find(loaded, address)) : find(reader, address)
  }
  return Object.assign(lookup, {
    async ready(): Promise<void> {
      await database.ready()
    },
  })
}

async function readerClass(option: string): Promise<ReaderClass> {
  let found: { Reader?: ReaderClass; default?: { Reader?: ReaderClass } }
  try {
    found = (await import(PACKAGE)) as typeof found
  } catch (error) {
    throw new ConfigError(option, `the package ${PACKAGE}: npm install ${PACKAGE}`, (error as { code?: unknown }).code)
  }
  return (found.Reader ?? found.default?.Reader) as ReaderClass
}

/** The country where the address is used, else where it is registered. */
function countryOf({ country, registered_country: registered }: MaxmindRecord): string | undefined {
  return codeIn(country, 'iso_code') ?? codeIn(registered, 'iso_code')
}

function continentOf({ continent }: MaxmindRecord): string | undefined {
  return codeIn(continent, 'code')
}

function codeIn(place: unknown, field: string): string | undefined {
  const code = (place as Record<string, unknown> | null | undefined)?.[field]
  return typeof code === 'string' ? code : undefined
}
