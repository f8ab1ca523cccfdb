// docs/rates.md says what the parser does: its units, its examples and its list of what is not a rate are run.
// Next: ../../src/core/rate.ts.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/core/errors.ts'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { parseRate } from '../../src/core/rate.ts'

const page = readFileSync('docs/rates.md', 'utf8')
const LENGTHS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

describe('docs/rates.md', () => {
  const [, units = '', periods = ''] = page.split(/^\| (?:unit|text) \|.*\n\|.*\n/m).map((part) => part.split('\n\n')[0])

  it.each(rowsOf(units))('the unit %s and its other names are what the table says', (unit, others = '') => {
    for (const name of [unit, ...wordsOf(others)]) {
      const rate = parseRate(`10/${name}`)
      if (LENGTHS[unit] === undefined) expect(rate.calendar).toBe(unit)
      else expect(rate).toEqual({ amount: 10, periodMs: LENGTHS[unit] })
    }
  })

  it('the table of units is whole', () => {
    expect(rowsOf(units).map(([unit]) => unit)).toEqual(['ms', 's', 'm', 'h', 'd', 'w', 'day', 'week', 'month', 'year'])
  })

  it('each example of a period is what the table says', () => {
    const rows = periods.split('\n').map((row) => row.split('|').map((cell) => cell.trim()))
    expect(rows.length).toBeGreaterThan(6)
    for (const [, texts = '', kind = '', algorithm = ''] of rows) {
      for (const text of wordsOf(texts)) {
        if (kind.startsWith('an error')) expect(() => parseRate(text), text).toThrow(ConfigError)
        else expect(parseRate(text).calendar !== undefined, text).toBe(algorithm === '`fixed_window`')
      }
    }
  })

  it('what it calls no rate is refused with its code', () => {
    const listed = page.split('## What is not a rate')[1] ?? ''
    const texts = wordsOf(listed.split('\n\n').at(-1) ?? '')
    expect(texts.length).toBeGreaterThan(10)
    for (const text of [...texts, '', 100 as unknown as string]) {
      expect(() => buildLimitSet('g', text, {}), text).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_RATE' }))
    }
  })
})

/** First and second cell of each row. */
function rowsOf(table: string): [string, string][] {
  return table
    .trim()
    .split('\n')
    .map((row) => row.split('|').map((cell) => cell.trim()))
    .map(([, first = '', second = '']) => [wordsOf(first)[0] ?? '', second])
}

function wordsOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]*)`/g)].map(([, word = '']) => word)
}
