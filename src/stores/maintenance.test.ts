import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../core/errors.ts'
import { type CleanupOptions, cleanupSettings, likePattern } from './maintenance.ts'

/** What LIKE with `\` as its escape character finds, letter by letter. */
function like(text: string, pattern: string): boolean {
  const source = pattern.replace(/\\(.)|%|_|[^%_\\]/gs, (part, literal: string | undefined) => {
    if (part === '%') return '.*'
    if (part === '_') return '.'
    return (literal ?? part).replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
  })
  return new RegExp(`^${source}$`, 's').test(text)
}

describe('the options of a clean-up', () => {
  it('have defaults that delete expired rows alone', () => {
    const settings = cleanupSettings({})
    expect(settings).toMatchObject({ dryRun: false, olderThanMs: undefined, batchSize: 1000, pattern: undefined })
    expect(settings.onProgress(5)).toBeUndefined()
  })

  it.each([
    [{ dryRun: 'yes' }, 'dryRun'],
    [{ olderThanMs: 0 }, 'olderThanMs'],
    [{ olderThanMs: 1.5 }, 'olderThanMs'],
    [{ olderThanMs: Infinity }, 'olderThanMs'],
    [{ batchSize: 0 }, 'batchSize'],
    [{ batchSize: -5 }, 'batchSize'],
    [{ batchSize: 100_001 }, 'batchSize'],
    [{ keyPattern: '' }, 'keyPattern'],
    [{ keyPattern: 'x'.repeat(513) }, 'keyPattern'],
    [{ keyPattern: /x/ }, 'keyPattern'],
    [{ onProgress: true }, 'onProgress'],
    [{ olderThan: 5 }, 'olderThan'],
  ])('refuse %j by its name', (options, name) => {
    const build = (): unknown => cleanupSettings(options as CleanupOptions, 'store.cleanup')
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(new RegExp(`^store\\.cleanup\\.${name}: expected `))
  })

  it('write a pattern as keys are written', () => {
    expect(cleanupSettings({ keyPattern: 'login|*|a b' }).pattern).toEqual(['login|', '|a%20b'])
    expect(cleanupSettings({ keyPattern: '{x}' }).pattern).toEqual(['%7bx%7d'])
    expect(cleanupSettings({ keyPattern: '*' }).pattern).toEqual(['', ''])
  })
})

describe('a pattern for LIKE', () => {
  it('lets only `*` stand for other text', () => {
    expect(likePattern(['a%b_c\\', ''], 'p_')).toBe('p\\_a\\%b\\_c\\\\%')
  })

  it('finds what begins, goes on and ends as it says, behind the prefix', () => {
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '%', '_', '\\'), maxLength: 4 })
    fc.assert(
      fc.property(
        part,
        fc.array(part, { minLength: 1, maxLength: 4 }),
        fc.array(part, { maxLength: 3 }),
        (prefix, parts, fill) => {
          const key = parts.map((text, i) => (i === 0 ? text : (fill[i - 1] ?? '') + text)).join('')
          expect(like(prefix + key, likePattern(parts, prefix))).toBe(true)
          expect(like(`${prefix}c${key}`, likePattern(parts, prefix))).toBe(parts[0] === '' && parts.length > 1)
        },
      ),
    )
  })
})
