// The gatekeeper on exchanges made by hand: what the adapters' contract cannot see over HTTP.

import { describe, expect, test } from 'vitest'
import { manualClock } from '../core/clock.ts'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import { type Exchange, ownerId } from './exchange.ts'
import type { GateOptions } from './gate.ts'
import { Gatekeeper, type Manners, gateOptionsOf } from './gatekeeper.ts'
import type { RequestRateLimit } from './request-rate-limit.ts'

class Hand implements Exchange {
  mark: RequestRateLimit | undefined
  readonly headers: Record<string, string> = {}
  readonly raw = {}
  sent: ((status: number) => void)[] = []
  begun = false

  get open() {
    return this.begun ? undefined : { setHeader: (name: string, value: string) => void (this.headers[name] = value) }
  }

  whenSent(call: (status: number) => void): void {
    this.sent.push(call)
  }

  readonly method = 'GET'
  readonly url = '/'
  readonly route = undefined
  readonly ip = '192.0.2.1'
  readonly peer = '192.0.2.1'
  readonly user = undefined
  readonly session = undefined
  header = (): undefined => undefined
}

function keeperOf(options: Partial<GateOptions>, manners: Partial<Manners<Hand>> = {}): Gatekeeper<Hand> {
  const store = memoryStore({ clock: manualClock(1_700_000_000_000), sweepIntervalMs: false })
  return new Gatekeeper({ rate: '1/m', store, ...options }, 'keeper', {
    refuse: (_x, { status }) => `refused ${status}`,
    ...manners,
  })
}

describe('a gatekeeper', () => {
  test('returns what the handler returns, or what the refusal does, with no promise in between', () => {
    const keeper = keeperOf({})
    expect(keeper.pass(new Hand(), () => 'in')).toBe('in')
    expect(keeper.pass(new Hand(), () => 'in')).toBe('refused 429')
  })

  test('hands on what is thrown, once, and what is promised, as it is', async () => {
    const keeper = keeperOf({ rate: '9/m' })
    let runs = 0
    const boom = (): never => {
      runs++
      throw new Error('boom')
    }
    expect(() => keeper.pass(new Hand(), boom)).toThrow('boom')
    expect(runs).toBe(1)
    const promise = Promise.resolve('later')
    expect(keeper.pass(new Hand(), () => promise)).toBe(promise)
  })

  test('a limiter is met once: the mark and the headers are those of the first time', () => {
    const keeper = keeperOf({ rate: '9/m' })
    const hand = new Hand()
    keeper.pass(hand, () => keeper.pass(hand, () => undefined))
    expect(hand.mark?.remaining).toBe(8)
    expect(hand.headers['X-RateLimit-Remaining']).toBe('8')
  })

  test('asks for the end of the response only where it matters', () => {
    const plain = new Hand()
    keeperOf({}).pass(plain, () => undefined)
    expect(plain.sent).toHaveLength(0)
    for (const keeper of [keeperOf({ skipFailedRequests: true }), keeperOf({}, { countWhen: () => true })]) {
      const hand = new Hand()
      keeper.pass(hand, () => undefined)
      expect(hand.sent).toHaveLength(1)
    }
  })

  test('a countWhen that fails is reported, and the request counts', () => {
    const heard: string[] = []
    const observers = [{ onError: (_error: unknown, where: string) => void heard.push(where) }]
    const countWhen = (): never => {
      throw new Error('down')
    }
    const keeper = keeperOf({ rate: '2/m', observers }, { countWhen })
    const hand = new Hand()
    keeper.pass(hand, () => undefined)
    for (const call of hand.sent) call(200)
    expect(heard).toEqual(['countWhen'])
    expect(keeper.pass(new Hand(), () => 'second')).toBe('second')
    expect(keeper.pass(new Hand(), () => 'third')).toBe('refused 429')
  })

  test('a response that has begun is left alone: a refused request is neither passed nor answered', () => {
    const keeper = keeperOf({ rate: '0/m' })
    const hand = Object.assign(new Hand(), { begun: true })
    expect(keeper.pass(hand, () => 'in')).toBeUndefined()
    expect([hand.headers, hand.mark?.allowed]).toEqual([{}, false])
  })

  test('headers that come after the handler are written on request, and none by a limiter that is not to be seen', () => {
    for (const [options, expected] of [
      [{}, true],
      [{ shadow: true }, false],
      [{ skipIf: () => true }, false],
      [{ headers: false }, false],
    ] as const) {
      const keeper = keeperOf(options, { headersAfter: true })
      const hand = new Hand()
      keeper.pass(hand, () => undefined)
      expect(hand.headers).toEqual({})
      const written: string[] = []
      keeper.write(hand, { setHeader: (name) => void written.push(name) })
      expect(written.length > 0).toBe(expected)
    }
  })

  test('decides without a mark, for code that answers by itself', () => {
    const keeper = keeperOf({})
    const hand = new Hand()
    expect((keeper.decide(hand) as Decision).allowed).toBe(true)
    expect((keeper.decide(hand) as Decision).allowed).toBe(false)
    expect(hand.mark).toBeUndefined()
  })
})

describe('several gatekeepers at once', () => {
  const key = (): string => 'all'
  const late = async (): Promise<string> => 'all'
  const failing = (): never => {
    throw new Error('no key')
  }
  const go = (): string => 'in'
  const kinds = () => {
    const seen: string[] = []
    const observers = [{ onDecision: ({ remaining }: Decision) => void seen.push(String(remaining)) }]
    return { seen, observers }
  }

  test('pass what all grant, at once, with the figures of the tightest; none of them passes all', () => {
    const hand = new Hand()
    const keepers = [keeperOf({ rate: '9/m' }), keeperOf({ rate: '3/m' }), keeperOf({ rate: '5/m', shadow: true })]
    expect(Gatekeeper.passAll(keepers, hand, go)).toBe('in')
    expect(hand.mark?.limit).toBe(3)
    expect(hand.headers['X-RateLimit-Remaining']).toBe('2')
    expect(Gatekeeper.passAll([], new Hand(), go)).toBe('in')
  })

  test.each([
    ['at once', key],
    ['later', late],
  ])('give back what they charged where one refuses (%s)', async (_, found) => {
    const { seen, observers } = kinds()
    const wide = keeperOf({ rate: '9/m', key: found, observers })
    const shadow = keeperOf({ rate: '9/m', key: found, observers, shadow: true })
    const tight = keeperOf({ rate: '1/m', key: found })
    const pass = async () => Gatekeeper.passAll([wide, tight, shadow], new Hand(), go)
    expect([await pass(), await pass(), await pass()]).toEqual(['in', 'refused 429', 'refused 429'])
    expect(seen).toEqual(['8', '8', '7', '7', '7', '7'])
  })

  test.each([
    ['at once', key],
    ['later', late],
  ])('give back what they charged where one fails (%s)', async (_, found) => {
    const { seen, observers } = kinds()
    const wide = keeperOf({ rate: '9/m', key: found, observers })
    for (const broken of [failing, async () => failing()]) {
      const hand = new Hand()
      const pass = async () => Gatekeeper.passAll([wide, keeperOf({ key: broken })], hand, go)
      await expect(pass()).rejects.toThrow('no key')
      expect(hand.mark).toBeUndefined()
    }
    await Gatekeeper.passAll([wide, keeperOf({})], new Hand(), go)
    expect(seen).toEqual(['8', '8', '8'])
  })

  test('of several refusals the longest wait is told, in the words of its limiter', () => {
    const told: (number | undefined)[] = []
    const refuse = (name: string) => ({
      refuse: (_x: Hand, _answer: unknown, { retryAfterMs }: Decision) => {
        told.push(retryAfterMs)
        return name
      },
    })
    const windows = { algorithm: 'fixed_window', algorithmConfig: { align: 'first' } } as const
    const [short, long, silent] = [
      keeperOf({ rate: '1/10s', ...windows }, refuse('short')),
      keeperOf({ rate: '1/m', ...windows }, refuse('long')),
      keeperOf({ rate: '1/h', ...windows, block: false }, refuse('silent')),
    ]
    for (const order of [
      [short, long, silent],
      [silent, long, short],
    ]) {
      for (const keeper of order) keeper.pass(new Hand(), go)
      expect(Gatekeeper.passAll(order, new Hand(), go)).toBe('long')
    }
    expect(told.filter((ms) => ms === 60_000).length).toBeGreaterThanOrEqual(2)
  })

  test('a request that has been counted by one of them is counted by the others alone; the same one twice counts once', () => {
    const { seen, observers } = kinds()
    const first = keeperOf({ rate: '9/m', observers })
    const second = keeperOf({ rate: '9/m', observers })
    const hand = new Hand()
    first.pass(hand, go)
    Gatekeeper.passAll([first, second, second], hand, go)
    expect(seen).toEqual(['8', '8'])
  })

  test('a response that has begun is left alone', () => {
    const hand = Object.assign(new Hand(), { begun: true })
    expect(Gatekeeper.passAll([keeperOf({ rate: '0/m' }), keeperOf({ rate: '9/m' })], hand, go)).toBeUndefined()
    expect(hand.headers).toEqual({})
  })

  test('what is counted once may be something other than the request', () => {
    const { seen, observers } = kinds()
    const shadow = keeperOf({ rate: '9/m', shadow: true, observers })
    const [one, two] = [{}, {}]
    const raw = {}
    for (const once of [one, two, one]) shadow.pass(Object.assign(new Hand(), { raw, once }), go)
    expect(seen).toEqual(['8', '7'])
  })
})

describe("an adapter's options", () => {
  test('are told from the framework: what is left is the gate', () => {
    const onLimited = (): void => {}
    expect(gateOptionsOf({ rate: '1/m', onLimited, throw: true }, 'x', ['onLimited'], ['throw'])).toEqual({ rate: '1/m' })
  })

  test.each([
    ['an unknown name', { rate: '1/m', onLimit: () => {} }, /x\.onLimit/],
    ['a function that is none', { rate: '1/m', onLimited: 'no' }, /x\.onLimited.*a function/],
    ['a request', { headers: {}, method: 'GET' }, /x: expected options.*call it/],
    ['a context', { req: {} }, /x: expected options.*call it/],
    ['nothing', undefined, /x: expected an object/],
  ])('%s is refused', (_, options, message) => {
    expect(() => gateOptionsOf(options as object, 'x', ['onLimited'])).toThrow(ConfigError)
    expect(() => gateOptionsOf(options as object, 'x', ['onLimited'])).toThrow(message)
  })
})

test.each([
  [{ id: 7 }, '7'],
  [{ _id: 'a' }, 'a'],
  [{ sub: 'b' }, 'b'],
  [{ id: 0, sub: 'b' }, '0'],
  [{ id: null }, undefined],
  ['ada', undefined],
  [null, undefined],
])('the id of %j is %j', (owner, id) => {
  expect(ownerId(owner)).toBe(id)
})
