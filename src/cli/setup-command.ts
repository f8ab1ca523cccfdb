// The command `setup`. Next: setup.ts.

import type { Command } from 'commander'
import { setUp, setupSql } from './setup.ts'
import { type ConfigFlags, print, settingsFor, withConfig, withStores } from './with-stores.ts'

interface Flags extends ConfigFlags {
  readonly print: boolean
}

/** Adds the command to a program. */
export function addSetup(program: Command): void {
  withConfig(
    program
      .command('setup')
      .summary('make or update the tables of the database')
      .description(
        'Makes the tables of the configured database, or brings older ones up to date. Safe to repeat, also from several places at once.',
      ),
  )
    .option('--print', 'print the SQL instead of running it; connects to nothing', false)
    .addHelpText('after', '\nExit codes: 0 done, or nothing to do; 1 a table could not be made, or wrong input.\n')
    .action(async (flags: Flags) => {
      await withStores(await settingsFor(flags), {}, async (stores) => {
        if (flags.print) for (const line of setupSql(stores)) print(line)
        else await setUp(stores, print)
      })
    })
}
