import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../core/errors.ts'
import { buildPathRules, buildPathSet, normalizePath } from './path-rules.ts'

describe('a path in its one spelling', () => {
  test.each([
    ['/a/b', '/a/b'],
    ['/a/b/', '/a/b'],
    ['/', '/'],
    ['', '/'],
    ['*', '/*'],
    ['//a///b', '/a/b'],
    ['/a/./b', '/a/b'],
    ['/a/x/../b', '/a/b'],
    ['/../../a', '/a'],
    ['/a/%2e%2E/b', '/b'],
    ['/a%2Fb', '/a/b'],
    ['/%61/b', '/a/b'],
    ['/%2561', '/a'],
    ['/%252F', '/'],
    ['/a%5Cb', '/a/b'],
    ['/a\\b', '/a/b'],
    ['/a;v=1/b;w', '/a/b'],
    ['/a%3bx/b', '/a/b'],
    ['/a%00/b', '/a/b'],
    ['/a\0', '/a'],
    ['/a?x=/b', '/a'],
    ['/a#/b', '/a'],
    ['/a%zz', '/a%zz'],
    ['/a%', '/a%'],
    ['/%E4%BD%A0', '/你'],
    ['/%FF%61', '/%FFa'],
    ['http://host/a/b?x', '/a/b'],
    ['https://user@host:8/a', '/a'],
    ['http://host', '/'],
  ])('%j is %j', (target, path) => {
    expect(normalizePath(target)).toBe(path)
  })

  test('is the same when it is normalised again', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('/', 'a', 'B', '.', '..', '%', '2', 'e', 'F', '5', 'c', ';', '\\', '?', '\0', ' ', '://', 'é')),
        (parts) => {
          const once = normalizePath(parts.join(''))
          // What still looks encoded after four rounds may be undone further by another four.
          fc.pre(!once.includes('%'))
          expect(normalizePath(once)).toBe(once)
        },
      ),
    )
  })

  test('takes time in proportion to its length', () => {
    for (const part of ['/', '../', '%2e/', '%25', ';', 'a/', '\\']) {
      const start = performance.now()
      normalizePath(`/${part.repeat(100_000 / part.length)}`)
      // Far above what it takes, far below what squared time would.
      expect(performance.now() - start).toBeLessThan(500)
    }
  })
})

describe('rules', () => {
  const rules = buildPathRules({ '/api': 1, '/api/auth/': 2, '/users/*/orders': 3, '/users/me': 4, '/__proto__': 5, '/Case': 6 })
  const value = (target: string) => rules.match(target)?.value

  test.each([
    ['/api', 1],
    ['/api/x/y', 1],
    ['/apiary', undefined],
    ['/api/auth', 2],
    ['/api/auth/x', 2],
    ['/api/authority', 1],
    ['/users/7/orders', 3],
    ['/users/7/orders/1', 3],
    ['/users/7', undefined],
    ['/users/me', 4],
    ['/users/me/orders', 3],
    ['/__proto__', 5],
    ['/constructor', undefined],
    ['/case', 6],
    ['/', undefined],
  ])('%s falls under %s', (target, expected) => {
    expect(value(target)).toBe(expected)
  })

  test('tell the pattern as it was written', () => {
    expect(rules.match('/api/auth/x')?.pattern).toBe('/api/auth/')
  })

  test('at the root match everything that no other does', () => {
    expect(buildPathRules({ '/': 'all', '/a': 'a' }).match('/b')?.value).toBe('all')
  })

  test('keep case apart only when asked to', () => {
    const strict = buildPathRules({ '/Api': 1, '/api': 2 }, { caseSensitive: true })
    expect([strict.match('/Api')?.value, strict.match('/api')?.value, strict.match('/API')?.value]).toEqual([1, 2, undefined])
  })

  test.each([
    [{ api: 1 }, /rules\["api"\]: expected a path that begins with "\/"/],
    [{ '/a': 1, '/A/': 2 }, /rules\["\/A\/"\]: expected a path other than that of "\/a"/],
    [{ '/a?x': 1 }, /without query/],
  ])('%j are refused', (bad, message) => {
    expect(() => buildPathRules(bad as Record<string, number>)).toThrow(ConfigError)
    expect(() => buildPathRules(bad as Record<string, number>)).toThrow(message)
  })

  test('are dodged by no spelling, however tricks are combined', () => {
    const tricks: ((path: string) => string)[] = [
      (path) => path.replaceAll('/', '//'),
      (path) => path.replaceAll('/', '/./'),
      (path) => path.replace('/', '/x/../'),
      (path) => `${path}/`,
      (path) => path.toUpperCase(),
      (path) => path.replaceAll('a', '%61'),
      (path) => path.replaceAll('/', '%2F').replace('%2F', '/'),
      (path) => path.replaceAll('%', '%25'),
      (path) => path.replaceAll('/', '\\').replace('\\', '/'),
      (path) => `${path};v=1`,
      (path) => (path.startsWith('/') ? `http://other.example${path}` : path),
      (path) => `${path}?q=/health`,
      (path) => `${path}#f`,
    ]
    const order = fc.uniqueArray(fc.integer({ min: 0, max: tricks.length - 1 }), { maxLength: 5 })
    fc.assert(
      fc.property(order, (indexes) => {
        // The query and the absolute form are written last: what follows a "?" is no path any more.
        const last = indexes.toSorted((a, b) => a - b)
        const target = last.reduce((path, index) => (tricks[index] as (path: string) => string)(path), '/api/auth/data')
        expect(rules.match(target)?.value, target).toBe(2)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a set of exempt paths', () => {
  const set = buildPathSet(['/health', '/static/'])

  test.each(['/health', '/health/', '/health/live', '/HEALTH?x', '/static/app.js'])('has %s', (target) => {
    expect(set.has(target)).toBe(true)
  })

  test.each([
    '/healthy',
    '/',
    '/static/../login',
    '/health%2F..%2Flogin',
    '/static/%2e%2e/login',
    '//health',
    '/health;x',
    '/health\\..\\login',
    '/%68ealth',
    '/static//x',
  ])('does not have %s, which another reader may take for something else', (target) => {
    expect(set.has(target)).toBe(false)
  })

  test('is checked when it is built', () => {
    expect(() => buildPathSet(['health'], {}, 'skipPaths')).toThrow(/skipPaths\[0\]/)
    expect(() => buildPathSet('/x' as never, {}, 'skipPaths')).toThrow(/skipPaths/)
  })
})
