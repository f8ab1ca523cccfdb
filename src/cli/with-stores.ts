// What commands on stores have in common: the settings, and the stores that they ask for. Promise: the stores are closed whatever happens,
// and a server that hangs does not keep the command from ending. Next: setup-command.ts, cleanup-command.ts, health-command.ts.

import type { Command } from 'commander'
import { systemScheduler } from '../core/scheduler.ts'
import { type LoadedSettings, readSettings } from '../config/load-settings.ts'
import { type OpenStore, closeStores, openStores } from '../config/open-stores.ts'
import type { SharedStoreSettings } from '../config/settings.ts'

/** The option of all of them. */
export interface ConfigFlags {
  readonly config?: string
}

const CLOSE_MS = 1000

/** Adds the option that names the settings file. */
export function withConfig(command: Command): Command {
  return command.option('-c, --config <file>', 'settings file (default: smart-ratelimit.config.* in the working directory)')
}

/** Reads the settings that the command line and the environment name. */
export function settingsFor({ config }: ConfigFlags): Promise<LoadedSettings> {
  return readSettings({ file: config })
}

/** Opens the stores of settings, and closes them after use. */
export async function withStores<T>(
  { settings }: LoadedSettings,
  over: SharedStoreSettings,
  use: (stores: readonly OpenStore[]) => Promise<T>,
): Promise<T> {
  const stores = await openStores(settings, over)
  try {
    return await use(stores)
  } finally {
    // Nothing is left to be done: what still hangs then is left to itself.
    systemScheduler.after(2 * CLOSE_MS, () => process.exit())
    let timer: ReturnType<typeof setTimeout> | undefined
    await Promise.race([closeStores(stores), new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))])
    clearTimeout(timer)
  }
}
