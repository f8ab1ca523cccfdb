// The command `completion`. Next: completion.ts.

import { Argument, type Command } from 'commander'
import { bashScript } from './completion-bash.ts'
import { fishScript } from './completion-fish.ts'
import { zshScript } from './completion-zsh.ts'
import { completedCommands, completedOptions } from './completion.ts'

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

/** Adds the command to a program. */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .summary('let the shell complete commands and options')
    .description('Prints what makes a shell complete the words of this command.')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      `
Examples:
  source <(smart-ratelimit completion bash)     in ~/.bashrc
  source <(smart-ratelimit completion zsh)      in ~/.zshrc, after compinit
  smart-ratelimit completion fish > ~/.config/fish/completions/smart-ratelimit.fish

Shells complete commands that they find by name: install the package globally, or put node_modules/.bin on the PATH.

Exit codes: 0 printed; 1 wrong input.
`,
    )
    .action((shell: keyof typeof SCRIPTS) => {
      process.stdout.write(SCRIPTS[shell](program.name(), completedCommands(program), completedOptions(program)))
    })
}
