// The command `explain`. Next: explain.ts.

import { type Command, InvalidArgumentError } from 'commander'
import { parseAddress } from '../http/parse-address.ts'
import { PATIENT } from './each-store.ts'
import { explainJson, explainText } from './explain-text.ts'
import { explain } from './explain.ts'
import { type RequestParts, standIn } from './stand-in.ts'
import { print, printJson, styler } from './terminal.ts'
import { type ConfigFlags, settingsFor, withConfig, withStores } from './with-stores.ts'

interface Flags extends ConfigFlags {
  readonly header: Readonly<Record<string, string>>
  readonly ip: string
  readonly user?: string
  readonly session?: string
  readonly policy?: string
  readonly json: boolean
}

/** Adds the command to a program. */
export function addExplain(program: Command): void {
  withConfig(
    program
      .command('explain')
      .summary('why a request is answered as it is')
      .description(
        'Tells which rule a request falls under, who its client is and by which proxies, what it is counted under, and what it would be answered now. Counts nothing.',
      )
      .argument('<request>', "a method and a path: 'GET /api/login?next=/'; a path alone is a GET", requestOf),
  )
    .option('-H, --header <line>', "a header, 'Name: value'; repeat it for more", headerOf, {})
    .option('--ip <address>', 'who connects to the app: the client, or the nearest proxy', addressOf, '127.0.0.1')
    .option('--user <id>', 'the authenticated user')
    .option('--session <id>', 'the session')
    .option('-p, --policy <name>', 'by this policy of the settings, instead of the entry of the middleware that the path has')
    .option('--json', 'one JSON document on standard output', false)
    .addHelpText(
      'after',
      `
Functions of the settings are called with a stand-in request that has what is said here, in the places where frameworks have it. Whom a framework
takes for the client by its own settings (such as "trust proxy") is not known here: --ip is taken.

Examples:
  smart-ratelimit explain 'GET /api/login' --header 'X-Forwarded-For: 192.0.2.7' --ip 10.0.0.1
  smart-ratelimit explain 'POST /login' --user 42 --policy login --json

Exit codes: 0 explained, whatever the answer; 1 there is no answer (a store or a function failed), or wrong input.
`,
    )
    .action(run)
}

async function run(request: RequestParts, { header, ip, user, session, policy, json, ...flags }: Flags): Promise<void> {
  const loaded = await settingsFor(flags)
  const view = standIn({ ...request, headers: header, peer: ip, user, session })
  const found = await withStores(loaded, PATIENT, (stores) => explain(stores, loaded.settings, view, policy))
  if (found.error !== undefined) process.exitCode = 1
  if (json) printJson(explainJson(found))
  else for (const line of explainText(found, styler())) print(line)
}

function requestOf(text: string): RequestParts {
  const [, method = 'GET', target] =
    /^\s*(?:([A-Za-z-]{1,32})\s+)?((?:\/|[a-z][a-z\d+.-]*:\/\/)\S*)(?:\s+HTTP\/[\d.]+)?\s*$/.exec(text) ?? []
  if (target === undefined) throw new InvalidArgumentError("It must be a method and a path, such as 'GET /api/login'.")
  return { method: method.toUpperCase(), target }
}

function addressOf(text: string): string {
  if (parseAddress(text, false) === undefined)
    throw new InvalidArgumentError('It must be an address, such as 10.0.0.1 or 2001:db8::1.')
  return text
}

/** Several of a name are joined, as servers do it. */
function headerOf(line: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const [, name, value = ''] = /^([\w!#$%&'*+.^`|~-]+):\s*(.*?)\s*$/.exec(line) ?? []
  if (name === undefined) throw new InvalidArgumentError("It must be a header, such as 'X-Forwarded-For: 192.0.2.7'.")
  const field = name.toLowerCase()
  const earlier = Object.hasOwn(before, field) ? `${before[field]}, ` : ''
  return { ...before, [field]: earlier + value }
}
