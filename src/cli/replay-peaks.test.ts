import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { buildLimitSet } from '../core/limit-set.ts'
import type { AlgorithmConfig, AlgorithmName } from '../core/limit.ts'
import { createLimiter } from '../limiter/create-limiter.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import { ReplayClients } from './replay-clients.ts'
import { buildPeaks } from './replay-peaks.ts'

interface Request {
  readonly client: number
  readonly gapMs: number
}

/** Which clients a real limiter refuses something. */
function refusedClients(
  requests: readonly Request[],
  rate: string,
  algorithm: AlgorithmName,
  algorithmConfig: AlgorithmConfig,
): Set<number> {
  const clock = manualClock(START)
  const limiter = createLimiter({
    name: 'peaks',
    rate,
    algorithm,
    algorithmConfig,
    store: memoryStore({ clock, sweepIntervalMs: false }),
  })
  const refused = new Set<number>()
  for (const { client, gapMs } of requests) {
    clock.advance(gapMs)
    if (!limiter.check(`client ${client}`).allowed) refused.add(client)
  }
  return refused
}

const START = 1_768_471_200_123
const CLIENTS = 5
const traffic = fc.array(
  fc.record({
    client: fc.integer({ min: 0, max: CLIENTS - 1 }),
    gapMs: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 4000 })),
  }),
  { minLength: 1, maxLength: 150 },
)

describe('the smallest limit', () => {
  test.each([
    ['sliding_window', undefined],
    ['fixed_window', undefined],
    ['token_bucket', 'bucketSize'],
    ['leaky_bucket', 'bucketCapacity'],
    ['gcra', 'burst'],
  ] as [AlgorithmName, keyof AlgorithmConfig | undefined][])(
    'of %s refuses as few clients as asked, and one less refuses more',
    (algorithm, setting) => {
      fc.assert(
        fc.property(traffic, fc.constantFrom('700ms', 's', '3s'), fc.integer({ min: 0, max: 2 }), (requests, period, spared) => {
          const peaks = buildPeaks(buildLimitSet('peaks', `3/${period}`, { algorithm }).limits[0])
          // Numbered as they appear.
          const ids = new Map<number, number>()
          let now = START
          for (const { client, gapMs } of requests) {
            now += gapMs
            if (!ids.has(client)) ids.set(client, ids.size)
            peaks.add(ids.get(client) as number, now)
          }
          const smallest = peaks.smallest(ids.size, Math.min(spared, ids.size - 1))
          const refused = (n: number): number =>
            setting === undefined
              ? refusedClients(requests, `${n}/${period}`, algorithm, {}).size
              : refusedClients(requests, `3/${period}`, algorithm, { [setting]: n }).size
          expect(refused(smallest)).toBeLessThanOrEqual(spared)
          if (smallest > 1) expect(refused(smallest - 1)).toBeGreaterThan(Math.min(spared, ids.size - 1))
        }),
      )
    },
  )

  test.each(['sliding_window', 'fixed_window', 'gcra'] as AlgorithmName[])(
    'of %s is kept for more clients and requests than there is room for at first',
    (algorithm) => {
      const peaks = buildPeaks(buildLimitSet('peaks', '3/h', { algorithm }).limits[0])
      const clients = 10_000
      for (let round = 0; round < 2; round++) for (let client = 0; client < clients; client++) peaks.add(client, START + client)
      peaks.add(0, START + clients)
      expect([peaks.smallest(clients, 0), peaks.smallest(clients, 1), peaks.smallest(clients, clients)]).toEqual([3, 2, 2])
    },
  )
})

describe('the clients of a replay', () => {
  test('are listed by refusals, those of equal number in the order they came', () => {
    const clients = new ReplayClients(2)
    for (const name of ['a', 'b', 'c', 'b']) clients.refuse(clients.request(name), 1, name === 'b' ? 5 : 7)
    for (let i = 0; i < 5000; i++) clients.request(`${i}`)
    expect(clients.size).toBe(5003)
    expect(clients.offenders(0, 5)).toEqual({ clients: 0, worst: [] })
    expect(clients.offenders(1, 2)).toEqual({
      clients: 3,
      worst: [
        { name: 'b', requests: 2, refused: 2, firstRefusedAt: 5 },
        { name: 'a', requests: 1, refused: 1, firstRefusedAt: 7 },
      ],
    })
  })

  test('may not be more than can be told apart', () => {
    const clients = new ReplayClients(1, 2)
    for (const name of ['a', 'b', 'a']) clients.request(name)
    expect(() => clients.request('c')).toThrow(/more than 2 clients/)
  })
})
