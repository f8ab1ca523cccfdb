// Completion for fish, with what each word is about. Next: completion.ts.

import type { CompletedCommand, CompletedOption, Place } from './completion.ts'

/** The script. */
export function fishScript(name: string, commands: readonly CompletedCommand[], options: readonly CompletedOption[]): string {
  const lines = [
    ...options.map((option) => `-n __fish_use_subcommand ${optionOf(option)}`),
    ...commands.flatMap((command) => linesOf(command)),
  ]
  return `# fish completion for ${name}: keep as ~/.config/fish/completions/${name}.fish
complete -c ${name} -f
${lines.map((line) => `complete -c ${name} ${line}`).join('\n')}
`
}

function linesOf({ name, about, options, argument }: CompletedCommand): string[] {
  const within = `-n ${quoted(`__fish_seen_subcommand_from ${name}`)}`
  return [
    `-n __fish_use_subcommand -a ${name} -d ${quoted(about)}`,
    ...options.map((option) => `${within} ${optionOf(option)}`),
    ...(argument === undefined || argument.kind === 'any' ? [] : [`${within}${actionOf(argument)}`]),
  ]
}

function optionOf({ flags, about, value }: CompletedOption): string {
  const named = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
  // It takes a value, and files are offered only where one belongs.
  const takes = value === undefined ? '' : ` -r${value.kind === 'file' ? '' : ' -f'}${actionOf(value)}`
  return `${named.join(' ')} -d ${quoted(about)}${takes}`
}

function actionOf(place: Place): string {
  switch (place.kind) {
    case 'words':
      return ` -a ${quoted(place.words.join(' '))}`
    case 'file':
      return ' -F'
    case 'any':
      return ''
  }
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`
}
