// The command `inspect`. Next: inspect.ts.

import type { Command } from 'commander'
import { PATIENT, exitCodeOf } from './each-store.ts'
import { inspect, inspectJson, inspectText } from './inspect.ts'
import { type KeyFlags, identityOf, withKeyFlags } from './key-flags.ts'
import { print, printJson, styler } from './terminal.ts'
import { settingsFor, withStores } from './with-stores.ts'

/** Adds the command to a program. */
export function addInspect(program: Command): void {
  withKeyFlags(
    program
      .command('inspect')
      .summary('how somebody stands with each policy')
      .description('Asks each store what each policy would answer somebody now. Counts nothing.')
      .argument('<identity...>', 'who, such as ip:192.0.2.7 or user:42; several parts for keys made of several'),
  )
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit inspect ip:192.0.2.7
  smart-ratelimit inspect user:42 --policy login --json
  smart-ratelimit inspect user:42 ip:192.0.2.7
  smart-ratelimit inspect - < key.txt

Exit codes: 0 answered; 1 a store failed, no store can be reached from here (memory), or wrong input.
`,
    )
    .action(run)
}

async function run(texts: readonly string[], flags: KeyFlags): Promise<void> {
  const identity = await identityOf(texts, flags)
  const loaded = await settingsFor(flags)
  const { policy, rate, json } = flags
  const found = await withStores(loaded, PATIENT, (stores) =>
    inspect(stores, loaded.settings, { identity, policies: policy, rate }),
  )
  process.exitCode = exitCodeOf(found)
  if (json) printJson(inspectJson(found))
  else for (const line of inspectText(found, styler())) print(line)
}
