// Each error code has its page, and `error.docs` leads to it. Next: ../../docs/errors.md.

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { ERROR_CODES, RateLimitError } from '../../src/core/errors.ts'
import { sourceFiles } from './source-files.ts'

const page = readFileSync('docs/errors.md', 'utf8')
const headings = [...page.matchAll(/^## (\S+)$/gm)].map((match) => match[1])

it('docs/errors.md has one heading for each error code, in the same order', () => {
  expect(headings).toEqual([...ERROR_CODES])
})

it('each page says what it means and what to do', () => {
  for (const section of page.split(/^## /m).slice(1)) {
    expect(section).toMatch(/\*\*What it means\.\*\* \S/)
    expect(section).toMatch(/\*\*What to do\.\*\* \S/)
  }
})

it.each(ERROR_CODES)('the link of %s leads to its heading', (code) => {
  const [file, anchor] = new RateLimitError(code, 'x').docs.split('#')
  expect(file).toMatch(/\/docs\/errors\.md$/)
  expect(headings.map((heading) => heading?.toLowerCase())).toContain(anchor)
})

it('each code is used by the source', () => {
  const code = sourceFiles()
    .map((file) => (file.path === 'src/core/errors.ts' ? file.code.replace(/ERROR_CODES = \[[^\]]*\]/, '') : file.code))
    .join('\n')
  expect(ERROR_CODES.filter((name) => !code.includes(`'${name}'`))).toEqual([])
})
