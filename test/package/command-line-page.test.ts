// docs/command-line.md tells of every command, its options and its exit codes, and of nothing else. Next: ../../src/cli/program.ts.

import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { buildProgram } from '../../src/cli/program.ts'

const page = readFileSync('docs/command-line.md', 'utf8')
const program = buildProgram('1.2.3')

/** Sections by what stands in their heading before the colon. */
const sections = new Map(page.split(/^## /m).map((text): [string, string] => [/^([^:\n]*)/.exec(text)?.[1] ?? '', text]))
/** What commands about identities have in common stands once. */
const common = sections.get('Identities') ?? ''

/** The sections that tell of a command: its own, which it may share, and what that refers to. */
function sectionOf(command: Command): string {
  const [, text = ''] = [...sections].find(([heading]) => heading.includes(`\`${command.name()}\``)) ?? []
  return text.includes('[above](#identities)') ? text + common : text
}

function flagsIn(text: string): Set<string> {
  return new Set([...text.matchAll(/(?<![\w-])--?[a-zA-Z][\w-]*/g)].map(([flag]) => flag))
}

describe.each(program.commands)('$_name', (command) => {
  const section = sectionOf(command)
  const flags = command.options.flatMap(({ short, long }) => [short, long]).filter((flag) => flag !== undefined)

  it('has a section with an example and its exit codes', () => {
    expect(section).not.toBe('')
    expect(section).toMatch(new RegExp(`smart-ratelimit ${command.name()}\\b`))
    expect(section.toLowerCase()).toMatch(/exit codes?[: ]/)
  })

  it('has each of its options told of', () => {
    const told = flagsIn(section)
    // What names the settings file is told of at the top of the page, and short forms in the help.
    const expected = flags.filter((flag) => flag.startsWith('--') && !['--config', '--verbose'].includes(flag))
    expect(expected.filter((flag) => !told.has(flag))).toEqual([])
  })
})

it('tells the defaults that options have', () => {
  const plain = (text: string): string => text.replaceAll(/[`\s]/g, '')
  const [told, expected]: Record<string, string>[] = [{}, {}]
  for (const command of program.commands) {
    for (const { long, defaultValue, defaultValueDescription } of command.options) {
      const row = new RegExp(`^\\|[^|]*\`[^\`|]*${long}[ \`][^|]*\\|([^|]*)\\|`, 'm').exec(sectionOf(command))
      const isPlain = typeof defaultValue === 'number' || typeof defaultValue === 'string'
      if (row === null || !(isPlain || defaultValueDescription?.includes(',') === true)) continue
      const name = `${command.name()} ${long}`
      Object.assign(told as object, { [name]: plain(row[1] ?? '') })
      Object.assign(expected as object, { [name]: plain(defaultValueDescription ?? String(defaultValue)) })
    }
  }
  expect(told).toEqual(expected)
  expect(Object.keys(told as object).length).toBeGreaterThan(8)
})

it('tells of no option that is none', () => {
  const known = new Set(
    [program, ...program.commands].flatMap((command) => [
      '-h',
      '--help',
      ...command.options.flatMap(({ short, long }) => [short, long]),
    ]),
  )
  expect([...flagsIn(page)].filter((flag) => !known.has(flag))).toEqual([])
})

it('tells of no command that is none, and names them all at the top', () => {
  const names = program.commands.map((command) => command.name())
  const called = [...page.matchAll(/smart-ratelimit ([a-z][a-z-]*)/g)].map(([, name]) => name)
  expect(called.filter((name) => !names.includes(name ?? ''))).toEqual([])
  const headings = [...sections.keys()].flatMap((heading) => [...heading.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name))
  expect(new Set(headings)).toEqual(new Set(names))
  expect(headings).toHaveLength(names.length)
  const top = page.slice(0, page.indexOf('\n## '))
  for (const name of names) expect(top).toContain(`[\`${name}\`]`)
})
