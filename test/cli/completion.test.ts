// The completion scripts, in the shells that are there, and what all of them must know. Next: ../../src/cli/completion.ts.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { bashScript } from '../../src/cli/completion-bash.ts'
import { fishScript } from '../../src/cli/completion-fish.ts'
import { zshScript } from '../../src/cli/completion-zsh.ts'
import { completedCommands, completedOptions } from '../../src/cli/completion.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { runFolder } from '../servers/run-folder.ts'

const program = buildProgram('1.2.3')
const commands = completedCommands(program)
const options = completedOptions(program)
const scripts = {
  bash: bashScript('smart-ratelimit', commands, options),
  zsh: zshScript('smart-ratelimit', commands, options),
  fish: fishScript('smart-ratelimit', commands, options),
}

const folder = mkdtempSync(join(runFolder(), 'completion-'))
afterAll(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'limits.json'), '{}')

/** Whether a shell is installed. */
const has = (shell: string): boolean => spawnSync(shell, ['--version']).error === undefined

describe('bash', () => {
  /** What bash offers for the last of some words. */
  function offered(...words: string[]): string[] {
    const line = `COMP_WORDS=(smart-ratelimit ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}`
    const script = `${scripts.bash}\n${line}; _smart_ratelimit; printf '%s\\n' "\${COMPREPLY[@]}"`
    const out = execFileSync('bash', ['--norc', '-u', '-c', script], { cwd: folder, encoding: 'utf8' })
    return out.split('\n').filter((word) => word !== '')
  }

  it('offers the commands', () => {
    const names = program.commands.map((command) => command.name())
    expect(names.length).toBeGreaterThan(12)
    expect(offered('')).toEqual(expect.arrayContaining(names))
    expect(offered('un')).toEqual(['unban'])
    expect(offered('--v')).toEqual(['--version'])
  })

  it('offers the options of a command, and no others', () => {
    expect(offered('cleanup', '--')).toEqual(
      expect.arrayContaining(['--dry-run', '--older-than', '--batch-size', '--json', '--config', '--help']),
    )
    expect(offered('cleanup', '--po')).toEqual([])
    expect(offered('ban', 'ip:192.0.2.1', '1h', '--po')).toEqual(['--policy'])
  })

  it('offers words and files where they belong', () => {
    expect(offered('completion', '')).toEqual(['bash', 'zsh', 'fish'])
    expect(offered('replay', '--format', 'com')).toEqual(['common', 'combined'])
    expect(offered('bench', '-a', 'tok')).toEqual(['token_bucket'])
    expect(offered('health', '--config', 'lim')).toEqual(['limits.json'])
    expect(offered('replay', 'lim')).toEqual(['limits.json'])
    expect(offered('inspect', 'lim')).toEqual([])
    expect(offered('inspect', '--policy', 'lim')).toEqual([])
  })
})

describe.each(['zsh', 'fish'] as const)('%s', (shell) => {
  it('is told of each command and option, with what it is about', () => {
    const script = scripts[shell]
    for (const { name, about, options: own } of commands) {
      expect(script).toContain(name)
      expect(script.replaceAll(/'\\''|\\'/g, "'")).toContain(about)
      for (const { flags } of own)
        for (const flag of flags)
          expect(script).toContain(shell === 'zsh' ? flag : flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)
    }
    // Every quote ends.
    expect((script.replaceAll(/'\\''|\\'/g, '').match(/'/g) ?? []).length % 2).toBe(0)
  })

  it('can read it', ({ skip }) => {
    skip(!has(shell), `${shell} is not installed`)
    const file = join(folder, `script.${shell}`)
    writeFileSync(file, scripts[shell])
    expect(spawnSync(shell, ['-n', file]).status).toBe(0)
  })
})

it('no command lacks a summary, a description, and help with examples and exit codes', () => {
  for (const command of program.commands) {
    const name = command.name()
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    expect(command.summary(), name).not.toBe('')
    expect(command.description(), name).not.toBe('')
    expect(help, name).toMatch(/\nExamples:\n( {2}\S.*\n)+/)
    expect(help, name).toMatch(/\nExit codes: 0 /)
    // Examples are of this command.
    const examples = help.slice(help.indexOf('\nExamples:'), help.indexOf('\nExit codes:'))
    for (const [, called] of examples.matchAll(/smart-ratelimit ([a-z-]+)/g)) expect(called, name).toBe(name)
  }
})
