// Where a setting came from, for errors to tell. Next: check-settings.ts.

import { ConfigError } from '../core/errors.ts'

/** Where settings came from. */
export interface Origins {
  /** The file's name, or what stands for it. */
  readonly where: string
  /** Setting → the variable that set it. */
  readonly setBy: ReadonlyMap<string, string>
}

/** What checks that take options of their own call the settings at the top. */
export const TOP = 'settings'

/** The error, naming the setting by its path and telling where that came from. Errors of other kinds stay as they are. */
export function located(error: unknown, origins: Origins): unknown {
  return renamed(error, (option) => {
    const path = option.replace(/^settings\./, '')
    return { path, after: ` (${placeOf(path, origins)})` }
  })
}

/** The error of a store's factory, naming the setting: what is in `section` was handed to it. */
export function ofSection(error: unknown, section: string): unknown {
  return renamed(error, (option) => ({
    path: option.replace(/^\w+Store\.source(?:\.file)?/, `${section}.url`).replace(/^\w+Store\.(?:options\.)?/, `${section}.`),
    after: '',
  }))
}

function renamed(error: unknown, rename: (option: string) => { readonly path: string; readonly after: string }): unknown {
  if (!(error instanceof ConfigError)) return error
  const { path, after } = rename(error.option)
  const message = path + error.message.slice(error.option.length) + after
  const stack = error.stack?.replace(error.message, () => message)
  return Object.defineProperties(error, {
    option: { value: path, enumerable: true },
    message: { value: message },
    stack: { value: stack },
  })
}

function placeOf(option: string, { where, setBy }: Origins): string {
  for (const [path, variable] of setBy) {
    if (option === path || option.startsWith(`${path}.`) || option.startsWith(`${path}[`) || option.startsWith(`${path}?`))
      return variable
  }
  return where
}
