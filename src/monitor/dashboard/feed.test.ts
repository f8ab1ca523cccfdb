import { describe, expect, test } from 'vitest'
import { VirtualTime } from '../../../test/faults/virtual-time.ts'
import { piecesOf } from './changes.ts'
import { Feed } from './feed.ts'

function feedOf({ maxListeners = 3 } = {}) {
  const time = new VirtualTime()
  const data = { now: 0, policies: ['a'], paths: ['/x'] }
  let made = 0
  const feed = new Feed({
    pieces: () => {
      made++
      return piecesOf({ ...data, now: time.now() })
    },
    intervalMs: 1000,
    maxListeners,
    scheduler: time,
  })
  return { time, data, feed, made: () => made }
}

type Stream = ReadableStream<Uint8Array>

/** Takes all that is sent, as it comes. */
function listen(stream: Stream | undefined) {
  const reader = (stream as Stream).getReader()
  const heard = { text: '', isOver: false, leave: () => reader.cancel() }
  const decoder = new TextDecoder()
  const go = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      heard.text += decoder.decode(value, { stream: true })
    }
    heard.isOver = true
  }
  void go()
  return heard
}

describe('the feed', () => {
  test('tells all there is, and then what has changed; the time always has', async () => {
    const { time, data, feed } = feedOf()
    const heard = listen(feed.open())
    await time.advance(0)
    expect(heard.text).toBe('retry: 2000\nevent: all\ndata: {"now":0,"policies":["a"],"paths":["/x"]}\n\n')
    await time.advance(1000)
    heard.text = ''
    await time.advance(1000)
    expect(heard.text).toBe('event: change\ndata: {"now":2000}\n\n')
    data.policies.push('b\n\nevent: evil')
    heard.text = ''
    await time.advance(1000)
    expect(heard.text).toBe('event: change\ndata: {"now":3000,"policies":["a","b\\n\\nevent: evil"]}\n\n')
  })

  test('runs no timer and makes nothing while nobody listens, also after the last has left', async () => {
    const { time, feed, made } = feedOf()
    await time.advance(10_000)
    expect([time.waiting, made()]).toEqual([0, 0])
    const [one, two] = [listen(feed.open()), listen(feed.open())]
    await time.advance(1000)
    expect([feed.size, time.waiting]).toEqual([2, 1])
    await one.leave()
    expect([feed.size, time.waiting]).toEqual([1, 1])
    await two.leave()
    expect([feed.size, time.waiting]).toEqual([0, 0])
    const before = made()
    await time.advance(10_000)
    expect(made()).toBe(before)
  })

  test('makes what it tells once per tick, however many listen', async () => {
    const { time, feed, made } = feedOf()
    for (let i = 0; i < 3; i++) listen(feed.open())
    const before = made()
    await time.advance(5000)
    expect(made() - before).toBe(5)
  })

  test('has a bound on listeners; who leaves makes room', async () => {
    const { time, feed } = feedOf({ maxListeners: 2 })
    const first = listen(feed.open())
    listen(feed.open())
    expect(feed.open()).toBeUndefined()
    await time.advance(0)
    await first.leave()
    expect(feed.open()).toBeDefined()
  })

  test('does not pile up for one that takes nothing: it gets all anew when it does, and is given up in the end', async () => {
    const { time, feed } = feedOf()
    const reader = (feed.open() as Stream).getReader()
    await time.advance(20_000)
    const decoder = new TextDecoder()
    const read = async (): Promise<string> => decoder.decode((await reader.read()).value)
    expect(await read()).toContain('"now":0')
    const next = read()
    await time.advance(1000)
    expect(await next).toContain('event: all\ndata: {"now":21000')
    await time.advance(60_000)
    expect([feed.size, time.waiting]).toEqual([0, 0])
  })

  test('sends each away after ten minutes, to be asked anew who it is', async () => {
    const { time, feed } = feedOf()
    const heard = listen(feed.open())
    await time.advance(599_000)
    expect([heard.isOver, feed.size]).toEqual([false, 1])
    await time.advance(1000)
    expect([heard.isOver, feed.size, time.waiting]).toEqual([true, 0, 0])
  })

  test('sends everybody away when it is closed, and lets nobody in after that', async () => {
    const { time, feed } = feedOf()
    const heard = listen(feed.open())
    feed.close()
    await time.advance(0)
    expect([heard.isOver, feed.size, time.waiting]).toEqual([true, 0, 0])
    expect(feed.open()).toBeUndefined()
  })

  test('what it cannot look at ends the streams, not the process', async () => {
    const time = new VirtualTime()
    let isBroken = false
    const pieces = () => {
      if (isBroken) throw new Error('a store without a size')
      return piecesOf({ now: time.now() })
    }
    const feed = new Feed({ pieces, intervalMs: 1000, maxListeners: 2, scheduler: time })
    const heard = listen(feed.open())
    isBroken = true
    await time.advance(1000)
    expect([heard.isOver, feed.size, time.waiting]).toEqual([true, 0, 0])
    expect(() => feed.open()).toThrow('a store without a size')
    expect(feed.size).toBe(0)
  })
})
