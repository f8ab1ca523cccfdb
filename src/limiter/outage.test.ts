import { describe, expect, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { StoreError } from '../core/errors.ts'
import { buildLimitSet } from '../core/limit-set.ts'
import { refusal } from '../http/refusal.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import type { LocalDecider, Store } from '../stores/store.ts'
import { ON_STORE_ERROR, type OnStoreError, decideWithoutStore, giveBackWithoutStore } from './outage.ts'

const START = 1_700_000_040_000
const set = buildLimitSet('api', '10/m, 50/h', {})
const asked = { set, key: 'k', cost: 2, mode: 'take', now: START } as const
const failure = new StoreError('redis', 'connection refused', { kind: 'unavailable' })

const clock = manualClock(START)
/** A store without a way to go on alone. */
const plain: Store = memoryStore({ clock, sweepIntervalMs: false })

/** One that goes on with half of the limits, and may admit 3 too many. */
function decider(): Store & LocalDecider {
  const local = memoryStore({ clock, sweepIntervalMs: false })
  const half = buildLimitSet(
    'api',
    [
      { rate: '5/m', name: '10-per-m' },
      { rate: '25/h', name: '50-per-h' },
    ],
    {},
  )
  return Object.assign(Object.create(local) as Store, {
    name: 'redis',
    takeLocally: (_set: unknown, identity: string, cost: number, mode: 'take') => ({
      set: half,
      taken: { ...local.take(half, identity, cost, mode), source: 'local' as const, excess: 3 },
    }),
  })
}

function answer(how: OnStoreError, error: unknown = failure, store: Store = plain, shadow = false) {
  return decideWithoutStore(error, how, store, asked, shadow)
}

describe('when no store decides', () => {
  it('`allow` lets pass, and says that nobody has decided', () => {
    const decision = answer('allow')
    expect(decision).toMatchObject({ allowed: true, kind: 'degraded', source: 'open', policy: 'api', cost: 2, now: START })
    expect([decision.reason, decision.retryAfterMs, decision.excess, decision.limit]).toEqual([
      undefined,
      undefined,
      Infinity,
      10,
    ])
  })

  it('`deny` refuses, which is a 503 and no word about a quota', () => {
    const decision = answer('deny')
    expect(decision).toMatchObject({ allowed: false, kind: 'degraded', source: 'closed', remaining: 0, excess: 0 })
    const { status, body, headers } = refusal(decision, 'application/json')
    expect(status).toBe(503)
    expect(JSON.parse(body)).toMatchObject({ title: 'Temporary Reduced Capacity', status: 503 })
    expect(headers).toEqual([['Cache-Control', 'no-store']])
  })

  it('`deny` refuses nothing in shadow', () => {
    expect(answer('deny', failure, plain, true)).toMatchObject({ allowed: true, kind: 'degraded', source: 'closed' })
  })

  it('`throw` throws the error itself', () => {
    expect(() => answer('throw', failure, decider())).toThrow(failure)
  })

  it('`local` decides by the share of this process, under the limits names, and says by how much that may be too much', () => {
    const store = decider()
    const first = answer('local', failure, store)
    expect(first).toMatchObject({
      allowed: true,
      kind: 'granted',
      source: 'local',
      limit: 10,
      remaining: 3,
      excess: 3,
      policy: 'api',
    })
    expect(first.standings.map(({ name, remaining }) => [name, remaining])).toEqual([
      ['10-per-m', 3],
      ['50-per-h', 23],
    ])
    expect(first.asked).toBe(set)
    answer('local', failure, store)
    expect(answer('local', failure, store)).toMatchObject({ allowed: false, kind: 'refused', source: 'local', reason: 'limit' })
    expect(answer('local', failure, store, true)).toMatchObject({ allowed: true, kind: 'refused', source: 'local' })
  })

  it('`local` throws the error where nobody here can decide', () => {
    expect(() => answer('local')).toThrow(failure)
  })

  it.each(ON_STORE_ERROR)('%s does not hide what is no failure of a store', (how) => {
    for (const error of [new TypeError('x is not a function'), new Error('connection refused'), 'text', null]) {
      let thrown: unknown = 'nothing'
      try {
        answer(how, error, decider())
      } catch (other) {
        thrown = other
      }
      expect(thrown).toBe(error)
    }
  })

  it.each(ON_STORE_ERROR)('%s does not hide the use of a store that was closed', (how) => {
    const closed = new StoreError('redis', 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
    expect(() => answer(how, closed, decider())).toThrow(closed)
  })

  it.each(['ERR_RATELIMIT_STORE', 'ERR_RATELIMIT_STORE_TIMEOUT', 'ERR_RATELIMIT_STORE_SETUP'] as const)(
    '%s is a failure like all others',
    (code) => {
      expect(answer('allow', new StoreError('redis', 'failed', { code })).allowed).toBe(true)
    },
  )
})

describe('a refund that no store has taken', () => {
  const refund = { set, key: 'k', cost: 2, takenAt: START }
  const used = (store: Store & LocalDecider): number =>
    store.takeLocally(set, 'k', 1, 'peek').taken.readings[1] as unknown as number

  it('is given back by the share of this process, and not thrown', () => {
    const store = decider()
    answer('local', failure, store)
    const before = used(store)
    giveBackWithoutStore(failure, 'local', store, refund)
    expect(used(store)).toBeLessThan(before)
    expect(() => giveBackWithoutStore(failure, 'local', plain, refund)).not.toThrow()
  })

  it.each([
    new StoreError('redis', 'lost', { kind: 'ambiguous' }),
    new StoreError('redis', 'no answer', { code: 'ERR_RATELIMIT_STORE_TIMEOUT' }),
    new StoreError('multi', 'no store can decide now', {
      kind: 'unavailable',
      cause: new StoreError('redis', 'lost', { kind: 'ambiguous' }),
    }),
  ])('is not given back a second time where a store may have taken it: $message', (error) => {
    const store = decider()
    answer('local', failure, store)
    const before = used(store)
    giveBackWithoutStore(error, 'local', store, refund)
    expect(used(store)).toBe(before)
  })

  it('is lost where nobody decides locally, and an error where that is asked for', () => {
    const store = decider()
    answer('local', failure, store)
    const before = used(store)
    for (const how of ['allow', 'deny'] as const) giveBackWithoutStore(failure, how, store, refund)
    expect(used(store)).toBe(before)
    expect(() => giveBackWithoutStore(failure, 'throw', store, refund)).toThrow(failure)
    const closed = new StoreError('redis', 'is closed', { code: 'ERR_RATELIMIT_STORE_CLOSED' })
    for (const how of ON_STORE_ERROR) expect(() => giveBackWithoutStore(closed, how, store, refund)).toThrow(closed)
  })
})
