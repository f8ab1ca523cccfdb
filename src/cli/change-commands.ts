// The commands `reset`, `ban` and `unban`. Next: change.ts.

import type { Command } from 'commander'
import { type Change, RESET, UNBAN, ban, changeAll, changeJson, changeText, isDone } from './change.ts'
import { durationOf } from './duration.ts'
import { PATIENT, exitCodeOf } from './each-store.ts'
import { type KeyFlags, collect, identityOf, withKeyFlags } from './key-flags.ts'
import { print, printJson, styler } from './terminal.ts'
import { settingsFor, withStores } from './with-stores.ts'

const EXIT_CODES = `
Processes that have refused somebody a moment ago may go on doing so for as long as they remember it (rememberRefusalsMs, a second).

Exit codes: 0 done; 1 a store failed, a policy was left out as its rate is a function and none was said, no store can be reached from here (memory), no policy counts by the identity, or wrong input.
`

/** Adds the command to a program. */
export function addReset(program: Command): void {
  withKeyFlags(
    program
      .command('reset')
      .summary("forget somebody's counters and bans")
      .description('Forgets the counters and bans of somebody, for every policy that counts by them, or for those named.')
      .argument('<identity...>', 'who, such as ip:192.0.2.7 or user:42; several parts for keys made of several'),
  )
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit reset user:42
  smart-ratelimit reset ip:192.0.2.7 --policy login
${EXIT_CODES}`,
    )
    .action((texts: readonly string[], flags: KeyFlags) => run(texts, flags, RESET))
}

/** Adds the command to a program. */
export function addBan(program: Command): void {
  withKeyFlags(
    program
      .command('ban')
      .summary('refuse somebody for a while')
      .description(
        'Refuses everything somebody asks, whatever is left to them, for every policy that counts by them. A running ban is never shortened.',
      )
      .argument('<identity>', 'who, such as ip:192.0.2.7 or user:42')
      .argument('<duration>', 'for how long: 30s, 15m, 1h, 7d', durationOf)
      .option('--and <identity>', 'a further part, for keys made of several; repeat it for more', collect, []),
  )
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit ban ip:192.0.2.7 15m
  smart-ratelimit ban user:42 1h --policy login
  smart-ratelimit ban user:42 1h --and ip:192.0.2.7
${EXIT_CODES}`,
    )
    .action((identity: string, durationMs: number, flags: KeyFlags & { readonly and: readonly string[] }) =>
      run([identity, ...flags.and], flags, ban(durationMs)),
    )
}

/** Adds the command to a program. */
export function addUnban(program: Command): void {
  withKeyFlags(
    program
      .command('unban')
      .summary("lift somebody's ban")
      .description('Lifts the bans of somebody. Their counters stay as they are.')
      .argument('<identity...>', 'who, such as ip:192.0.2.7 or user:42; several parts for keys made of several'),
  )
    .addHelpText('after', `\nExamples:\n  smart-ratelimit unban ip:192.0.2.7\n${EXIT_CODES}`)
    .action((texts: readonly string[], flags: KeyFlags) => run(texts, flags, UNBAN))
}

async function run(texts: readonly string[], flags: KeyFlags, change: Change): Promise<void> {
  const identity = await identityOf(texts, flags)
  const loaded = await settingsFor(flags)
  const { policy, rate, json } = flags
  const done = await withStores(loaded, PATIENT, (stores) =>
    changeAll(stores, loaded.settings, { identity, policies: policy, rate }, change),
  )
  process.exitCode = isDone(done) ? exitCodeOf(done) : 1
  if (json) printJson(changeJson(done, change))
  else for (const line of changeText(done, change, styler())) print(line)
}
