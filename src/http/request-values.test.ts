import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bearerToken, cookieValue, queryValue } from './request-values.ts'

describe('a query parameter', () => {
  it.each([
    ['/a?id=7', '7'],
    ['/a?x=1&id=7&y=2', '7'],
    ['/a?id=7&id=8', '7'],
    ['/a?id=&id=8', ''],
    ['/a?id', ''],
    ['/a?id&x', ''],
    ['/a?id=a=b', 'a=b'],
    ['/a?id=a%20b+c', 'a b c'],
    ['/a?%69d=7', '7'],
    ['/a?id=%zz', '%zz'],
    ['/a?id=%E0%A4%A', '%E0%A4%A'],
    ['/a?id=%ff', '%ff'],
    ['/a?id=7#&id=8', '7'],
    ['/a?&&&id=7', '7'],
    ['/a?x=?id=6&id=7', '7'],
    ['http://host:80/a?id=7', '7'],
    ['/a?id=%00%0d%0a', '\0\r\n'],
  ])('of %s is %j', (url, value) => {
    expect(queryValue(url, 'id')).toBe(value)
  })

  it.each(['/a', '/id=7', '/a?', '/a?ID=7', '/a?idx=7', '/a?xid=7', '/a#?id=7', '/a;id=7', ''])('is absent from %s', (url) => {
    expect(queryValue(url, 'id')).toBeUndefined()
  })

  it.each(['__proto__', 'constructor', 'toString'])('named %s is an ordinary one', (name) => {
    expect(queryValue('/a?x=1', name)).toBeUndefined()
    expect(queryValue(`/a?${name}=7`, name)).toBe('7')
  })

  it('is what was encoded, whatever it is', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(text, text, (name, value) => {
        expect(queryValue(`/a?${encodeURIComponent(name)}=${encodeURIComponent(value)}`, name)).toBe(value)
      }),
    )
  })

  it('is found in one pass, however long the query', () => {
    const before = performance.now()
    expect(queryValue(`/a?${'&'.repeat(1_000_000)}`, 'id')).toBeUndefined()
    expect(queryValue(`/a?${'x&'.repeat(500_000)}id=7`, 'id')).toBe('7')
    expect(performance.now() - before).toBeLessThan(2000)
  })
})

describe('a cookie', () => {
  it.each([
    ['sid=abc', 'abc'],
    ['a=1; sid=abc; b=2', 'abc'],
    ['sid=abc; sid=def', 'abc'],
    ['sid="abc"', 'abc'],
    ['sid="', '"'],
    ['sid=""', ''],
    ['sid=', ''],
    ['  sid = abc ;', 'abc'],
    ['sid=a=b%20', 'a=b%20'],
    [';;;sid=abc', 'abc'],
  ])('of %j is %j', (header, value) => {
    expect(cookieValue(header, 'sid')).toBe(value)
  })

  it.each(['', 'sid', 'SID=abc', 'xsid=abc', 'sidx=abc', '"sid"=abc', 'a="; sid"'])('is absent from %j', (header) => {
    expect(cookieValue(header, 'sid')).toBeUndefined()
  })
})

describe('a bearer token', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer  abc ', 'abc'],
    ['BEARER a b', 'a b'],
  ])('of %j is %j', (header, token) => {
    expect(bearerToken(header)).toBe(token)
  })

  it.each([undefined, '', 'Bearer', 'Bearer ', 'Bearer   ', 'Basic abc123', 'Bearerabc', 'XBearer abc'])(
    'is absent from %j',
    (header) => {
      expect(bearerToken(header)).toBeUndefined()
    },
  )
})
