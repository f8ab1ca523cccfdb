// Settings from a file and the environment. Promise: the environment wins over the file; everything is read when it is called, and nothing
// is remembered. Next: settings-file.ts, environment.ts, check-settings.ts.

import { settingsOf } from './check-settings.ts'
import { DATABASE_VARIABLE, type Environment, FILE_VARIABLE, overlay, textOf } from './environment.ts'
import { readSettingsFile } from './settings-file.ts'
import type { Settings } from './settings.ts'

/** Where settings are looked for. */
export interface LoadOptions {
  /** The folder that may have a settings file (default: the working directory). */
  readonly cwd?: string | undefined
  /** The settings file, from `cwd` (default: `RATELIMIT_CONFIG_FILE`, else `smart-ratelimit.config.ts`, `.js`, `.mjs` or `.json`). */
  readonly file?: string | undefined
  /** Environment variables (default: those of the process). */
  readonly env?: Environment | undefined
}

/** Settings, and where they came from. */
export interface LoadedSettings {
  readonly settings: Settings
  /** The settings file, if there is one. */
  readonly file: string | undefined
  /** The variables that said something. */
  readonly variables: readonly string[]
}

/**
 * Reads settings: a file, if there is one, and over it the environment. Without either they are the defaults, with counters in memory.
 * @throws ConfigError (as a rejection) naming the setting, and the file or variable it came from
 */
export async function loadSettings(options: LoadOptions = {}): Promise<Settings> {
  return (await readSettings(options)).settings
}

/** The same, with where settings came from. */
export async function readSettings({ cwd = process.cwd(), file, env = process.env }: LoadOptions = {}): Promise<LoadedSettings> {
  const named = file ?? textOf(env, FILE_VARIABLE)
  const found = await readSettingsFile(cwd, named, file === undefined ? FILE_VARIABLE : 'file')
  const { data, setBy } = overlay(found?.data ?? {}, env)
  const settings = settingsOf(data, { where: found?.where ?? 'settings', setBy }, textOf(env, DATABASE_VARIABLE))
  return { settings, file: found?.where, variables: [...setBy.values()] }
}
