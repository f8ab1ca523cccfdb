import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../core/errors.ts'
import { systemScheduler } from '../../core/scheduler.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { type FailoverOptions, type NamedStore, checkMembers, failoverSettings } from './options.ts'

function errorOf(call: () => unknown): ConfigError {
  try {
    call()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  return expect.fail('no error')
}

const wrong = (options: unknown): ConfigError => errorOf(() => failoverSettings(options as FailoverOptions, 'multiStore'))

describe('options of stores that are watched', () => {
  it('all have a default', () => {
    const { onStoreEvent, ...settings } = failoverSettings({}, 'x')
    expect(settings).toEqual({
      deadlineMs: 100,
      healthCheckIntervalMs: 1000,
      healthCheckTimeoutMs: 100,
      breaker: {
        failureThreshold: 5,
        failureRatio: 0.5,
        slowMs: 80,
        backoffMs: 250,
        maxBackoffMs: 500,
        successThreshold: 2,
        rampMs: 1000,
      },
      expectedInstances: undefined,
      rememberedKeys: 10_000,
      copyIntervalMs: 250,
      scheduler: systemScheduler,
      random: Math.random,
    })
    expect(onStoreEvent({ kind: 'up', store: 'a' })).toBeUndefined()
  })

  it('that are undefined are those that are left out', () => {
    const all = { deadlineMs: undefined, circuitBreaker: undefined, expectedInstances: undefined, copyIntervalMs: undefined }
    expect(failoverSettings(all as unknown as FailoverOptions, 'x').deadlineMs).toBe(100)
  })

  it('depend on each other where one has nothing to say', () => {
    expect(failoverSettings({ deadlineMs: 1000 }, 'x')).toMatchObject({ healthCheckTimeoutMs: 1000, breaker: { slowMs: 800 } })
    expect(failoverSettings({ deadlineMs: 1 }, 'x')).toMatchObject({ healthCheckTimeoutMs: 100, breaker: { slowMs: 1 } })
    expect(failoverSettings({ healthCheckIntervalMs: 10 }, 'x').breaker).toMatchObject({ backoffMs: 5, maxBackoffMs: 5 })
    expect(failoverSettings({ circuitBreaker: { backoffMs: 5000 } }, 'x').breaker).toMatchObject({ maxBackoffMs: 5000 })
  })

  it('are taken as they are given', () => {
    const scheduler = { now: () => 0, after: () => () => {} }
    const random = (): number => 0
    const onStoreEvent = (): void => {}
    const breaker = {
      failureThreshold: 1,
      failureRatio: 1,
      slowMs: 7,
      backoffMs: 8,
      maxBackoffMs: 9,
      successThreshold: 1,
      rampMs: 0,
    }
    const given = {
      deadlineMs: 50,
      healthCheckIntervalMs: 20,
      healthCheckTimeoutMs: 30,
      expectedInstances: 4,
      rememberedKeys: 0,
      scheduler,
      random,
      onStoreEvent,
    }
    expect(failoverSettings({ ...given, circuitBreaker: breaker, copyIntervalMs: false }, 'x')).toEqual({
      ...given,
      breaker,
      copyIntervalMs: undefined,
    })
  })

  it.each([undefined, null, [], 'x', 1])('%j is none', (options) => {
    expect(wrong(options ?? null).option).toBe('multiStore')
  })

  const RANGES: Readonly<Record<string, readonly [number, number]>> = {
    deadlineMs: [1, 600_000],
    healthCheckIntervalMs: [10, 3_600_000],
    healthCheckTimeoutMs: [1, 3_600_000],
    expectedInstances: [1, 100_000],
    rememberedKeys: [0, 10_000_000],
    copyIntervalMs: [10, 3_600_000],
    'circuitBreaker.failureThreshold': [1, 1_000_000],
    'circuitBreaker.slowMs': [1, 3_600_000],
    'circuitBreaker.backoffMs': [1, 3_600_000],
    'circuitBreaker.maxBackoffMs': [250, 3_600_000],
    'circuitBreaker.successThreshold': [1, 1000],
    'circuitBreaker.rampMs': [0, 3_600_000],
  }
  const at = (path: string, value: unknown): unknown =>
    path.startsWith('circuitBreaker.') ? { circuitBreaker: { [path.slice(15)]: value } } : { [path]: value }

  it.each(Object.entries(RANGES))('%s is a whole number in its range', (path, [least, most]) => {
    for (const value of [least, most]) expect(() => failoverSettings(at(path, value) as FailoverOptions, 'x')).not.toThrow()
    for (const value of [least - 1, most + 1, least + 0.5, Number.NaN, Infinity, '100', null, true, {}]) {
      const error = wrong(at(path, value))
      expect([error.option, error.message]).toEqual([
        `multiStore.${path}`,
        expect.stringContaining(`a whole number from ${least} to ${most}, received`),
      ])
    }
  })

  it.each([0, -0.1, 1.1, Number.NaN, '0.5', null])('circuitBreaker.failureRatio is none of %j', (failureRatio) => {
    expect(wrong({ circuitBreaker: { failureRatio } }).option).toBe('multiStore.circuitBreaker.failureRatio')
  })

  it.each([
    ['onStoreEvent', 'log'],
    ['random', 0.5],
    ['scheduler', {}],
    ['scheduler', null],
    ['scheduler', { now: Date.now }],
    ['circuitBreaker', null],
    ['circuitBreaker', []],
    ['circuitBreaker', true],
  ])('%s is not %j', (name, value) => {
    expect(wrong({ [name]: value }).option).toBe(`multiStore.${name}`)
  })

  it('have no other names', () => {
    expect(wrong({ deadlineMS: 100 }).message).toMatch(/^multiStore\.deadlineMS: expected one of deadlineMs, /)
    expect(wrong({ circuitBreaker: { recoveryTimeout: 60 } }).message).toMatch(
      /^multiStore\.circuitBreaker\.recoveryTimeout: expected one of failureThreshold, /,
    )
  })

  it('leave to the caller what is its own', () => {
    expect(() => failoverSettings({ strategy: 'x' } as FailoverOptions, 'x', ['strategy'])).not.toThrow()
    expect(() => failoverSettings({ strategy: 'x' } as FailoverOptions, 'x')).toThrow('x.strategy')
  })
})

describe('the list of stores', () => {
  const store = memoryStore()
  const wrongList = (members: unknown): string => errorOf(() => checkMembers(members as NamedStore[], 'stores')).message

  it.each([undefined, null, {}, 'redis', []])('%j is none', (members) => {
    expect(wrongList(members)).toMatch(/^stores: expected a list of \{ name, store \}/)
  })

  it.each([null, undefined, 'redis', 7, []])('has no %j in it', (member) => {
    expect(wrongList([{ name: 'a', store }, member])).toMatch(/^stores\[1\]: expected an object/)
  })

  it.each([undefined, null, '', 'two words', 'a/b', 'ä', 'a'.repeat(65), 7])('has no store of the name %j', (name) => {
    expect(wrongList([{ name, store }])).toMatch(/^stores\[0\]\.name: expected 1 to 64 letters/)
  })

  it('has no name twice, and none that differs by its entry alone', () => {
    const again = [
      { name: 'a', store },
      { name: 'b', store },
      { name: 'a', store },
    ]
    expect(wrongList(again)).toBe('stores[2].name: expected a name of its own, received "a"')
    expect(() => checkMembers([...again.slice(0, 2), { name: 'A', store }], 'stores')).not.toThrow()
  })

  it.each([undefined, null, {}, 'redis://localhost', memoryStore])('has no %s for a store', (none) => {
    expect(wrongList([{ name: 'a', store: none }])).toMatch(/^stores\[0\]\.store: expected a store, such as memoryStore\(\)/)
  })

  it('has entries of no other names', () => {
    expect(wrongList([{ name: 'a', store, weight: 2 }])).toMatch(/^stores\[0\]\.weight: expected one of name, store/)
  })

  it('shows no secret of an address that was given for a store', () => {
    expect(wrongList([{ name: 'a', store: { url: 'redis://:s3cr3t@:/?#@host' } }])).not.toContain('s3cr3t')
    expect(wrongList([{ name: 'a', store: 'redis://:s3cr3t@:/?#@host' }])).not.toContain('s3cr3t')
    expect(wrongList('redis://:s3cr3t@:/?#@host')).not.toContain('s3cr3t')
  })
})
