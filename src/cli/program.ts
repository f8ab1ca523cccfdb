// All commands, as one program that nobody has run yet. Promise: what it does not know is an error, and help tells of everything; completions and
// the documentation's test read it as it is. Next: main.ts, which runs it; one file per command.

import { Command, Help } from 'commander'
import { addBench } from './bench-command.ts'
import { addBan, addReset, addUnban } from './change-commands.ts'
import { addCheckConfig } from './check-config-command.ts'
import { addCleanup } from './cleanup-command.ts'
import { addCompletion } from './completion-command.ts'
import { addDashboard } from './dashboard-command.ts'
import { addDemo } from './demo-command.ts'
import { addExplain } from './explain-command.ts'
import { addHealth } from './health-command.ts'
import { addInspect } from './inspect-command.ts'
import { addList } from './list-command.ts'
import { addReplay } from './replay-command.ts'
import { addSetup } from './setup-command.ts'

const GROUPS = [
  { title: 'Try limits:', commands: [addDemo, addReplay, addExplain, addBench] },
  { title: 'Look after the stores:', commands: [addSetup, addCleanup, addHealth, addCheckConfig] },
  { title: 'Look after clients:', commands: [addDashboard, addInspect, addList, addReset, addBan, addUnban] },
  { title: 'More:', commands: [addCompletion] },
] as const

/** Builds the program. */
export function buildProgram(version: string): Command {
  const program = new Command('smart-ratelimit')
    .description('Rate limiting: see it work, try limits before you turn them on, and look after stores and clients.')
    .version(version)
    .configureHelp({
      optionDescription(option) {
        // That a switch is off and that a list is empty goes without saying.
        return isNothing(option.defaultValue) ? option.description : Help.prototype.optionDescription.call(this, option)
      },
    })
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText(
      'after',
      `
Most commands read smart-ratelimit.config.* in the working directory, and the environment.
Exit codes: 0 done, 1 wrong input or usage, or a store that fails, 2 a defect of this program; health has its own.
`,
    )
  for (const { title, commands } of GROUPS) {
    program.commandsGroup(title)
    for (const add of commands) add(program)
  }
  program.helpCommand(false)
  return program
}

function isNothing(value: unknown): boolean {
  return value === false || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
}
