#!/usr/bin/env node
// The command line. Promise: exit code 0 when done, 1 for input that is not right or a store that fails (a message, no stack), 2 for a
// defect; `health` has codes of its own. Next: program.ts, with-stores.ts.

import { createRequire } from 'node:module'
import { inspect } from 'node:util'
import { RateLimitError } from '../core/errors.ts'
import { buildProgram } from './program.ts'

const { version } = createRequire(import.meta.url)('smart-ratelimit/package.json') as { version: string }

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 2))

try {
  await buildProgram(version).parseAsync()
} catch (error) {
  const expected = error instanceof RateLimitError
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`smart-ratelimit: ${message}${expected ? ` (${error.code})` : ''}\n`)
  if (process.env['DEBUG'] !== undefined) process.stderr.write(`${inspect(error)}\n`)
  process.exitCode = expected ? 1 : 2
}
