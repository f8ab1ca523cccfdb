import { describe, expect, it } from 'vitest'
import type { Scheduler } from '../core/scheduler.ts'
import { Deadlines, type Waiter } from './deadlines.ts'

/** Time that is moved by hand. */
class Hands implements Scheduler {
  ms = 0
  timers: { at: number; call: () => void }[] = []

  now(): number {
    return this.ms
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.ms + ms, call }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((other) => other !== timer)
    }
  }

  advance(ms: number): void {
    const end = this.ms + ms
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
      if (next === undefined) break
      this.ms = next.at
      this.timers = this.timers.filter((other) => other !== next)
      next.call()
    }
    this.ms = end
  }
}

const late = (): Error => new Error('late')

function waiting(deadlines: Deadlines): { waiter: Waiter<string>; outcome: Promise<string> } {
  let waiter: Waiter<string> | undefined
  const promise = deadlines.promise(late, (made: Waiter<string>) => (waiter = made))
  const outcome = promise.catch((error: unknown) => String(error))
  return { waiter: waiter as Waiter<string>, outcome }
}

describe('a deadline', () => {
  it('is kept: what is not answered by then is late, and not a moment earlier', async () => {
    const hands = new Hands()
    const deadlines = new Deadlines(100, hands)
    const first = waiting(deadlines)
    hands.advance(60)
    const second = waiting(deadlines)
    hands.advance(39)
    expect([first.waiter.settled, second.waiter.settled]).toEqual([false, false])
    hands.advance(1)
    expect([first.waiter.settled, second.waiter.settled]).toEqual([true, false])
    second.waiter.resolve('in time')
    expect(await first.outcome).toBe('Error: late')
    expect(await second.outcome).toBe('in time')
    expect(deadlines.size).toBe(0)
  })

  it('is settled once: what comes later is dropped', async () => {
    const hands = new Hands()
    const deadlines = new Deadlines(100, hands)
    const answered = waiting(deadlines)
    answered.waiter.resolve('first')
    answered.waiter.resolve('second')
    answered.waiter.reject(new Error('third'))
    answered.waiter.expire()
    expect(await answered.outcome).toBe('first')
    const tooLate = waiting(deadlines)
    hands.advance(100)
    tooLate.waiter.resolve('late answer')
    expect(await tooLate.outcome).toBe('Error: late')
    expect(deadlines.size).toBe(0)
  })

  it('of thousands takes one timer, in whatever order they are answered', async () => {
    const hands = new Hands()
    const deadlines = new Deadlines(100, hands)
    const all: ReturnType<typeof waiting>[] = []
    for (let i = 0; i < 5000; i++) {
      all.push(waiting(deadlines))
      hands.advance(i % 100 === 0 ? 1 : 0)
    }
    expect(hands.timers).toHaveLength(1)
    for (let i = all.length - 1; i >= 0; i -= 3) all[i]?.waiter.resolve('answer')
    expect(deadlines.size).toBe(5000 - Math.ceil(5000 / 3))
    hands.advance(1000)
    expect(deadlines.size).toBe(0)
    const outcomes = await Promise.all(all.map(({ outcome }) => outcome))
    expect(outcomes.filter((outcome) => outcome === 'answer')).toHaveLength(Math.ceil(5000 / 3))
    expect(hands.timers).toEqual([])
  })

  it('settles as what it waits for does', async () => {
    const deadlines = new Deadlines(1000)
    expect(await deadlines.within(Promise.resolve('yes'), late)).toBe('yes')
    await expect(deadlines.within(Promise.reject(new Error('no')), late)).rejects.toThrow('no')
    await expect(new Deadlines(5).within(new Promise(() => {}), late)).rejects.toThrow('late')
    deadlines.close(new Error('closed'))
  })

  it('ends at once for all when it is closed', async () => {
    const hands = new Hands()
    const deadlines = new Deadlines(100, hands)
    const all = [waiting(deadlines), waiting(deadlines), waiting(deadlines)]
    all[1]?.waiter.resolve('before')
    deadlines.close(new Error('closed'))
    expect(await Promise.all(all.map(({ outcome }) => outcome))).toEqual(['Error: closed', 'before', 'Error: closed'])
    expect(hands.timers).toEqual([])
    expect(deadlines.size).toBe(0)
  })

  it('lets an answer count that has reached the process while it was busy', async () => {
    const deadlines = new Deadlines(5)
    const busy = waiting(deadlines)
    const start = performance.now()
    // As a socket would: the answer is there, and its turn comes after that of the timers.
    setImmediate(() => busy.waiter.resolve('there in time'))
    while (performance.now() - start < 20);
    expect(await busy.outcome).toBe('there in time')
  })

  it('keeps the process alive while somebody waits, and not afterwards', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const deadlines = new Deadlines(60_000)
    const one = waiting(deadlines)
    expect(timers()).toBe(before + 1)
    one.waiter.resolve('done')
    await one.outcome
    expect(timers()).toBe(before)
    const other = waiting(deadlines)
    expect(timers()).toBe(before + 1)
    deadlines.close(new Error('closed'))
    expect(await other.outcome).toBe('Error: closed')
    expect(timers()).toBe(before)
  })

  it('holds on to nobody who has been answered', () => {
    const deadlines = new Deadlines(1_000_000, new Hands())
    const answered = (): void => {
      const answers: string[] = []
      const add = (): Waiter<string> =>
        deadlines.add(
          (value: string) => answers.push(value),
          () => {},
          late,
          0,
        )
      const waiters = Array.from({ length: 100 }, add)
      for (const waiter of waiters) waiter.resolve('answer '.repeat(100))
    }
    answered()
    const before = heap()
    for (let i = 0; i < 1000; i++) answered()
    expect(heap() - before).toBeLessThan(2_000_000)
  })
})

function heap(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
