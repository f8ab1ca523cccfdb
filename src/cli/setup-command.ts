// The command `setup`. Next: setup.ts.

import { type Command, Option } from 'commander'
import { setUp, setupJson, setupSql, setupText } from './setup.ts'
import { print, printJson } from './terminal.ts'
import { type ConfigFlags, settingsFor, withConfig, withStores } from './with-stores.ts'

interface Flags extends ConfigFlags {
  readonly print: boolean
  readonly json: boolean
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
    .addOption(new Option('--print', 'print the SQL instead of running it; connects to nothing').default(false).conflicts('json'))
    .option('--json', 'one JSON document on standard output', false)
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit setup
  smart-ratelimit setup --print > limits.sql

Exit codes: 0 done, or nothing to do; 1 a table could not be made, or wrong input.
`,
    )
    .action(run)
}

async function run({ print: prints, json, ...flags }: Flags): Promise<void> {
  await withStores(await settingsFor(flags), {}, async (stores) => {
    if (prints) {
      for (const line of setupSql(stores)) print(line)
      return
    }
    const done = await setUp(stores)
    const failed = done.find(({ failure }) => failure !== undefined)
    if (json) {
      printJson(setupJson(done))
      if (failed !== undefined) process.exitCode = 1
      return
    }
    for (const line of setupText(done)) print(line)
    if (failed?.failure !== undefined) throw failed.failure
  })
}
