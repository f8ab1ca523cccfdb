// StatsD lines, read by a real UDP socket. Next: ../../src/monitor/statsd.ts.

import { type Socket, createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../src/core/clock.ts'
import type { Scheduler } from '../../src/core/scheduler.ts'
import { isWatched } from '../../src/core/watching.ts'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import { memoryStore } from '../../src/stores/memory/memory-store.ts'
import { type StatsdExporter, type StatsdOptions, statsd } from '../../src/monitor/statsd.ts'

const clock = manualClock(1_700_000_000_000)
const quiet = () => memoryStore({ clock, sweepIntervalMs: false })
const sockets: Socket[] = []
const opened: StatsdExporter[] = []
afterEach(() => {
  for (const exporter of opened.splice(0)) exporter.close()
  for (const socket of sockets.splice(0)) socket.close()
})

/** Timers that run when they are told to. */
function byHand(): Scheduler & { run(): void; waiting(): number } {
  let due: (() => void)[] = []
  return {
    now: () => 0,
    after(_ms, call) {
      due.push(call)
      return () => {
        due = due.filter((one) => one !== call)
      }
    },
    run() {
      const now = due
      due = []
      for (const call of now) call()
    },
    waiting: () => due.length,
  }
}

async function setUp(options: StatsdOptions = {}) {
  const server = createSocket('udp4')
  sockets.push(server)
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  const scheduler = byHand()
  const exporter = statsd({ port: (server.address() as AddressInfo).port, scheduler, ...options })
  opened.push(exporter)
  const packet = async (): Promise<string[]> => {
    const [message] = (await once(server, 'message')) as [Buffer]
    return message.toString().split('\n')
  }
  return { exporter, scheduler, packet }
}

describe('statsd', () => {
  it('sends what has been counted since, with labels as tags', async () => {
    const { scheduler, packet } = await setUp()
    const limiter = createLimiter({ rate: '2/m', name: 'api', store: quiet() })
    for (let i = 0; i < 3; i++) limiter.check('ip:203.0.113.9')
    const first = packet()
    scheduler.run()
    const lines = await first
    expect(lines).toContain('ratelimit.requests:2|c|#policy:api,result:granted,source:primary,store:memory')
    expect(lines).toContain('ratelimit.refused:1|c|#policy:api,reason:limit,source:primary,store:memory')
    expect(lines).toContain('ratelimit.active_keys:1|g|#store:memory')
    expect(lines.at(-1)).toMatch(/^ratelimit\.check_duration:\d+(\.\d{1,4})?\|ms\|#store:memory$/)
    expect(lines.join('\n')).not.toContain('203.0.113.9')
    limiter.check('ip:203.0.113.10')
    const second = packet()
    scheduler.run()
    expect((await second).filter((line) => line.includes('|c'))).toEqual([
      'ratelimit.requests:1|c|#policy:api,result:granted,source:primary,store:memory',
      'ratelimit.cost:1|c|#policy:api',
    ])
  })

  it('puts labels into names for servers without tags, and nothing that ends a name or a value', async () => {
    const { scheduler, packet } = await setUp({ tags: 'none', prefix: 'app.limits' })
    createLimiter({ rate: '2/m', name: 'a:b|c#d.e f', store: quiet() }).check('k')
    const first = packet()
    scheduler.run()
    const lines = await first
    expect(lines).toContain('app.limits.requests.a_b_c_d_e_f.granted.primary.memory:1|c')
    for (const line of lines) expect(line).toMatch(/^[\w.-]+:[\d.]+\|(c|g|ms)$/)
  })

  it('sends packets of a bounded size, a bounded number of them, and says what it dropped', async () => {
    const { exporter, scheduler, packet } = await setUp({ maxPacketBytes: 512, maxPolicies: 2000 })
    const store = quiet()
    for (let i = 0; i < 1000; i++) createLimiter({ rate: '2/m', name: `policy ${i} ${'x'.repeat(60)}`, store }).check('k')
    const first = packet()
    scheduler.run()
    expect((await first).join('\n').length).toBeLessThanOrEqual(512)
    expect(exporter.dropped).toBeGreaterThan(100)
  })

  it('never raises: not without a server, nor for a name that does not resolve', async () => {
    const scheduler = byHand()
    const exporter = statsd({ host: 'no-such-host.invalid', scheduler })
    opened.push(exporter)
    expect(createLimiter({ rate: '2/m', store: quiet() }).check('k').allowed).toBe(true)
    scheduler.run()
    await expect.poll(() => exporter.dropped, { timeout: 10_000 }).toBe(1)
  })

  it('sends the rest when it is closed, and then nothing', async () => {
    const { exporter, scheduler, packet } = await setUp()
    createLimiter({ rate: '2/m', name: 'api', store: quiet() }).check('k')
    const last = packet()
    exporter.close()
    exporter.close()
    expect((await last)[0]).toMatch(/^ratelimit\.requests:1\|c/)
    expect(scheduler.waiting()).toBe(0)
  })

  it.each([
    [{ host: 'a b' }, 'statsd.host'],
    [{ port: 0 }, 'statsd.port: expected a whole number from 1 to 65535, received 0'],
    [{ tags: 'influx' }, 'statsd.tags: expected datadog or none'],
    [{ flushIntervalMs: 1 }, 'statsd.flushIntervalMs'],
    [{ maxPacketBytes: 1 }, 'statsd.maxPacketBytes'],
    [{ interval: 1 }, 'statsd.interval: expected one of'],
    [{ scheduler: {} }, 'statsd.scheduler'],
  ])('refuses %j, and leaves nobody watching', (options, message) => {
    expect(() => statsd(options as never)).toThrow(message)
    expect(isWatched()).toBe(false)
  })
})
