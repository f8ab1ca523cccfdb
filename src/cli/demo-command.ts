// The command `demo`. Next: demo.ts.

import type { Command } from 'commander'
import { startDemo } from './demo.ts'
import { portNumber } from './listen-on.ts'
import { hasColour, print } from './terminal.ts'

/** Adds the command to a program. */
export function addDemo(program: Command): void {
  program
    .command('demo')
    .summary('watch the limiter at work')
    .description(
      'Serves a few differently limited routes, and shows every decision as it is made and on a dashboard. Ctrl-C ends it.',
    )
    .option('-p, --port <port>', 'TCP port; 0 for any free one', portNumber, 3000)
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--traffic', 'make some traffic itself, so that the dashboard is alive')
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit demo --port 0
  smart-ratelimit demo --traffic

Exit codes: 0 ended; 1 the port cannot be had, or wrong input.
`,
    )
    .action(async (flags: { port: number; host: string; traffic?: boolean }) => {
      const demo = startDemo({ ...flags, print, colour: hasColour() })
      // Before the first line is printed: whoever reads it may answer at once.
      const end = async (): Promise<void> => {
        const { allowed, refused } = await (await demo).stop()
        print(`\n${allowed} allowed, ${refused} refused. Goodbye.`)
      }
      const onSignal = (): void => void end().catch(() => undefined)
      process.once('SIGINT', onSignal)
      process.once('SIGTERM', onSignal)
      await demo
    })
}
