import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matches } from './key-match.ts'

describe('a key matches a pattern', () => {
  it.each([
    ['user|a', 'user|a', true],
    ['user|a', 'user|b', false],
    ['user|a', 'user|A', false],
    ['user|a', '*', true],
    ['', '*', true],
    ['user|abc', 'user|*', true],
    ['user|abc', '*abc', true],
    ['user|abc', 'user|abc*', true],
    ['user|abc', '*er*b*', true],
    ['user|abc', '*b*er*', false],
    ['aa', 'a*a', true],
    ['a', 'a*a', false],
    ['aba', 'ab*ba', false],
    ['abba', 'ab*ba', true],
    ['a%b_c', 'a%b_c', true],
    ['axbxc', 'a%b_c', false],
  ])('%j %j: %s', (key, pattern, expected) => {
    expect(matches(key, pattern.split('*'))).toBe(expected)
  })

  it('exactly when the regular expression of the pattern does', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '%', '.'), maxLength: 6 })
    fc.assert(
      fc.property(text, fc.array(text, { minLength: 1, maxLength: 5 }), (key, pattern) => {
        const escaped = pattern.map((part) => part.replace(/\./g, '\\.'))
        expect(matches(key, pattern)).toBe(new RegExp(`^${escaped.join('.*')}$`, 's').test(key))
      }),
      { numRuns: 2000 },
    )
  })
})
