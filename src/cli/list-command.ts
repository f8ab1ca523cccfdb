// The command `list`. Next: list.ts.

import type { Command } from 'commander'
import { PATIENT, exitCodeOf } from './each-store.ts'
import { withPolicies } from './key-flags.ts'
import { listCounters, listJson, listText } from './list.ts'
import { wholeNumber } from './replay-command.ts'
import { print, printJson, progressLine, styler } from './terminal.ts'
import { type ConfigFlags, settingsFor, withConfig, withStores } from './with-stores.ts'

interface Flags extends ConfigFlags {
  readonly policy: readonly string[]
  readonly top: number
  readonly scan: number
  readonly json: boolean
}

/** Adds the command to a program. */
export function addList(program: Command): void {
  withPolicies(
    withConfig(
      program
        .command('list')
        .summary('who is closest to their limits')
        .description(
          'Lists the counters that each store holds, banned ones first, then by the share of the limit that is used. Counts nothing.',
        ),
    ),
  )
    .option('--top <n>', 'counters to show of each store', wholeNumber, 20)
    .option('--scan <n>', 'most counters to look at in each store', wholeNumber, 100_000)
    .option('--json', 'one JSON document on standard output', false)
    .addHelpText(
      'after',
      `
Keys made of secrets are shown hashed, and long ones of all stores are digests. inspect --raw takes a key as it is shown here.
In Redis, keys are found by SCAN with the key prefix, a thousand at a time.

Examples:
  smart-ratelimit list
  smart-ratelimit list --policy login --top 5 --json

Exit codes: 0 listed; 1 a store failed, no store can be reached from here (memory), or wrong input.
`,
    )
    .action(run)
}

async function run({ policy, top, scan, json, ...flags }: Flags): Promise<void> {
  const loaded = await settingsFor(flags)
  const progress = progressLine()
  const onProgress = (seen: number): void => progress.show(`${seen.toLocaleString('en')} counters`)
  const found = await withStores(loaded, PATIENT, (stores) =>
    listCounters(stores, loaded.settings, { top, scan, policies: policy, onProgress }),
  ).finally(() => progress.clear())
  process.exitCode = exitCodeOf(found)
  if (json) printJson(listJson(found))
  else for (const line of listText(found, styler())) print(line)
}
