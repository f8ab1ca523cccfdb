// docs/settings.md tells of every setting, its type, its default and its variable, and of nothing else. Next: ../../src/config/vocabulary.ts.

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { FILE_VARIABLE, DATABASE_VARIABLE, VARIABLES } from '../../src/config/environment.ts'
import type { Fields } from '../../src/config/field.ts'
import { VOCABULARY } from '../../src/config/vocabulary.ts'
import { DATABASE_URL_KINDS } from '../../src/config/database-url.ts'

const page = readFileSync('docs/settings.md', 'utf8')
const rows = [...page.matchAll(/^\| `([a-zA-Z.]+)` \| (.*?) \| (.*?) ?\| (?:`(\w+)`)? ?\| .*\|$/gm)].map(
  ([, path = '', type = '', fallback = '', variable = '']) => ({ path, type, fallback, variable }),
)
const variables = new Map([...VARIABLES.values()].map(({ name, path }) => [path.join('.'), name]))

function settingsOf(fields: Fields, above: string): typeof rows {
  return Object.entries(fields).flatMap(([name, field]) => {
    const path = above + name
    if (field.kind === 'section') return settingsOf(field.fields, `${path}.`)
    const fallback = field.kind === 'value' ? field.fallback : ''
    // Options of a limiter are told of in options.md; here are those that have a variable.
    const isElsewhere = field.type === 'as in options.md' && !variables.has(path)
    return isElsewhere ? [] : [{ path, type: field.type, fallback, variable: variables.get(path) ?? '' }]
  })
}

const byPath = (a: { path: string }, b: { path: string }): number => (a.path < b.path ? -1 : 1)

it('has a row for each setting, with its type, default and variable', () => {
  const settings = settingsOf(VOCABULARY, '')
  expect(settings.length).toBeGreaterThan(70)
  expect(rows.toSorted(byPath)).toEqual(settings.toSorted(byPath))
  const named = rows.map(({ variable }) => variable).filter((variable) => variable !== '')
  expect(new Set(named).size).toBe(named.length)
})

it('names the variables that are no settings, and the schemes of a database', () => {
  for (const name of [FILE_VARIABLE, DATABASE_VARIABLE]) expect(page).toContain(`\`${name}\``)
  for (const scheme of DATABASE_URL_KINDS) expect(page).toContain(`${scheme}:`)
})
