// Which store a database's URL asks for. Promise: the scheme alone chooses; a password with `@:/?#` in it works as it is written, and no
// error shows it. Next: open-stores.ts.

import { ConfigError } from '../core/errors.ts'

/** A database, as its URL says. */
export type DatabasePlace =
  | { readonly kind: 'sqlite'; /** Undefined: the default one. */ readonly file: string | undefined }
  | { readonly kind: 'postgres' | 'mysql'; readonly url: string }

const SCHEMES: Readonly<Record<string, 'sqlite' | 'postgres' | 'mysql'>> = {
  sqlite: 'sqlite',
  postgres: 'postgres',
  postgresql: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
}
/** Every scheme there is. */
export const DATABASE_URL_KINDS: readonly string[] = Object.keys(SCHEMES)

/** A user, and what else there is: up to the last `@`. */
const AUTHORITY = /^([a-z]+:\/\/)([^]*)@([^@]*)$/i

/** @throws ConfigError for a URL of another scheme, or none */
export function databasePlace(url: string | undefined, option: string): DatabasePlace {
  if (url === undefined) return { kind: 'sqlite', file: undefined }
  const [, scheme = ''] = /^([a-z]+):/i.exec(url) ?? []
  const kind = Object.hasOwn(SCHEMES, scheme.toLowerCase()) ? SCHEMES[scheme.toLowerCase()] : undefined
  if (kind === undefined)
    throw new ConfigError(
      option,
      'a URL that begins with sqlite:, postgres:, postgresql:, mysql: or mariadb:',
      scheme === '' ? '(not shown)' : `${scheme}:…`,
    )
  if (kind !== 'sqlite') return { kind, url: readable(url) }
  const file = url.slice('sqlite:'.length).replace(/^\/\//, '')
  if (file === '')
    throw new ConfigError(option, 'a file, as in sqlite:counters.sqlite or sqlite:///var/lib/app/counters.sqlite', url)
  return { kind, file }
}

/** The URL with its user and password escaped, where they are not. */
function readable(url: string): string {
  const [, scheme = '', login = '', rest = ''] = AUTHORITY.exec(url) ?? []
  if (scheme === '' || !/[@/?#]|%(?![\da-f]{2})/i.test(login) || !/^[^?#]*(\?[^#]*)?$/.test(rest)) return url
  // An `@` in a parameter, behind a complete address, is no end of a password.
  if (/^[^@/?#]*@[^@/?#]+\/[^?#]*\?(?:host|ssl|sslmode|ssl-mode)=/.test(login) && URL.canParse(url)) return url
  const colon = login.indexOf(':')
  const [user, password] = colon < 0 ? [login, undefined] : [login.slice(0, colon), login.slice(colon + 1)]
  return `${scheme}${escaped(user)}${password === undefined ? '' : `:${escaped(password)}`}@${rest}`
}

/** Escapes what is not escaped. A `%` that begins no escape is one of its own. */
function escaped(text: string): string {
  return text.replace(/%(?![\da-f]{2})|[^\w%.~!$&'()*+,;=-]/giu, (char) => encodeURIComponent(char))
}

/** A URL without what may be secret in it: user, password and parameters. Where that is not sure, of the scheme alone. */
export function withoutSecrets(url: string): string {
  const [, scheme, rest] = /^([a-z][a-z+]*:(?:\/\/)?)([^]*)$/i.exec(url) ?? []
  if (scheme === undefined || rest === undefined) return '[hidden]'
  const [, login, place, parameters] = /^([^?#]*@|[^@/?#]*@)?([^@?#]*)(\?[^@#]*)?$/.exec(rest) ?? []
  if (place === undefined) return `${scheme}…`
  return `${scheme}${login === undefined ? '' : '***@'}${place}${parameters === undefined ? '' : '?…'}`
}
