// The command `dashboard`. Next: dashboard-viewer.ts.

import type { Command } from 'commander'
import { startViewer } from './dashboard-viewer.ts'
import { portNumber } from './listen-on.ts'
import { print } from './terminal.ts'

/** The variable that holds the token, so that it is not in the list of processes. */
const TOKEN_VARIABLE = 'RATELIMIT_DASHBOARD_TOKEN'

/** Adds the command to a program. */
export function addDashboard(program: Command): void {
  program
    .command('dashboard')
    .summary("show a running app's dashboard on this machine")
    .description(
      `Serves the dashboard of a running app on this machine, at an address that it prints. The counters are the app's, so the app must have mounted its dashboard.\nThe token of a dashboard with tokenAuth is read from ${TOKEN_VARIABLE}. Ctrl-C ends it.`,
    )
    .argument('<url>', "address of the app's dashboard, such as https://app.internal/dashboard")
    .option('-p, --port <port>', 'TCP port here; 0 for any free one', portNumber, 0)
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit dashboard http://localhost:3000/dashboard
  ${TOKEN_VARIABLE}=… smart-ratelimit dashboard https://app.internal/dashboard

Exit codes: 0 ended; 1 no dashboard answers there, or it does not let us in, or wrong input.
`,
    )
    .action(async (address: string, flags: { port: number }) => {
      const token = process.env[TOKEN_VARIABLE]
      const viewer = await startViewer({ address, token: token === '' ? undefined : token, port: flags.port })
      const onSignal = (): void => void viewer.stop()
      process.once('SIGINT', onSignal)
      process.once('SIGTERM', onSignal)
      print(
        `The dashboard of ${viewer.shown} is at\n\n  ${viewer.url}\n\nfor whoever on this machine knows this address. Ctrl-C ends.`,
      )
    })
}
