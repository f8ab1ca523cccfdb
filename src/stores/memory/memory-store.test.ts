import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type ManualClock, manualClock } from '../../core/clock.ts'
import { ConfigError, StoreError } from '../../core/errors.ts'
import { type LimitDefaults, type LimitSet, type RateInput, buildLimitSet } from '../../core/limit-set.ts'
import { referenceStore } from '../../testing/reference-store.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { type MemoryStore, type MemoryStoreOptions, memoryStore } from './memory-store.ts'

const START = 1_700_000_040_000
const exact = { algorithm: 'sliding_window', algorithmConfig: { precision: 'exact' } } as const

function setOf(rate: RateInput, defaults: LimitDefaults = {}, group = 'memory test'): LimitSet {
  return buildLimitSet(group, rate, defaults)
}

function open(options: MemoryStoreOptions = {}): { clock: ManualClock; store: MemoryStore } {
  const clock = manualClock(START)
  return { clock, store: memoryStore({ clock, sweepIntervalMs: false, ...options }) }
}

const takes = (store: MemoryStore, set: LimitSet, key: string, cost = 1): boolean => store.take(set, key, cost, 'take').granted

function exhaust(store: MemoryStore, set: LimitSet, key: string): number {
  let granted = 0
  while (takes(store, set, key)) granted++
  return granted
}

/** Runs a script that may import from the sources, and returns what it printed. */
function inChild(script: string): string {
  const source = JSON.stringify(fileURLToPath(new URL('../../', import.meta.url)))
  const code = `const source = ${source};\n${script}`
  return execFileSync(process.execPath, ['--no-warnings', '--experimental-strip-types', '--input-type=module', '-e', code], {
    encoding: 'utf8',
    timeout: 15_000,
  })
}

describe('options', () => {
  const wrong: [string, readonly unknown[]][] = [
    ['memoryMaxKeys', [0, -1, 1.5, Number.NaN, Infinity, '100', null, 100_000_001]],
    ['memoryMaxBytes', [0, 65_535, 1.5, Infinity, '1MB', null]],
    ['sweepIntervalMs', [0, 9, -1, 1.5, Infinity, true, '1s', null]],
    ['clock', [null, 5, {}, { now: 5 }, 'system']],
  ]
  it.each(wrong)('%s that is wrong is an error naming it', (option, values) => {
    for (const value of values) {
      const make = (): unknown => memoryStore({ [option]: value } as MemoryStoreOptions)
      expect(make, String(value)).toThrow(ConfigError)
      expect(make, String(value)).toThrow(new RegExp(`^memoryStore\\.${option}: expected `))
    }
  })

  it.each(['maxKeys', 'memory_max_keys', ''])('%j that is none is an error', (option) => {
    expect(() => memoryStore({ [option]: 5 } as never)).toThrow(`memoryStore.${option}: expected one of memoryMaxKeys`)
  })

  it.each([null, 5, 'x', []])('%j instead of options is an error', (options) => {
    expect(() => memoryStore(options as never)).toThrow(ConfigError)
  })
})

describe('the bound on keys', () => {
  it('holds over all policies, with as little room as one key', () => {
    for (const memoryMaxKeys of [1, 2, 7, 100]) {
      const { clock, store } = open({ memoryMaxKeys })
      const sets = [setOf('2/m'), setOf('2/h', { algorithm: 'fixed_window' }), setOf('2/s, 5/m', { algorithm: 'token_bucket' })]
      for (let i = 0; i < 1000; i++) {
        takes(store, sets[i % 3]!, `k${i}`)
        expect(store.size).toBeLessThanOrEqual(memoryMaxKeys)
        if (i % 50 === 0) clock.advance(20_000)
      }
    }
  })

  it('lets no flood reset the flooder', () => {
    for (const defaults of [
      {},
      exact,
      { algorithm: 'fixed_window' },
      { algorithm: 'token_bucket' },
      { algorithm: 'gcra' },
    ] as const) {
      const { clock, store } = open({ memoryMaxKeys: 500 })
      const set = setOf('5/h', defaults)
      exhaust(store, set, 'A')
      for (let i = 0; i < 20 * 500; i++) {
        takes(store, set, `fresh ${i}`)
        if (i % 1000 === 0) expect(takes(store, set, 'A')).toBe(false)
      }
      expect(store.size).toBe(500)
      clock.advance(1000)
      expect(store.take(set, 'A', 1, 'take')).toMatchObject({ granted: false, source: 'primary' })
    }
  })

  it('limits whoever comes while it is full, and says that the counter is shared', () => {
    const { store } = open({ memoryMaxKeys: 10 })
    const set = setOf('5/h')
    for (let i = 0; i < 10; i++) takes(store, set, `k${i}`)
    expect(store.take(set, 'B', 1, 'take').source).toBe('shared')
    expect(1 + exhaust(store, set, 'B')).toBeLessThanOrEqual(5)
    for (let i = 0; i < 10_000; i++) takes(store, set, `more ${i}`)
    for (let i = 0; i < 50; i++) expect(exhaust(store, set, `late ${i}`)).toBe(0)
    // All of them together got no more than what the shared counters hold.
    expect(store.size).toBe(10)
  })

  it('gives a key that finds room again no fresh quota', () => {
    const { clock, store } = open({ memoryMaxKeys: 10 })
    const set = setOf('5/h', exact)
    for (let i = 0; i < 10; i++) takes(store, set, `k${i}`)
    clock.advance(1_800_000)
    expect(exhaust(store, set, 'B')).toBe(5)
    // The first ten are over now, but what B consumed is not.
    clock.advance(1_800_000)
    expect(store.take(set, 'B', 1, 'take')).toMatchObject({ granted: false, source: 'primary' })
    clock.advance(1_799_999)
    expect(takes(store, set, 'B')).toBe(false)
    clock.advance(1)
    expect(takes(store, set, 'B')).toBe(true)
  })

  it.each([
    ['sliding_window', exact],
    ['sliding_window', {}],
    ['fixed_window', { algorithm: 'fixed_window', algorithmConfig: { align: 'first' } }],
    ['token_bucket', { algorithm: 'token_bucket' }],
  ] as const)('%s: no key ever gets more than its limit, however the crowd comes and goes', (algorithm, defaults) => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed)
      const { clock, store } = open({ memoryMaxKeys: random.whole(1, 12) })
      const set = setOf('3/1s', defaults)
      const grants = new Map<string, number[]>()
      const keys = random.whole(2, 40)
      for (let i = 0; i < 800; i++) {
        const key = `k${Math.floor(random.fraction() ** 3 * keys)}`
        if (takes(store, set, key)) grants.set(key, [...(grants.get(key) ?? []), clock.now()])
        if (random.whole(0, 3) === 0) clock.advance(random.whole(1, 400))
        if (random.whole(0, 40) === 0) store.sweep()
      }
      for (const [key, times] of grants) {
        for (const [i, at] of times.entries()) {
          const within = times.filter((other) => other >= at && other < at + 1000).length
          expect(within, `seed ${seed}, ${key}`).toBeLessThanOrEqual(algorithm === 'sliding_window' ? 3 : 6)
          // A bucket: burst + rate × T between any two grants.
          if (algorithm === 'token_bucket')
            times.slice(i).forEach((other, n) => expect(n + 1).toBeLessThanOrEqual(3 + (3 * (other - at)) / 1000))
        }
      }
    }
  })

  it('gives back nothing from a shared counter to a key that has no decision to show', () => {
    const { store } = open({ memoryMaxKeys: 1 })
    const set = setOf('5/h')
    takes(store, set, 'first')
    exhaust(store, set, 'B')
    for (let i = 0; i < 1000; i++) store.take(set, `never seen ${i}`, 5, 'refund')
    expect(takes(store, set, 'B')).toBe(false)
    store.take(set, 'B', 1, 'refund', START)
    expect(takes(store, set, 'B')).toBe(true)
  })

  it('does not keep bans from being set and lifted, up to the same bound', () => {
    const { store } = open({ memoryMaxKeys: 3 })
    const set = setOf('5/h')
    const terms = { durationMs: 1000, factor: 1, maxMs: 1000, forgetAfterMs: 0 }
    for (let i = 0; i < 10; i++) takes(store, set, `k${i}`)
    for (let i = 0; i < 3; i++) store.ban(set, `b${i}`, terms)
    expect(() => store.ban(set, 'b3', terms)).toThrow(StoreError)
    expect(store.take(set, 'b0', 1, 'take')).toMatchObject({ granted: false, bannedForMs: 1000 })
    store.unban(set, 'b0')
    store.ban(set, 'b3', terms)
    expect(store.take(set, 'b3', 1, 'take').bannedForMs).toBe(1000)
  })
})

describe('the bound on bytes', () => {
  it('holds where single milliseconds are counted, and the limit with it', () => {
    const { clock, store } = open({ memoryMaxBytes: 65_536 })
    const set = setOf('3000/1h', exact)
    const granted = new Map<string, number>()
    for (let ms = 0; ms < 4000; ms++) {
      for (const key of ['a', 'b', 'c']) if (takes(store, set, key)) granted.set(key, (granted.get(key) ?? 0) + 1)
      clock.advance(1)
      // One chunk of entries may be under way.
      if (ms % 100 === 0) expect(store.bytes).toBeLessThanOrEqual(65_536 + 12_288)
    }
    expect([...granted.values()]).toEqual([3000, 3000, 3000])
    // What was merged counts longer, never shorter.
    clock.advance(3_600_000 - 4001)
    expect([takes(store, set, 'a'), takes(store, set, 'b')]).toEqual([false, false])
  })

  it('makes new keys share when the table cannot grow', () => {
    const { store } = open({ memoryMaxBytes: 65_536, memoryMaxKeys: 1_000_000 })
    const set = setOf('5/h')
    for (let i = 0; i < 20_000; i++) takes(store, set, `k${i}`)
    // The shared counters come on top.
    expect(store.bytes).toBeLessThanOrEqual(65_536 + 64 * 4 * 8)
    expect(store.size).toBeGreaterThan(500)
    expect(store.take(set, 'late', 1, 'take').source).toBe('shared')
  })

  it('holds for shared counters too', () => {
    const { clock, store } = open({ memoryMaxBytes: 131_072, memoryMaxKeys: 1 })
    const set = setOf('2000/1h', exact)
    for (let ms = 0; ms < 2000; ms++) {
      for (let key = 0; key < 20; key++) takes(store, set, `k${key}`)
      clock.advance(1)
    }
    expect(store.bytes).toBeLessThanOrEqual(131_072 + 12_288 + 64 * 4 * 8)
    clock.advance(7_200_000)
    store.sweep()
    expect(store.bytes).toBeLessThan(2000)
  })

  it('is not reached by one key that is hit a million times', () => {
    const { clock, store } = open()
    const set = setOf('1000/h', exact)
    for (let i = 0; i < 1_000_000; i++) {
      if (i % 4 === 0) clock.advance(1)
      takes(store, set, 'k')
    }
    expect(store.bytes).toBeLessThan(40_000)
    expect(store.size).toBe(1)
  })
})

describe('keys', () => {
  it('keep apart through growing, shrinking and expiry, as a plain map would', () => {
    const { clock, store } = open({ memoryMaxKeys: 1_000_000 })
    const set = setOf('1/10s', { algorithm: 'fixed_window', algorithmConfig: { align: 'first' } })
    const model = new Map<string, number>()
    const random = seededRandom(7)
    let wrong = 0
    for (let wave = 0; wave < 6; wave++) {
      const crowd = [30_000, 100, 5000, 40_000, 10, 20_000][wave]!
      for (let i = 0; i < 40_000; i++) {
        const key = `k${random.whole(0, crowd)}`
        const free = clock.now() >= (model.get(key) ?? -Infinity) + 10_000
        if (free) model.set(key, clock.now())
        if (takes(store, set, key) !== free) wrong++
        if (i % 16 === 0) clock.advance(random.whole(0, 8))
      }
      if (wave % 2 === 0) store.sweep()
    }
    expect(wrong).toBe(0)
  })

  it('keep apart over many sets in turn, some of them one scope, whatever is met again, reset, swept or crowded out', () => {
    const { clock, store } = open({ memoryMaxKeys: 100_000 })
    const reference = referenceStore(clock)
    const random = seededRandom(23)
    const sets = [
      setOf('5/10s', { algorithm: 'fixed_window' }, 'a'),
      // The same counters as the first, asked with other limits.
      setOf('9/10s', { algorithm: 'fixed_window' }, 'a'),
      setOf('5/10s', { algorithm: 'token_bucket' }, 'a'),
      setOf('5/10s', { algorithm: 'sliding_window' }, 'b'),
      setOf('5/10s', { algorithm: 'sliding_window' }, 'a'),
      setOf('4/10s, 20/m', { algorithm: 'gcra', algorithmConfig: { burst: 4 } }, 'c'),
    ]
    // A few keys that come all the time, among a crowd that looks like them and comes but once.
    const busy = Array.from({ length: 12 }, (_, i) => `client:${i}:busy`)
    for (let i = 0; i < 60_000; i++) {
      const set = sets[random.whole(0, sets.length - 1)]!
      const key = random.whole(0, 2) === 0 ? `client:${i}:once` : busy[random.whole(0, busy.length - 1)]!
      // Every other time it is another string of the same text.
      const same = i % 2 === 0 ? key : `.${key}`.slice(1)
      if (random.whole(0, 200) === 0) {
        store.reset(set, same)
        reference.reset(set, key)
      }
      const mode = (['take', 'take', 'take', 'peek', 'refund'] as const)[random.whole(0, 4)]!
      const own = store.take(set, same, 1, mode)
      const { granted, now } = own
      const readings = set.limits.map((limit, n) =>
        Array.from(own.readings).slice(n * 4, n * 4 + (limit.kind === 'bucket' ? 2 : 4)),
      )
      const theirs = reference.take(set, key, 1, mode)
      const expected = set.limits.map((limit, n) =>
        Array.from(theirs.readings).slice(n * 4, n * 4 + (limit.kind === 'bucket' ? 2 : 4)),
      )
      expect([granted, now, readings]).toEqual([theirs.granted, theirs.now, expected])
      if (random.whole(0, 9) === 0) clock.advance(random.whole(0, 900))
      if (i % 20_000 === 19_999) store.sweep()
    }
  })

  it('are asked of a closed store in vain, also by the set that was asked last', () => {
    const { store } = open()
    const set = setOf('1/m')
    takes(store, set, 'k')
    store.close()
    expect(() => takes(store, set, 'k')).toThrow(StoreError)
  })

  it('may be any text, of any length', () => {
    const { store } = open()
    const set = setOf('1/m')
    const keys = [
      '__proto__',
      'constructor',
      '\u0000',
      '\u0000\u0000',
      '\ud800',
      '\udfff',
      'x'.repeat(1_000_000),
      `${'x'.repeat(999_999)}y`,
      ' ',
      '',
    ]
    expect(keys.map((key) => takes(store, set, key))).toEqual(keys.map(() => true))
    expect(keys.map((key) => takes(store, set, key))).toEqual(keys.map(() => false))
    expect(store.size).toBe(keys.length)
  })

  it('are not kept as text: a megabyte of key costs no more than a letter', () => {
    const { store } = open()
    const set = setOf('1/m')
    takes(store, set, 'a')
    const { bytes } = store
    takes(store, set, 'x'.repeat(1_000_000))
    expect(store.bytes).toBe(bytes)
  })
})

describe('expiry', () => {
  it('gives the memory back', () => {
    const { clock, store } = open({ memoryMaxKeys: 100_000 })
    const sets = [
      setOf('2/m', exact),
      setOf('5/m', { algorithm: 'token_bucket' }),
      setOf('5/s, 9/m', { algorithm: 'fixed_window' }),
    ]
    for (let i = 0; i < 20_000; i++) for (const set of sets) for (let n = 0; n < 2; n++) takes(store, set, `k${i}`)
    expect(store.size).toBe(60_000)
    expect(store.bytes).toBeGreaterThan(1_000_000)
    clock.advance(120_000)
    expect(store.sweep()).toBe(60_000)
    expect(store.size).toBe(0)
    expect(store.bytes).toBeLessThan(2000)
  })

  it('gives back what one key with a long log held', () => {
    const { clock, store } = open()
    const set = setOf('100000/m', exact)
    for (let i = 0; i < 50_000; i++) {
      takes(store, set, 'k')
      clock.advance(1)
    }
    expect(store.bytes).toBeGreaterThan(500_000)
    clock.advance(60_000)
    store.sweep()
    expect(store.bytes).toBeLessThan(2000)
  })

  it('sweeps everything when told to, whatever was swept before', () => {
    const { clock, store } = open({ memoryMaxKeys: 1000 })
    const set = setOf('5/m')
    // Past the bound each new key sweeps a few slots, and leaves the sweep in the middle of the table.
    for (let i = 0; i < 1010; i++) takes(store, set, `k${i}`)
    clock.advance(120_000)
    expect(store.sweep()).toBe(1000)
    expect(store.size).toBe(0)
  })

  it('makes room by itself where there is only traffic', () => {
    const { clock, store } = open({ memoryMaxKeys: 1000 })
    // Not the first scope of the process: the sweep must find its table all the same.
    setOf('5/m')
    const set = setOf('5/m')
    for (let i = 0; i < 1000; i++) takes(store, set, `k${i}`)
    clock.advance(120_000)
    const sources = Array.from({ length: 3000 }, (_, i) => store.take(set, `new ${i}`, 1, 'take').source)
    expect(sources.slice(0, 100)).toEqual(Array.from({ length: 100 }, () => 'primary'))
    expect(store.size).toBe(1000)
  })

  it('waits for bans: a banned key is not forgotten, a forgotten one is not banned', () => {
    const { clock, store } = open()
    const set = setOf('5/s')
    store.ban(set, 'k', { durationMs: 60_000, factor: 1, maxMs: 60_000, forgetAfterMs: 0 })
    clock.advance(59_999)
    store.sweep()
    expect(store.take(set, 'k', 1, 'take').bannedForMs).toBe(1)
    clock.advance(1)
    store.sweep()
    expect(store.take(set, 'k', 1, 'take').granted).toBe(true)
  })

  it('of long periods is exact: thirty days, a year, ten years', () => {
    for (const days of [30, 365, 3660]) {
      const { clock, store } = open()
      const set = setOf(`1/${days}d`, { algorithm: 'fixed_window', algorithmConfig: { align: 'first' } })
      takes(store, set, 'k')
      clock.advance(days * 86_400_000 - 1)
      store.sweep()
      expect(takes(store, set, 'k')).toBe(false)
      clock.advance(1)
      expect(takes(store, set, 'k')).toBe(true)
    }
  })
})

describe('the background sweep', () => {
  afterEach(() => void vi.useRealTimers())

  it('is one timer, however many keys and hits, and ends when nothing is held', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] })
    const { clock, store } = open({ sweepIntervalMs: 1000 })
    const sets = [setOf('5/s'), setOf('5/m', { algorithm: 'fixed_window' })]
    expect(vi.getTimerCount()).toBe(0)
    for (let i = 0; i < 3000; i++) for (const set of sets) takes(store, set, `k${i % 1000}`)
    store.ban(sets[0]!, 'b', { durationMs: 1000, factor: 1, maxMs: 1000, forgetAfterMs: 0 })
    expect(vi.getTimerCount()).toBe(1)
    clock.advance(120_000)
    vi.advanceTimersByTime(20_000)
    expect([store.size, vi.getTimerCount()]).toEqual([0, 0])
    expect(store.bytes).toBeLessThan(2000)
    takes(store, sets[0]!, 'k')
    expect(vi.getTimerCount()).toBe(1)
    store.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('changes no decision, whenever it comes', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const call = fc.record({ key: fc.constantFrom('a', 'b', 'c'), afterMs: fc.oneof(fc.nat(5), fc.nat(3000)), ticks: fc.nat(2) })
    const policy = fc.constantFrom<[RateInput, LimitDefaults]>(
      ['3/s', {}],
      ['3/s', exact],
      ['3/s, 5/2s', { algorithm: 'fixed_window' }],
      ['3/s', { algorithm: 'token_bucket' }],
      ['4/s', { algorithm: 'token_bucket', algorithmConfig: { bucketSize: 4, initialTokens: 1 } }],
    )
    fc.assert(
      fc.property(policy, fc.array(call, { maxLength: 60 }), ([rate, defaults], calls) => {
        const played = [false, true].map((sweeps) => {
          const { clock, store } = open(sweeps ? { sweepIntervalMs: 10 } : {})
          const set = setOf(rate, defaults)
          const answers = calls.map(({ key, afterMs, ticks }) => {
            clock.advance(afterMs)
            if (sweeps) vi.advanceTimersByTime(10 * ticks)
            const { granted, readings } = store.take(set, key, 1, 'take')
            return { granted, readings: Array.from(readings).slice(0, 8), states: store.read(set, key) }
          })
          store.close()
          return answers
        })
        expect(played[0]).toEqual(played[1])
      }),
      { numRuns: 100 },
    )
  })

  it('does not keep a process alive, nor does the store', () => {
    const printed = inChild(`
      const { createLimiter } = await import(source + 'limiter/create-limiter.ts')
      const limiters = Array.from({ length: 100 }, () => createLimiter({ rate: '5/h', penalty: { durationMs: 60000 } }))
      for (const limiter of limiters) for (let i = 0; i < 10; i++) limiter.check('k' + (i % 2))
      console.log('done')`)
    expect(printed).toBe('done\n')
  })
})

describe('a closed store', () => {
  it('holds nothing, has no timer and says so when asked', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const { store } = open({ sweepIntervalMs: 1000 })
      const set = setOf('5/h')
      const terms = { durationMs: 1000, factor: 1, maxMs: 1000, forgetAfterMs: 0 }
      store.ping()
      takes(store, set, 'k')
      store.ban(set, 'k', terms)
      store.close()
      store.close()
      expect([store.size, store.bytes, vi.getTimerCount(), store.sweep(), store.read(set, 'k')]).toEqual([0, 0, 0, 0, undefined])
      for (const call of [
        () => takes(store, set, 'k'),
        () => store.take(set, 'k', 1, 'peek'),
        () => store.ban(set, 'k', terms),
        () => store.ping(),
      ]) {
        expect(call).toThrow(expect.objectContaining({ code: 'ERR_RATELIMIT_STORE_CLOSED', store: 'memory' }))
      }
      store.reset(set, 'k')
      store.unban(set, 'k')
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('reset and size', () => {
  it('count the keys that are there, whatever is done with them', () => {
    const sets = [setOf('2/s'), setOf('2/m', { algorithm: 'fixed_window' })]
    const action = fc.record({
      what: fc.constantFrom('take', 'take', 'take', 'peek', 'refund', 'reset', 'sweep', 'wait'),
      key: fc.nat(30),
      set: fc.nat(1),
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 150 }), (actions) => {
        const { clock, store } = open()
        for (const { what, key, set: which } of actions) {
          const set = sets[which] as LimitSet
          if (what === 'wait') clock.advance(700)
          else if (what === 'sweep') store.sweep()
          else if (what === 'reset') {
            store.reset(set, `k${key}`)
            expect(store.read(set, `k${key}`)).toBeUndefined()
          } else store.take(set, `k${key}`, 1, what as 'take')
        }
        store.sweep()
        const held = sets
          .flatMap((set) => Array.from({ length: 31 }, (_, i) => store.read(set, `k${i}`)))
          .filter((states) => states !== undefined)
        expect(store.size).toBe(held.length)
        clock.advance(120_000)
        store.sweep()
        expect(store.size).toBe(0)
      }),
      { numRuns: 100 },
    )
  })
})

describe('counts beyond 32 bits', () => {
  it('are exact in a sliding window', () => {
    const { clock, store } = open()
    const set = setOf('30000000000/1s', exact)
    expect(takes(store, set, 'k', 20_000_000_000)).toBe(true)
    clock.advance(500)
    expect(takes(store, set, 'k', 10_000_000_000)).toBe(true)
    expect(takes(store, set, 'k')).toBe(false)
    expect(store.read(set, 'k')).toEqual([[START, 20_000_000_000, START + 500, 10_000_000_000]])
    store.take(set, 'k', 15_000_000_001, 'refund', START)
    expect(store.read(set, 'k')).toEqual([[START, 4_999_999_999, START + 500, 10_000_000_000]])
    clock.advance(500)
    expect(store.read(set, 'k')).toEqual([[START + 500, 10_000_000_000]])
    expect(takes(store, set, 'k', 20_000_000_000)).toBe(true)
    expect(takes(store, set, 'k')).toBe(false)
  })
})

it('gives the memory of expired keys back to the process, not only in its own count', () => {
  const clock = manualClock(1_700_000_000_000)
  const set = buildLimitSet('given back', '10/m', { algorithm: 'fixed_window' })
  const held = (): number => {
    globalThis.gc?.()
    globalThis.gc?.()
    return process.memoryUsage().arrayBuffers
  }
  const before = held()
  const store = memoryStore({ clock, memoryMaxKeys: 300_000, sweepIntervalMs: false })
  for (let i = 0; i < 200_000; i++) store.take(set, `key ${i}`, 1, 'take')
  expect(held() - before).toBeGreaterThan(4_000_000)
  clock.advance(120_000)
  // One key goes on being asked for; it must not keep the slots that the others left.
  store.take(set, 'key 1', 1, 'take')
  store.sweep()
  for (let i = 0; i < 3; i++) store.take(set, 'key 1', 1, 'take')
  expect(held() - before).toBeLessThan(1_000_000)
  store.close()
})
