import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { explain } from '../algorithms/explain.ts'
import { type ManualClock, manualClock } from '../core/clock.ts'
import { StoreError } from '../core/errors.ts'
import { type LimitSet, buildLimitSet } from '../core/limit-set.ts'
import { referenceStore } from '../testing/reference-store.ts'
import { storeConformance } from '../testing/store-conformance.ts'
import { Counter } from './counter.ts'
import { type RemoteOptions, remoteSettings } from './remote-options.ts'
import { type RemoteStore, remoteStore } from './remote.ts'
import type { Driver, Found, Question } from './remote-driver.ts'
import { banRecord } from './record.ts'
import { storeKey } from './store-key.ts'
import { type AsyncStore, type Mode, READING_WIDTH, type Taken } from './store.ts'
import type { Change, Updated } from './update.ts'

const START = 1_700_000_000_000

/** A server in this process: counters as texts, and a switch for when it answers. */
class Server implements Driver {
  readonly name = 'fake'
  readonly concurrency: number
  immediate = false
  readonly clock: ManualClock
  readonly texts = new Map<string, string>()
  /** The questions of each trip, as they were when they were sent: key × count. */
  readonly trips: string[][] = []
  closed = 0
  partOf: Driver['partOf']
  /** What each trip waits for. */
  gate: (questions: readonly Question[]) => Promise<unknown> = () => Promise.resolve()
  /** What comes instead of the answers. */
  instead: ((answers: (Found | StoreError)[]) => (Found | StoreError)[]) | undefined

  constructor(clock: ManualClock, concurrency = 1) {
    this.clock = clock
    this.concurrency = concurrency
  }

  async decide(questions: readonly Question[], wanted: (i: number) => boolean): Promise<(Found | StoreError)[]> {
    this.trips.push(
      questions.map(({ key, count, mode }) => `${key.split('|').at(-1)}${mode === 'take' ? '' : ` ${mode}`} × ${count}`),
    )
    await this.gate(questions)
    const answers = questions.map((question, i) => {
      if (!wanted(i)) return new StoreError(this.name, 'nobody waits')
      return this.#on(question.key, (counter) => counter.decide(question))
    })
    return this.instead?.(answers) ?? answers
  }

  async forget(key: string): Promise<void> {
    this.texts.delete(key)
  }

  async ban(set: LimitSet, key: string, terms: Parameters<typeof banRecord>[1]): Promise<number> {
    return this.#on(key, (counter) => counter.change(set, (record, now) => banRecord(record, terms, now)))
  }

  async update(set: LimitSet, key: string, change: Change): Promise<Updated> {
    await this.gate([])
    const now = this.clock.now()
    return this.#on(key, (counter) => {
      const outcome = counter.change(set, change) ? 'changed' : 'unchanged'
      return { outcome, states: counter.record(set).states, now }
    })
  }

  async unban(set: LimitSet, key: string): Promise<void> {
    this.#on(key, (counter) => counter.change(set, (record) => (record.ban = undefined)))
  }

  async read(_: LimitSet, key: string): Promise<{ text: string | undefined; now: number }> {
    return { text: this.texts.get(key), now: this.clock.now() }
  }

  async ping(): Promise<void> {
    await this.gate([])
  }

  async sweep(): Promise<number> {
    return 7
  }

  async close(): Promise<void> {
    this.closed++
  }

  #on<T>(key: string, act: (counter: Counter) => T): T {
    const counter = new Counter(this.texts.get(key), this.clock.now())
    const answer = act(counter)
    const text = counter.written()
    if (text === '') this.texts.delete(key)
    else if (text !== undefined) this.texts.set(key, text)
    return answer
  }
}

const made: AsyncStore[] = []

afterEach(async () => {
  for (const store of made.splice(0)) await store.close()
})

function serving(options: RemoteOptions = {}, concurrency = 1): { server: Server; store: AsyncStore; clock: ManualClock } {
  const clock = manualClock(START)
  const server = new Server(clock, concurrency)
  const settings = remoteSettings({ deadlineMs: 5000, rememberRefusalsMs: false, clock, ...options }, 'options', [], 'fake')
  const store = remoteStore(server, settings)
  made.push(store)
  return { server, store, clock }
}

const set = buildLimitSet('remote', '5/m', { algorithm: 'fixed_window' })

function told(of: LimitSet, { granted, now, bannedForMs, readings }: Taken, cost: number): unknown {
  const standings = of.limits.map((limit, i) => explain(limit, readings, i * READING_WIDTH, cost, now, granted))
  return { granted, now, bannedForMs, standings }
}

async function failure(promise: PromiseLike<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(StoreError)
  return error as StoreError
}

/** A gate, and what opens it. */
function gate(): { wait: () => Promise<unknown>; open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { wait: () => opened, open }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a store of several servers', () => {
  it('asks each by itself, so that one that hangs holds up nobody else', async () => {
    const { server, store } = serving({ deadlineMs: 200 }, Infinity)
    const isEven = (key: string): boolean => Number(key.at(-1)) % 2 === 0
    server.partOf = (key) => (isEven(key) ? 0 : 1)
    server.gate = ([first]) => (isEven(first?.key ?? '') ? Promise.resolve() : new Promise(() => {}))
    const asked = [0, 1, 2, 3, 4].map((i) => Promise.resolve(store.take(set, `k${i}`, 1, 'take')))
    for (const i of [0, 2, 4]) expect((await asked[i])?.granted).toBe(true)
    for (const i of [1, 3]) expect((await failure(asked[i] as Promise<Taken>)).code).toBe('ERR_RATELIMIT_STORE_TIMEOUT')
    expect(server.trips).toEqual([
      ['k0 × 1', 'k2 × 1', 'k4 × 1'],
      ['k1 × 1', 'k3 × 1'],
    ])
  })
})

describe('a store behind a connection', () => {
  it('keeps the contract', async () => {
    const report = await storeConformance(
      (clock) => remoteStore(new Server(clock), remoteSettings({ clock, rememberRefusalsMs: false }, 'options', [], 'fake')),
      { rounds: 10, steps: 80 },
    )
    expect(report.calls).toBe(800)
  })

  it.each([1, 3, Infinity])('answers as one by one, figure by figure (%s at once)', async (concurrency) => {
    const sets = ['3/10s', '5/10s'].flatMap((rate) =>
      (['sliding_window', 'fixed_window', 'token_bucket'] as const).map((algorithm) =>
        buildLimitSet('turns', rate, { algorithm }),
      ),
    )
    const question = fc.record({
      of: fc.constantFrom(...sets, buildLimitSet('turns', '4/s, 6/10s', {})),
      key: fc.constantFrom('a', 'b'),
      cost: fc.constantFrom(1, 1, 1, 2),
      mode: fc.constantFrom<Mode>('take', 'take', 'take', 'take', 'peek', 'charge', 'refund'),
    })
    const turns = fc.array(fc.tuple(fc.array(question, { maxLength: 30 }), fc.nat(4000)), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(turns, fc.integer({ min: 1, max: 5 }), async (list, batchSize) => {
        const { store, clock } = serving({ batchSize }, concurrency)
        const reference = referenceStore(clock)
        for (const [questions, ms] of list) {
          const answers = await Promise.all(
            questions.map(async ({ of, key, cost, mode }) => told(of, await store.take(of, key, cost, mode), cost)),
          )
          const expected = questions.map(({ of, key, cost, mode }) => told(of, reference.take(of, key, cost, mode), cost))
          expect(answers).toEqual(expected)
          clock.advance(ms)
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('one turn', () => {
  it('is one trip; who asks the same of one counter right after each other shares a question', async () => {
    const { server, store } = serving()
    const answers = await Promise.all([
      store.take(set, 'a', 1, 'take'),
      store.take(set, 'b', 1, 'take'),
      store.take(set, 'a', 1, 'take'),
      store.take(set, 'a', 2, 'take'),
      store.take(set, 'a', 1, 'take'),
      store.take(set, 'a', 1, 'peek'),
      store.take(set, 'a', 1, 'take'),
    ])
    expect(server.trips).toEqual([['a × 2', 'b × 1', 'a × 1', 'a × 1', 'a peek × 1', 'a × 1']])
    expect(answers.map(({ granted }) => granted)).toEqual([true, true, true, true, true, false, false])
    // Each sees the charges before its own and not those after.
    expect(answers.map(({ readings }) => readings[1])).toEqual([1, 1, 2, 4, 5, 5, 5])
  })

  it('of more than a batch is several trips, one after the other, in order', async () => {
    const { server, store } = serving({ batchSize: 3 })
    const answers = Array.from({ length: 8 }, (_, i) => store.take(set, `k${i}`, 1, 'take'))
    await Promise.all(answers)
    expect(server.trips.flat()).toEqual(Array.from({ length: 8 }, (_, i) => `k${i} × 1`))
    expect(Math.max(...server.trips.map(({ length }) => length))).toBeLessThanOrEqual(3)
  })

  it('is not gathered where the batch is one', async () => {
    const { server, store } = serving({ batchSize: 1 }, Infinity)
    await Promise.all([store.take(set, 'a', 1, 'take'), store.take(set, 'a', 1, 'take')])
    expect(server.trips).toEqual([['a × 1'], ['a × 1']])
  })

  it('waits while all connections are busy, and goes on gathering', async () => {
    const { server, store } = serving({}, 2)
    const { wait, open } = gate()
    server.gate = wait
    const answers: PromiseLike<Taken>[] = []
    for (let i = 0; i < 6; i++) {
      answers.push(store.take(set, `k${i}`, 1, 'take'))
      await turn()
      await turn()
    }
    expect(server.trips).toEqual([['k0 × 1'], ['k1 × 1']])
    open()
    await Promise.all(answers)
    expect(server.trips.slice(2)).toEqual([['k2 × 1', 'k3 × 1', 'k4 × 1', 'k5 × 1']])
  })

  it('has one question that fails, and its neighbours do not', async () => {
    const { server, store } = serving()
    server.instead = (answers) => answers.map((answer, i) => (i === 1 ? new StoreError('fake', 'this one not') : answer))
    const [one, two, three] = [store.take(set, 'a', 1, 'take'), store.take(set, 'b', 1, 'take'), store.take(set, 'c', 1, 'take')]
    expect((await failure(two)).message).toBe('store fake: this one not')
    expect([(await one).granted, (await three).granted]).toEqual([true, true])
  })

  it('fails as a whole where nothing is known, and where answers are missing, with an error that names the store', async () => {
    const { server, store } = serving()
    server.gate = () => Promise.reject(new TypeError('socket gone'))
    const failed = await Promise.all([failure(store.take(set, 'a', 1, 'take')), failure(store.take(set, 'b', 1, 'take'))])
    for (const error of failed) {
      expect(error.message).toBe('store fake: socket gone')
      expect(error.cause).toBeInstanceOf(TypeError)
    }
    server.gate = () => Promise.resolve()
    server.instead = () => []
    expect((await failure(store.take(set, 'a', 1, 'take'))).message).toContain('gave no answer to a question')
  })
})

describe('a server in this process', () => {
  function immediate(options: RemoteOptions = {}): ReturnType<typeof serving> {
    const all = serving(options)
    all.server.immediate = true
    // What the server is, is read when the store is built.
    const store = remoteStore(all.server, remoteSettings({ clock: all.clock, ...options }, 'options', [], 'fake'))
    made.push(store)
    return { ...all, store }
  }

  it('answers the first few of a turn that come one by one at once, and the rest of them together', async () => {
    const { server, store } = immediate()
    await store.take(set, 'first', 1, 'take')
    let turned = false
    setImmediate(() => (turned = true))
    for (let i = 0; i < 4; i++) await store.take(set, `alone ${i}`, 1, 'take')
    expect(turned).toBe(false)
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.take(set, `together ${i}`, 1, 'take')))
    expect(turned).toBe(true)
    expect(server.trips.map(({ length }) => length)).toEqual([1, 1, 1, 1, 1, 20])
    // Where many come, all of them gather.
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.take(set, `again ${i}`, 1, 'take')))
    expect(server.trips.at(-1)).toHaveLength(20)
  })

  it('gathers what comes while one is on its way', async () => {
    const { server, store } = immediate()
    await store.take(set, 'first', 1, 'take')
    await Promise.all(Array.from({ length: 10 }, (_, i) => store.take(set, `k${i}`, 1, 'take')))
    expect(server.trips.map(({ length }) => length)).toEqual([1, 1, 9])
  })
})

describe('the deadline', () => {
  it('is kept when no answer comes, and a late one is dropped without a word', async () => {
    const { server, store } = serving({ deadlineMs: 15 })
    const { wait, open } = gate()
    server.gate = wait
    for (const late of [store.take(set, 'a', 1, 'take'), store.ping()]) {
      const error = await failure(late)
      expect(error.code).toBe('ERR_RATELIMIT_STORE_TIMEOUT')
      expect(error.message).toBe('store fake: no answer within 15 ms (deadlineMs)')
    }
    server.gate = () => Promise.resolve()
    open()
    await turn()
    expect((await store.take(set, 'b', 1, 'take')).granted).toBe(true)
  })

  it('is no reason to be silent about what was charged after it, to those who listen', async () => {
    const { server, store } = serving({ deadlineMs: 15 })
    const { wait, open } = gate()
    const heard: string[] = []
    const stop = (store as RemoteStore).onLateGrant(({ identity, cost, mode, taken }) =>
      heard.push(`${identity} ${cost} ${mode} ${String(taken.granted)} ${taken.readings[1]}`),
    )
    server.instead = (answers) => wait().then(() => answers) as never
    const late = await Promise.all([
      failure(store.take(set, 'a', 1, 'take')),
      failure(store.take(set, 'a', 1, 'take')),
      failure(store.take(set, 'b', 3, 'charge')),
      failure(store.take(set, 'c', 1, 'peek')),
    ])
    expect(late.map(({ code }) => code)).toEqual(Array.from({ length: 4 }, () => 'ERR_RATELIMIT_STORE_TIMEOUT'))
    server.instead = undefined
    open()
    await turn()
    expect(heard).toEqual(['a 1 take true 1', 'a 1 take true 2', 'b 3 charge true 3'])
    stop()
    expect((await store.take(set, 'a', 1, 'take')).readings[1]).toBe(3)
    expect(heard).toHaveLength(3)
  })

  it('that has passed in the queue means that nobody is charged', async () => {
    const { server, store } = serving({ deadlineMs: 20 })
    const { wait, open } = gate()
    server.gate = wait
    const first = failure(store.take(set, 'first', 1, 'take'))
    await turn()
    await turn()
    const queued = failure(store.take(set, 'queued', 1, 'take'))
    await first
    await queued
    open()
    server.gate = () => Promise.resolve()
    await turn()
    expect(server.trips).toEqual([['first × 1']])
    expect([...server.texts.keys()]).toEqual([])
  })

  it('that has passed for thousands in the queue leaves the way free', async () => {
    const { server, store } = serving({ deadlineMs: 20, batchSize: 1 })
    const { wait, open } = gate()
    server.gate = wait
    const late = Array.from({ length: 9000 }, (_, i) => failure(store.take(set, `k${i}`, 1, 'take')))
    await Promise.all(late)
    server.gate = () => Promise.resolve()
    open()
    expect((await store.take(set, 'now', 1, 'take')).granted).toBe(true)
    expect(server.trips).toEqual([['k0 × 1'], ['now × 1']])
  })

  it('that has passed for one of those who share a question leaves the others, and charges for them alone', async () => {
    const { server, store } = serving({ deadlineMs: 250 })
    const { wait, open } = gate()
    server.gate = wait
    // A first trip, so that the next two questions meet in the queue.
    const first = failure(store.take(set, 'first', 1, 'take'))
    await turn()
    await turn()
    const early = failure(store.take(set, 'shared', 1, 'take'))
    await new Promise((resolve) => setTimeout(resolve, 125))
    const late = store.take(set, 'shared', 1, 'take')
    await Promise.all([first, early])
    server.gate = () => Promise.resolve()
    open()
    expect((await late).readings[1]).toBe(1)
    expect(server.trips).toEqual([['first × 1'], ['shared × 1']])
    expect(server.texts.get(storeKey(set, 'shared'))).toMatch(/,1$/)
  })

  it('lets no rejection go unheard', async () => {
    const unheard: unknown[] = []
    const listen = (reason: unknown): void => void unheard.push(reason)
    process.on('unhandledRejection', listen)
    const { server, store } = serving({ deadlineMs: 10 })
    server.gate = () => new Promise((_, reject) => setTimeout(() => reject(new Error('too late to matter')), 30))
    await Promise.all([failure(store.take(set, 'a', 1, 'take')), failure(store.ping())])
    await new Promise((resolve) => setTimeout(resolve, 60))
    process.off('unhandledRejection', listen)
    expect(unheard).toEqual([])
  })

  it('of so many as may wait is enough: the next fail at once', async () => {
    const { server, store } = serving({ maxWaiting: 100 })
    const { wait, open } = gate()
    server.gate = wait
    const waiting = Array.from({ length: 100 }, (_, i) => store.take(set, `k${i}`, 1, 'take'))
    for (const refused of [store.take(set, 'x', 1, 'take'), store.ping(), store.reset(set, 'x'), store.sweep()])
      expect((await failure(refused)).message).toBe('store fake: 100 decisions are waiting for an answer already (maxWaiting)')
    open()
    await Promise.all(waiting)
    expect((await store.take(set, 'x', 1, 'take')).granted).toBe(true)
  })

  it('holds no memory of what has been answered', async () => {
    const { store } = serving({ rememberRefusalsMs: 1000 })
    const ask = (): Promise<unknown> => Promise.all(Array.from({ length: 200 }, (_, i) => store.take(set, `k${i}`, 1, 'take')))
    for (let i = 0; i < 10; i++) await ask()
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 200; i++) await ask()
    globalThis.gc?.()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(3_000_000)
  })
})

describe('a refusal', () => {
  it('is remembered: who knocks again is refused here, and the server does not hear of it', async () => {
    const { server, store, clock } = serving({ rememberRefusalsMs: 1000 })
    await store.take(set, 'k', 5, 'take')
    expect((await store.take(set, 'k', 1, 'take')).source).toBe('primary')
    const trips = server.trips.length
    expect(await store.take(set, 'k', 1, 'take')).toMatchObject({ granted: false, source: 'remembered' })
    expect(await store.take(set, 'k', 5, 'take')).toMatchObject({ granted: false, source: 'remembered' })
    expect(server.trips).toHaveLength(trips)
    expect((await store.take(set, 'k', 1, 'peek')).source).toBe('primary')
    clock.advance(1000)
    expect((await store.take(set, 'k', 1, 'take')).source).toBe('primary')
  })

  it.each<[string, (store: AsyncStore) => unknown]>([
    ['a refund', (store) => store.take(set, 'k', 5, 'refund')],
    ['a reset', (store) => store.reset(set, 'k')],
    ['a lifted ban', (store) => store.unban(set, 'k')],
  ])('is forgotten by %s of the same store', async (_, change) => {
    const { store } = serving({ rememberRefusalsMs: 1000 })
    await store.take(set, 'k', 5, 'take')
    expect((await store.take(set, 'k', 1, 'take')).granted).toBe(false)
    await change(store)
    expect((await store.take(set, 'k', 1, 'take')).source).toBe('primary')
  })

  it('is forgotten by a refund that was asked for while it was on its way', async () => {
    const { store } = serving({ rememberRefusalsMs: 1000 })
    await store.take(set, 'k', 5, 'take')
    const [refused] = await Promise.all([store.take(set, 'k', 1, 'take'), store.take(set, 'k', 5, 'refund')])
    expect(refused.granted).toBe(false)
    expect((await store.take(set, 'k', 1, 'take')).granted).toBe(true)
  })

  it('shows what the same store has granted since to a smaller cost', async () => {
    const { store } = serving({ rememberRefusalsMs: 1000 })
    await store.take(set, 'k', 3, 'take')
    await store.take(set, 'k', 3, 'take')
    await store.take(set, 'k', 1, 'take')
    const taken = await store.take(set, 'k', 3, 'take')
    expect([taken.granted, taken.readings[1]]).toEqual([false, 4])
  })
})

describe('closing', () => {
  it('ends what waits, once, and answers nothing afterwards', async () => {
    const { server, store } = serving()
    server.gate = () => new Promise(() => {})
    const waiting = [failure(store.take(set, 'a', 1, 'take')), failure(store.ping())]
    await turn()
    waiting.push(failure(store.take(set, 'b', 1, 'take')))
    await store.close()
    await store.close()
    for (const error of await Promise.all(waiting)) expect(error.code).toBe('ERR_RATELIMIT_STORE_CLOSED')
    expect(server.closed).toBe(1)
    const trips = server.trips.length
    for (const late of [store.take(set, 'a', 1, 'take'), store.read(set, 'a'), store.sweep()])
      expect((await failure(late)).message).toBe('store fake: is closed')
    await turn()
    expect(server.trips).toHaveLength(trips)
  })
})

describe('a change by a function', () => {
  it('settles within the deadline, also when the server never answers', async () => {
    const server = new Server(manualClock(START))
    const store = remoteStore(server, remoteSettings({ deadlineMs: 20 }, 'test', [], 'fake')) as RemoteStore
    server.gate = () => new Promise(() => {})
    await expect(store.update(set, 'k', () => true)).rejects.toMatchObject({ code: 'ERR_RATELIMIT_STORE_TIMEOUT' })
    await store.close()
  })

  it('tells what the counter holds, and forgets a remembered refusal', async () => {
    const clock = manualClock(START)
    const store = remoteStore(new Server(clock), remoteSettings({ clock }, 'test', [], 'fake')) as RemoteStore
    const once = buildLimitSet('update', '1/m', { algorithm: 'fixed_window' })
    await store.take(once, 'k', 1, 'take')
    expect((await store.take(once, 'k', 1, 'take')).granted).toBe(false)
    const updated = await store.update(once, 'k', (record) => {
      record.states[0]?.splice(0)
      return true
    })
    expect(updated).toMatchObject({ outcome: 'changed', states: [[]] })
    expect((await store.take(once, 'k', 1, 'take')).granted).toBe(true)
    await store.close()
  })
})
