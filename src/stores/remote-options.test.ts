import { describe, expect, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import { REMOTE_OPTIONS, type RemoteOptions, remoteSettings } from './remote-options.ts'

function settings(options: unknown): ReturnType<typeof remoteSettings> {
  return remoteSettings(options as RemoteOptions, 'xStore.options', ['own'], 'x')
}

describe('the options of every store behind a connection', () => {
  it('have defaults', () => {
    expect(settings({})).toEqual({
      deadlineMs: 100,
      batchSize: 256,
      maxWaiting: 10_000,
      rememberRefusalsMs: 1000,
      keyPrefix: 'ratelimit:',
      name: 'x',
      clock: undefined,
    })
  })

  it('are all read', () => {
    const clock = manualClock(5)
    const all = { deadlineMs: 1, batchSize: 2, maxWaiting: 3, rememberRefusalsMs: 4, keyPrefix: '', name: 'mine too', clock }
    expect(Object.keys(all).toSorted()).toEqual(REMOTE_OPTIONS.toSorted())
    expect(settings({ ...all, own: 'not read here' })).toEqual(all)
  })

  it.each([
    [{ rememberRefusalsMs: false }, 0],
    [{ rememberRefusalsMs: 0 }, 0],
    [{ rememberRefusalsMs: 60_000 }, 60_000],
    [{ rememberRefusalsMs: undefined }, 1000],
  ])('%j remembers for %i ms', (options, ms) => {
    expect(settings(options).rememberRefusalsMs).toBe(ms)
  })

  it.each([
    [{ deadlineMs: 0 }, 'deadlineMs: expected a whole number from 1 to 600000, received 0'],
    [{ deadlineMs: 1.5 }, 'deadlineMs: expected'],
    [{ deadlineMs: '100' }, 'deadlineMs: expected'],
    [{ deadlineMs: NaN }, 'deadlineMs: expected'],
    [{ batchSize: 1001 }, 'batchSize: expected a whole number from 1 to 1000'],
    [{ maxWaiting: -1 }, 'maxWaiting: expected'],
    [{ rememberRefusalsMs: true }, 'rememberRefusalsMs: expected'],
    [{ keyPrefix: 'a b' }, 'keyPrefix: expected at most 64 printable ASCII characters without blanks, received "a b"'],
    [{ keyPrefix: 'é' }, 'keyPrefix: expected'],
    [{ keyPrefix: 'x'.repeat(65) }, 'keyPrefix: expected'],
    [{ keyPrefix: 5 }, 'keyPrefix: expected'],
    [{ name: '' }, 'name: expected 1 to 64 printable ASCII characters'],
    [{ name: 'a\nb' }, 'name: expected'],
    [{ clock: {} }, 'clock: expected a clock { now() }, received an object'],
    [{ deadline: 100 }, 'deadline: expected one of own, deadlineMs, batchSize, '],
  ])('refuse %j', (options, message) => {
    expect(() => settings(options)).toThrow(ConfigError)
    expect(() => settings(options)).toThrow(`xStore.options.${message}`)
  })

  it.each([null, 'redis://h', [], 5])('are an object and not %j', (options) => {
    expect(() => settings(options)).toThrow(/^xStore\.options: expected an object/)
  })
})
