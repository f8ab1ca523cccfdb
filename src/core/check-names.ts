// Options by name. Promise: a name that does not exist is an error, as a misspelt option would be one that is not set; its value is not
// shown where it may be a secret under another name. Next: errors.ts.

import { ConfigError } from './errors.ts'

/** @throws ConfigError when something is not an object or has a name that is not known */
export function checkNames(options: unknown, known: readonly string[], option: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new ConfigError(option, 'an object', options)
  for (const [key, value] of Object.entries(options)) {
    if (known.includes(key)) continue
    throw new ConfigError(`${option}.${key}`, `one of ${known.join(', ')}`, typeof value === 'string' ? '(a text)' : value)
  }
}
