import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Statements, identifier, literal, trips } from './statements.ts'

describe('a text in a statement', () => {
  it('ends where it ends, whether or not a backslash escapes', () => {
    const ascii = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) })
    fc.assert(
      fc.property(ascii, (text) => {
        const written = literal(text)
        const hex = /^_ascii x'([0-9a-f]*)'$/.exec(written)?.[1]
        if (hex === undefined) {
          expect(written).not.toContain('\\')
          expect(written).toMatch(/^'(?:[^']|'')*'$/)
          expect(written.slice(1, -1).replaceAll("''", "'")).toBe(text)
        } else expect(Buffer.from(hex, 'hex').toString('latin1')).toBe(text)
      }),
    )
  })

  it('may be a table with its schema', () => {
    expect(identifier('smart_ratelimit')).toBe('`smart_ratelimit`')
    expect(identifier('app.smart_ratelimit')).toBe('`app`.`smart_ratelimit`')
  })
})

describe('the statements of a trip', () => {
  const statements = new Statements('t')
  const lock = (keys: string, server: 'mysql' | 'mariadb' = 'mysql'): string[] =>
    statements.lock(
      keys.split('').map((use, i) => `${i}${use}`),
      (key) => ({ l: 'looks', c: 'changes', m: 'makes' } as const)[key.slice(1) as 'l' | 'c' | 'm'],
      { server, travel: 'together' },
    )
  const shape = (list: readonly string[]): string[] =>
    list.map((sql) =>
      `${/^(INSERT|SELECT)/.exec(sql)?.[1]} ${[...sql.matchAll(/'(\d[lcm])'/g)].map(([, key]) => key).join(' ')}`.trim(),
    )

  it('lock rows in the order of their keys, whatever is done with them, and those not that are only looked at', () => {
    expect(shape(lock('mmcmll'))).toEqual(['INSERT 0m 1m', 'SELECT 2c', 'INSERT 3m', 'SELECT 0m 1m 3m 4l 5l'])
    expect(shape(lock('mmcmll', 'mariadb'))).toEqual(['INSERT 0m 1m', 'SELECT 2c', 'INSERT 3m', 'SELECT 4l 5l'])
    expect(shape(lock('cc'))).toEqual(['SELECT 0c 1c', 'SELECT'])
    expect(shape(lock('m', 'mariadb'))).toEqual(['INSERT 0m', 'SELECT'])
    expect(
      lock('clm')
        .filter((sql) => sql.includes('FOR UPDATE'))
        .join(),
    ).not.toContain('1l')
  })

  it('fit into packets of the smallest servers, however large the counters', () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ key: `k${i}`, state: '1,'.repeat(100_000), expiresAt: 1, updatedAt: 1 }))
    const written = statements.write(rows)
    expect(written.length).toBeGreaterThan(10)
    expect(written.join().match(/'k\d+'/g)).toHaveLength(40)
    for (const travel of ['together', 'block'] as const) {
      const texts = trips([...written, 'COMMIT'], { server: 'mariadb', travel })
      expect(texts.length).toBeGreaterThan(1)
      for (const text of texts) expect(text.length).toBeLessThan(4_000_000)
    }
    expect(trips([...written, 'COMMIT'], { server: 'mysql', travel: 'apart' })).toEqual([...written, 'COMMIT'])
    expect(statements.write(rows.map((row) => ({ ...row, state: '1,1' })))).toHaveLength(1)
    expect(statements.write([])).toEqual([])
  })
})
