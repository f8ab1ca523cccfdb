import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LimitSet, buildLimitSet } from '../core/limit-set.ts'
import { CANARY_GROUP, LONGEST_KEY, escaped, identityOf, isCounterKey, storeKey } from './store-key.ts'

const set = buildLimitSet('login', '5/m', {})

/** Texts of characters that something between here and a table could take for its own. */
const nasty = fc.string({
  unit: fc.constantFrom(
    ':',
    '_',
    '|',
    '{',
    '}',
    '%',
    '#',
    '*',
    ' ',
    '\0',
    '\r',
    '\n',
    '\ud800',
    '\udc00',
    'é',
    'е',
    'a',
    'u',
    '0',
    '4',
    '7c',
  ),
  maxLength: 12,
})
const text = fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ minLength: 190, maxLength: 260 }))

describe('the name of a counter', () => {
  it('is readable where it can be', () => {
    expect(storeKey(set, 'user:42')).toBe(
      'login|sliding_window:60000:60|user:42'.replace(/\|.*\|/, `|${set.scope.split('|')[1]}|`),
    )
    expect(escaped('a b|c%d{e}f*g#h')).toBe('a%20b%7cc%25d%7be%7df%2ag%23h')
    expect(escaped('é€')).toBe('%e9%u20ac')
  })

  it('is printable ASCII without blanks, braces and wildcards, and never long', () => {
    fc.assert(
      fc.property(text, text, (group, identity) => {
        const key = storeKey(buildLimitSet(`g${group}`, '5/m', {}), identity)
        expect(key).toMatch(/^[!-~]+$/)
        expect(key).not.toMatch(/[{}*]/)
        expect(key.length).toBeLessThanOrEqual(LONGEST_KEY)
      }),
      { numRuns: 1000 },
    )
  })

  it('is another for every other pair of group and identity', () => {
    const pair = fc.tuple(text, text)
    fc.assert(
      fc.property(pair, pair, ([groupA, a], [groupB, b]) => {
        const same = groupA === groupB && a === b
        const of = (group: string): LimitSet => buildLimitSet(`g${group}`, '5/m', {})
        expect(storeKey(of(groupA), a) === storeKey(of(groupB), b)).toBe(same)
      }),
      { numRuns: 2000 },
    )
  })

  it('is another wherever a character moves from one part to the next', () => {
    fc.assert(
      fc.property(nasty, nasty, nasty, (a, b, c) => {
        fc.pre(b !== '')
        const left = storeKey(buildLimitSet(`g${a}${b}`, '5/m', {}), c)
        expect(storeKey(buildLimitSet(`g${a}`, '5/m', {}), b + c)).not.toBe(left)
      }),
      { numRuns: 1000 },
    )
  })

  it('tells lone surrogates, NUL, line ends and letters that look alike apart, also at the end of long texts', () => {
    const ends = [
      '',
      '\0',
      '\r',
      '\n',
      '\r\n',
      '\ud800',
      '\udc00',
      '\ufffd',
      'e',
      'é',
      'e\u0301',
      'е',
      'E',
      ' ',
      '_',
      '%00',
      '%u0435',
    ]
    for (const head of ['', 'x'.repeat(250), 'я'.repeat(250)]) {
      expect(new Set(ends.map((end) => storeKey(set, head + end))).size).toBe(ends.length)
    }
  })

  it('is a digest from one character too many on', () => {
    const room = LONGEST_KEY - storeKey(set, '').length
    expect(storeKey(set, 'x'.repeat(room))).toHaveLength(LONGEST_KEY)
    expect(storeKey(set, 'x'.repeat(room + 1))).toMatch(/^#[\w-]{43}$/)
    // No identity looks like a digest: `#` is escaped.
    expect(storeKey(set, '#abc')).toContain('%23abc')
  })

  it('does not depend on how much a limit grants', () => {
    expect(storeKey(buildLimitSet('login', '500/m', {}), 'k')).toBe(storeKey(set, 'k'))
    expect(storeKey(buildLimitSet('login', '5/h', {}), 'k')).not.toBe(storeKey(set, 'k'))
  })
})

describe('a name read back', () => {
  it('tells the identity it was made of, unless it is a digest, and is a counter’s', () => {
    fc.assert(
      fc.property(nasty, (identity) => {
        const key = storeKey(set, identity)
        expect(identityOf(set, key)).toBe(key.startsWith('#') ? undefined : identity)
        if (identity !== '') expect(isCounterKey(key)).toBe(true)
      }),
    )
  })

  it('tells nothing to another set, also to one whose name is longer', () => {
    const key = storeKey(set, 'k')
    for (const other of ['logi', 'login2', 'login|sliding_window:m'])
      expect(identityOf(buildLimitSet(other, '5/m', {}), key)).toBeUndefined()
    expect(identityOf(buildLimitSet('login', '5/m, 10/h', {}), key)).toBeUndefined()
    expect(identityOf(set, storeKey(buildLimitSet('login', '5/m, 10/h', {}), 'k'))).toBeUndefined()
  })

  it('is told from what else stores keep', () => {
    const canary = storeKey(buildLimitSet(CANARY_GROUP, '5/m', {}), 'k')
    const others = [' version', '#ping', '#ping12', `${storeKey(set, 'k')} writer1`, `{x|k}#w`, 'x|k#w', '', 'k', canary]
    expect(others.filter(isCounterKey)).toEqual([])
  })
})
