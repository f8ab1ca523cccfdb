// Completion for bash. Promise: works in bash 3.2, which macOS has, and needs no package beside it. Next: completion.ts.

import type { CompletedCommand, CompletedOption, Place } from './completion.ts'

/** The script. */
export function bashScript(name: string, commands: readonly CompletedCommand[], options: readonly CompletedOption[]): string {
  const fn = `_${name.replaceAll('-', '_')}`
  const words = [...commands.map((command) => command.name), ...flagsOf(options)].join(' ')
  return `# bash completion for ${name}: add to ~/.bashrc
#   source <(${name} completion bash)
${fn}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" command="\${COMP_WORDS[1]}"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${words}' -- "$current"))
    return
  fi
  case "$command:$previous" in
${commands.flatMap(valueCases).join('\n')}
  esac
  case "$command" in
${commands.map(commandCase).join('\n')}
  esac
}
complete -F ${fn} ${name}
`
}

function valueCases({ name, options }: CompletedCommand): string[] {
  return options.flatMap(({ flags, value }) =>
    value === undefined ? [] : [`    ${flags.map((flag) => `${name}:${flag}`).join(' | ')}) ${replyOf(value, '')}return ;;`],
  )
}

function commandCase({ name, options, argument }: CompletedCommand): string {
  const flags = flagsOf(options).join(' ')
  const others = argument === undefined ? '' : replyOf(argument, '')
  return `    ${name}) case "$current" in
      -*) COMPREPLY=($(compgen -W '${flags}' -- "$current")) ;;
      *) ${others === '' ? ':' : others.replace(/; $/, '')} ;;
    esac ;;`
}

function replyOf(place: Place, otherwise: string): string {
  switch (place.kind) {
    case 'words':
      return `COMPREPLY=($(compgen -W '${place.words.join(' ')}' -- "$current")); `
    case 'file':
      return `compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- "$current")); `
    case 'any':
      return otherwise
  }
}

function flagsOf(options: readonly CompletedOption[]): readonly string[] {
  return options.flatMap(({ flags }) => flags)
}
