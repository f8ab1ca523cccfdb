import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../core/errors.ts'
import { checkedBase, pathOfTarget, placeStripped, placeUnder, rootSeenFrom } from './mount.ts'

test('a base path begins with a slash and has no surprises in it', () => {
  expect(['/', '/dashboard', '/dashboard/', '/a/b-c.d/~e'].map((base) => checkedBase(base, 'o'))).toEqual([
    '',
    '/dashboard',
    '/dashboard',
    '/a/b-c.d/~e',
  ])
  for (const bad of ['', 'dashboard', '/a//b', '//evil', '/a?b', '/a b', '/<', undefined, 7])
    expect(() => checkedBase(bad, 'o'), String(bad)).toThrow(ConfigError)
})

test('a path outside the base is not the dashboard’s', () => {
  const under = (path: string) => placeUnder('/dashboard', path)
  expect(['/dashboard', '/dashboard/', '/dashboard/api/events'].map(under)).toEqual(['', '/', '/api/events'])
  expect(['/', '/dashboards', '/dashboard-2/', '/x/dashboard/', '//dashboard/', 'http://h/dashboard/'].map(under)).toEqual(
    Array(6).fill(undefined),
  )
  expect([placeUnder('', '/'), placeUnder('', '/api/snapshot')]).toEqual(['/', '/api/snapshot'])
})

test('a framework that strips the base leaves a slash either way; the path as received tells', () => {
  expect(placeStripped('/', '/admin/limits')).toBe('')
  expect(placeStripped('/', '/admin/limits/')).toBe('/')
  expect(placeStripped('/api/events', '/admin/limits/api/events')).toBe('/api/events')
})

test('the path of a target ends at its query', () => {
  expect(['/a?b=/c', '/a#b', '/a', ''].map(pathOfTarget)).toEqual(['/a', '/a', '/a', ''])
})

describe('the root of the page’s addresses', () => {
  test.each([
    ['/dashboard/', './'],
    ['/dashboard', './dashboard/'],
    ['/', './'],
    ['/a/b/limits', './limits/'],
    ['/x/javascript:alert(1)', './javascript:alert(1)/'],
    ['//evil.example', './evil.example/'],
  ])('seen from %s is %s, on the same host', (path, root) => {
    expect(rootSeenFrom(path)).toBe(root)
    const page = new URL(`http://host.example${path.startsWith('//') ? '/x' : ''}${path}`)
    const resolved = new URL(root, page)
    expect(resolved.host).toBe('host.example')
    expect(resolved.href).toBe(`${page.href.replace(/\/$/, '')}/`)
  })
})
