import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Fingerprint } from './fingerprint.ts'

const fingerprint = new Fingerprint()

function of(key: string, by = fingerprint): string {
  by.of(key)
  return `${by.low}:${by.high}`
}

function distinct(keys: readonly string[]): void {
  expect(new Set(keys).size).toBe(keys.length)
  expect(new Set(keys.map((key) => of(key))).size).toBe(keys.length)
}

const count = (n: number, make: (i: number) => string): string[] => Array.from({ length: n }, (_, i) => make(i))

describe('different keys have different fingerprints', () => {
  it.each<[string, string[]]>([
    ['numbers', count(100_000, String)],
    ['addresses', count(65_536, (i) => `ip:10.0.${i >> 8}.${i & 255}`)],
    ['long keys with a common head', count(20_000, (i) => `${'x'.repeat(300)}${i}`)],
    ['long keys with a common tail', count(20_000, (i) => `${i}${'x'.repeat(300)}`)],
    ['runs of one character', count(5000, (i) => 'a'.repeat(i))],
    ['runs of NUL', count(5000, (i) => '\u0000'.repeat(i))],
    ['single characters', count(65_536, (i) => String.fromCharCode(i))],
    ['pairs of 8 bits', count(65_536, (i) => String.fromCharCode(i >> 8, i & 255))],
    [
      'single bits, wherever they are',
      [
        ...count(64 * 16, (i) =>
          String.fromCharCode(...Array.from({ length: 64 }, (_, at) => (at === i >> 4 ? 1 << (i & 15) : 0))),
        ),
      ],
    ],
  ])('%s', (_name, keys) => distinct(keys))

  it('narrow and wide forms of the same bytes', () => {
    // Four 8-bit characters and two 16-bit ones fill a word with the same bits.
    distinct([
      'abcd',
      '\u6261\u6463',
      'ab\u6463',
      'a',
      'a\u0000',
      '\u0061\u0100',
      '\u0100',
      '\u0000\u0001',
      '\u0001',
      '\u0001\u0000',
      '',
    ])
  })

  it('surrogates, alone and paired, and what they are replaced by elsewhere', () => {
    distinct(['\ud800', '\udc00', '\ud83d', '\ude00', '\ud83d\ude00', '\ude00\ud83d', '\ufffd', '\ufffd\ufffd'])
  })

  it('any two texts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), fc.string({ unit: 'binary', maxLength: 80 }), (a, b) => {
        expect(of(a) === of(b)).toBe(a === b)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a fingerprint', () => {
  it('is the same however often and by whom it is computed', () => {
    const other = new Fingerprint()
    for (const key of ['', 'a', 'ip:1.2.3.4', 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(1_000_000), '\u0000', 'ключ']) {
      const first = of(key)
      expect([of(key), of(`.${key}`.slice(1)), of(key, other), of(key, new Fingerprint())]).toEqual([first, first, first, first])
    }
  })

  it('of remembered keys is theirs, also where many share a remembered place', () => {
    // Equal in length, middle and last character, which is all that a key is told by before it is compared in full.
    const crowd = count(500, (i) => `${String(i).padStart(4, '0')}mmmmmmmmZ`)
    const expected = crowd.map((key) => of(key, new Fingerprint()))
    for (let round = 0; round < 3; round++) expect(crowd.map((key) => of(key))).toEqual(expected)
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 70 }), fc.nat(3)), { maxLength: 40 }), (keys) => {
        for (const [key, times] of keys) for (let i = 0; i <= times; i++) expect(of(key)).toBe(of(key, new Fingerprint()))
      }),
      { numRuns: 30 },
    )
  })

  it('of a busy key stays its own among keys that look like it', () => {
    const by = new Fingerprint()
    const busy = ['aaaaaaaaZ', 'bbbbaaaaZ', 'ccccaaaaZ']
    const expected = busy.map((key) => of(key, new Fingerprint()))
    for (let i = 0; i < 5000; i++) {
      const which = (i * i) % 3
      expect(of(busy[which]!, by)).toBe(expected[which])
      // Twice the same, so that it is remembered; then another string of the same text; then one that takes its place.
      expect(of(busy[which]!, by)).toBe(expected[which])
      expect(of(`.${busy[which]!}`.slice(1), by)).toBe(expected[which])
      if (i % 5 === 0) of(`${String(i).padStart(4, '0')}aaaaZ`, by)
    }
  })

  it('depends on every character and on the length, also past 255', () => {
    const long = 'abcdefgh'.repeat(80)
    distinct([
      ...count(long.length, (i) => long.slice(0, i)),
      ...count(long.length, (i) => `${long.slice(0, i)}.${long.slice(i + 1)}`),
    ])
    distinct([...count(9, (i) => '\u0000'.repeat(252 + i)), ...count(9, (i) => '\u0100'.repeat(252 + i))])
  })

  it('is never that of an empty place', () => {
    for (let i = 0; i < 10_000; i++) {
      fingerprint.of(String(i))
      expect(fingerprint.low | fingerprint.high).not.toBe(0)
    }
  })

  it('spreads structured keys evenly', () => {
    const buckets = new Uint32Array(64)
    for (let i = 0; i < 64_000; i++) {
      fingerprint.of(`user:${i}`)
      buckets[fingerprint.low >>> 26]!++
    }
    // Standard deviation about 31; seven of them.
    for (const size of buckets) expect(Math.abs(size - 1000)).toBeLessThan(220)
  })

  it('has two halves that are each as good as 32 random bits, and do not follow each other', () => {
    // Of 200 000 random numbers of 32 bits about 4.7 pairs are equal; forty are beyond all chance.
    const halves = [new Set<number>(), new Set<number>(), new Set<number>()] as const
    for (let i = 0; i < 200_000; i++) {
      fingerprint.of(`ip:10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
      const { low, high } = fingerprint
      halves[0].add(low)
      halves[1].add(high)
      halves[2].add(low ^ high)
    }
    for (const half of halves) expect(200_000 - half.size).toBeLessThan(40)
  })

  it('changes half of its bits with any bit of the key', () => {
    const flips = new Uint32Array(64)
    const rounds = 400
    for (let i = 0; i < rounds; i++) {
      const chars = Array.from(`key:${i}:of some length`, (char) => char.charCodeAt(0))
      fingerprint.of(String.fromCharCode(...chars))
      const { low, high } = fingerprint
      const at = i % chars.length
      chars[at] = chars[at]! ^ (1 << (i % 7))
      fingerprint.of(String.fromCharCode(...chars))
      for (let bit = 0; bit < 32; bit++) {
        flips[bit]! += ((low ^ fingerprint.low) >>> bit) & 1
        flips[bit + 32]! += ((high ^ fingerprint.high) >>> bit) & 1
      }
    }
    // Standard deviation 10 of 400; seven of them.
    for (const times of flips) expect(Math.abs(times - rounds / 2)).toBeLessThan(70)
  })

  it('has a secret of its own in every process', () => {
    const file = fileURLToPath(new URL('fingerprint.ts', import.meta.url))
    const script = `import { Fingerprint } from ${JSON.stringify(file)}; const f = new Fingerprint(); f.of('ip:1.2.3.4'); console.log(f.low, f.high)`
    const runs = [1, 2].map(() =>
      execFileSync(process.execPath, ['--no-warnings', '--experimental-strip-types', '--input-type=module', '-e', script], {
        encoding: 'utf8',
      }),
    )
    expect(runs[0]).toMatch(/^-?\d+ -?\d+\n$/)
    expect(runs[0]).not.toBe(runs[1])
  })
})
