import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConfigError } from '../core/errors.ts'
import type { RequestView } from '../core/request.ts'
import { boundedLookup } from './bounded-lookup.ts'
import { buildGate } from './gate.ts'
import { geography } from './geography.ts'
import { type Identity, type KeyInput, SKIP, buildKey } from './keys.ts'

interface Parts {
  readonly ip?: string
  readonly user?: string
  readonly headers?: Readonly<Record<string, string>>
}

function view({ ip = '192.0.2.1', user, headers = {} }: Parts = {}): RequestView {
  const fields = new Map(Object.entries(headers))
  const name = (field: string): string | undefined => fields.get(field)
  return { method: 'GET', url: '/', route: undefined, ip, peer: ip, user, session: undefined, raw: undefined, header: name }
}

const atOnce = (input: KeyInput, parts: Parts = {}): Identity | PromiseLike<Identity> =>
  buildKey(input, { address: (one) => one.ip, onMissingKey: 'skip' })(view(parts))

async function keyOf(input: KeyInput, parts: Parts = {}): Promise<Identity> {
  return atOnce(input, parts)
}

describe('the region of a client', () => {
  const byCountry = (lookup: Parameters<typeof geography>[0]['lookup']): KeyInput =>
    geography({ ...(lookup && { lookup }), by: false, timeoutMs: 20 })

  it('is what the provider says, with the client in it', () => {
    const seen: string[] = []
    const lookup = (address: string): string => {
      seen.push(address)
      return 'ES'
    }
    expect(atOnce(geography({ lookup }), { user: '7' })).toBe('geo:ES:user:7')
    expect(atOnce(geography({ lookup }))).toBe('geo:ES:ip:192.0.2.1')
    expect(atOnce(byCountry(lookup))).toBe('geo:ES')
    expect(seen).toEqual(['192.0.2.1', '192.0.2.1', '192.0.2.1'])
  })

  it('is unknown where the provider throws, rejects, knows nothing or answers nonsense', async () => {
    const failing = [
      () => {
        throw new Error('no database')
      },
      () => Promise.reject(new Error('no network')),
      () => null,
      async () => undefined,
      () => '',
      () => 'x'.repeat(10_000),
      () => ({}) as string,
    ]
    for (const lookup of failing) expect(await keyOf(byCountry(lookup))).toBe('geo:unknown')
  })

  it('is unknown where the provider hangs, and late answers and failures are dropped', async () => {
    expect(await keyOf(byCountry(() => new Promise(() => undefined)))).toBe('geo:unknown')
    let fail = (_error: Error): void => undefined
    const late = new Promise<string>((_resolve, reject) => {
      fail = reject
    })
    expect(await keyOf(byCountry(() => late))).toBe('geo:unknown')
    fail(new Error('too late'))
    await expect(late).rejects.toThrow('too late')
  })

  it('is in time where the provider is', async () => {
    expect(await keyOf(byCountry(async () => 'ES'))).toBe('geo:ES')
  })

  it('is taken from the header where that is enabled, and from nothing that is no country', () => {
    const input = geography({ header: 'CF-IPCountry', by: false })
    expect(atOnce(input, { headers: { 'cf-ipcountry': 'es' } })).toBe('geo:ES')
    expect(atOnce(input, { headers: { 'cf-ipcountry': 'T1' } })).toBe('geo:T1')
    for (const code of ['XX', 'ESP', 'E', '', 'E:', 'é1', '42'])
      expect(atOnce(input, { headers: { 'cf-ipcountry': code } })).toBe('geo:unknown')
    expect(atOnce(geography({ lookup: () => 'FR', by: false }), { headers: { 'cf-ipcountry': 'ES' } })).toBe('geo:FR')
    expect(
      atOnce(geography({ lookup: () => 'FR', header: 'cf-ipcountry', by: false }), { headers: { 'cf-ipcountry': 'XX' } }),
    ).toBe('geo:FR')
  })

  it('without a client in it is no key', () => {
    expect(atOnce(geography({ lookup: () => 'ES', by: 'api_key' }))).toBe(SKIP)
  })

  it('has options that are checked', () => {
    expect(() => geography({})).toThrow('a lookup or a header')
    expect(() => geography({ header: 'x', timeoutMs: 0 })).toThrow('geography.timeoutMs')
    expect(() => buildKey(geography({ header: 'x', by: 'usr' as 'user' }), { address: () => undefined })).toThrow('geography.by')
  })
})

describe('on a gate', () => {
  it('the provider gets the whole address of an IPv6 client, which is counted by its block', () => {
    const asked: string[] = []
    const lookup = (address: string): string => {
      asked.push(address)
      return 'ES'
    }
    const gate = buildGate({ rate: '9/m', key: geography({ lookup }) }, 'rateLimit')
    const keys = ['2001:db8:0:1::7', '2001:db8:0:2::8'].map((ip) => (gate.ask(view({ ip })) as { key?: string }).key)
    expect(asked).toEqual(['2001:db8:0:1::7', '2001:db8:0:2::8'])
    expect(keys).toEqual(['geo:ES:ip:2001:db8::/56', 'geo:ES:ip:2001:db8::/56'])
  })

  it('the observers hear of a provider that fails, and the request goes on', () => {
    const told: unknown[] = []
    const observers = [{ onError: (error: unknown, where: string) => void told.push([(error as Error).message, where]) }]
    const lookup = (): string => {
      throw new Error('no database')
    }
    const gate = buildGate({ rate: '9/m', key: geography({ lookup, by: false }), observers }, 'rateLimit')
    expect(gate.ask(view())).toMatchObject({ key: 'geo:unknown', decision: { allowed: true } })
    expect(told).toEqual([['no database', 'geography']])
  })

  it('an allow list is asked about the resolved client, never about what a client claims', () => {
    const gate = buildGate({ rate: '0/m', allowList: ['10.0.0.9', '198.51.100.1'], trustedProxies: 1 }, 'rateLimit')
    const kind = (forwarded: string) =>
      (gate.ask(view({ ip: '127.0.0.1', headers: { 'x-forwarded-for': forwarded } })) as { decision: { kind: string } }).decision
        .kind
    expect(kind('10.0.0.9, 203.0.113.5')).toBe('refused')
    expect(kind('203.0.113.5, 198.51.100.1')).toBe('exempt')
    const direct = buildGate({ rate: '0/m', allowList: ['10.0.0.9'] }, 'rateLimit')
    const asked = direct.ask(view({ ip: '127.0.0.1', headers: { 'x-forwarded-for': '10.0.0.9', forwarded: 'for=10.0.0.9' } }))
    expect(asked).toMatchObject({ decision: { kind: 'refused' } })
  })
})

describe('a bounded lookup', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('tells what the provider knows, at once where it does', async () => {
    const region = boundedLookup((address) => (address === '192.0.2.1' ? 'ES' : null))
    expect([region('192.0.2.1'), region('192.0.2.2'), region(undefined), region('')]).toEqual([
      'ES',
      'unknown',
      'unknown',
      'unknown',
    ])
    expect(await boundedLookup(async () => 'FR')('192.0.2.1')).toBe('FR')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('asks for addresses as databases have them, and not for what is none', () => {
    const asked: string[] = []
    const region = boundedLookup((address) => {
      asked.push(address)
      return 'ES'
    })
    for (const text of ['::ffff:192.0.2.7', '192.0.2.7:8080', '[2001:DB8::1]:443', 'localhost', '192.0.2', 7 as never])
      region(text)
    expect(asked).toEqual(['192.0.2.7', '192.0.2.7', '2001:db8::1'])
  })

  it('is unknown where the provider fails, and says so; a listener that fails does no harm', async () => {
    const told: string[] = []
    const onError = (error: unknown): void => {
      told.push((error as Error).message)
      throw new Error('mine')
    }
    const throwing = boundedLookup(
      () => {
        throw new Error('thrown')
      },
      { onError },
    )
    const rejecting = boundedLookup(() => Promise.reject(new Error('rejected')), { onError })
    expect([throwing('192.0.2.1'), await rejecting('192.0.2.1')]).toEqual(['unknown', 'unknown'])
    expect(told).toEqual(['thrown', 'rejected'])
  })

  it('waits as long as it may and no longer; after three missing answers a provider is asked rarely, until it answers', async () => {
    const told: unknown[] = []
    let asked = 0
    let answer: string | undefined
    const provider = () => {
      asked++
      return answer === undefined ? new Promise<string>(() => {}) : Promise.resolve(answer)
    }
    const region = boundedLookup(provider, { timeoutMs: 100, onError: (error) => void told.push((error as Error).message) })
    for (let i = 0; i < 3; i++) {
      let found: string | undefined
      void Promise.resolve(region('192.0.2.1')).then((value) => (found = value))
      await vi.advanceTimersByTimeAsync(99)
      expect(found).toBeUndefined()
      await vi.advanceTimersByTimeAsync(1)
      expect(found).toBe('unknown')
    }
    expect(told).toEqual(Array(3).fill('boundedLookup: no answer within 100 ms'))
    // It rests: nobody waits.
    expect([region('192.0.2.1'), asked]).toEqual(['unknown', 3])
    await vi.advanceTimersByTimeAsync(4999)
    expect([region('192.0.2.1'), asked]).toEqual(['unknown', 3])
    await vi.advanceTimersByTimeAsync(1)
    // One asks; the others do not wait for it.
    const probe = region('192.0.2.1')
    expect([region('192.0.2.2'), asked]).toEqual(['unknown', 4])
    await vi.advanceTimersByTimeAsync(100)
    expect(await probe).toBe('unknown')
    answer = 'ES'
    await vi.advanceTimersByTimeAsync(5000)
    expect(await region('192.0.2.1')).toBe('ES')
    expect(await region('192.0.2.2')).toBe('ES')
    expect(asked).toBe(6)
  })

  it('has options that are checked', () => {
    expect(() => boundedLookup('ES' as never)).toThrow(ConfigError)
    expect(() => boundedLookup(() => 'ES', { timeoutMs: 0.5 })).toThrow('boundedLookup.timeoutMs')
    expect(() => boundedLookup(() => 'ES', { timeout: 5 } as never)).toThrow('boundedLookup.timeout')
    expect(() => boundedLookup(() => 'ES', { onError: 1 as never })).toThrow('boundedLookup.onError')
  })
})
