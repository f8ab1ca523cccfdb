// What may be completed: commands, their options, and words that options and arguments take. Promise: read from the program itself, so nothing is
// listed a second time. Next: completion-bash.ts, completion-zsh.ts, completion-fish.ts.

import type { Command, Option } from 'commander'

/** What may stand in a place: one of some words, a file, or anything. */
export type Place =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' }
  | { readonly kind: 'any' }

/** An option. */
export interface CompletedOption {
  /** `--policy`, and `-p` before it where there is one. */
  readonly flags: readonly string[]
  readonly about: string
  /** What comes after it; undefined for a switch. */
  readonly value: Place | undefined
}

/** A command. */
export interface CompletedCommand {
  readonly name: string
  readonly about: string
  readonly options: readonly CompletedOption[]
  /** What its first argument is; undefined where it has none. */
  readonly argument: Place | undefined
}

/** Places whose name says that a file belongs there. */
const FILES = ['file', 'log']

/** Reads a program. */
export function completedCommands(program: Command): readonly CompletedCommand[] {
  return program.commands.map((command) => {
    const [argument] = command.registeredArguments
    return {
      name: command.name(),
      about: command.summary(),
      options: [...command.options, ...helpOf(command)].map(optionOf),
      argument: argument === undefined ? undefined : placeOf(argument.argChoices, argument.name()),
    }
  })
}

/** The program's own options. */
export function completedOptions(program: Command): readonly CompletedOption[] {
  return [...program.options, ...helpOf(program)].map(optionOf)
}

function helpOf(command: Command): readonly Option[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .filter((option) => option.long === '--help')
}

function optionOf({ short, long, description, flags, argChoices, required, optional }: Option): CompletedOption {
  const [, name = ''] = /<([^>]*)>/.exec(flags) ?? []
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    about: description,
    value: required || optional ? placeOf(argChoices, name) : undefined,
  }
}

function placeOf(choices: readonly string[] | undefined, name: string): Place {
  if (choices !== undefined) return { kind: 'words', words: choices }
  return { kind: FILES.includes(name) ? 'file' : 'any' }
}
