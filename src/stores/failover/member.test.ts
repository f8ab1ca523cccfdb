import { afterEach, describe, expect, it, vi } from 'vitest'
import { manualClock } from '../../core/clock.ts'
import { StoreError } from '../../core/errors.ts'
import { memoryStore } from '../memory/memory-store.ts'
import type { AsyncStore, Store, Taken } from '../store.ts'
import { SimulatedServer } from '../../../test/faults/simulated-store.ts'
import { VirtualTime } from '../../../test/faults/virtual-time.ts'
import { Member } from './member.ts'
import { failoverSettings } from './options.ts'

const START = 1_700_000_040_000

function watched(make: (time: VirtualTime, server: SimulatedServer) => Store = (_, server) => server.client('s')) {
  const time = new VirtualTime()
  const server = new SimulatedServer(time, START)
  const told: string[] = []
  const patience = { ms: 100 }
  const settings = { ...failoverSettings({ scheduler: time, random: () => 0.5 }, 'test'), writer: 'w' }
  const member = new Member('s', make(time, server), settings, {
    changed: ({ breaker }) => void told.push(breaker.state.kind),
    forgot: (_, place) => void told.push(`forgot ${place}`),
    patienceMs: () => patience.ms,
  })
  return { time, server, member, told, settings, patience }
}

afterEach(() => vi.restoreAllMocks())

describe('a member', () => {
  it('begins to probe with its first use, and goes on in an interval', async () => {
    const { time, server, member } = watched()
    await time.advance(5000)
    expect(server.calls).toBe(0)
    member.start()
    member.start()
    await time.advance(3500)
    // Each is two questions: whether it is well, and how many use it.
    expect(server.calls).toBe(8)
    member.close()
    await time.advance(5000)
    expect(server.calls).toBe(8)
  })

  it('does not probe a store that answers at once before it has failed', async () => {
    const store = memoryStore({ clock: manualClock(START) })
    const take = vi.spyOn(store, 'take')
    const { time, member } = watched(() => store)
    member.start()
    await time.advance(10_000)
    expect(take).not.toHaveBeenCalled()
    for (let i = 0; i < 5; i++) member.failed(new Error('out of order'), false, time.now())
    expect(member.breaker.state.kind).toBe('open')
    await time.advance(10_000)
    expect(member.breaker.state.kind).toBe('closed')
    const calls = take.mock.calls.length
    await time.advance(10_000)
    expect(take.mock.calls).toHaveLength(calls)
    await expect(member.suspect()).resolves.toBe(true)
  })

  it('has one probe on its way, and ends it in time', async () => {
    const { time, server, member, told } = watched()
    server.condition = 'hangs'
    member.start()
    for (let i = 0; i < 5; i++) member.failed(new Error('slow'), false, time.now())
    await time.advance(60_000)
    expect(told[0]).toBe('open')
    // Each lasts 100 ms and the wait after it grows to half a second, of which a half is by chance.
    expect(server.calls).toBeLessThan(130)
    expect(member.lastError?.message).toBe('no answer to a health check within 100 ms')
    server.condition = 'well'
    await time.advance(5000)
    expect(told).toEqual(['open', 'half_open', 'returning', 'closed'])
    member.close()
  })

  it('comes back from a store that throws what it should not', async () => {
    let mood: 'throws' | 'rejects' | 'well' = 'throws'
    const { time, member } = watched((_, server) => {
      const client = server.client('s')
      const take: AsyncStore['take'] = (...question) => {
        if (mood === 'throws') throw new TypeError('not a function')
        if (mood === 'rejects') return Promise.reject('a text') // oxlint-disable-line prefer-promise-reject-errors
        return client.take(...question)
      }
      return { ...client, take }
    })
    member.start()
    member.failed(new Error('down'), true, time.now())
    await time.advance(3000)
    expect(member.lastError?.message).toBe('not a function')
    mood = 'rejects'
    await time.advance(3000)
    expect(member.lastError?.message).toBe('a text')
    mood = 'well'
    await time.advance(5000)
    expect(member.breaker.state.kind).toBe('closed')
    member.close()
  })

  it('knows when the store has lost its memory, by its life and not by its counters', async () => {
    const { time, server, member, told } = watched()
    member.start()
    await time.advance(2500)
    expect([member.place, told]).toEqual(['0#s', []])
    server.forget()
    await time.advance(1500)
    expect([member.place, told]).toEqual(['1#s', ['forgot 0#s']])
    await time.advance(30_000)
    expect(member.life).toBe(1)
    member.close()
  })

  it('knows when the store has gone back to an earlier state, although it is still the same', async () => {
    const { time, server, member, told } = watched()
    member.start()
    const use = async (ms: number): Promise<void> => {
      for (let i = 0; i < ms; i += 250) {
        member.answered({ now: START + time.now() } as Taken, time.now(), time.now())
        await time.advance(250)
      }
    }
    await use(2500)
    const before = server.keep()
    await use(1000)
    server.restore(before)
    await use(1000)
    expect([member.place, told]).toEqual(['1#s', ['forgot 0#s']])
    await time.advance(30_000)
    expect(member.life).toBe(1)
    member.close()
  })

  it('writes with each probe, so that a store that can only be read is down', async () => {
    const { time, member } = watched((_, server) => {
      const client = server.client('s')
      const take: AsyncStore['take'] = (set, identity, cost, mode, takenAt) =>
        mode === 'peek'
          ? client.take(set, identity, cost, mode, takenAt)
          : Promise.reject(new StoreError('s', 'cannot write', { kind: 'unavailable' }))
      return { ...client, take }
    })
    member.start()
    member.failed(new Error('down'), true, time.now())
    await time.advance(60_000)
    expect(member.breaker.state.kind).toBe('open')
    expect(member.lastError?.message).toContain('cannot write')
    member.close()
  })

  it('is not written to while nobody asks it anything', async () => {
    const { time, server, member } = watched((_, own) => own.client('s'))
    member.start()
    await time.advance(10_500)
    const before = server.keep()
    await time.advance(5000)
    server.restore(before)
    await time.advance(60_000)
    expect(member.place).toBe('0#s')
    member.close()
  })

  it('does not count this process twice in a window in which it was away', async () => {
    const { time, member } = watched()
    member.start()
    await time.advance(1000)
    member.failed(new Error('lost'), true, time.now())
    await time.advance(4000)
    expect([member.breaker.state.kind, member.processes]).toEqual(['closed', 1])
    member.close()
  })

  it('is as well as before where it has only no room for more counters', async () => {
    const full = new StoreError('s', 'full', { kind: 'no_room' })
    const { time, member, told } = watched((_, server) => ({ ...server.client('s'), take: () => Promise.reject(full) }))
    member.start()
    for (let i = 0; i < 100; i++) member.failed(full, false, time.now())
    await time.advance(10_000)
    expect([member.breaker.state.kind, told]).toEqual(['closed', []])
    expect(member.lastError).toBe(full)
    expect(await time.until(member.suspect())).toBe(false)
    member.close()
  })

  it('comes back from a failure although it has had no room all the time', async () => {
    const full = new StoreError('s', 'full', { kind: 'no_room' })
    let asked = 0
    const { time, member } = watched((_, server) => ({ ...server.client('s'), take: () => (asked++, Promise.reject(full)) }))
    member.start()
    member.failed(new Error('lost'), true, time.now())
    await time.advance(5000)
    expect(member.breaker.state.kind).toBe('closed')
    expect(asked).toBeLessThan(30)
    member.close()
  })

  it('finds out at once when it is suspected, however often it is asked', async () => {
    const { time, server, member } = watched()
    member.start()
    await time.advance(100)
    server.forget()
    const { calls } = server
    const found = Promise.all(Array.from({ length: 100 }, () => member.suspect()))
    expect(new Set(await time.until(found))).toEqual(new Set([true]))
    expect(member.life).toBe(1)
    expect(server.calls - calls).toBeLessThan(7)
    server.condition = 'refuses'
    expect(await time.until(member.suspect())).toBe(false)
    const late = member.suspect()
    member.close()
    expect(await time.until(late)).toBe(false)
    expect(await member.suspect()).toBe(false)
  })

  it('learns how many processes use the store, one window after they came or went', async () => {
    const { time, server, member, settings } = watched()
    const other = new Member(
      's',
      server.client('s'),
      { ...settings, writer: 'other' },
      {
        changed: () => undefined,
        forgot: () => undefined,
        patienceMs: () => 100,
      },
    )
    member.start()
    other.start()
    await time.advance(12_000)
    expect([member.processes, other.processes]).toEqual([2, 2])
    other.close()
    await time.advance(25_000)
    expect(member.processes).toBe(1)
    member.close()
  })

  it('goes on counting for many while a store forgets time and again, or is away', async () => {
    const { time, server, member, settings } = watched()
    const others = Array.from(
      { length: 3 },
      (_, i) =>
        new Member(
          's',
          server.client('s'),
          { ...settings, writer: `other${i}` },
          {
            changed: () => undefined,
            forgot: () => undefined,
            patienceMs: () => 100,
          },
        ),
    )
    for (const one of [member, ...others]) one.start()
    await time.advance(12_000)
    expect(member.processes).toBe(4)
    // The others do not get there to be counted again before the next window.
    for (let i = 0; i < 10; i++) {
      for (const one of others) one.failed(new Error('lost'), true, time.now())
      server.forget()
      await time.advance(2500)
      expect(member.processes).toBe(4)
    }
    for (const one of others) one.close()
    await time.advance(45_000)
    expect(member.processes).toBe(1)
    member.close()
  })

  it('has only one timer, so that probes do not follow each other at once', async () => {
    const { time, server, member } = watched()
    member.start()
    await time.advance(2500)
    member.failed(new Error('lost'), true, time.now())
    await time.advance(10_000)
    const { calls } = server
    await time.advance(10_000)
    // Each is two questions.
    expect(server.calls - calls).toBe(20)
    member.close()
  })

  it('is down for decisions that would not wait as long as it takes', async () => {
    const { time, server, member, patience } = watched()
    server.latencyMs = 60
    member.start()
    member.failed(new Error('lost'), true, time.now())
    patience.ms = 50
    await time.advance(10_000)
    expect(member.breaker.state.kind).not.toBe('closed')
    patience.ms = 100
    await time.advance(10_000)
    expect(member.breaker.state.kind).toBe('closed')
    member.close()
  })

  it('takes what was not executed for no failure, unless it took long to find out', () => {
    const { time, member } = watched()
    const busy = new StoreError('s', 'others were quicker', { kind: 'not_executed' })
    for (let i = 0; i < 100; i++) member.failed(busy, false, time.now())
    expect(member.breaker.state.kind).toBe('closed')
    for (let i = 0; i < 5; i++) member.failed(busy, false, time.now() - 90)
    expect(member.breaker.state.kind).toBe('open')
    member.close()
  })

  it('does not go on probing a store that was closed', async () => {
    const closed = new StoreError('s', 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
    let asked = 0
    const { time, member } = watched((_, server) => ({ ...server.client('s'), take: () => (asked++, Promise.reject(closed)) }))
    member.start()
    await time.advance(60_000)
    expect(asked).toBe(2)
  })

  it('opens at once for a failure that will not pass by itself', () => {
    const { time, member } = watched()
    member.failed(new StoreError('s', 'wrong password', { kind: 'misconfigured' }), true, time.now())
    expect(member.breaker.state.kind).toBe('open')
    member.close()
  })

  it('notes how the store’s clock stands by what it answers', async () => {
    const { time, member } = watched()
    await time.advance(1000)
    expect(member.clock.isKnown).toBe(false)
    member.answered({ now: START + 1000 } as Taken, time.now(), time.now())
    await time.advance(500)
    expect(member.clock.now()).toBe(START + 1500)
  })
})
