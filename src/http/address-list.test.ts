import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { manualClock } from '../core/clock.ts'
import type { RequestView } from '../core/request.ts'
import { buildAddressList } from './address-list.ts'

const folder = mkdtempSync(join(tmpdir(), 'lists-'))
afterAll(() => rmSync(folder, { recursive: true }))

const view = { method: 'GET', url: '/', header: () => undefined, raw: { vip: true } } as unknown as RequestView
const nobody = { ...view, raw: {} } as unknown as RequestView

describe('a list of blocks', () => {
  const list = buildAddressList(['192.0.2.0/24', '2001:db8::/32', '198.51.100.7'], 'denyList')

  test.each([
    ['192.0.2.0', true],
    ['192.0.2.255', true],
    ['192.0.3.0', false],
    ['198.51.100.7', true],
    ['198.51.100.8', false],
    ['::ffff:192.0.2.9', true],
    ['2001:db8:ffff::1', true],
    ['2001:db9::', false],
    ['not an address', false],
  ])('has %s: %s', (address, expected) => {
    expect(list.matches(address, nobody)).toBe(expected)
  })

  test('answers at once, and a client without an address is on no list of addresses', () => {
    expect(list.matches(undefined, nobody)).toBe(false)
  })

  test('of a hundred thousand blocks is asked as quickly', () => {
    const many = buildAddressList(
      Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`),
      'denyList',
    )
    expect(many.matches('10.1.134.159', nobody)).toBe(true)
    expect(many.matches('10.1.134.160', nobody)).toBe(false)
  })
})

test.each([['10.0.0.0/33'], ['10.0.0/8'], ['2001:db8::/129'], ['example.com'], [''], ['01.2.3.4']])(
  'the bad entry %j is named with its place',
  (entry) => {
    expect(() => buildAddressList(['192.0.2.1', entry], 'denyList')).toThrow(/denyList\[1\]/)
    expect(() => buildAddressList(['192.0.2.1', entry], 'denyList')).toThrow(
      expect.objectContaining({ code: 'ERR_RATELIMIT_LIST' }),
    )
  },
)

test('functions decide by the request, sync or async', async () => {
  const list = buildAddressList(['192.0.2.1', async (request) => (request.raw as { vip?: boolean }).vip === true], 'allowList')
  expect(list.matches('192.0.2.1', nobody)).toBe(true)
  expect(await list.matches('203.0.113.1', view)).toBe(true)
  expect(await list.matches('203.0.113.1', nobody)).toBe(false)
})

describe('a list in a file', () => {
  const write = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }

  test('is loaded before the first answer, with comments and blank lines, and read again when it is old', async () => {
    const clock = manualClock(1_700_000_000_000)
    const file = write('a.txt', '# bad people\n192.0.2.0/24   # a block\n\n  203.0.113.9\n')
    const list = buildAddressList({ file, reloadMs: 60_000 }, 'denyList', { clock })
    expect(await list.matches('192.0.2.1', nobody)).toBe(true)
    expect(list.matches('203.0.113.9', nobody)).toBe(true)
    write('a.txt', '198.51.100.1\n')
    expect(list.matches('198.51.100.1', nobody)).toBe(false)
    clock.advance(60_001)
    list.matches('198.51.100.1', nobody)
    await expect.poll(() => list.matches('198.51.100.1', nobody)).toBe(true)
    expect(list.matches('192.0.2.1', nobody)).toBe(false)
  })

  test('keeps the last good list when it cannot be read again, and says so', async () => {
    const clock = manualClock(1_700_000_000_000)
    const errors: Error[] = []
    const file = write('b.txt', '192.0.2.1\n')
    const list = buildAddressList({ file, reloadMs: 1000, maxBytes: 100 }, 'denyList', {
      clock,
      onRefreshError: (error) => errors.push(error),
    })
    await list.ready()
    for (const broken of ['nonsense\n', `${'#'.repeat(200)}\n`]) {
      write('b.txt', broken)
      clock.advance(1001)
      const before = errors.length
      list.matches('192.0.2.1', nobody)
      await expect.poll(() => errors.length).toBe(before + 1)
      expect(list.matches('192.0.2.1', nobody)).toBe(true)
    }
  })

  test('that cannot be loaded at first is an error, and not an empty list', async () => {
    const list = buildAddressList({ file: join(folder, 'none.txt') }, 'denyList')
    await expect(list.ready()).rejects.toThrow(/denyList.*none\.txt/)
    await expect(Promise.resolve(list.matches('192.0.2.1', nobody))).rejects.toThrow(/none\.txt/)
    const bad = buildAddressList({ file: write('c.txt', '192.0.2.1\nnonsense\n') }, 'denyList')
    await expect(bad.ready()).rejects.toThrow(/2.*nonsense/)
  })
})
