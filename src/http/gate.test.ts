import { describe, expect, it } from 'vitest'
import type { RequestView } from '../core/request.ts'
import { manualClock } from '../core/clock.ts'
import { StoreError } from '../core/errors.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import type { AsyncStore } from '../stores/store.ts'
import { type GateOptions, buildGate } from './gate.ts'

const view = (ip: string | undefined, over: Partial<RequestView> = {}): RequestView => ({
  method: 'GET',
  url: '/',
  route: undefined,
  ip,
  peer: ip,
  header: () => undefined,
  user: undefined,
  session: undefined,
  raw: { ip },
  ...over,
})

const gate = (options: Partial<GateOptions<{ ip: string }>>) =>
  buildGate({ rate: '2/m', store: memoryStore({ clock: manualClock(1_000_000) }), ...options }, 'rateLimit')

describe('looking at what a gate would say', () => {
  it('counts nothing, tells nobody, and says what asking then says', async () => {
    const seen: string[] = []
    const limited = gate({ observers: [{ onDecision: ({ kind }) => void seen.push(kind) }] })
    const kinds: string[] = []
    for (let i = 0; i < 3; i++) {
      const looks = [await limited.look(view('192.0.2.1')), await limited.look(view('192.0.2.1'))]
      const asked = await limited.ask(view('192.0.2.1'))
      for (const { decision, key } of looks) expect([decision.kind, key]).toEqual([asked.decision.kind, 'ip:192.0.2.1'])
      expect(looks[0]?.decision.remaining).toBe(2 - i)
      kinds.push(asked.decision.kind)
    }
    expect(kinds).toEqual(['granted', 'granted', 'refused'])
    expect(seen).toEqual(kinds)
  })

  it.each<[string, Partial<GateOptions<{ ip: string }>>, string, string]>([
    ['the kill switch', { enabled: false }, 'exempt', 'enabled'],
    ['a kill switch that is asked', { enabled: () => false }, 'exempt', 'enabled'],
    ['the deny list', { denyList: '192.0.2.0/24', allowList: '192.0.2.1' }, 'refused', 'denyList'],
    ['the allow list', { allowList: '192.0.2.1' }, 'exempt', 'allowList'],
    ['skipIf', { skipIf: async ({ ip }) => ip === '192.0.2.1' }, 'exempt', 'skipIf'],
    ['a rate that is none', { rate: async () => null }, 'exempt', 'rate'],
    ['a key that is not there', { key: 'api_key', onMissingKey: 'skip' }, 'exempt', 'onMissingKey'],
    ['a key that must be there', { key: 'api_key', onMissingKey: 'deny' }, 'refused', 'onMissingKey'],
  ])('tells that %s decided', async (_, options, kind, by) => {
    const seen: string[] = []
    const limited = gate({ ...options, observers: [{ onDecision: (decision) => void seen.push(decision.kind) }] })
    const looked = await limited.look(view('192.0.2.1'))
    expect({ kind: looked.decision.kind, by: looked.by, key: looked.key }).toEqual({ kind, by, key: undefined })
    expect(seen).toEqual([])
    expect((await limited.ask(view('192.0.2.1'))).decision.kind).toBe(kind)
    expect(seen).toEqual([kind])
  })

  it('goes by the rate and the cost that functions give', async () => {
    const limited = gate({ rate: async () => '5/m', cost: () => 6 })
    expect((await limited.look(view('192.0.2.1'))).decision).toMatchObject({ kind: 'refused', reason: 'cost', limit: 5 })
  })

  it('puts no net under a store where that is not wanted', async () => {
    const failure = new StoreError('later', 'is down', { kind: 'unavailable' })
    const store = { name: 'later', sync: false, take: () => Promise.reject(failure) } as unknown as AsyncStore
    const withNet = buildGate({ rate: '2/m', store }, 'rateLimit')
    expect((await withNet.look(view('192.0.2.1'))).decision.source).toBe('local')
    const bare = buildGate({ rate: '2/m', store }, 'rateLimit', undefined, (given) => given)
    await expect(bare.look(view('192.0.2.1'))).rejects.toBe(failure)
  })
})
