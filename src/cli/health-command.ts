// The command `health`. Next: health.ts.

import type { Command } from 'commander'
import { RateLimitError } from '../core/errors.ts'
import { EXIT_CODES, healthJson, healthOf, healthText } from './health.ts'
import { wholeNumber } from './replay-command.ts'
import { print, printJson } from './terminal.ts'
import { type ConfigFlags, settingsFor, withConfig, withStores } from './with-stores.ts'

interface Flags extends ConfigFlags {
  readonly timeout?: number
  readonly json: boolean
  readonly verbose: boolean
}

const TIMEOUT_MS = 5000

/** Adds the command to a program. */
export function addHealth(program: Command): void {
  withConfig(
    program
      .command('health')
      .summary('ask the stores whether they can decide')
      .description('Asks each configured store by itself whether it can decide now, and how long it takes.'),
  )
    .option('--timeout <ms>', 'how long a store may take (default: healthCheckTimeoutMs, else 5000)', wholeNumber)
    .option('--json', 'one JSON document on standard output', false)
    .option('-v, --verbose', 'say more', false)
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit health
  smart-ratelimit health --json --timeout 1000

Exit codes: 0 healthy, 1 degraded (some of several stores are down, or one is slow), 2 down, or wrong settings.
`,
    )
    .action(run)
}

async function run(flags: Flags): Promise<void> {
  try {
    const loaded = await settingsFor(flags)
    const { settings } = loaded
    const timeoutMs = flags.timeout ?? settings.healthCheckTimeoutMs ?? TIMEOUT_MS
    // The time is what this command allows, and not what a request would.
    const over = { deadlineMs: Math.min(timeoutMs, 600_000) }
    const health = await withStores(loaded, over, (stores) => healthOf(stores, timeoutMs))
    process.exitCode = EXIT_CODES[health.status]
    if (flags.json) printJson(healthJson(health, settings))
    else for (const line of healthText(health, settings, flags.verbose)) print(line)
  } catch (error) {
    if (!(error instanceof RateLimitError)) throw error
    process.exitCode = EXIT_CODES.down
    if (flags.json) printJson({ error: error.message, healthy: false })
    else process.stderr.write(`smart-ratelimit: ${error.message} (${error.code})\n`)
  }
}
