import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RequestView } from '../core/request.ts'
import { type AddressOptions, buildClientAddress } from './address.ts'
import { parseAddress } from './parse-address.ts'

interface Sent {
  readonly ip?: string
  readonly peer?: string
  readonly headers?: Readonly<Record<string, string>>
}

function view({ ip, peer, headers = {} }: Sent): RequestView {
  return {
    method: 'GET',
    url: '/',
    route: undefined,
    ip,
    peer,
    header: (name) => headers[name],
    user: undefined,
    session: undefined,
    raw: undefined,
  }
}

const keyOf = (options: AddressOptions, sent: Sent): string | undefined => buildClientAddress(options)(view(sent))
const forwarded = (value: string): Record<string, string> => ({ 'x-forwarded-for': value })

describe('an address is its bits', () => {
  test.each([
    ['1.2.3.4', '1.2.3.4'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:0102:0304', '1.2.3.4'],
    ['::ffff:102:304', '1.2.3.4'],
    ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4'],
    [' "1.2.3.4:80" ', '1.2.3.4'],
    ['[2001:DB8::1]:443', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8:0:0::1', '2001:db8::1'],
    ['2001:db8::1.2.3.4', '2001:db8::102:304'],
  ])('%j is %s', (text, canonical) => {
    expect(parseAddress(text)?.text).toBe(canonical)
  })

  test.each([
    '01.2.3.4',
    '0x1.2.3.4',
    '16909060',
    '1.2.3',
    '1.2.3.4.',
    '1.2.3.4.5',
    '256.1.1.1',
    '１.2.3.4',
    'unknown',
    '_hidden',
    '',
    ' ',
    '1.2.3.4, 5.6.7.8',
    '::1::',
    'fe80::1%',
    'g::1',
    '1:2:3:4:5:6:7',
    'a'.repeat(10_000),
    '1.2.3.4\0',
    '1.2.3.4\r\nX: y',
    'localhost',
    '-1.2.3.4',
    '1e1.2.3.4',
  ])('%j is none', (text) => {
    expect(parseAddress(text)).toBeUndefined()
  })

  test('nothing makes it throw', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseAddress(text)))
  })
})

describe('IPv6 clients are grouped', () => {
  test('ten thousand addresses of one /56 are one key, the next /56 is another', () => {
    const client = buildClientAddress({})
    const keys = new Set(
      Array.from({ length: 10_000 }, (_, i) =>
        client(view({ ip: `2001:db8:1:2${(i % 256).toString(16).padStart(2, '0')}::${i.toString(16)}` })),
      ),
    )
    expect([...keys]).toEqual(['2001:db8:1:200::/56'])
    expect(client(view({ ip: '2001:db8:1:300::1' }))).toBe('2001:db8:1:300::/56')
  })

  test.each([
    [32, '2001:db8::/32'],
    [64, '2001:db8:1:2ff::/64'],
    [128, '2001:db8:1:2ff::9/128'],
  ])('by /%i when asked', (ipv6Prefix, key) => {
    expect(keyOf({ ipv6Prefix }, { ip: '2001:db8:1:2ff::9' })).toBe(key)
  })

  test('IPv4 is not grouped, in whatever notation, and NAT64 is the address inside only by option', () => {
    expect(keyOf({}, { ip: '::ffff:1.2.3.4' })).toBe('1.2.3.4')
    expect(keyOf({ nat64: true }, { ip: '64:ff9b::1.2.3.4' })).toBe('1.2.3.4')
    expect(keyOf({}, { ip: '64:ff9b::1.2.3.4' })).toBe('64:ff9b::/56')
  })

  test('lists see the whole address', () => {
    expect(buildClientAddress({}).full(view({ ip: '2001:db8::9' }))).toBe('2001:db8::9')
  })
})

describe('without trusted proxies', () => {
  test.each(['x-forwarded-for', 'x-real-ip', 'cf-connecting-ip', 'true-client-ip', 'forwarded', 'client-ip'])(
    '%s changes nothing',
    (name) => {
      expect(keyOf({}, { ip: '192.0.2.1', peer: '192.0.2.1', headers: { [name]: '203.0.113.9' } })).toBe('192.0.2.1')
    },
  )

  test('no address is no key', () => {
    expect(keyOf({}, {})).toBeUndefined()
    expect(keyOf({ trustedProxies: ['127.0.0.1'] }, { headers: forwarded('203.0.113.9') })).toBeUndefined()
  })
})

describe('with trusted blocks', () => {
  const options = { trustedProxies: ['10.0.0.0/8', '127.0.0.1'] }
  const client = (value: string, peer = '10.0.0.1') => keyOf(options, { peer, ip: peer, headers: forwarded(value) })

  test('the right-most untrusted hop is the client', () => {
    expect(client('203.0.113.7')).toBe('203.0.113.7')
    expect(client('198.51.100.1, 203.0.113.7, 10.9.9.9')).toBe('203.0.113.7')
  })

  test('a peer that is not trusted is the client, whatever it sends', () => {
    expect(client('203.0.113.7', '192.0.2.5')).toBe('192.0.2.5')
  })

  test('when all are trusted, the left-most is', () => {
    expect(client('10.1.1.1, 10.2.2.2')).toBe('10.1.1.1')
  })

  test('prepending any number of entries changes nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('1.1.1.1', 'unknown', '', '10.0.0.9', '"x"', '::1', 'for=_x'), { maxLength: 20 }),
        (entries) => {
          expect(client([...entries, '203.0.113.7', '10.9.9.9'].join(', '))).toBe('203.0.113.7')
        },
      ),
    )
  })

  test.each(['unknown', '_hidden', 'garbage', '203.0.113.7.evil', '999.1.1.1', '<script>', '""'])(
    'garbage such as %s never becomes a key',
    (hop) => {
      expect(client(`198.51.100.1, ${hop}, 10.9.9.9`)).toBe('10.9.9.9')
    },
  )

  test('more than 32 hops or 4 kB are not read: the peer it is', () => {
    expect(client(Array.from({ length: 33 }, () => '10.0.0.2').join(', '))).toBe('10.0.0.1')
    expect(client(`${' '.repeat(5000)}203.0.113.7`)).toBe('10.0.0.1')
  })

  test('Forwarded is read where X-Forwarded-For is absent', () => {
    const headers = { forwarded: 'for=198.51.100.1, for="[2001:db8:1:200::9]:443";proto=https, for=10.3.3.3' }
    expect(keyOf(options, { peer: '10.0.0.1', headers })).toBe('2001:db8:1:200::/56')
  })

  test('named blocks', () => {
    expect(keyOf({ trustedProxies: ['private'] }, { peer: '192.168.1.1', headers: forwarded('203.0.113.7') })).toBe('203.0.113.7')
    expect(keyOf({ trustedProxies: ['loopback'] }, { peer: '::1', headers: forwarded('203.0.113.7') })).toBe('203.0.113.7')
  })
})

describe('with a number of proxies', () => {
  test('the client is that many entries from the right; with fewer entries it is the peer', () => {
    const client = (hops: number, value: string) =>
      keyOf({ trustedProxies: hops }, { peer: '10.0.0.1', ip: '10.0.0.1', headers: forwarded(value) })
    expect(client(1, '198.51.100.1, 203.0.113.7')).toBe('203.0.113.7')
    expect(client(2, '198.51.100.1, 203.0.113.7')).toBe('198.51.100.1')
    expect(client(3, '198.51.100.1, 203.0.113.7')).toBe('10.0.0.1')
    expect(client(1, 'unknown')).toBe('10.0.0.1')
  })
})

describe('options are checked when they are built', () => {
  test.each([
    [{ trustedProxies: ['nonsense'] }, /trustedProxies.*nonsense/],
    [{ trustedProxies: ['10.0.0.0/33'] }, /trustedProxies.*10\.0\.0\.0\/33/],
    [{ trustedProxies: -1 }, /trustedProxies/],
    [{ trustedProxies: 1.5 }, /trustedProxies/],
    [{ trustedProxies: true }, /trustedProxies/],
    [{ ipv6Prefix: 31 }, /ipv6Prefix/],
    [{ ipv6Prefix: 129 }, /ipv6Prefix/],
    [{ nat64: 'yes' }, /nat64/],
    [{ trustedProxy: 1 }, /trustedProxy/],
  ])('%j', (options, message) => {
    expect(() => buildClientAddress(options as AddressOptions)).toThrow(message)
  })

  test('trusting everybody is warned about', () => {
    const warnings: string[] = []
    buildClientAddress({ trustedProxies: ['0.0.0.0/0', '::/0'] }, 'rateLimit', (message) => warnings.push(message))
    expect(warnings).toHaveLength(1)
    buildClientAddress({ trustedProxies: ['10.0.0.0/8'] }, 'rateLimit', (message) => warnings.push(message))
    expect(warnings).toHaveLength(1)
  })
})

describe('the way to a client can be told', () => {
  const trail = (trustedProxies: AddressOptions['trustedProxies'], sent: Sent) =>
    buildClientAddress(trustedProxies === undefined ? {} : { trustedProxies }).trail(view(sent))
  const trusted = (text: string) => ({ text, verdict: 'trusted' })
  const unreadable = (text: string) => ({ text, verdict: 'unreadable' })
  const long = Array.from({ length: 40 }, () => '10.0.0.2').join(',')

  test.each<[string, AddressOptions['trustedProxies'], Sent, object[], string | undefined]>([
    ['framework', undefined, { ip: '192.0.2.1', peer: '10.0.0.1' }, [], '192.0.2.1'],
    ['peer', 0, { peer: '10.0.0.1', headers: forwarded('192.0.2.1') }, [], '10.0.0.1'],
    ['peer', [], { peer: '10.0.0.1', headers: forwarded('192.0.2.1') }, [], '10.0.0.1'],
    ['untrusted', ['private'], { peer: '192.0.2.9', headers: forwarded('192.0.2.1') }, [], '192.0.2.9'],
    ['no_header', ['private'], { peer: '10.0.0.1' }, [trusted('10.0.0.1')], '10.0.0.1'],
    ['no_header', 1, { peer: '10.0.0.1' }, [], '10.0.0.1'],
    [
      'untrusted',
      ['private'],
      { peer: '10.0.0.1', headers: forwarded('6.6.6.6, 192.0.2.1, 10.0.0.2') },
      [trusted('10.0.0.1'), trusted('10.0.0.2')],
      '192.0.2.1',
    ],
    [
      'unreadable',
      ['private'],
      { peer: '10.0.0.1', headers: forwarded('192.0.2.1, nonsense, 10.0.0.2') },
      [trusted('10.0.0.1'), trusted('10.0.0.2'), unreadable('nonsense')],
      '10.0.0.2',
    ],
    [
      'all_trusted',
      ['private'],
      { peer: '10.0.0.1', headers: forwarded('10.0.0.3') },
      [trusted('10.0.0.1'), trusted('10.0.0.3')],
      '10.0.0.3',
    ],
    [
      'counted',
      2,
      { peer: '10.0.0.1', headers: forwarded('6.6.6.6, 192.0.2.1, 198.51.100.1') },
      [trusted('10.0.0.1'), trusted('198.51.100.1')],
      '192.0.2.1',
    ],
    [
      'too_few',
      2,
      { peer: '10.0.0.1', headers: forwarded('192.0.2.1') },
      [trusted('10.0.0.1'), trusted('192.0.2.1')],
      '10.0.0.1',
    ],
    [
      'unreadable',
      1,
      { peer: '10.0.0.1', headers: forwarded('nonsense') },
      [trusted('10.0.0.1'), unreadable('nonsense')],
      '10.0.0.1',
    ],
  ])('%s, of %j and %j', (because, trustedProxies, sent, passed, client) => {
    expect(trail(trustedProxies, sent)).toEqual({ because, passed, client })
    // It is the client that is counted.
    const own = trustedProxies === undefined ? {} : { trustedProxies }
    expect(buildClientAddress(own).full(view(sent))).toBe(client)
  })

  test('too_long, of a chain that nobody looks at to its end', () => {
    const { because, client, passed } = trail(['private'], { peer: '10.0.0.1', headers: forwarded(long) })
    expect({ because, client, passed: passed.length }).toEqual({ because: 'too_long', client: '10.0.0.1', passed: 33 })
  })
})
