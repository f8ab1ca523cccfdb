// The command `cleanup`. Next: cleanup.ts.

import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Cleanup, cleanUp, cleanupJson, cleanupText } from './cleanup.ts'
import { wholeNumber } from './replay-command.ts'
import { print, printJson, progressLine } from './terminal.ts'
import { type ConfigFlags, settingsFor, withConfig, withStores } from './with-stores.ts'

interface Flags extends ConfigFlags {
  readonly dryRun: boolean
  readonly olderThan: number
  readonly staleDays?: number
  readonly batchSize: number
  readonly keyPattern?: string
  readonly json: boolean
  readonly verbose: boolean
}

/** Adds the command to a program. */
export function addCleanup(program: Command): void {
  withConfig(
    program
      .command('cleanup')
      .summary('delete expired counters from the database')
      .description(
        'Deletes expired counters from the tables of the configured database, in batches. No counter that still counts is deleted unless an age says so.',
      ),
  )
    .option('--dry-run', 'delete nothing, and tell what would be deleted', false)
    .option(
      '--older-than <hours>',
      'also delete counters that nothing has changed for so long, expired or not; 0 for none',
      hours,
      0,
    )
    .addOption(new Option('--stale-days <days>', 'the same in days').argParser(hours).conflicts('olderThan'))
    .option('--batch-size <n>', 'counters per statement', wholeNumber, 1000)
    .option('--key-pattern <pattern>', 'only counters of these names; * stands for any text')
    .option('--json', 'one JSON document on standard output', false)
    .option('-v, --verbose', 'say more', false)
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit cleanup --dry-run
  smart-ratelimit cleanup --older-than 72 --key-pattern 'login*' --json

Exit codes: 0 done, or nothing to do; 1 a database could not be cleared, or wrong input.
`,
    )
    .action(run)
}

async function run(flags: Flags): Promise<void> {
  const asked: Cleanup = {
    dryRun: flags.dryRun,
    olderThanHours: flags.staleDays === undefined ? flags.olderThan : flags.staleDays * 24,
    batchSize: flags.batchSize,
    keyPattern: flags.keyPattern,
  }
  const progress = progressLine()
  const onProgress = (deleted: number): void => progress.show(`${deleted.toLocaleString('en')} deleted`)
  const cleaned = await withStores(await settingsFor(flags), {}, (stores) => cleanUp(stores, asked, onProgress))
  progress.clear()
  if (flags.json) printJson(cleanupJson(cleaned, asked))
  else for (const line of cleanupText(cleaned, asked, flags.verbose)) print(line)
  if (cleaned.stores.some(({ error }) => error !== undefined)) process.exitCode = 1
}

function hours(value: string): number {
  if (!/^\d{1,7}(\.\d{1,6})?$/.test(value)) throw new InvalidArgumentError('It must be a number of at least 0.')
  return Number(value)
}
