#!/usr/bin/env node
// The command line. Promise: exit code 0 when done, 1 for input that is not right or a store that fails (a message, no stack), 2 for a
// defect; `health` has codes of its own. Next: replay-command.ts, demo-command.ts, with-stores.ts.

import { createRequire } from 'node:module'
import { inspect } from 'node:util'
import { Command } from 'commander'
import { RateLimitError } from '../core/errors.ts'
import { addCheckConfig } from './check-config-command.ts'
import { addCleanup } from './cleanup-command.ts'
import { addDemo } from './demo-command.ts'
import { addHealth } from './health-command.ts'
import { addReplay } from './replay-command.ts'
import { addSetup } from './setup-command.ts'

const { version } = createRequire(import.meta.url)('smart-ratelimit/package.json') as { version: string }

const program = new Command('smart-ratelimit')
  .description('Rate limiting: see it work, try limits before you turn them on, and look after the stores.')
  .version(version)
  .showHelpAfterError('(add --help for what there is)')
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 wrong input or usage, or a store that fails, 2 a defect of this program; health has its own.\n',
  )
for (const add of [addDemo, addReplay, addSetup, addCleanup, addHealth, addCheckConfig]) add(program)

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 2))

try {
  await program.parseAsync()
} catch (error) {
  const expected = error instanceof RateLimitError
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`smart-ratelimit: ${message}${expected ? ` (${error.code})` : ''}\n`)
  if (process.env['DEBUG'] !== undefined) process.stderr.write(`${inspect(error)}\n`)
  process.exitCode = expected ? 1 : 2
}
