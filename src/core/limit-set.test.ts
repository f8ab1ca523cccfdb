import { describe, expect, it } from 'vitest'
import { ConfigError } from './errors.ts'
import { type LimitInput, MAX_LIMITS, type RateInput, buildLimitSet } from './limit-set.ts'

const names = (input: RateInput): string[] => buildLimitSet('g', input, {}).limits.map(({ name }) => name)

describe('what makes a set', () => {
  it('is a text, texts joined by commas, or a list of texts and limits', () => {
    expect(names('10/s')).toEqual(['10-per-s'])
    expect(names('10/s, 1000/h')).toEqual(['10-per-s', '1000-per-h'])
    expect(names(['10/s, 5/m', '1000/h'])).toEqual(['10-per-s', '5-per-m', '1000-per-h'])
    expect(names(['10/s', { rate: '10/s', algorithm: 'gcra', name: 'pace' }])).toEqual(['10-per-s', 'pace'])
  })

  it('takes what all limits have in common from the defaults', () => {
    const { limits } = buildLimitSet('g', ['5/m', { rate: '9/s', algorithm: 'fixed_window' }], {
      algorithm: 'token_bucket',
      algorithmConfig: { bucketSize: 8 },
    })
    expect(limits[0]).toMatchObject({ algorithm: 'token_bucket', burst: 8 })
    // Settings of another algorithm are not inherited.
    expect(limits[1]).toMatchObject({ algorithm: 'fixed_window', burst: 9 })
  })

  it('lets a limit of the same algorithm have settings of its own', () => {
    const input = ['5/m', { rate: '9/s', algorithmConfig: { bucketSize: 3 } }] as const
    const { limits } = buildLimitSet('g', input, { algorithm: 'token_bucket', algorithmConfig: { bucketSize: 8 } })
    expect(limits.map(({ burst }) => burst)).toEqual([8, 3])
  })

  it.each<[string, unknown, string]>([
    ['an empty text', '', 'rate'],
    ['an empty part', '10/s,', 'rate'],
    ['an empty list', [], 'rate'],
    ['too many rates', Array.from({ length: MAX_LIMITS + 1 }, (_, i) => `1/${i + 1}s`), 'rate'],
    ['a number', 5, 'rate'],
    ['nothing', undefined, 'rate'],
    ['null', null, 'rate'],
    ['an object', { rate: '5/m' }, 'rate'],
    ['a number in a list', ['5/m', 5], 'rate[1]'],
    ['null in a list', [null], 'rate[0]'],
    ['a list in a list', [['5/m']], 'rate[0].0'],
    ['an unknown setting', [{ rate: '5/m', algorythm: 'gcra' }], 'rate[0].algorythm'],
    ['a limit without a rate', [{ algorithm: 'gcra' }], 'rate[0]'],
    ['a bad rate in a list', ['5/m', '5/x'], 'rate[1]'],
    ['a bad algorithm in a list', ['5/m', { rate: '5/s', algorithm: 'x' }], 'rate[1].algorithm'],
    [
      'a bad setting in a list',
      [{ rate: '5/s', algorithm: 'gcra', algorithmConfig: { burst: 0 } }],
      'rate[0].algorithmConfig.burst',
    ],
    ['a name with blanks', [{ rate: '5/s', name: 'a b' }], 'rate[0].name'],
    ['an empty name', [{ rate: '5/s', name: '' }], 'rate[0].name'],
    ['a name with a line break', [{ rate: '5/s', name: 'a\r\nX: y' }], 'rate[0].name'],
    ['a long name', [{ rate: '5/s', name: 'x'.repeat(65) }], 'rate[0].name'],
    ['a name that is a number', [{ rate: '5/s', name: 5 }], 'rate[0].name'],
    ['a name that is null', [{ rate: '5/s', name: null }], 'rate[0].name'],
    ['the same name twice', '5/s, 5/s', 'rate'],
  ])('%s is an error that names the place', (_what, input, option) => {
    const build = (): unknown => buildLimitSet('g', input as RateInput, {})
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(expect.objectContaining({ option }))
  })

  it('names the owner of a common setting, not the rate', () => {
    expect(() => buildLimitSet('g', '5/m', { algorithm: 'x' as never }, 'createLimiter.rate')).toThrow(
      /^createLimiter\.algorithm: /,
    )
    expect(() => buildLimitSet('g', '5/m', { algorithm: 'x' as never })).toThrow(/^options\.algorithm: /)
  })
})

describe('the largest cost', () => {
  it.each<[RateInput, number]>([
    ['10/s, 1000/h', 10],
    ['10/s, 0/h', 0],
    [[{ rate: '10/s', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 4.5 } }], 4],
    [[{ rate: '10/s', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 0.5 } }], 0],
    [[{ rate: '10/s', algorithm: 'gcra' }], 1],
    [[{ rate: '0/s', algorithm: 'gcra' }], 0],
  ])('of %j is %d', (input, maxCost) => {
    expect(buildLimitSet('g', input, {}).maxCost).toBe(maxCost)
  })
})

describe('the scope', () => {
  const scopeOf = (group: string, input: RateInput): string => buildLimitSet(group, input, {}).scope

  it('has a small number that is the same for equal scopes only', () => {
    const first = buildLimitSet('numbered', '5/m', {})
    const raised = buildLimitSet('numbered', '50/m', {}, 'rate', 'another policy')
    const other = buildLimitSet('numbered', '5/h', {})
    expect(raised.scopeId).toBe(first.scopeId)
    expect(other.scopeId).not.toBe(first.scopeId)
  })

  it('joins group and limits without ambiguity', () => {
    const inner = scopeOf('g', '5/m').slice('g'.length)
    const scopes = [
      scopeOf('g', '5/m'),
      scopeOf(`g${inner}`, '5/m'),
      scopeOf('g', '5/m, 6/h'),
      scopeOf('g%7C', '5/m'),
      scopeOf('g|', '5/m'),
      scopeOf('', '5/m'),
    ]
    expect(new Set(scopes).size).toBe(scopes.length)
  })

  it('is frozen with its limits', () => {
    const set = buildLimitSet('g', '5/m', {})
    expect([Object.isFrozen(set), Object.isFrozen(set.limits)]).toEqual([true, true])
  })

  it('holds as many limits as it may', () => {
    const input: LimitInput[] = Array.from({ length: MAX_LIMITS }, (_, i) => ({ rate: `1/${i + 1}s` }))
    expect(buildLimitSet('g', input, {}).limits).toHaveLength(MAX_LIMITS)
  })
})

it('a set names its limit where it has but one', () => {
  const single = buildLimitSet('g', '5/m', {})
  expect(single.only).toBe(single.limits[0])
  expect(buildLimitSet('g', '5/m, 50/h', {}).only).toBeUndefined()
})
