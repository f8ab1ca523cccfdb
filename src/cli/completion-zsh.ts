// Completion for zsh, with what each word is about. Next: completion.ts.

import type { CompletedCommand, CompletedOption, Place } from './completion.ts'

/** The script. */
export function zshScript(name: string, commands: readonly CompletedCommand[], options: readonly CompletedOption[]): string {
  const fn = `_${name.replaceAll('-', '_')}`
  return `#compdef ${name}
# zsh completion for ${name}: add to ~/.zshrc, after compinit
#   source <(${name} completion zsh)
${fn}() {
  local context state state_descr line
  typeset -A opt_args
  local -a commands
  commands=(
${commands.map((command) => `    ${quoted(`${command.name}:${command.about}`)}`).join('\n')}
  )
  _arguments -C ${options.map(specOf).join(' ')} '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $words[1] in
${commands.map(commandCase).join('\n')}
      esac ;;
  esac
}
if [ "$funcstack[1]" = "${fn}" ]; then ${fn} "$@"; else compdef ${fn} ${name}; fi
`
}

function commandCase({ name, options, argument }: CompletedCommand): string {
  const specs = options.map(specOf)
  if (argument !== undefined) specs.push(quoted(`*:${actionOf(argument)}`))
  return `        ${name}) _arguments ${specs.join(' ')} ;;`
}

/** `'(-p --policy)'{-p,--policy}'[about]:value:action'` */
function specOf({ flags, about, value }: CompletedOption): string {
  const told = `[${about.replace(/[[\]\\:]/g, '\\$&')}]${value === undefined ? '' : `:${actionOf(value)}`}`
  const [only = ''] = flags
  // Options may be repeated, and zsh need not know which may.
  return flags.length === 1 ? quoted(`*${only}${told}`) : `'*'{${flags.join(',')}}${quoted(told)}`
}

function actionOf(place: Place): string {
  switch (place.kind) {
    case 'words':
      return `value:(${place.words.join(' ')})`
    case 'file':
      return 'file:_files'
    case 'any':
      return 'value: '
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
