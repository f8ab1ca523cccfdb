// The command `check-config`. Promise: what is wrong with settings is said before an app is started with them; nothing connects, and what is
// secret is not shown. Next: ../config/check-settings.ts.

import type { Command } from 'commander'
import type { LoadedSettings } from '../config/load-settings.ts'
import type { OpenStore } from '../config/open-stores.ts'
import { print, printJson } from './terminal.ts'
import { type ConfigFlags, settingsFor, withConfig, withStores } from './with-stores.ts'

interface Flags extends ConfigFlags {
  readonly json: boolean
}

/** Adds the command to a program. */
export function addCheckConfig(program: Command): void {
  withConfig(
    program
      .command('check-config')
      .summary('check the settings')
      .description('Checks the settings file and the environment, and tells what they come to. Connects to nothing.'),
  )
    .option('--json', 'the settings as one JSON document, without what is secret', false)
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit check-config
  smart-ratelimit check-config -c limits.json --json

Exit codes: 0 the settings are good, 1 they are not.
`,
    )
    .action(async (flags: Flags) => {
      const loaded = await settingsFor(flags)
      await withStores(loaded, {}, async (stores) => {
        if (flags.json) printJson(loaded.settings)
        else for (const line of summary(loaded, stores)) print(line)
      })
    })
}

function summary({ settings, file, variables }: LoadedSettings, stores: readonly OpenStore[]): string[] {
  const { enabled, middleware, policies, strategy = 'first_healthy' } = settings
  const paths = Object.keys(middleware.rateLimits ?? {})
  const names = Object.keys(policies)
  return [
    `settings: ${[file ?? 'no file', ...variables].join(', ')}`,
    ...(settings.store === 'multi' ? [`store: the ${strategy} of ${stores.length}`] : []),
    ...stores.map(({ name, kind, place }) => `store: ${name} (${kind}, ${place})`),
    ...(paths.length === 0 ? [] : [`paths with limits of their own: ${paths.join(', ')}`]),
    ...(names.length === 0 ? [] : [`policies: ${names.join(', ')}`]),
    ...(enabled ? [] : ['limits are switched off (enabled is false)']),
    'The settings are good.',
  ]
}
