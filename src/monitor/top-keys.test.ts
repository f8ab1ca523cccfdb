import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TopKeys } from './top-keys.ts'

const forgetful = (): { forget(): void } => ({ forget() {} })

describe('the top keys', () => {
  it('hold their promises for any traffic: bounded, no count too low, none too high by more than its error, heavy keys always there', () => {
    const traffic = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 5 })), { maxLength: 400 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), traffic, (places, hits) => {
        const top = new TopKeys(places, forgetful)
        const exact = new Map<string, number>()
        let all = 0
        for (const [key, times] of hits) {
          top.add(`k${key}`, times)
          exact.set(`k${key}`, (exact.get(`k${key}`) ?? 0) + times)
          all += times
        }
        expect(top.size).toBeLessThanOrEqual(places)
        expect(top.all().reduce((sum, { count }) => sum + count, 0)).toBe(all)
        for (const { key, count, error } of top.all()) {
          const truth = exact.get(key) as number
          expect(count).toBeGreaterThanOrEqual(truth)
          expect(count - error).toBeLessThanOrEqual(truth)
        }
        for (const [key, count] of exact) if (count > all / places) expect(top.get(key)?.key).toBe(key)
      }),
    )
  })

  it('let the least go first, and forget what was known about it', () => {
    let forgotten = 0
    const top = new TopKeys(2, () => ({ forget: () => void forgotten++ }))
    for (const key of ['a', 'a', 'b', 'c']) top.add(key)
    expect(
      top
        .all()
        .map(({ key, count, error }) => `${key} ${count} ${error}`)
        .toSorted(),
    ).toEqual(['a 2 0', 'c 2 1'])
    expect(forgotten).toBe(1)
  })

  it('take names that mean something to objects for names', () => {
    const top = new TopKeys(4, forgetful)
    for (const key of ['__proto__', 'constructor', '__proto__', '']) top.add(key)
    expect(top.get('__proto__')?.count).toBe(2)
    expect(top.get('toString')).toBeUndefined()
  })
})
