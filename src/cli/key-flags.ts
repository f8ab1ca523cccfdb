// What commands about somebody's counters have in common: an identity, and which policies are meant. Next: identity.ts, inspect-command.ts.

import { text as textOf } from 'node:stream/consumers'
import type { Command } from 'commander'
import { splitRates } from '../core/rate.ts'
import { buildLimitSet } from '../core/limit-set.ts'
import { type AskedIdentity, IDENTITY_HELP, readIdentity } from './identity.ts'
import { type ConfigFlags, withConfig } from './with-stores.ts'

/** The options of all of them. */
export interface KeyFlags extends ConfigFlags {
  readonly policy: readonly string[]
  readonly rate?: string
  readonly raw: boolean
  readonly json: boolean
}

/** Gathers the values of an option that may be repeated. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

/** Adds the option that chooses policies. */
export function withPolicies(command: Command): Command {
  return command.option(
    '-p, --policy <name>',
    'only this policy, or this entry of the middleware, such as /api/ or default; repeat it for more',
    collect,
    [],
  )
}

/** Adds the options, and the help on identities. */
export function withKeyFlags(command: Command): Command {
  return withPolicies(withConfig(command))
    .option('--rate <rate>', 'the limit of policies whose rate is a function, such as 100/m', (value: string) => {
      buildLimitSet('rate', value, {}, '--rate')
      return splitRates(value).join(', ')
    })
    .option('--raw', 'the identity is a finished key, as list and logs show it', false)
    .option('--json', 'one JSON document on standard output', false)
    .addHelpText('after', IDENTITY_HELP)
}

/** Reads the identity that the command line names, or standard input. */
export async function identityOf(texts: readonly string[], { raw }: KeyFlags): Promise<AskedIdentity> {
  const isThere = texts.length === 1 && texts[0] === '-'
  if (!isThere) return readIdentity(texts, raw)
  const lines = (await textOf(process.stdin)).split(/\r?\n/)
  return readIdentity(
    lines.filter((line) => line !== ''),
    raw,
  )
}
