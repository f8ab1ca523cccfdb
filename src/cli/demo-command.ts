// The command `demo`. Next: demo.ts.

import { type Command, InvalidArgumentError } from 'commander'
import { startDemo } from './demo.ts'

/** Adds the command to a program. */
export function addDemo(program: Command): void {
  program
    .command('demo')
    .summary('watch the limiter at work')
    .description('Serves a few differently limited routes and shows every decision as it is made. Ctrl-C ends it.')
    .option('-p, --port <port>', 'TCP port; 0 for any free one', port, 3000)
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .action(async (flags: { port: number; host: string }) => {
      const print = (line: string): void => void process.stdout.write(`${line}\n`)
      const demo = startDemo({ ...flags, print, colour: process.stdout.isTTY && process.stdout.hasColors() })
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

function port(value: string): number {
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535)
    throw new InvalidArgumentError('It must be a whole number from 0 to 65535.')
  return Number(value)
}
