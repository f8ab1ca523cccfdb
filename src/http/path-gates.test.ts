import { describe, expect, it } from 'vitest'
import { type PathMiddlewareOptions, buildPathGates } from './path-gates.ts'

interface Own {
  readonly rate: unknown
  readonly key?: unknown
}

const gates = (options: PathMiddlewareOptions<Own>) => buildPathGates<Own, string>(options, 'm', (_, option) => option)

describe('what a request falls under', () => {
  const byPath = gates({
    rateLimits: { '/api/': '5/m', '/api/open': null, '/*/login': '1/m' },
    skipPaths: ['/health'],
    methods: ['GET', 'POST'],
  })

  it.each([
    ['GET', '/api//users?x=1', 'rateLimits', '/api/', 'm.rateLimits["/api/"]'],
    ['POST', '/en/login', 'rateLimits', '/*/login', 'm.rateLimits["/*/login"]'],
    ['GET', '/API/%2e/open', 'rateLimits', '/api/open', undefined],
    ['HEAD', '/apiary', 'defaultRate', undefined, 'm.defaultRate'],
    ['GET', '/health/live', 'skipPaths', undefined, undefined],
    ['DELETE', '/api/users', 'methods', undefined, undefined],
  ])('%s %s: %s', (method, target, by, pattern, limiter) => {
    expect(byPath.find(method, target)).toEqual({ by, pattern, limiter })
    expect(byPath(method, target)).toBe(limiter)
  })

  it('is nothing where the rest is not limited', () => {
    expect(gates({ defaultRate: null }).find('GET', '/')).toEqual({ by: 'defaultRate', pattern: undefined, limiter: undefined })
  })
})
