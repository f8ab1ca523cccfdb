import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createLimiter } from '../limiter/create-limiter.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import type { AsyncStore } from '../stores/store.ts'
import { manualClock } from './clock.ts'
import { Decision } from './decision.ts'
import type { DecisionMessage } from './channels.ts'
import type { BanEvent, DecisionContext, Observer } from './observer.ts'
import { addObserver, isWatched, storeChanged, warningFound } from './watching.ts'

const disposers: (() => void)[] = []
function watch(observer: Observer): () => void {
  const dispose = addObserver(observer)
  disposers.push(dispose)
  return dispose
}
function listen(name: string): unknown[] {
  const heard: unknown[] = []
  const hear = (message: unknown): void => void heard.push(message)
  subscribe(`smart-ratelimit:${name}`, hear)
  disposers.push(() => unsubscribe(`smart-ratelimit:${name}`, hear))
  return heard
}
afterEach(() => {
  for (const dispose of disposers.splice(0)) dispose()
})

/** The memory store, answering a turn later. */
function later(): AsyncStore {
  const store = memoryStore({ sweepIntervalMs: false })
  return {
    name: 'later',
    sync: false,
    take: async (...question) => ({
      ...store.take(...question),
      readings: store.take(question[0], question[1], question[2], 'peek').readings,
    }),
    reset: async (...of) => store.reset(...of),
    ban: async (...of) => store.ban(...of),
    unban: async (...of) => store.unban(...of),
    read: async (...of) => store.read(...of),
    ping: async () => store.ping(),
    sweep: async () => store.sweep(),
    close: async () => store.close(),
  }
}

describe('an observer of the process', () => {
  it('hears of limiters that were there before it, and of none any more once it is gone', () => {
    const limiter = createLimiter({ rate: '2/m', name: 'early' })
    limiter.check('before')
    const heard: [string, string | undefined, DecisionContext][] = []
    const dispose = watch({ onDecision: ({ kind }, key, context) => void heard.push([kind, key, context]) })
    expect(isWatched()).toBe(true)
    limiter.check('k')
    expect(heard).toEqual([
      ['granted', 'k', { request: undefined, shadow: false, store: limiter.store, tookMs: expect.any(Number) as number }],
    ])
    dispose()
    dispose()
    expect(isWatched()).toBe(false)
    limiter.check('after')
    expect(heard).toHaveLength(1)
  })

  it('hears once, though it is also among the limiter’s own', () => {
    const onDecision = vi.fn()
    const observer = { onDecision }
    const limiter = createLimiter({ rate: '2/m', observers: [observer] })
    watch(observer)
    watch({})
    limiter.check('k')
    expect(onDecision).toHaveBeenCalledTimes(1)
  })

  it('may end another, and itself, while it is told', () => {
    const second = vi.fn()
    const disposes: (() => void)[] = []
    watch({ onDecision: () => disposes.forEach((dispose) => dispose()) })
    disposes.push(watch({ onDecision: second }))
    const limiter = createLimiter({ rate: '9/m' })
    limiter.check('k')
    limiter.check('k')
    expect(second).toHaveBeenCalledTimes(1)
  })

  it('that throws breaks nothing, is reported to all, and keeps nobody from hearing', async () => {
    const errors: unknown[] = []
    const reached = vi.fn()
    const fail = (): never => {
      throw new Error('exporter')
    }
    const broken: Observer = {
      onDecision: fail,
      onRefused: fail,
      onBan: fail,
      onUnban: fail,
      onStoreEvent: fail,
      onWarning: fail,
      onError: fail,
    }
    watch(broken)
    watch({
      onDecision: reached,
      onBan: reached,
      onUnban: reached,
      onStoreEvent: reached,
      onWarning: reached,
      onError: (error, where) => void errors.push([where, (error as Error).message]),
    })
    // Warnings that other tests have found were told at once.
    reached.mockClear()
    errors.length = 0
    for (const limiter of [createLimiter({ rate: '1/m' }), createLimiter({ rate: '1/m', store: later() })]) {
      expect((await limiter.check('k')).allowed).toBe(true)
      expect((await limiter.check('k')).allowed).toBe(false)
      await limiter.ban('k', 1000)
      await limiter.unban('k')
    }
    storeChanged({ kind: 'down', store: 's' })
    warningFound('a warning for a test that throws')
    expect(reached).toHaveBeenCalledTimes(10)
    expect(errors).toEqual(Array.from({ length: 10 }, () => ['observer', 'exporter']))
  })

  it('hears of refusals and of what a shadow would refuse, each by its own name too', () => {
    const heard: string[] = []
    watch({
      onDecision: ({ policy, kind }) => void heard.push(`${policy} ${kind}`),
      onRefused: ({ policy }) => void heard.push(`${policy} was refused`),
      onWouldBlock: ({ policy, allowed }, _key, { shadow }) => void heard.push(`${policy} would be refused ${allowed} ${shadow}`),
    })
    const limits = [createLimiter({ rate: '1/m', name: 'real' }), createLimiter({ rate: '1/m', name: 'tried', shadow: true })]
    for (const limiter of limits) for (let i = 0; i < 2; i++) limiter.check('k')
    expect(heard).toEqual([
      'real granted',
      'real refused',
      'real was refused',
      'tried granted',
      'tried refused',
      'tried would be refused true true',
    ])
  })

  it('is told how long checks take: all of a store that answers later, one in 64 of one that answers at once, or all if it asks', async () => {
    let timed = 0
    const dispose = watch({ onDecision: (_decision, _key, { tookMs }) => void (timed += tookMs === undefined ? 0 : 1) })
    const quick = createLimiter({ rate: '1000/m' })
    for (let i = 0; i < 128; i++) quick.check('k')
    expect(timed).toBe(2)
    const slow = createLimiter({ rate: '1000/m', store: later() })
    for (let i = 0; i < 5; i++) await slow.check('k')
    expect(timed).toBe(7)
    watch({ everyDuration: true })
    for (let i = 0; i < 10; i++) quick.check('k')
    expect(timed).toBe(17)
    dispose()
  })

  it('hears of bans, of their cause, and can lift them', async () => {
    const events: BanEvent[] = []
    const lifted: string[] = []
    watch({ onBan: (event) => void events.push(event), onUnban: ({ policy, key }) => void lifted.push(`${policy} ${key}`) })
    const limiter = createLimiter({
      rate: '1/m',
      name: 'login',
      penalty: { durationMs: 60_000 },
      clock: manualClock(1_700_000_000_000),
    })
    limiter.check('k')
    limiter.check('k')
    limiter.ban('other', 5000)
    expect(events.map(({ policy, key, lastsMs, cause }) => [policy, key, lastsMs, cause])).toEqual([
      ['login', 'k', 60_000, 'penalty'],
      ['login', 'other', 5000, 'call'],
    ])
    expect(limiter.peek('other').reason).toBe('ban')
    await events[1]?.lift()
    expect(limiter.peek('other').allowed).toBe(true)
    limiter.unban('k')
    limiter.reset('k')
    expect(lifted).toEqual(['login other', 'login k', 'login k'])
  })

  it('that comes late is told of the warnings there have been', () => {
    warningFound('a warning for a test that comes late')
    const heard: string[] = []
    watch({ onWarning: (message) => void heard.push(message) })
    expect(heard).toContain('a warning for a test that comes late')
  })

  it('must be one', () => {
    expect(() => addObserver(undefined as never)).toThrow(/addObserver\(observer\): expected an observer/)
  })
})

describe('diagnostics channels', () => {
  it('carry decisions, refusals and what a shadow would refuse, to who listens by then', () => {
    const limiter = createLimiter({ rate: '1/m', name: 'api' })
    limiter.check('before')
    const [decisions, refused, would] = [listen('decision'), listen('refused'), listen('would-block')] as DecisionMessage[][]
    limiter.check('k')
    limiter.check('k')
    createLimiter({ rate: '0/m', name: 'tried', shadow: true }).check('k')
    expect(decisions?.map(({ decision, key }) => [decision.policy, decision.kind, key])).toEqual([
      ['api', 'granted', 'k'],
      ['api', 'refused', 'k'],
      ['tried', 'refused', 'k'],
    ])
    expect(refused?.map(({ decision }) => decision.policy)).toEqual(['api'])
    expect(would?.map(({ decision, context }) => [decision.policy, context.shadow])).toEqual([['tried', true]])
    expect(decisions?.[0]?.decision).toBeInstanceOf(Decision)
  })

  it('wake a limiter by each of the three alone', () => {
    const limiter = createLimiter({ rate: '1/m' })
    limiter.check('k')
    const refused = listen('refused')
    limiter.check('k')
    expect(refused).toHaveLength(1)
  })

  it('carry bans, stores, warnings and errors', () => {
    const names = ['ban', 'unban', 'store', 'warning', 'error']
    const heard = names.map(listen)
    const limiter = createLimiter({
      rate: '1/m',
      skipIf: () => {
        throw new Error('app')
      },
    })
    limiter.check('k')
    limiter.ban('k', 10)
    limiter.unban('k')
    storeChanged({ kind: 'up', store: 's' })
    warningFound('a warning for a test of channels')
    expect(heard.map((messages) => messages.length)).toEqual([1, 1, 1, 1, 1])
    expect(heard[4]).toEqual([{ error: expect.objectContaining({ message: 'app' }) as Error, where: 'skipIf' }])
  })
})
